"""Casts that lose nothing: what the door may do to a column so that it fits the schema.

Each cast says which rows did not survive it and why, as a reason code of ``core.schema``. Called by
``core.schema`` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from headwater.core.instant import DAY, EARLIEST, LATEST, NULL

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


def fit(series: pl.Series, dtype: pl.DataType, *, parse: bool = False) -> Column | None:
    """The column in the declared type, or None if no value of its type could ever be in it.

    Integers, Float64 and Booleans are exchanged where the value stays the same; Float32 is rounded to, as
    its declaration asks; texts become categories, and times where they name their zone; a Date becomes
    midnight UTC; times move between units (below a microsecond is cut) and zones.

    Args:
        series: the column as it came.
        dtype: the declared type.
        parse: whether texts are read as numbers, Booleans and dates too, as in a CSV file.
    """
    column = Column(series)
    if series.dtype.is_float():
        column.fail("not-finite", ~series.is_finite())
    elif series.dtype.is_temporal():
        series = _in_range(column, series)
    if series.dtype == dtype:
        column.values = series
    elif series.dtype == pl.Null:
        column.values = series.cast(dtype)
    elif not _convert(column, series, dtype, parse):
        return None
    if dtype.is_float() and not series.dtype.is_float():
        column.fail("not-finite", ~column.values.is_finite())
    elif dtype.is_temporal() and not series.dtype.is_temporal():
        column.values = _in_range(column, column.values)
    elif dtype in (pl.Int64, pl.UInt64):
        _check_integers(column)
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
        column.values = _instants(text, dtype)
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


def _instants(text: pl.Series, dtype: pl.Datetime) -> pl.Series:
    """ISO 8601 with a zone, seconds and their fraction being optional."""
    zone = dtype.time_zone or "UTC"
    values = text.str.to_datetime("%+", time_unit="us", time_zone=zone, strict=False)
    if _missing(text, values).any():
        short = text.str.replace(" ", "T").str.to_datetime(
            "%Y-%m-%dT%H:%M%#z", time_unit="us", time_zone=zone, strict=False
        )
        values = values.zip_with(values.is_not_null(), short)
    return values if values.dtype == dtype else values.cast(dtype)


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


def _in_range(column: Column, series: pl.Series) -> pl.Series:
    """The times with those out of range noted and null: Polars cannot even print them."""
    if not isinstance(series.dtype, pl.Datetime | pl.Date):
        return series
    low, high = _bounds(series.dtype)
    physical = series.to_physical()
    if physical.len() == physical.null_count() or (physical.min() >= low and physical.max() <= high):  # type: ignore[operator]
        return series
    outside = (physical < low) | (physical > high)
    column.fail("time-out-of-range", outside)
    return physical.set(outside.fill_null(False), None).cast(series.dtype)


def _check_integers(column: Column) -> None:
    """Note the integers that the engine cannot tell from its null or cannot hold."""
    values = column.values
    if values.dtype == pl.UInt64:
        most = values.max()
        if most is not None and most >= 2**63:  # type: ignore[operator]
            column.fail("integer-out-of-range", values > 2**63 - 1)
    elif values.min() == NULL:
        column.fail("integer-out-of-range", values == NULL)


def _bounds(dtype: pl.DataType) -> tuple[int, int]:
    if isinstance(dtype, pl.Date):
        return EARLIEST // DAY + 1, LATEST // DAY
    unit = dtype.time_unit if isinstance(dtype, pl.Datetime) else "us"
    if unit == "ms":
        return EARLIEST // 1_000 + 1, LATEST // 1_000
    return (EARLIEST * 1_000, LATEST * 1_000) if unit == "ns" else (EARLIEST, LATEST)


def _missing(before: pl.Series, after: pl.Series) -> pl.Series:
    return after.is_null() & before.is_not_null()
