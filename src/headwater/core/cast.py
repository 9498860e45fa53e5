"""Casts that lose nothing: what the door may do to a column so that it fits the schema.

Each cast says which rows did not survive it and why, as a reason code of ``core.schema``. Called by
``core.schema``, and wherever keys and times come from outside beside events: a spine, a request.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import polars as pl

from headwater.core.instant import DAY, EARLIEST, LATEST, NULL

CALENDAR = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999: what all can print
_NANOSECONDS = (2**63 - 1) // 1_000  # microseconds that int64 can count in nanoseconds: 1677 to 2262
_ZONE = r"(?:[Zz]|[+-]\d{2}:?\d{2})$"
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


@dataclass(slots=True)
class Column:
    """A column that fits its declared type, and the rows that could not be made to fit.

    Attributes:
        values: the column in its declared type; rows that failed are null or unchanged.
        failures: reason code to a Boolean mask of the rows, in the order in which reasons count.
    """

    values: pl.Series
    failures: dict[str, pl.Series] = field(default_factory=dict)

    def fail(self, reason: str, mask: pl.Series) -> None:
        """Note the rows that failed, if any; null counts as no."""
        if mask.any():
            self.failures[reason] = mask.fill_null(False)


def fit(
    series: pl.Series, dtype: pl.DataType, *, parse: bool = False, instant: bool = False
) -> Column | None:
    """The column in the declared type, or None if no value of its type could ever be in it.

    Integers, Float64 and Booleans are exchanged where the value stays the same; Float32 is rounded to, as
    its declaration asks; texts become categories, and times where they name their zone; a Date becomes
    midnight UTC; times move between units (below a microsecond is cut) and zones.

    Args:
        series: the column as it came.
        dtype: the declared type.
        parse: whether texts are read as numbers, Booleans and dates too, as in a CSV file.
        instant: whether the column tells when something happened or arrived, so that the engine counts
            with it: then it must lie between 1827 and 2112. Any other time may be of the years 1 to 9999,
            such as the 9999-12-31 of what is valid without end.
    """
    column = Column(series)
    if series.dtype.is_float():
        _check_finite(column, series)
    elif series.dtype.is_temporal():
        series = _in_range(column, series, dtype, instant)
    if series.dtype == dtype:
        column.values = series
    elif series.dtype == pl.Null:
        column.values = series.cast(dtype)
    elif not _convert(column, series, dtype, parse):
        return None
    if dtype.is_float() and not series.dtype.is_float():
        _check_finite(column, column.values)
    elif dtype.is_temporal() and not series.dtype.is_temporal():
        column.values = _in_range(column, column.values, dtype, instant).cast(dtype)
    elif dtype in (pl.Int64, pl.UInt64):
        _check_integers(column)
    if isinstance(dtype, pl.Datetime) and not instant:
        _check_clock(column, dtype)
    return column


def microseconds(series: pl.Series) -> pl.Series:
    """A column of Datetime (any unit) or Date as Int64 microseconds since 1970; null stays null."""
    physical = series.to_physical().cast(pl.Int64)
    if isinstance(series.dtype, pl.Date):
        return physical * DAY
    unit = series.dtype.time_unit if isinstance(series.dtype, pl.Datetime) else "us"
    return physical // 1_000 if unit == "ns" else physical * 1_000 if unit == "ms" else physical


def _convert(column: Column, series: pl.Series, dtype: pl.DataType, parse: bool) -> bool:
    source = series.dtype
    if isinstance(source, pl.String | pl.Enum | pl.Categorical):
        return _from_text(column, series.cast(pl.String), dtype, parse)
    if isinstance(source, pl.Datetime | pl.Date):
        return _from_time(column, series, dtype)
    if (source.is_integer() or source.is_float() or source == pl.Boolean) and _numeric(dtype):
        column.values = series.cast(dtype, strict=False)
        if source.is_float() and dtype.is_float():
            lost = series.is_finite() & ~column.values.is_finite()
        else:
            lost = _missing(series, column.values) | (
                column.values.cast(source, strict=False) != series
            ).fill_null(column.values.is_not_null() & series.is_not_null())
        column.fail("wrong-type", lost)
        return True
    return False


def _numeric(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or dtype.is_float() or isinstance(dtype, pl.Boolean)


def _from_text(column: Column, text: pl.Series, dtype: pl.DataType, parse: bool) -> bool:
    reason = "wrong-type"
    if isinstance(dtype, pl.String | pl.Enum | pl.Categorical):
        column.values = text.cast(dtype, strict=False)
        reason = "unknown-category"
    elif isinstance(dtype, pl.Datetime):
        column.values = _instants(text, dtype.time_zone or "UTC")
        no_zone = _missing(text, column.values) & ~text.str.contains(_ZONE)
        as_naive = text.str.contains(r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?$")
        column.fail("time-without-zone", no_zone & as_naive)
    elif isinstance(dtype, pl.Date):
        column.values = text.str.to_date("%Y-%m-%d", strict=False)
    elif parse and isinstance(dtype, pl.Boolean):
        column.values = text.str.to_lowercase().replace_strict(_BOOLEANS, default=None, return_dtype=dtype)
    elif parse and _numeric(dtype):
        column.values = text.str.strip_chars().cast(dtype, strict=False)
    else:
        return False
    column.fail(reason, _missing(text, column.values))
    return True


def _instants(text: pl.Series, zone: str) -> pl.Series:
    """ISO 8601 with a zone, seconds and their fraction being optional, as microseconds."""
    values = text.str.to_datetime("%+", time_unit="us", time_zone=zone, strict=False)
    if _missing(text, values).any():
        short = text.str.replace(" ", "T").str.to_datetime(
            "%Y-%m-%dT%H:%M%#z", time_unit="us", time_zone=zone, strict=False
        )
        values = values.zip_with(values.is_not_null(), short)
    return values


def _from_time(column: Column, series: pl.Series, dtype: pl.DataType) -> bool:
    source = series.dtype
    if isinstance(dtype, pl.Datetime) and isinstance(source, pl.Datetime):
        if source.time_zone is None:
            return False
        column.values = series.cast(dtype)
    elif isinstance(dtype, pl.Datetime):
        zone = dtype.time_zone or "UTC"
        column.values = series.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        column.values = column.values.cast(dtype)
    elif isinstance(dtype, pl.Date):
        column.values = series.dt.date()
        column.fail("wrong-type", series.dt.time().to_physical() != 0)
    else:
        return False
    return True


def _check_finite(column: Column, values: pl.Series) -> None:
    """Note what is NaN or infinite. Either stays in a sum, so a finite one clears the whole column."""
    if not math.isfinite(values.sum()):
        column.fail("not-finite", ~values.is_finite())


def _in_range(column: Column, series: pl.Series, dtype: pl.DataType, instant: bool) -> pl.Series:
    """The times with those out of range noted and null: Polars cannot even print them."""
    if not isinstance(series.dtype, pl.Datetime | pl.Date):
        return series
    low, high = _bounds(series.dtype, dtype, instant)
    physical = series.to_physical()
    if _between(physical, low, high):
        return series
    outside = (physical < low) | (physical > high)
    column.fail("time-out-of-range" if instant else "date-out-of-range", outside)
    return physical.set(outside.fill_null(False), None).cast(series.dtype)


def _check_clock(column: Column, dtype: pl.Datetime) -> None:
    """Note the times at the ends of the calendar that a clock of their zone shows beyond them."""
    if dtype.time_zone in (None, "UTC") or dtype.time_unit == "ns":  # nanoseconds end long before
        return
    low, high = _bounds(dtype, dtype, instant=False)
    day = DAY // 1_000 if dtype.time_unit == "ms" else DAY
    if not _between(column.values.to_physical(), low + day, high - day):
        shown = column.values.dt.replace_time_zone(None).to_physical()
        beyond = (shown < low) | (shown > high)
        column.fail("date-out-of-range", beyond)
        column.values = column.values.set(beyond.fill_null(False), None)


def _between(values: pl.Series, low: int, high: int) -> bool:
    least, most = values.min(), values.max()
    return least is None or bool(least >= low and most <= high)  # type: ignore[operator]


def _check_integers(column: Column) -> None:
    """Note the integers that the engine cannot tell from its null or cannot hold."""
    values = column.values
    if values.dtype == pl.UInt64:
        most = values.max()
        if most is not None and most >= 2**63:  # type: ignore[operator]
            column.fail("integer-out-of-range", values > 2**63 - 1)
    elif values.min() == NULL:
        column.fail("integer-out-of-range", values == NULL)


def _bounds(source: pl.DataType, target: pl.DataType, instant: bool) -> tuple[int, int]:
    """The first and the last time, in the source's unit, that the target may hold."""
    low, high = (EARLIEST, LATEST) if instant else CALENDAR
    if isinstance(target, pl.Datetime) and target.time_unit == "ns":
        low, high = max(low, -_NANOSECONDS), min(high, _NANOSECONDS)
    if isinstance(source, pl.Date):
        return -(-low // DAY), high // DAY
    unit = source.time_unit if isinstance(source, pl.Datetime) else "us"
    if unit == "ms":
        return -(-low // 1_000), high // 1_000
    return (low * 1_000, high * 1_000) if unit == "ns" else (low, high)


def _missing(before: pl.Series, after: pl.Series) -> pl.Series:
    return after.is_null() & before.is_not_null()
