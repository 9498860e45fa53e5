from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.cast import fit, microseconds

WHEN = pl.Datetime("us", "UTC")
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
SIDES = pl.Enum(["credit", "debit"])


def fitted(
    values: list[Any], source: Any, target: Any, *, parse: bool = False
) -> tuple[list[Any], dict[str, list[int]]]:
    """The values in the declared type, and reason -> rows that did not survive."""
    column = fit(pl.Series("x", values, source), target, parse=parse)
    assert column is not None
    assert column.values.dtype == target
    return column.values.to_list(), {
        reason: mask.arg_true().to_list() for reason, mask in column.failures.items()
    }


LOSSLESS = {
    "a wider integer": ([1, None], pl.Int32, pl.Int64()),
    "a narrower integer": ([255, 0], pl.Int64, pl.UInt8()),
    "an integer as a float": ([2**53, -1], pl.Int64, pl.Float64()),
    "a float that is an integer": ([3.0, None], pl.Float64, pl.Int64()),
    "0 and 1 as a Boolean": ([0, 1, None], pl.Int64, pl.Boolean()),
    "a Boolean as an integer": ([True, False], pl.Boolean, pl.Int8()),
    "a category": (["credit", None], pl.String, SIDES),
    "a category of another set": (["credit"], pl.Enum(["credit"]), SIDES),
    "a text as Categorical": (["a", "b"], pl.String, pl.Categorical()),
    "a category as a text": (["debit"], SIDES, pl.String()),
    "nothing at all": ([None, None], pl.Null, WHEN),
}


@pytest.mark.parametrize(("values", "source", "target"), LOSSLESS.values(), ids=LOSSLESS)
def test_what_loses_nothing_is_done(values: list[Any], source: Any, target: Any) -> None:
    assert fitted(values, source, target) == (values, {})


LOSSY = {
    "an integer that is too large": ([1, 300], pl.Int64, pl.UInt8(), "wrong-type"),
    "an integer that a float cannot hold": ([1, 2**53 + 1], pl.Int64, pl.Float64(), "wrong-type"),
    "the largest integer": ([1, 2**63 - 1], pl.Int64, pl.Float64(), "wrong-type"),
    "a fraction": ([1.0, 1.5], pl.Float64, pl.Int64(), "wrong-type"),
    "2 as a Boolean": ([1, 2], pl.Int64, pl.Boolean(), "wrong-type"),
    "a float that Float32 cannot reach": ([1.0, 1e300], pl.Float64, pl.Float32(), "wrong-type"),
    "NaN": ([1.0, float("nan")], pl.Float64, pl.Float64(), "not-finite"),
    "infinity": ([1.0, float("-inf")], pl.Float32, pl.Float64(), "not-finite"),
    "a category that is not declared": (["debit", "debt"], pl.String, SIDES, "unknown-category"),
    "a Date that has a time": ([MIDNIGHT, MIDNIGHT + timedelta(hours=1)], WHEN, pl.Date(), "wrong-type"),
}


@pytest.mark.parametrize(("values", "source", "target", "reason"), LOSSY.values(), ids=LOSSY)
def test_what_loses_something_is_told_by_row(
    values: list[Any], source: Any, target: Any, reason: str
) -> None:
    assert next(iter(fitted(values, source, target)[1].items())) == (reason, [1])


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (pl.String, pl.Int64()),
        (pl.String, pl.Boolean()),
        (pl.List(pl.Int64), pl.Int64()),
        (pl.Int64, pl.String()),
        (pl.Int64, WHEN),
        (pl.Datetime("us"), WHEN),
        (pl.Boolean, SIDES),
    ],
)
def test_what_has_nothing_in_common_is_refused_whole(source: Any, target: Any) -> None:
    assert fit(pl.Series("x", [], source), target) is None


def test_texts_are_parsed_on_request() -> None:
    assert fitted(["1", " 2", "x", "1.5", None], pl.String, pl.Int64(), parse=True) == (
        [1, 2, None, None, None],
        {"wrong-type": [2, 3]},
    )
    assert fitted(["0.1", "1e3", "nan"], pl.String, pl.Float64(), parse=True)[1] == {"not-finite": [2]}
    assert fitted(["TRUE", "false", "0", "yes"], pl.String, pl.Boolean(), parse=True) == (
        [True, False, False, None],
        {"wrong-type": [3]},
    )


ISO = [
    ("2026-01-31T12:00:00Z", 1769860800000000),
    ("2026-01-31T12:00:00.000001Z", 1769860800000001),
    ("2026-01-31T14:00:00+02:00", 1769860800000000),
    ("2026-01-31 12:00:00+0000", 1769860800000000),
    ("2026-01-31T12:00Z", 1769860800000000),
]


def test_times_as_text_name_their_zone() -> None:
    column = fit(pl.Series("x", [text for text, _ in ISO]), WHEN)
    assert column is not None
    assert microseconds(column.values).to_list() == [time for _, time in ISO]
    wrong = [
        "2026-01-31T12:00:00",
        "2026-01-31",
        "soon",
        "2026-02-31T12:00:00Z",
        "9026-01-31T12:00:00Z",
        None,
    ]
    assert fitted(wrong, pl.String, WHEN)[1] == {
        "time-without-zone": [0, 1],
        "wrong-type": [0, 1, 2, 3],
        "time-out-of-range": [4],
    }


def test_times_move_between_units_and_zones() -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    for source in (pl.Datetime("ns", "UTC"), pl.Datetime("ms", "UTC"), pl.Datetime("us", "Europe/Prague")):
        series = pl.Series("x", [moment]).cast(source)
        column = fit(series, WHEN)
        assert column is not None
        assert microseconds(column.values).to_list() == microseconds(series).to_list() == [1769860800000000]


def test_a_date_is_midnight_utc_in_any_zone() -> None:
    for target in (WHEN, pl.Datetime("ms", "Asia/Tokyo")):
        column = fit(pl.Series("x", [date(2026, 1, 31)]), target)
        assert column is not None
        assert microseconds(column.values).to_list() == [1769817600000000]
    assert microseconds(pl.Series([date(2026, 1, 31), None])).to_list() == [1769817600000000, None]


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_times_that_no_calendar_reaches_are_caught_in_every_unit(unit: Any) -> None:
    source = pl.Datetime(unit, "UTC")
    series = pl.Series("x", [0, 2**63 - 1, -(2**63) + 1, None]).cast(source)
    for target in (WHEN, source):
        column = fit(series, target)
        assert column is not None
        assert column.failures["time-out-of-range"].to_list() == [False, True, True, False]


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=20))
def test_an_integer_survives_as_a_float_or_is_told(values: list[int | None]) -> None:
    kept, failures = fitted(values, pl.Int64, pl.Float64())
    lost = set(failures.get("wrong-type", []))
    assert all(
        (kept[i] is None if value is None else int(kept[i]) == value)
        for i, value in enumerate(values)
        if i not in lost
    )
    assert all(
        int(float(value)) != value or abs(value) >= 2**63 for i in lost if (value := values[i]) is not None
    )
