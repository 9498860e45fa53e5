"""The benchmark of drift, small: quiet worlds stay quiet, and what is planted is found and named first."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drift import NAMES, _raised, planted, promise, quiet


def test_quiet_months_raise_no_alarm() -> None:
    found = quiet(3, days=7, step=7, count=4)
    assert found["windows"] == 12
    assert found["months with an alarm"] == 0


def test_planted_shifts_are_found_within_two_windows_and_named_first() -> None:
    found = planted(1)
    assert len(found) == 4
    for name, tally in found.items():
        assert tally.get("found in window 1", 0) + tally.get("found in window 2", 0) == tally["planted"], name
        assert tally["named first"] == tally["planted"], name


def test_the_promise_is_counted_and_kept() -> None:
    # 3 quiet months of 4 weeks; 2 worlds with each of 4 kinds of shift
    told = promise(months=3, shifts=8)
    assert told.pop("by kind")
    assert told == {
        "quiet months": 3,
        "of these with an alarm": 0,
        "planted shifts": 8,
        "found within two windows": 8,
        "the right name first": 8,
        "kept": True,
    }


@pytest.mark.parametrize("place", [0, 20, 35])
def test_a_mean_is_raised_by_half_a_standard_deviation(place: int) -> None:
    rng = np.random.default_rng(1)
    x = (
        rng.poisson(0.9, 50_000).astype(np.float64)
        if NAMES[place] == "feature_20"
        else rng.normal(size=50_000)
    )
    raised = _raised(x, place)
    assert (raised.mean() - x.mean()) / x.std() == pytest.approx(0.5, abs=0.02)
    assert place != 20 or np.array_equal(raised, np.round(raised))
