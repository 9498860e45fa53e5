"""Drift over decision records: found, named, kept, and shown; quiet where nothing happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.store.reports import ReportStore
from tests.apps.cli.conftest import Headwater

pytestmark = pytest.mark.usefixtures("lender")

SHIFTED = ("--from", "2026-05-15", "--to", "2026-05-22")
QUIET = ("--from", "2026-05-01", "--to", "2026-05-08")


def test_a_planted_shift_is_an_alarm_that_names_the_feature(headwater: Headwater) -> None:
    ended = headwater("drift", *SHIFTED, "--json")
    assert ended.code == 9
    found = ended.json
    assert (found["level"], found["model"], found["version"]) == ("alarm", "risk", 1)
    features = {one["subject"] for one in found["findings"] if one["level"] == "alarm"}
    assert found["findings"][0]["subject"] in {"amount", "spent_30d"}
    assert "amount" in features
    assert not {"n_7d", "n_30d"} & features  # they pay more, not more often
    assert found["score_drift"]["moved"][0]["feature"] in {"amount", "spent_30d"}


def test_quiet_weeks_raise_no_alarm(headwater: Headwater) -> None:
    for stretch in (QUIET, ("--from", "2026-05-08", "--to", "2026-05-15")):
        ended = headwater("drift", *stretch, "--json")
        assert (ended.code, ended.json["level"]) == (0, "quiet"), ended.json["findings"]


def test_a_report_is_kept_once(headwater: Headwater, lender: Path) -> None:
    first = headwater("drift", *SHIFTED, "--json").json
    again = headwater("drift", *SHIFTED, "--json").json
    other = headwater("drift", *QUIET, "--json").json
    apart = headwater("drift", *QUIET, "--no-keep", "--json").json
    assert (first["report"], again["report"], other["report"], apart["report"]) == (1, 1, 2, None)
    with ReportStore.open(lender / ".headwater" / "reports.db") as reports:
        newest = reports.newest("drift", "risk")
        assert newest is not None
        assert (newest.number, newest.body["level"]) == (1, "alarm")
        assert [one.number for one in reports.windows("drift", "risk")] == [1, 2]


def test_the_log_alone_tells_it_too(headwater: Headwater) -> None:
    ended = headwater("drift", *SHIFTED, "--replay", "--json")
    assert (ended.code, ended.json["source"]) == (9, "log")
    assert "amount" in {one["subject"] for one in ended.json["findings"]}


def test_the_table(headwater: Headwater) -> None:
    ended = headwater("drift", *SHIFTED)
    assert ended.code == 9
    assert "risk, version 1: alarm" in ended.out
    assert "480 decisions of 160 entities, 2026-05-15T00:00:00Z to 2026-05-22T00:00:00Z." in ended.out
    assert "The mean score went up by" in ended.out
    assert "payments" in ended.out.split("Streams, in whole days")[1]


def test_a_distribution_with_too_few_rows_is_not_called_quiet(headwater: Headwater) -> None:
    day = ("--from", "2026-05-02", "--to", "2026-05-04")
    told = headwater("drift", *day, "--no-keep", "--json").json
    few = [one for one in told["features"] if one["level"] == "too few"]
    assert few
    assert all(one["unjudged"].startswith("too few rows: ") for one in few)
    assert told["unjudged"][0].startswith(
        f"Whether {len(few) + 1} of 5 moved is not known: "
    )  # and the score
    said = headwater("drift", *day, "--no-keep", "--all").out
    for one in few:
        (line,) = (row for row in said.splitlines() if row.startswith(one["name"] + " "))
        assert one["unjudged"] in line


def test_a_stretch_without_decisions_is_said(headwater: Headwater) -> None:
    headwater("drift", "--from", "2026-01-01", "--to", "2026-01-08").fails(
        4,
        """
        there are no decisions of the model in this stretch of time
          expected: decisions of the definition that the model was trained from
          got:      none
          where:    risk
          do:       name another stretch with --from and --to; or look at the log's observations with --replay
        """,
    )


def test_a_stretch_that_ends_before_it_begins(headwater: Headwater) -> None:
    headwater("drift", "--from", "2026-05-02", "--to", "2026-05-01").fails(
        4,
        """
        a stretch of time ends before it begins
          expected: --from before --to
          got:      2026-05-02T00:00:00Z to 2026-05-01T00:00:00Z
          do:       exchange them, or name other times
        """,
    )
