"""What becomes of personal values in the lake: left out, hashed under a key, or written as they are.

A hash is HMAC-SHA256 of the value's text under a key that lies elsewhere: equal values have equal hashes, so
that tables can be joined and entities counted, and without the key nobody can try out names until one fits.
Called by ``source``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from headwater.core.errors import DataError
from headwater.core.secret import Secret
from headwater.scale.lake.table import Column, type_of

Mode = Literal["omit", "hash", "plain"]
SHORTEST = 16  # characters of a key
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Private:
    """How personal values are written.

    Attributes:
        mode: ``omit``, ``hash`` or ``plain``.
        key: of the hashes.

    Raises:
        DataError: hashes are asked for without a key that is long enough.

    Example:
        >>> Private("hash", Secret("sixteen letters!")).text("Ada")
        'b1b66976bc1d0f7939df9a121f8ea9bc'
    """

    mode: Mode = "omit"
    key: Secret | None = None

    def __post_init__(self) -> None:
        held = "" if self.key is None else self.key.reveal()
        if self.mode == "hash" and len(held) < SHORTEST:
            raise DataError.of(
                "personal values are to be hashed, and there is no key for it",
                expected=f"HEADWATER_LAKE_HASH_KEY, at least {SHORTEST} characters",
                got=f"{len(held)} characters" if held else "none",
                do="set it, or HEADWATER_LAKE_HASH_KEY_FILE; and keep it: under another key, hashes differ",
            )

    def column(self, name: str, dtype: pl.DataType, meaning: str, *, personal: bool) -> Column | None:
        """A column as the lake has it; None if it is left out."""
        if not personal:
            return Column(name, type_of(dtype), meaning)
        if self.mode == "omit":
            return None
        return Column(name, "string" if self.mode == "hash" else type_of(dtype), meaning, self.mode)

    def series(self, values: pl.Series) -> pl.Series:
        """Personal values as the lake has them; nulls stay."""
        if self.mode != "hash":
            return values
        texts = values.cast(pl.String)
        known = texts.drop_nulls().unique().to_list()
        hashes = pl.Series([self.text(one) for one in known], dtype=pl.String)
        return texts.replace_strict(pl.Series(known, dtype=pl.String), hashes, return_dtype=pl.String)

    def text(self, value: str) -> str:
        """The hash of one value's text."""
        key = b"" if self.key is None else self.key.reveal().encode()
        return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:_DIGITS]

    def of(self, series: Mapping[str, pl.Series], personal: frozenset[str]) -> dict[str, pl.Series]:
        """Columns by name, the personal ones as the lake has them."""
        return {
            name: self.series(values) if name in personal else values
            for name, values in series.items()
            if self.mode != "omit" or name not in personal
        }
