"""A 64-bit hash of each event's exact values, and of its id: column by column, the same on every machine.

::

    column ──► words (the bits of a number; a hash of a text) ──► mixed into each row's hash, by its place

It is kept in snapshots, so what is written here never changes without another number of theirs. The mixing is
the finalizer of SplitMix64 (Steele, Lea, Flood 2014). Called by ``partition``; read ``ids`` next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.handful import Values

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]

_NULL = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xD1342543DE82EF95)
_TEXTS = (pl.Enum, pl.String, pl.Categorical)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def digests(frame: pl.DataFrame) -> Int64:
    """A hash of each row's values, int64, shape (n,). The order of the columns counts, and null is a value.

    Example:
        >>> found = digests(pl.DataFrame({"a": [1, 1, None], "b": ["x", "x", "x"]}))
        >>> bool(found[0] == found[1]), bool(found[0] == found[2])
        (True, False)
    """
    found = np.zeros(len(frame), dtype=np.uint64)
    for column in frame.get_columns():
        _mix(found, _words(column))
    return found.view(np.int64)


def keys_of(ids: pl.Series) -> Int64:
    """A 64-bit key of each id, int64, shape (n,): an integer is its own."""
    return _words(ids).view(np.int64)


def digests_few(values: Values, schema: Mapping[str, pl.DataType]) -> Int64:
    """The same hashes of a few events that are plain values, of types that :func:`has_words` knows.

    Example:
        >>> frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
        >>> bool((digests_few(frame.to_dict(as_series=False), frame.schema) == digests(frame)).all())
        True
    """
    found = np.zeros(len(next(iter(values.values()))), dtype=np.uint64)
    for name, dtype in schema.items():
        _mix(found, _words_few(values[name], dtype))
    return found.view(np.int64)


def keys_of_few(ids: Sequence[Any], dtype: pl.DataType) -> Int64:
    """:func:`keys_of` of plain values."""
    return _words_few(ids, dtype).view(np.int64)


def has_words(dtype: pl.DataType) -> bool:
    """Whether plain values of a type have the words of its columns as they are."""
    micros = isinstance(dtype, pl.Datetime) and dtype.time_unit == "us"
    plain = dtype in (pl.Float64, pl.Boolean, pl.Date) or isinstance(dtype, _TEXTS)
    return micros or plain or dtype.is_integer()


def _mix(found: UInt64, words: UInt64) -> None:
    """Mix a column's words into the hashes, in place."""
    found *= _STEP
    found ^= words
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        found ^= found >> np.uint64(shift)
        found *= factor
    found ^= found >> np.uint64(31)
    found += _STEP


def _words(column: pl.Series) -> UInt64:
    """A column as 64-bit words."""
    dtype = column.dtype
    words: UInt64
    if isinstance(dtype, pl.Enum):
        texts = np.array([_text(one) for one in dtype.categories.to_list()] or [0], np.uint64)
        words = texts[column.to_physical().fill_null(0).to_numpy()]
    elif isinstance(dtype, pl.String | pl.Categorical):
        values = column.cast(pl.String).fill_null("").to_list()
        words = np.fromiter(map(_text, values), np.uint64, len(column))
    elif dtype.is_float():
        words = column.cast(pl.Float64).fill_null(0.0).to_numpy().view(np.uint64)
    else:
        number = pl.UInt64 if dtype == pl.UInt64 else pl.Int64
        words = column.to_physical().cast(number).fill_null(0).to_numpy().view(np.uint64)
    if column.null_count():
        return np.where(column.is_null().to_numpy(), _NULL, words)
    return words


def _words_few(values: Sequence[Any], dtype: pl.DataType) -> UInt64:
    """:func:`_words` of plain values."""
    words: UInt64
    if isinstance(dtype, _TEXTS):
        words = np.array([0 if value is None else _text(value) for value in values], np.uint64)
    else:
        kind = np.float64 if dtype.is_float() else np.uint64 if dtype == pl.UInt64 else np.int64
        words = np.array([0 if value is None else value for value in values], kind).view(np.uint64)
    if None in values:
        words[[value is None for value in values]] = _NULL
    return words


@lru_cache(65_536)
def _text(value: str) -> int:
    return int.from_bytes(blake2b(value.encode(), digest_size=8).digest(), "little")
