"""The report each morning: there if somebody gets it, due at its time of day, tried again, and an alert.

::

    seen first 10:00        06:00 due          06:00 due
    |-----------------------|------------------|
                            the server is away: an alert, and again in 5 minutes
"""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.apps.jobs.settings import JobSettings
from headwater.apps.jobs.timetable import Timing
from headwater.core.errors import DataError
from headwater.core.instant import DAY, HOUR, iso
from headwater.store.alerts import AlertStore
from tests.apps.alerting.receivers import mail_server
from tests.apps.jobs.test_desk import lender, lender_place, opened
from tests.retraining.lender import day

__all__ = ["lender", "lender_place"]
TO = {"HEADWATER_REPORT_MAIL_TO": "risk@bank.example"}


def test_it_is_due_each_morning_if_somebody_gets_it(lender: Path) -> None:
    how = JobSettings.read(TO | {"HEADWATER_JOBS_EVERY": "retrain=off,drift=off,outcomes=off,alerts=off"})
    assert "reports" not in {one.name for one in _timings(lender, JobSettings())}
    with opened(lender, 90 + 10 / 24, how=how, environ=TO) as (desk, clock):
        due = []
        for _ in range(50):
            due += [iso(job.due) for job in desk.plan()]
            for job in desk.jobs.open_ones():
                desk.jobs.end(job.number, "done", now=clock.now())
            clock.advance(HOUR)
    morning = day(91) + 6 * HOUR
    assert due == [iso(morning), iso(morning + DAY)]


def test_it_is_mailed_tried_again_and_told(lender: Path, tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        environ = TO | {
            "HEADWATER_SMTP_HOST": "127.0.0.1",
            "HEADWATER_SMTP_PORT": str(server.port),
            "HEADWATER_SMTP_CA": str(server.certificate),
        }
        with opened(lender, 100, how=JobSettings.read(environ), environ=environ) as (desk, _):
            made = desk.run(desk.jobs.plan("reports", day(99), "A test.", now=day(100)))
            assert made.letter == ()
            assert (made.state, made.outcome["file"], made.outcome["to"]) == (
                "done",
                f"report-{iso(day(98))[:10]}.html",
                iso(day(99)),
            )
            assert len(server.letters) == 1
            server.refuse = 550
            never = desk.run(desk.jobs.plan("reports", day(100), "A test.", now=day(100)))
            assert (never.state, never.again) == ("refused", None)
            assert _alerts(desk.folder.alerts) == ["open"]
            server.refuse = 0
            assert desk.run(desk.jobs.plan("reports", day(101), "", now=day(100))).state == "done"
            assert _alerts(desk.folder.alerts) == ["resolved"]
    with opened(lender, 102, how=JobSettings.read(environ), environ=environ) as (desk, _):
        gone = desk.run(desk.jobs.plan("reports", day(102), "A test.", now=day(102)))
        assert (gone.state, gone.again is not None) == ("failed", True)
        assert gone.letter[0].what == "the report could not be mailed"
        assert "resolved" in _alerts(desk.folder.alerts)
        assert "open" in _alerts(desk.folder.alerts)


def test_a_time_of_day_that_is_none() -> None:
    with pytest.raises(DataError) as raised:
        JobSettings.read(TO | {"HEADWATER_REPORT_MAIL_AT": "6 o'clock"})
    assert str(raised.value) == (
        "the setting HEADWATER_REPORT_MAIL_AT cannot be read\n"
        "  expected: hours and minutes such as 06:00\n"
        '  got:      "6 o\'clock"\n'
        "  do:       correct the environment variable, or unset it"
    )


def _timings(folder: Path, how: JobSettings) -> tuple[Timing, ...]:
    with opened(folder, 90, how=how) as (desk, _):
        return desk.timings


def _alerts(path: Path) -> list[str]:
    with AlertStore.open(path) as store:
        return [one.state for one in store.page(limit=9)]
