"""Rows on which an expression is tried before it ever meets an event.

An expression that cannot fail on the hardest rows does not stop a stream later: a text that is no number,
the largest integers, nulls. Called by ``expression``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

_TIMES = [
    datetime(1830, 1, 1, tzinfo=UTC),
    datetime(1999, 12, 31, 23, 59, tzinfo=UTC),
    datetime(2110, 1, 1, tzinfo=UTC),
]
_DATES = [date(1830, 1, 1), date(2000, 2, 29), date(2110, 1, 1)]
_TEXTS = ["", "a text", "0"]
_FLOATS = [0.0, -1.5, 1e300]


def probe(schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """A few rows of hard values: nulls, extremes, odd texts. Four rows, the columns of the schema."""
    return _probe(tuple(schema.items()))


@lru_cache(maxsize=64)
def _probe(schema: tuple[tuple[str, pl.DataType], ...]) -> pl.DataFrame:
    return pl.DataFrame([pl.Series(name, [None, *_hard(dtype)], dtype) for name, dtype in schema])


def _hard(dtype: pl.DataType) -> list[Any]:
    if dtype.is_integer():
        limits = np.iinfo(str(dtype).lower())
        return [limits.min, 0, limits.max]
    if dtype.is_float():
        return _FLOATS
    if isinstance(dtype, pl.Boolean):
        return [True, False, True]
    if isinstance(dtype, pl.Date):
        return _DATES
    if isinstance(dtype, pl.Datetime):
        return _TIMES
    if isinstance(dtype, pl.Enum):
        return (dtype.categories.to_list() * 3)[:3] or [None] * 3
    return _TEXTS
