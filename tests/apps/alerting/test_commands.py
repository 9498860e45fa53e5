"""``headwater alerts`` on a folder: planted drift opens an alert that names the feature; quiet data none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headwater.apps.alerting import rules
from headwater.apps.alerting.check import of_parity
from headwater.log.embedded import EmbeddedLog
from headwater.store.folder import DataFolder
from headwater.store.parity import Compared, Mismatch, ParityLedger
from headwater.store.reports import Report, ReportStore
from tests.apps.alerting.receivers import receiver
from tests.apps.cli.conftest import Headwater, headwater, place
from tests.apps.watching.conftest import lender, lender_folder

__all__ = ["headwater", "lender", "lender_folder", "place"]

SHIFTED = ("--from", "2026-05-15", "--to", "2026-05-22")
QUIET = ("--from", "2026-05-01", "--to", "2026-05-08")


@pytest.mark.usefixtures("lender")
def test_planted_drift_opens_one_alert_that_names_the_feature(headwater: Headwater) -> None:
    assert headwater("drift", *QUIET).code == 0
    assert (headwater("alerts", "check").code, headwater("alerts", "list", "--json").json) == (
        0,
        {"alerts": []},
    )
    assert headwater("drift", *SHIFTED).code == 9
    first = headwater("alerts", "check", "--json")
    assert (first.code, first.json["events"]) == (
        9,
        [{"rule": "drift", "subject": "risk", "event": "opened"}],
    )
    (alert,) = first.json["alerts"]
    assert alert["what"].startswith("The model risk meets other data than it was trained on: ")
    assert "amount" in alert["what"]
    assert alert["since"] == "2026-05-15T00:00:00Z"
    assert "headwater drift risk --from 2026-05-15T00:00:00Z --to 2026-05-22T00:00:00Z" in alert["do"]
    assert headwater("alerts", "check", "--json").json["events"] == []
    taken = headwater("alerts", "ack", alert["id"], "--by", "ada", "--json").json
    assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "ada")
    assert headwater("alerts", "check").code == 0  # somebody is at it
    assert "a1 warning, acknowledged: The model risk" in headwater("alerts", "list").out


def test_an_alert_names_no_person(
    headwater: Headwater, lender: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = lender / "project.py"
    project.write_text(project.read_text().replace('personal=["name"]', 'personal=["name", "amount"]'))
    headwater("train", "--bootstrap", "0")
    with receiver() as server:
        monkeypatch.setenv("HEADWATER_ALERT_WEBHOOK", server.address)
        monkeypatch.setenv("HEADWATER_ALERT_WEBHOOK_SECRET", "correct horse battery staple")
        assert headwater("drift", *SHIFTED, "--replay", "--version", "2").code == 9
        assert headwater("alerts", "check").code == 9
        assert headwater("alerts", "test", "--json").json["channels"][1] == {
            "channel": "webhook",
            "fault": None,
        }
    told = json.loads(server.got[0][1])
    assert told["alert"]["rule"] == "drift"
    with ReportStore.open(lender / ".headwater" / "reports.db") as reports:
        newest = reports.newest("drift", "risk")
    assert newest is not None
    amount = next(one for one in newest.body["features"] if one["name"] == "amount")
    assert amount["median"] is None
    assert all("its values are personal" in one["words"] for one in amount["findings"])


def test_dead_letters_are_an_alert_of_their_stream(headwater: Headwater, lender: Path) -> None:
    (lender / "odd.csv").write_text("id,who,time,amount,kind,name\n1,,yesterday,1.0,card,Ada\n")
    headwater("import", "payments=odd.csv")
    with EmbeddedLog.open(lender / ".headwater" / "events.log", writer=False) as log:
        assert log.dead_letter_counts()
    found = headwater("alerts", "check", "--json").json
    assert [(one["rule"], one["subject"]) for one in found["alerts"]] == [("dead-letters", "payments")]
    headwater("log", "dead-letters", "--remove")
    assert headwater("alerts", "check", "--json").json["events"] == [
        {"rule": "dead-letters", "subject": "payments", "event": "resolved"}
    ]


def test_an_alert_that_is_none(headwater: Headwater, place: Path) -> None:
    (place / "project.py").touch()
    headwater("alerts", "ack", "a7").fails(
        5,
        """
        there is no alert a7
          expected: the id of an alert, such as a3
          got:      a7
          do:       list them: headwater alerts list --all
        """,
    )


# --- Rules ------------------------------------------------------------------------------------------


def weeks(*brier: tuple[float, tuple[float, float, float] | None]) -> Report:
    """Outcomes by week: what was expected, and what was measured with its interval."""
    periods = [
        {
            "start": week,
            "stop": week + 1,
            "estimated": {"brier": expected},
            "measured": {} if found is None else {"brier": list(found)},
        }
        for week, (expected, found) in enumerate(brier)
    ]
    return Report(1, "outcomes", "risk", 0, 9, 9, {"periods": periods})


GOOD, BAD, UNKNOWN = (0.05, (0.05, 0.04, 0.06)), (0.05, (0.08, 0.07, 0.09)), (0.05, None)


def test_two_bad_weeks_in_a_row_are_a_decay() -> None:
    assert rules.decay(weeks(GOOD, BAD)).clear == ("risk",)
    assert rules.decay(weeks(BAD, BAD, GOOD)).clear == ("risk",)
    assert rules.decay(weeks(BAD)) == rules.Judged("outcomes")
    (signal,) = rules.decay(weeks(GOOD, BAD, BAD, UNKNOWN)).signals
    assert (signal.since, signal.severity) == (1, "critical")
    assert signal.how_bad.startswith("brier 0.080 where 0.050 was expected")


def test_parity_speaks_only_of_what_was_compared() -> None:
    assert rules.parity(Compared(), [], 5) == rules.Judged("parity")
    assert rules.parity(Compared(compared=9), [], 5).clear == ("served vectors",)
    (signal,) = rules.parity(Compared(compared=9, mismatches=2), [], 5).signals
    assert (signal.severity, signal.how_bad) == ("critical", "2 of 9 compared, in unknown inputs")


def test_parity_is_read_from_its_ledger(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data").make()
    assert list(of_parity(folder, 5)) == []
    other = Mismatch("score", "risk", {"who": 1}, 3, 7, "spent_7d", 1.0, 2.0, ("0", "1"), ("spent_7d",))
    with ParityLedger.open(folder.parity) as ledger:
        ledger.add(Compared(compared=3))
        assert [one.clear for one in of_parity(folder, 5)] == [("served vectors",)]
        ledger.add(Compared(compared=1, mismatches=1), [other])
    (judged,) = of_parity(folder, 5)
    (signal,) = judged.signals
    assert (signal.since, signal.how_bad) == (3, "1 of 4 compared, in spent_7d")


def test_freshness_and_failing_parts() -> None:
    assert rules.freshness(9.0, 99, 5) == rules.Judged("freshness")
    assert rules.freshness(0.01, 100, 5).clear == ("fresh scores",)
    (slow,) = rules.freshness(0.6, 100, 5).signals
    assert slow.how_bad == "99 in 100 within 0.6 s, where 0.25 s are good; 100 events"
    judged = rules.failing({"snapshots": (5, "store"), "monitors": None}, 6)
    assert ([one.subject for one in judged.signals], judged.clear) == (["snapshots"], ("monitors",))
