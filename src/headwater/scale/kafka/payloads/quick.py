"""Many JSON events at once into a stream's columns, without a Python object for each value.

Arrow's reader takes lines of JSON by the stream's schema, several times as quickly as value by value. It
only says yes where the slow way, ``serving.rows``, would say the same to the bit; where anything is odd, it
says None, and the slow way looks at each event. A test holds the two against each other. Called by
``reading``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

import numpy as np
import polars as pl
import polars.selectors as cs
import pyarrow as pa
from pyarrow import json as lines

from headwater.core.instant import DAY, EARLIEST, LATEST
from headwater.definitions.stream import Stream

LEAST = 24  # values for which it pays
_WHOLE = 2.0**53  # integers below it are held by a float, each
_A_DAY = re.compile(rb'"\d{4}-\d\d-\d\d"')
_MINUS_0 = re.compile(rb"-0[\s,}]")
_UTC = pl.Datetime("us", "UTC")
_TYPES: dict[pl.DataType, pa.DataType] = {
    pl.Int8(): pa.int8(),
    pl.Int16(): pa.int16(),
    pl.Int32(): pa.int32(),
    pl.Int64(): pa.int64(),
    pl.Float64(): pa.float64(),
    pl.String(): pa.string(),
    pl.Boolean(): pa.bool_(),
    pl.Date(): pa.string(),  # Arrow takes a number for a date, and no text
    _UTC: pa.timestamp("us", "UTC"),
}


class QuickJson:
    """Reads the events of one stream. Use :meth:`of`. Safe to share between threads."""

    def __init__(self, stream: Stream, fields: Sequence[tuple[str, pa.DataType]]) -> None:
        self._schema = dict(stream.schema)
        self._read = lines.ParseOptions(
            explicit_schema=pa.schema(fields), unexpected_field_behavior="error", newlines_in_values=False
        )

    @classmethod
    def of(cls, stream: Stream) -> Self | None:
        """For a stream; None if it has a column of a type that only the slow way reads."""
        fields = []
        for name, dtype in stream.schema.items():
            type_ = pa.string() if isinstance(dtype, pl.Enum) else _TYPES.get(dtype)
            if type_ is None:
                return None
            fields.append((name, type_))
        return cls(stream, fields)

    def read(self, values: Sequence[bytes]) -> pl.DataFrame | None:
        """The events as columns of the stream's types; None if any of them is to be looked at.

        Args:
            values: JSON objects.
        """
        text = b"\n".join(values)
        count = len(values)
        one_each = text.startswith(b"{") and text.count(b"\n{") == text.count(b"\n") == count - 1
        if not one_each or not _is_text(text):
            return None
        whole = lines.ReadOptions(use_threads=False, block_size=len(text) + 1)
        try:
            table = lines.read_json(pa.BufferReader(text), read_options=whole, parse_options=self._read)
            found = pl.from_arrow(table)
            if not isinstance(found, pl.DataFrame) or len(found) != count:
                return None
            frame = found.select(_typed(name, dtype) for name, dtype in self._schema.items())
            if (self._dated(frame) and _A_DAY.search(text)) or (_signed(frame) and _MINUS_0.search(text)):
                return None
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pl.exceptions.PolarsError):
            return None
        return frame if all(map(_is_plain, frame.get_columns())) else None

    def _dated(self, frame: pl.DataFrame) -> bool:
        """Whether some time is midnight: Arrow takes a day alone for one, the slow way refuses it."""
        return any(
            bool((frame[name].to_physical() % DAY == 0).any())
            for name, dtype in self._schema.items()
            if dtype == _UTC
        )


def _signed(frame: pl.DataFrame) -> bool:
    """Whether some number is a negative zero: Arrow makes one of the integer -0, which is 0."""
    found = (column.to_numpy() for column in frame.select(cs.float()).get_columns())
    return any(bool((np.signbit(one) & (one == 0)).any()) for one in found)


def _typed(name: str, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Enum):
        return pl.col(name).cast(dtype, strict=True)
    if dtype == pl.Date:  # what is written otherwise is left to the slow way
        day = (
            pl.when(pl.col(name).str.contains(r"^\d{4}-\d\d-\d\d$"))
            .then(pl.col(name))
            .otherwise(pl.when(pl.col(name).is_not_null()).then(pl.lit("odd")))
        )
        return day.str.to_date("%Y-%m-%d", strict=True).alias(name)
    return pl.col(name)


def _is_text(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_plain(column: pl.Series) -> bool:
    """Whether no value is one that the slow way reads otherwise, or refuses."""
    dtype = column.dtype
    if dtype.is_float():
        found = column.drop_nulls().to_numpy()
        return bool((np.abs(found) < _WHOLE).all())
    if dtype == pl.Int64:
        low = column.min()
        return low is None or low != -(2**63)
    if isinstance(dtype, pl.Datetime | pl.Date):
        ticks = column.drop_nulls().to_physical().to_numpy().astype(np.int64)
        unit = DAY if isinstance(dtype, pl.Date) else 1
        return bool(((ticks >= EARLIEST // unit) & (ticks <= LATEST // unit)).all())
    return True
