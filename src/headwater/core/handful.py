"""A handful of events as plain values: what a few requests bring, too few to be worth a frame.

To make a frame, and to ask it anything, takes Polars as long for one event as for a thousand. So what came
as JSON stays columns of Python values on its way through the log and the engine. Made by ``serving.group``;
taken by ``log`` (``append_few``), ``engine.single`` and ``serving.fresh``, each beside frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Int64 = npt.NDArray[np.int64]

Values = Mapping[str, Sequence[Any]]
"""Column to its values, in the order of the stream's schema: exactly what the column's type holds; Enums and
categories as their text, times as microseconds, dates as days since 1970, null as None."""


@dataclass(frozen=True, slots=True)
class Handful:
    """Events of one stream that the log holds, ascending by offset.

    Attributes:
        stream: the stream's name.
        offset: int64, shape (n,), places in the log.
        time: int64 microseconds, shape (n,): when each happened.
        values: their columns.
    """

    stream: str
    offset: Int64
    time: Int64
    values: Values

    def __len__(self) -> int:
        return len(self.offset)


def is_plain(dtype: pl.DataType) -> bool:
    """Whether the values of a handful's column are those that a series of its type gives."""
    return dtype != pl.Float32 and not dtype.is_temporal()


def framed(values: Values, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Some columns as a frame of the stream's types.

    Args:
        values: of some of the stream's columns.
        schema: the stream's.

    Example:
        >>> framed({"at": [1_000_000]}, {"at": pl.Datetime("us", "UTC")})["at"].dt.epoch("s").to_list()
        [1]
    """
    return pl.DataFrame([_series(name, column, schema[name]) for name, column in values.items()])


def _series(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, pl.Datetime):
        moments = pl.Series(name, values, pl.Int64).cast(pl.Datetime("us", "UTC"))
        return moments if moments.dtype == dtype else moments.cast(dtype)
    if isinstance(dtype, pl.Date):
        return pl.Series(name, values, pl.Int32).cast(dtype)
    return pl.Series(name, values, dtype)
