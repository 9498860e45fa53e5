"""The benchmark of drift, small: quiet worlds stay quiet, and what is planted is found and named first."""

from __future__ import annotations

from benchmarks.drift import planted, quiet


def test_quiet_months_raise_no_alarm() -> None:
    found = quiet(3, days=7, step=7, count=4)
    assert found["windows"] == 12
    assert found["months with an alarm"] == 0


def test_planted_shifts_are_found_within_two_windows_and_named_first() -> None:
    found = planted(1)
    assert len(found) == 4
    for name, tally in found.items():
        assert isinstance(tally, dict)
        assert tally.get("found in window 1", 0) + tally.get("found in window 2", 0) == tally["planted"], name
        assert tally["named first"] == tally["planted"], name
