"""Entity keys and coded values as dense integers.

``KeyIndex`` numbers the keys of a view in order of appearance; ``Codebook`` does the same for the texts
of a column. Both are part of the state and are snapshot with it. Called by ``engine.state``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.cast import fit
from headwater.core.errors import DataError
from headwater.engine.direct import direct
from headwater.engine.kernels import brief, index
from headwater.engine.kernels.layout import NULL, Int64, owned

_FIND = direct(brief.find)
_LARGEST = 2**63 - 1
_STEP = 10_000  # texts that are let go of at once
_FACTOR = 4  # by which a table grows: it holds 2^n slots, at most half of them full


class Codebook:
    """Texts to codes 0, 1, 2, ... in order of appearance.

    Example:
        >>> import polars as pl
        >>> book = Codebook()
        >>> book.encode(pl.Series(["b", None, "a", "b"]), add=True).tolist()[2:]
        [1, 0]
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts: list[str] = list(texts)
        self._codes = {text: code for code, text in enumerate(self.texts)}

    def encode(self, series: pl.Series, *, add: bool) -> Int64:
        """The code of each text; NULL for null, and for an unknown one unless ``add``."""
        texts = series.cast(pl.String)
        if len(texts) == 1:
            return np.array([self.code(texts[0], add=add)], dtype=np.int64)
        known = texts.unique(maintain_order=True)
        codes = pl.Series([self.code(text, add=add) for text in known], dtype=pl.Int64)
        return texts.replace_strict(known, codes, return_dtype=pl.Int64).to_numpy()

    def decode(self, codes: Int64) -> pl.Series:
        """The text of each code, null for NULL."""
        places = pl.Series(codes)
        return pl.Series(self.texts, dtype=pl.String).gather(places.set(places == NULL, None).cast(pl.UInt32))

    def code(self, text: str | None, *, add: bool) -> int:
        """The code of one text, as :meth:`encode` gives it."""
        if text is None:
            return NULL
        code = self._codes.get(text, -1)
        if code < 0:
            if not add:
                return NULL
            code = len(self.texts)
            self._codes[text] = code
            self.texts.append(text)
        return code

    def let_go(self) -> None:
        """Forget everything, a part at a time: a million texts freed at once hold up all other threads."""
        while self.texts:
            for text in self.texts[-_STEP:]:
                self._codes.pop(text, None)
            del self.texts[-_STEP:]


class KeyIndex:
    """Numbers the keys of a view. Texts go through a codebook, everything else is an integer."""

    def __init__(self, dtype: pl.DataType) -> None:
        self.dtype = dtype
        self.book = Codebook() if _is_text(dtype) else None
        self.count = 0
        self._table = np.zeros(1024, dtype=np.int64)
        self._numbers = np.full(1024, -1, dtype=np.int64)

    def number(self, keys: pl.Series, *, add: bool) -> Int64:
        """The number of each key, int64, shape (n,); -1 for an unknown one unless ``add``."""
        raw = self._integers(keys, add)
        ids = np.empty(len(raw), dtype=np.int64)
        start = 0
        while start < len(raw):
            start, self.count = index.lookup(raw, self._table, self._numbers, self.count, add, start, ids)
            if start < len(raw):
                self._grow()
        return ids

    def number_of(self, key: Any) -> int:
        """The number of one key, as :meth:`number` gives it, for keys that are integers or texts.

        -1 for an unknown one, and for one of another type: then :meth:`number` says what it is.
        """
        if self.book is not None:
            key = self.book.code(key, add=False) if isinstance(key, str) else NULL
        if type(key) is not int or not -_LARGEST <= key <= _LARGEST:
            return -1
        return _FIND(key, self._table, self._numbers)

    def alone(self, key: Any | None) -> None:
        """Know this key and no other; None for none at all.

        Example:
            >>> index = KeyIndex(pl.Int64())
            >>> index.alone(7)
            >>> index.alone(9)
            >>> index.number_of(7), index.number_of(9), index.keys().to_list()
            (-1, 0, [9])
        """
        self._numbers[:] = -1
        self.count = 0
        if self.book is not None:
            self.book = Codebook()
        if key is not None:
            self.number(pl.Series([key], dtype=self.dtype), add=True)

    def keys(self) -> pl.Series:
        """All keys in the order of their numbers, in the stream's type."""
        raw = self.integers()
        if self.book is not None:
            return self.book.decode(raw).cast(self.dtype)
        return pl.Series(raw).cast(self.dtype)

    def integers(self) -> Int64:
        """The keys' integers in the order of their numbers."""
        used = self._numbers >= 0
        raw = np.empty(self.count, dtype=np.int64)
        raw[self._numbers[used]] = self._table[used]
        return raw

    def restore(self, integers: Int64, texts: list[str] | None) -> None:
        """Take over the keys of a snapshot."""
        if texts is not None:
            self.book = Codebook(texts)
        size = len(self._table)
        while size < 2 * len(integers):
            size *= _FACTOR
        self._table = np.zeros(size, dtype=np.int64)
        self._numbers = np.full(size, -1, dtype=np.int64)
        ids = np.empty(len(integers), dtype=np.int64)
        start = 0
        while start < len(integers):
            start, self.count = index.lookup(
                integers, self._table, self._numbers, self.count, True, start, ids
            )
            if start < len(integers):
                self._grow()

    def _integers(self, keys: pl.Series, add: bool) -> Int64:
        if self.book is not None:
            return owned(self.book.encode(keys, add=add))
        return owned(keys.cast(pl.Int64).to_numpy())

    def _grow(self) -> None:
        table = np.zeros(_FACTOR * len(self._table), dtype=np.int64)
        numbers = np.full(len(table), -1, dtype=np.int64)
        index.rehash(self._table, self._numbers, table, numbers)
        self._table, self._numbers = table, numbers


def _is_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum)


def entity_keys(keys: Sequence[Any] | pl.Series, dtype: pl.DataType, name: str) -> pl.Series:
    """Keys as they came from outside, in the stream's type.

    Raises:
        DataError: a key is null, or cannot be a key of that type.
    """
    try:
        came = keys if isinstance(keys, pl.Series) else pl.Series(keys, dtype=None if len(keys) else dtype)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        raise _odd_key(dtype, name, "values of several types, or too large") from None
    fitted = fit(came, dtype)
    if fitted is None:
        raise _odd_key(dtype, name, str(came.dtype))
    if fitted.failures or came.null_count():
        reasons = [*fitted.failures, *(["null"] if came.null_count() else [])]
        raise _odd_key(dtype, name, ", ".join(reasons))
    return fitted.values


def _odd_key(dtype: pl.DataType, name: str, got: str) -> DataError:
    return DataError.of(
        "a key cannot be one of the stream's",
        expected=str(dtype),
        got=got,
        where=name,
        do="give keys of the stream's type",
    )
