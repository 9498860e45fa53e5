"""The door: stub."""

from __future__ import annotations

import polars as pl

STORABLE_TEXT = "an integer up to 64 bits, Float32, Float64, Boolean, String, Enum, Categorical, Date, or Datetime with a zone"


def storable(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.Int128 | pl.UInt128):
        return False
    if isinstance(dtype, pl.Datetime):
        return dtype.time_zone is not None
    return dtype.is_integer() or isinstance(
        dtype, pl.Float32 | pl.Float64 | pl.Boolean | pl.String | pl.Enum | pl.Categorical | pl.Date
    )
