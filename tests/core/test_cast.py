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
    values: list[Any], source: Any, target: Any, *, parse: bool = False, instant: bool = False
) -> tuple[list[Any], dict[str, list[int]]]:
    """The values in the declared type, and reason -> rows that did not survive."""
    column = fit(pl.Series("x", values, source), target, parse=parse, instant=instant)
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
    "a date without end": ([date(9999, 12, 31), date(1, 1, 1)], pl.Date, pl.Date()),
    "a time without end": ([datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)], WHEN, WHEN),
    "numbers whose sum overflows": ([1e308, 1e308, -1e308], pl.Float64, pl.Float64()),
    "no numbers": ([], pl.Float64, pl.Float64()),
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
    assert fitted(wrong, pl.String, WHEN, instant=True)[1] == {
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


#   what the engine counts with        1827 ------------- 2112
#   any other time            1 -------------------------------------- 9999
#   in nanoseconds                 1677 ---------------------- 2262
FAR = {"ns": [-(2**63) + 1, 2**63 - 1], "us": [-(2**63) + 1, 2**62], "ms": [-(2**63) + 1, 2**62]}


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_times_that_no_calendar_reaches_are_caught_in_every_unit(unit: Any) -> None:
    source = pl.Datetime(unit, "UTC")
    series = pl.Series("x", [0, *FAR[unit], None]).cast(source)
    for target in (WHEN, source):
        instants, others = fit(series, target, instant=True), fit(series, target)
        assert instants is not None
        assert others is not None
        assert instants.failures["time-out-of-range"].to_list() == [False, True, True, False]
        if unit != "ns":
            assert others.failures["date-out-of-range"].to_list() == [False, True, True, False]
            assert others.values.null_count() == 3


@pytest.mark.parametrize("source", [pl.Datetime("us", "UTC"), pl.Datetime("ms", "UTC"), pl.Date], ids=str)
def test_the_ends_of_the_calendar(source: Any) -> None:
    ends = pl.Series([-62_135_596_800_000_000, 253_402_214_400_000_000]).cast(WHEN)
    inside = ends.dt.date() if source == pl.Date else ends.cast(source)
    step = 1 if source == pl.Date else 86_400_000 * (1000 if source.time_unit == "us" else 1)
    outside = (inside.to_physical() + pl.Series([-1, step]).cast(inside.to_physical().dtype)).cast(source)
    assert fitted_series(inside, inside.dtype) == {}
    assert fitted_series(outside, inside.dtype) == {"date-out-of-range": [0, 1]}


def fitted_series(series: pl.Series, target: Any) -> dict[str, list[int]]:
    """Reason -> rows that did not survive."""
    column = fit(series, target)
    assert column is not None
    return {reason: mask.arg_true().to_list() for reason, mask in column.failures.items()}


def test_nanoseconds_reach_from_1677_to_2262() -> None:
    nano = pl.Datetime("ns", "UTC")
    days = [date(1700, 1, 1), date(2200, 1, 1), date(2300, 1, 1), date(1600, 1, 1)]
    assert fitted(days, pl.Date, nano)[1] == {"date-out-of-range": [2, 3]}
    assert fitted([f"{day}T00:00:00Z" for day in days], pl.String, nano)[1] == {"date-out-of-range": [2, 3]}
    times = [datetime(day.year, 1, 1, tzinfo=UTC) for day in days]
    assert fitted(times, WHEN, nano)[1] == {"date-out-of-range": [2, 3]}


#   UTC         9999-12-31 22:30    23:30 |                 the same moment, as clocks show it:
#   Prague                23:30           | 00:30 of 10000  Python, for one, has no such time
def test_a_clock_of_the_zone_must_be_able_to_show_it() -> None:
    last = [datetime(9999, 12, 31, hour, 30, tzinfo=UTC) for hour in (22, 23)]
    for unit in ("us", "ms"):
        prague = pl.Datetime(unit, "Europe/Prague")
        kept, failures = fitted(last, WHEN, prague)
        assert failures == {"date-out-of-range": [1]}
        assert [None if time is None else time.isoformat() for time in kept] == [
            "9999-12-31T23:30:00+01:00",
            None,
        ]


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
