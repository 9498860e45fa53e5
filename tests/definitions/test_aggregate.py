from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DefinitionError
from headwater.core.instant import DAY
from tests.definitions.bank import transactions
from tests.letters import says

COLUMN = [hw.sum, hw.mean, hw.min, hw.max, hw.std, hw.var, hw.first, hw.last, hw.distinct, hw.trend]
PLAIN = [hw.count, hw.since_last, hw.since_first]


@pytest.mark.parametrize("make", COLUMN, ids=lambda make: str(make.__name__))
def test_a_column_is_its_name_or_an_expression(make: Callable[..., hw.Aggregate]) -> None:
    assert make("amount", over="7d") == make(pl.col("amount"), over=[7 * DAY])
    assert make("amount").op == make.__name__
    assert make("amount").over == (None,)


@pytest.mark.parametrize("make", PLAIN, ids=lambda make: str(make.__name__))
def test_counting_needs_no_column(make: Callable[..., hw.Aggregate]) -> None:
    assert make(over="7d", delay="1d").column is None
    assert make(over="7d", delay="1d").delay == DAY


def test_windows() -> None:
    assert hw.count(over=["7d", timedelta(days=30), None]).over == (7 * DAY, 30 * DAY, None)
    assert hw.count(delay="0d").delay == hw.count(delay=0).delay == hw.count().delay == 0


def test_decay_and_quantile() -> None:
    assert hw.decayed_sum("amount", half_life="30d").half_life == 30 * DAY
    assert hw.decayed_count(half_life="30d").half_life == 30 * DAY
    assert hw.quantile("amount", q=0.5).q == 0.5


INT, FLOAT, TEXT, DAYS = pl.Int64(), pl.Float64(), pl.String(), pl.Date()
TYPES: list[tuple[hw.Aggregate, pl.DataType]] = [
    (hw.count(), INT),
    (hw.distinct("purpose"), INT),
    (hw.sum("account_id"), FLOAT),
    (hw.sum("is_fraud"), FLOAT),
    (hw.mean("is_fraud"), FLOAT),
    (hw.std("amount"), FLOAT),
    (hw.var("amount"), FLOAT),
    (hw.trend("amount"), FLOAT),
    (hw.decayed_sum("amount", half_life="1d"), FLOAT),
    (hw.decayed_count(half_life="1d"), FLOAT),
    (hw.quantile("account_id", q=0.5), FLOAT),
    (hw.since_last(), FLOAT),
    (hw.since_first(), FLOAT),
    (hw.min("account_id"), INT),
    (hw.max(pl.col("amount") * 2), FLOAT),
    (hw.first("purpose"), TEXT),
    (hw.last("day"), DAYS),
    (hw.last("direction"), pl.Enum(["credit", "debit"])),
]


@pytest.mark.parametrize(("aggregate", "dtype"), TYPES, ids=lambda case: getattr(case, "op", None))
def test_output_types(aggregate: hw.Aggregate, dtype: pl.DataType) -> None:
    view = hw.FeatureView("view", transactions, "account_id", {"x": aggregate})
    assert view.outputs[0].dtype == dtype


def wrong(aggregate: Any) -> None:
    hw.FeatureView("view", transactions, "account_id", {"x": aggregate})


def test_a_constructor_never_raises_but_the_view_reports_everything() -> None:
    aggregate = hw.quantile("amount", q=1.5, over=["7 days", "30d", -1], delay="soon")
    with says(
        DefinitionError,
        """
        a quantile is out of range
          expected: a number from 0 to 1, such as 0.5 for the median
          got:      1.5
          where:    view.features.x.q
          do:       give a number from 0 to 1
        a span of time cannot be read
          expected: a number and a unit: us, ms, s, m, h, d or w, such as '30d' or '1h30m'
          got:      '7 days'
          where:    view.features.x.over[0]
          do:       write the span with its unit
        a span of time must be longer than zero and shorter than 142 years
          expected: a positive span such as '30d'
          got:      -1
          where:    view.features.x.over[2]
          do:       give a positive span
        a span of time cannot be read
          expected: a number and a unit: us, ms, s, m, h, d or w, such as '30d' or '1h30m'
          got:      'soon'
          where:    view.features.x.delay
          do:       write the span with its unit
        """,
    ):
        wrong(aggregate)


def test_what_is_missing() -> None:
    with says(
        DefinitionError,
        """
        decayed_sum needs half_life
          expected: a span such as '30d'
          got:      nothing
          where:    view.features.x.half_life
          do:       add half_life=
        """,
    ):
        wrong(hw.decayed_sum("amount"))
    with says(
        DefinitionError,
        """
        quantile needs q
          expected: a number from 0 to 1, such as 0.5 for the median
          got:      nothing
          where:    view.features.x.q
          do:       add q=
        """,
    ):
        wrong(hw.quantile("amount"))
    with says(
        DefinitionError,
        """
        a list of windows is empty
          expected: at least one span, or no over= for since forever
          got:      []
          where:    view.features.x.over
          do:       name a span such as '30d', or leave over= out
        """,
    ):
        wrong(hw.count(over=[]))
