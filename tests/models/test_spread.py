"""The spread of an input in training: shares, independent rows, and what is usual from week to week."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from headwater.core.instant import DAY, WEEK
from headwater.models.clusters import effective, hits_worth, tally
from headwater.models.flow import flow
from headwater.models.spread import LEAST_WEEKS, MOST_ROWS, Spread, spreads

COLUMNS = arrays.arrays(
    np.float64, st.integers(1, 60), elements=st.sampled_from([0.0, 1.0, 2.5, -3.0, np.nan])
)


@given(COLUMNS)
def test_shares_are_those_of_the_values(values: np.ndarray) -> None:
    spread = spreads(values[:, None], ["x"])["x"]
    known = values[~np.isnan(values)]
    assert spread.known == len(known)
    assert list(spread.points) == sorted(set(known.tolist()))
    for point, below in zip(spread.points, spread.below, strict=True):
        assert below == pytest.approx((known <= point).mean())
    if len(known):
        assert spread.shares.sum() == pytest.approx(1.0)
        assert (spread.lowest, spread.highest) == (known.min(), known.max())
    assert 0 <= spread.effective <= len(known)


@given(COLUMNS)
def test_json_gives_it_back(values: np.ndarray) -> None:
    spread = spreads(values[:, None], ["x"])["x"]
    again = Spread.from_json(json.loads(json.dumps(spread.to_json())))
    assert again.to_json() == spread.to_json()


def test_bins_are_tenths_and_a_heavy_value_stands_alone() -> None:
    values = np.concatenate([np.zeros(600), np.random.default_rng(0).random(400) + 1])
    spread = spreads(values[:, None], ["x"])["x"]
    assert spread.shares[0] == pytest.approx(0.6)
    assert spread.bin_count == 5
    np.testing.assert_allclose(spread.shares[1:], 0.1, atol=0.006)
    assert spread.edges()[0] == 0.0


def test_two_hundred_and_fifty_six_points_hold_the_distribution() -> None:
    values = np.random.default_rng(1).normal(size=50_000)
    spread = spreads(values[:, None], ["x"])["x"]
    assert len(spread.points) == 256
    exact = np.searchsorted(np.sort(values), spread.points, side="right") / len(values)
    np.testing.assert_allclose(spread.below, exact)


def test_categories_count_by_code_and_the_rare_share_a_bin() -> None:
    codes = np.repeat(np.arange(6.0), [500, 300, 195, 3, 1, 1])
    spread = spreads(codes[:, None], ["way"], categories={"way": list("abcdef")})["way"]
    np.testing.assert_allclose(spread.shares, [0.5, 0.3, 0.195, 0.005])
    assert (spread.singles, spread.categories) == (2, tuple("abcdef"))


@given(st.integers(1, 12), st.integers(0, 1_000))
def test_repeating_each_row_of_an_entity_adds_nothing(times: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bins, who = rng.integers(0, 4, 200), np.arange(200)
    once = effective(tally(bins, 5, who, 200))
    many = effective(tally(np.repeat(bins, times), 5, np.repeat(who, times), 200))
    assert many.known == pytest.approx(once.known)


def test_worth_is_what_drawing_entities_again_gives() -> None:
    """Independent of the formula: the variance of a share over bootstrap samples of whole entities."""
    rng = np.random.default_rng(5)
    size = rng.integers(1, 30, 400)
    chance = rng.beta(0.6, 1.4, 400)
    hits = rng.binomial(size, chance).astype(float)
    drawn = rng.integers(0, 400, (4_000, 400))
    shares = hits[drawn].sum(axis=1) / size[drawn].sum(axis=1)
    share = hits.sum() / size.sum()
    assert hits_worth(hits, size.astype(float)) == pytest.approx(share * (1 - share) / shares.var(), rel=0.1)


def test_independent_rows_are_worth_themselves() -> None:
    rng = np.random.default_rng(2)
    spread = spreads(rng.normal(size=(4_000, 1)), ["x"], entities=rng.integers(0, 400, 4_000))["x"]
    assert spread.effective == pytest.approx(4_000, rel=0.15)


def test_the_usual_change_from_week_to_week_is_found() -> None:
    rng = np.random.default_rng(4)
    weeks = np.repeat(np.arange(60), 200)
    shift = rng.normal(0, 0.3, 60)[weeks]
    times = weeks * WEEK + rng.integers(0, WEEK, len(weeks))
    X = np.column_stack([rng.normal(size=len(weeks)), rng.normal(size=len(weeks)) + shift])
    still, moving = spreads(X, ["still", "moving"], times=times).values()
    assert still.variation < 0.002  # as good as none: a window of 500 rows counts as 250 and more
    assert 0.02 < moving.variation < 0.2
    assert moving.weeks == 60


def test_too_few_weeks_say_nothing_of_what_is_usual() -> None:
    rng = np.random.default_rng(4)
    times = rng.integers(0, (LEAST_WEEKS - 1) * WEEK, 500)
    assert spreads(rng.normal(size=(500, 1)), ["x"], times=times)["x"].weeks == 0


def test_of_very_many_rows_some_entities_tell_the_worth() -> None:
    rng = np.random.default_rng(6)
    who = np.repeat(np.arange(4_000), 40)
    assert len(who) > MOST_ROWS
    X = rng.normal(size=4_000)[who][:, None]
    assert spreads(X, ["x"], entities=who)["x"].effective == pytest.approx(4_000, rel=0.1)


def test_a_flow_counts_whole_days_and_lateness_in_seconds() -> None:
    day = np.repeat(np.arange(100, 110), 50)
    time = day * DAY
    late = flow(time, time + 2_000_000)
    assert (late.first_day, late.days) == (101, (50,) * 8)
    assert late.lateness is not None
    assert late.lateness.points == (2.0,)
    assert flow(time, time).lateness is None
