"""``headwater lake``: exported, followed, looked at, and described."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from headwater.apps.jobs.desk import Desk
from headwater.apps.jobs.settings import JobSettings
from headwater.apps.settings import Settings
from headwater.core.instant import MINUTE
from headwater.definitions.loading import load_project
from headwater.store.folder import DataFolder
from headwater.store.jobs import JobStore
from headwater.testing import ManualClock
from tests.apps.cli.conftest import Headwater
from tests.apps.cli.shop import payments


@pytest.fixture
def bought(shop: Path, headwater: Headwater) -> Path:
    """The shop, with its events imported."""
    assert headwater("import", "payments.csv").code == 0
    return shop


def test_export_status_and_what_is_there(bought: Path, headwater: Headwater) -> None:
    assert headwater("lake", "status", "--json").json["tables"] == [
        {
            "table": "events/payments",
            "rows": 0,
            "files": 0,
            "bytes": 0,
            "place": 0,
            "end": 900,
            "behind": 900,
        },
        {
            "table": "decisions/risk_policy",
            "rows": 0,
            "files": 0,
            "bytes": 0,
            "place": 0,
            "end": 0,
            "behind": 0,
        },
    ]
    done = headwater("lake", "export", "--by", "month", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == {
        "lake": str(Path(".headwater") / "lake"),
        "format": "parquet",
        "tables": [
            {"table": "events/payments", "rows": 900, "files": 4, "reaches": 900},
            {"table": "decisions/risk_policy", "rows": 0, "files": 0, "reaches": 0},
        ],
    }
    told = headwater("lake", "status", "--by", "month", "--json").json["tables"][0]
    assert (told["rows"], told["files"], told["behind"]) == (900, 4, 0)
    found = pl.read_parquet(bought / ".headwater" / "lake" / "events" / "payments" / "*" / "*.parquet")
    assert "name" not in found.columns  # personal
    want = payments()
    assert found.sort("offset").select("id", "who", "amount").equals(want.select("id", "who", "amount"))
    assert "Exported to" in headwater("lake", "export", "--by", "month").out


def test_delta_with_hashes(bought: Path, headwater: Headwater, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_LAKE", str(bought / "here"))
    monkeypatch.setenv("HEADWATER_LAKE_FORMAT", "delta")
    monkeypatch.setenv("HEADWATER_LAKE_PERSONAL", "hash")
    monkeypatch.setenv("HEADWATER_LAKE_HASH_KEY", "a key of the lake")
    assert headwater("lake", "export", "--json").json["tables"][0]["rows"] == 900
    found = pl.read_delta(str(bought / "here" / "events" / "payments"))
    assert found["name"].n_unique() == 30
    assert found["name"].str.len_chars().unique().to_list() == [32]
    assert headwater("lake", "status", "--json").json["tables"][0]["behind"] == 0


def test_the_schema_needs_no_log(shop: Path, headwater: Headwater) -> None:
    assert not (shop / ".headwater" / "events.log").exists()
    text = headwater("lake", "schema").out
    assert "## events/payments" in text
    assert "| `kind` | string | `kind` of the event, one of card, cash. |" in text
    assert "Left out, personal: `name`." in text
    assert "| `feature_spent_30d` | float64 | The input `spent_30d`. |" in text
    tables = headwater("lake", "schema", "--json", "--personal", "plain").json["tables"]
    assert [table["table"] for table in tables] == ["events/payments", "decisions/risk_policy"]
    assert tables[0]["columns"][-1] == {
        "name": "name",
        "type": "string",
        "meaning": "`name` of the event.",
        "personal": "plain",
    }


def test_before_there_is_a_log(shop: Path, headwater: Headwater) -> None:
    for command in ("export", "follow", "status"):
        headwater("lake", command).fails(
            5,
            f"""
            there is no event log yet
              where:    {Path(".headwater") / "events.log"}
              do:       bring events in first: headwater import stream=file; or name the folder with --data
            """,
        )
    assert sorted(path.name for path in shop.iterdir()) == ["payments.csv", "project.py"]


def test_settings_that_cannot_hold(shop: Path, headwater: Headwater, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shop.exists()
    headwater("lake", "schema", "--lake", "s3://bucket/lake").fails(
        4,
        """
        Parquet files are exported into a folder of a disk
          expected: a folder; or Delta tables, for object stores
          got:      s3://bucket/lake
          where:    HEADWATER_LAKE
          do:       write Delta there: --format delta, or HEADWATER_LAKE_FORMAT=delta
        """,
    )
    monkeypatch.setenv("HEADWATER_LAKE_BY", "year")
    headwater("lake", "schema").fails(
        4,
        """
        the setting HEADWATER_LAKE_BY cannot be read
          expected: day or month
          got:      'year'
          do:       correct the environment variable, or unset it
        """,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_follow_goes_on_until_it_is_told_to_end(
    number: signal.Signals, bought: Path, headwater: Headwater
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "headwater.apps.cli.main", "lake", "follow", "--every", "0.1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=bought,
        env=dict(os.environ),
    )
    try:
        note = bought / ".headwater" / "lake" / "decisions" / "risk_policy" / "_lake.json"
        wait(child, note.exists)
        more = payments(seed=4).with_columns(pl.col("id") + 900)
        more.write_csv(bought / "payments2.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
        assert headwater("import", "payments=payments2.csv").code == 0
        events = note.parent.parent.parent / "events" / "payments" / "_lake.json"
        wait(child, lambda: json.loads(events.read_text(encoding="utf-8"))["rows"] == 1_800)
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert (child.returncode, err) == (0, "")
    assert json.loads(out)["tables"][0]["rows"] == 1_800


def wait(child: subprocess.Popen[str], there: object) -> None:
    """Until something is there; a child that ended is told of."""
    assert callable(there)
    for _ in range(600):
        if there():
            return
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.1)
    raise AssertionError("it is not there after a minute")


def test_the_job_of_a_server(bought: Path) -> None:
    environ = {"HEADWATER_LAKE": str(bought / "lake"), "HEADWATER_JOBS_EVERY": "lake=1m"}
    settings = Settings.read({}, project=str(bought))
    clock = ManualClock(1_800_000_000_000_000)
    with JobStore.open(DataFolder(settings.data).jobs) as jobs:
        how = JobSettings.read(environ)
        desk = Desk(load_project(settings.project), settings, how, environ, jobs, clock.now)
        timing = next(one for one in desk.timings if one.kind == "lake")
        assert (timing.name, timing.every) == ("lake", MINUTE)
        with desk.turn() as mine:
            assert mine
            done = desk.run(jobs.plan("lake", clock.now(), "Asked for.", now=clock.now()))
    assert done.state == "done"
    assert done.outcome == {
        "tables": {
            "decisions/risk_policy": {"rows": 0, "place": 0},
            "events/payments": {"rows": 900, "place": 900},
        }
    }
    without = JobSettings.read({})
    with JobStore.open(DataFolder(settings.data).jobs) as jobs:
        desk = Desk(load_project(settings.project), settings, without, {}, jobs, clock.now)
        assert "lake" not in [one.name for one in desk.timings]
