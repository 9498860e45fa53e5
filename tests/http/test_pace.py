"""Work in the background: a tenth of a processor at most, and a stop that is heard at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.apps.http.pace import REST, Pace, StoppedPaceError
from tests.http.house import serving
from tests.http.test_events import pay, post
from tests.http.test_project import read_metrics


def test_it_rests_nine_times_as_long_as_it_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    now, rests = [0.0], list[float]()
    pace = Pace(lambda: now[0])
    monkeypatch.setattr(pace, "_rest", rests.append)
    step = pace.begin()
    for seconds in (0.001, 0.002, 0.05):
        now[0] += seconds
        step()
    assert rests[1:] == pytest.approx([0.003 * REST, 0.05 * REST])


def test_once_stopped_nothing_begins() -> None:
    pace = Pace()
    step = pace.begin()
    step()
    pace.stop()
    with pytest.raises(StoppedPaceError):
        pace.begin()


def test_a_gentle_round_gives_the_same_ledger_and_a_stopped_one_none(tmp_path: Path) -> None:
    with serving(tmp_path) as house:
        post(house, *[pay(50_000 + i, i % 20, 99.0 + (i * 7 % 13) / 10) for i in range(60)])
        behind = read_metrics(house)["headwater_late_backlog_events"]
        house.monitors.gentle_round()
        found = read_metrics(house)
        assert behind >= 60
        assert found["headwater_late_backlog_events"] == 0
        assert found["headwater_late_events_total"] == len(house.monitors.ledger) > 0
        post(house, pay(50_100, 1, 98.0))
        house.monitors.stop()
        house.monitors.gentle_round()
        assert read_metrics(house)["headwater_late_backlog_events"] > 0
