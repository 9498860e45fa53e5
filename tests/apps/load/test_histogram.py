"""Percentiles are those of the whole list, to a thousandth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headwater.apps.load.histogram import Histogram

PERCENTS = (0.1, 25, 50, 90, 95, 99, 99.9, 100)


@pytest.mark.parametrize(
    "drawn",
    [
        np.random.default_rng(0).lognormal(14, 2, 20_000),  # a millisecond, more or less
        np.random.default_rng(1).integers(0, 5_000, 5_000),
        np.concatenate([np.full(990, 1_500_000), np.full(10, 2_000_000_000)]),  # a stall of two seconds
        np.array([7]),
    ],
    ids=["lognormal", "small", "stalled", "one"],
)
def test_percentiles_are_those_of_the_list(drawn: np.ndarray) -> None:
    values = drawn.astype(np.int64)
    found = Histogram()
    for value in values.tolist():
        found.record(value)
    for percent in PERCENTS:
        exact = np.percentile(values, percent, method="inverted_cdf")
        assert found.percentile(percent) == pytest.approx(exact, rel=1 / 2_048, abs=1e-9), percent
    assert (found.count, found.longest) == (len(values), values.max())
    assert found.mean == pytest.approx(values.mean())


def test_two_histograms_add_up() -> None:
    one, other, both = Histogram(), Histogram(), Histogram()
    for value in range(0, 3_000_000, 997):
        (one if value % 2 else other).record(value)
        both.record(value)
    one.add(other)
    assert [one.percentile(p) for p in PERCENTS] == [both.percentile(p) for p in PERCENTS]
    assert (one.count, one.total, one.longest) == (both.count, both.total, both.longest)


def test_nothing_has_no_percentile() -> None:
    assert math.isnan(Histogram().percentile(50))
    assert math.isnan(Histogram().mean)


def test_what_is_longer_than_hours_counts_as_hours() -> None:
    found = Histogram()
    found.record(-5)
    found.record(10**18)
    assert found.percentile(1) == 0
    assert found.longest == (1 << 44) - 1
