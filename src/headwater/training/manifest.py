"""What a training set was made of, so that anyone can make it again and see that it is the same.

The definition by its hash, the stretch of the log, the bound of mature labels, what was left out, and
checksums of what came out. Written by ``training.dataset``; kept in the model's artifact and in MLflow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.core.instant import iso


@dataclass(frozen=True, slots=True)
class Source:
    """The events of one stream that were read.

    Attributes:
        events: how many.
        first, last: their offsets in the log; None if there are none.
        newest_arrival: microseconds; None if there are none.
    """

    events: int
    first: int | None
    last: int | None
    newest_arrival: int | None

    @classmethod
    def of(cls, batch: Batch) -> Source:
        """What a batch holds."""
        if not len(batch):
            return cls(0, None, None, None)
        return cls(len(batch), int(batch.offset[0]), int(batch.offset[-1]), int(batch.arrival[-1]))


@dataclass(frozen=True)
class Manifest:
    """What a training set was made of. Times and spans are microseconds.

    Attributes:
        model, definition_hash: whose rows these are.
        sources: stream to what was read of it.
        start, end: the observations that were asked for; None for no bound.
        known_by: what had arrived by then counts: the newest arrival, or an earlier one that was named.
        horizon, delay: of the label.
        mature_until: the latest observation whose label is known: ``known_by - horizon - delay``.
        rows, positives: of the set.
        unmatured: observations left out because their label is not known yet.
        unlabelled: observations left out because their outcome is null.
        checksums: SHA-256 of ``keys``, ``times``, ``X`` and ``y``.
    """

    model: str
    definition_hash: str
    sources: Mapping[str, Source]
    start: int | None
    end: int | None
    known_by: int
    horizon: int
    delay: int
    mature_until: int
    rows: int
    positives: int
    unmatured: int
    unlabelled: int
    checksums: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest: the same for the same definition, log and bounds."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Manifest:
        """The inverse of :meth:`to_json`."""
        sources = {name: Source(**source) for name, source in form["sources"].items()}
        return cls(**{**form, "sources": sources})

    def summary(self) -> str:
        """One sentence for people."""
        events = sum(source.events for source in self.sources.values())
        left_out = f"{self.unmatured:,} not mature"
        if self.unlabelled:
            left_out += f", {self.unlabelled:,} without an outcome"
        return (
            f"{self.rows:,} rows, {self.positives:,} of them positive, observed until "
            f"{iso(self.mature_until)} ({left_out}), from {events:,} events"
        )


def array_digest(array: npt.NDArray[Any]) -> str:
    """SHA-256 of an array's type, shape and bytes in C order.

    Example:
        >>> array_digest(np.zeros(2))[:8]
        'cdead7b1'
    """
    seal = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    seal.update(np.ascontiguousarray(array).data)
    return seal.hexdigest()


def frame_digest(frame: pl.DataFrame) -> str:
    """SHA-256 of a frame's names, types, nulls and values; not of how it lies in memory."""
    seal = hashlib.sha256()
    for column in frame.iter_columns():
        seal.update(f"{column.name}:{column.dtype}:{len(column)};".encode())
        seal.update(np.packbits(column.is_null().to_numpy()).data)
        seal.update(_bytes(column))
    return seal.hexdigest()


def _bytes(column: pl.Series) -> bytes:
    if isinstance(column.dtype, pl.String | pl.Enum | pl.Categorical):
        texts = column.cast(pl.String).fill_null("")
        lengths = texts.str.len_bytes().to_numpy().astype(np.int64).tobytes()
        return lengths + "".join(texts).encode()
    if isinstance(column.dtype, pl.Boolean):
        return column.fill_null(False).to_numpy().tobytes()
    return np.ascontiguousarray(column.to_physical().fill_null(0).to_numpy()).tobytes()
