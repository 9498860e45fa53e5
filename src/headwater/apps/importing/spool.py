"""What was read, in pieces that are sorted by arrival, handed out again in slices of time.

    piece 1   |----------------|                       from one file, as it was read
    piece 2                 |--------------|           from the same
    piece 3      |------------------------------|      from another stream's file
    slices    [     0      ][      1     ][     2  ]   about the same number of rows in each

Small pieces stay in memory; beyond a budget they lie in a temporary folder, so that memory does not grow with
the files. Called by ``run``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from headwater.core.batch import Int64

BUDGET = 256 * 2**20  # bytes of events that are kept in memory
SLICE = 262_144  # rows that are appended at once
_STEP = 1024  # every so many rows one is looked at to find the slices
_GROUP = 16_384  # rows of a spilled piece that are read together


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one source, ascending by arrival.

    Attributes:
        source: the source's number.
        arrival: int64 microseconds, shape (n,).
        row: int64, shape (n,): the place of each row in its file.
        frame: the rows, or the file that holds them.
    """

    source: int
    arrival: Int64
    row: Int64
    frame: pl.DataFrame | Path

    def rows(self, start: int, stop: int) -> pl.DataFrame:
        """Some of the rows."""
        if isinstance(self.frame, pl.DataFrame):
            return self.frame[start:stop]
        return pl.DataFrame(pl.scan_parquet(self.frame).slice(start, stop - start).collect())


@dataclass(frozen=True, slots=True)
class Share:
    """The rows of one source in one slice: frame, arrival and row have the same length."""

    source: int
    frame: pl.DataFrame
    arrival: Int64
    row: Int64


class Spool:
    """Keeps checked events until all files were read.

    Args:
        folder: an existing folder for what does not fit in memory.
        budget: how many bytes are kept in memory.
    """

    def __init__(self, folder: Path, budget: int = BUDGET) -> None:
        self._folder = folder
        self._left = budget
        self._pieces: list[Piece] = []

    def __len__(self) -> int:
        return sum(len(piece.arrival) for piece in self._pieces)

    def add(self, source: int, frame: pl.DataFrame, arrival: Int64, row: Int64) -> None:
        """Take in rows of a source; equal arrivals keep their order."""
        if not len(frame):
            return
        if (arrival[1:] < arrival[:-1]).any():
            order = np.argsort(arrival, kind="stable")
            frame, arrival, row = frame[order], arrival[order], row[order]
        self._left -= int(frame.estimated_size())
        kept: pl.DataFrame | Path = frame
        if self._left < 0:
            kept = self._folder / f"{len(self._pieces)}.parquet"
            frame.write_parquet(kept, compression="lz4", row_group_size=_GROUP)
        self._pieces.append(Piece(source, arrival, row, kept))

    def slices(self, *, whole: bool = False, size: int = SLICE) -> Iterator[list[Share]]:
        """The rows in order of arrival: slices of about ``size`` rows, or all of them in one."""
        edges: Int64 = np.empty(0, np.int64) if whole else self._edges(size)
        places = [np.searchsorted(piece.arrival, edges, side="right") for piece in self._pieces]
        for number in range(len(edges) + 1):
            yield list(self._shares(places, number))

    def _edges(self, size: int) -> Int64:
        """The arrivals at which slices end: equal arrivals are never parted."""
        seen = np.sort(np.concatenate([np.empty(0, np.int64), *(p.arrival[::_STEP] for p in self._pieces)]))
        edges: Int64 = np.unique(seen[:: max(1, size // _STEP)][1:])
        return edges

    def _shares(self, places: list[Int64], number: int) -> Iterator[Share]:
        parts: dict[int, list[tuple[Piece, int, int]]] = {}
        for piece, ends in zip(self._pieces, places, strict=True):
            start = 0 if number == 0 else int(ends[number - 1])
            stop = len(piece.arrival) if number == len(ends) else int(ends[number])
            if stop > start:
                parts.setdefault(piece.source, []).append((piece, start, stop))
        for source, found in parts.items():
            yield Share(
                source,
                pl.concat([piece.rows(start, stop) for piece, start, stop in found]),
                np.concatenate([piece.arrival[start:stop] for piece, start, stop in found]),
                np.concatenate([piece.row[start:stop] for piece, start, stop in found]),
            )
