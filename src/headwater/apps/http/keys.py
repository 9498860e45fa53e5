"""Entity keys as they stand in an address: texts, until the column says otherwise. Called by ``routes``."""

from __future__ import annotations

import polars as pl

from headwater.core.errors import DataError

_LONGEST = 20  # digits of a 64-bit integer, with its sign


def key_of(text: str, dtype: pl.DataType, column: str) -> str | int | bool:
    """The key of an address in the type of its column.

    Raises:
        DataError: it cannot be read as one.

    Example:
        >>> key_of("42", pl.Int64(), "account_id")
        42
    """
    if isinstance(dtype, pl.Boolean) and text in ("true", "false"):
        return text == "true"
    if not dtype.is_integer():
        return text
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(text) <= _LONGEST):
        raise DataError.of(
            "the key is of another type",
            expected=str(dtype),
            got="a text",
            where=column,
            do="give a whole number",
        )
    return int(text)
