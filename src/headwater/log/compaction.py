"""Compaction: many small segments of a stream become one per window; offsets, bits and chain stay.

Runs a window at a time, each in a transaction of its own: a crash leaves a window merged or not, and a
reader finds either. The writer folds the newest small segments by itself (:class:`Folding`), so that a log
that is fed event by event stays quick to read without anybody calling ``compact``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from headwater.log.catalog import Catalog
from headwater.log.database import transaction
from headwater.log.segments import WINDOW, Segment, insert, merged, select

SMALL, LARGE = 512, 16_384  # events: segments below these are folded
FOLD_AFTER = 512  # so many small segments
LARGE_AFTER = 32  # so many folds
WORTH = 64  # small segments in a window that is over


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """How many segments there were, and are."""

    before: int
    after: int


class Folding:
    """Counts small segments of one stream as they are appended, and says which to fold.

    512 small ones become one; 32 of those become one; what is left of a window is folded when the next
    begins. Each event is so written three times at most, in portions that hold up an append by a few
    milliseconds.

    Example:
        >>> folding = Folding()
        >>> [fold for _ in range(512) for fold in folding.due(first=0, events=1)]
        [(0, 512)]
    """

    def __init__(self) -> None:
        self._window = self._small = self._folds = 0

    def due(self, first: int, events: int) -> list[tuple[int, int]]:
        """The folds (window, smaller than) that are due once this segment is written."""
        window = first - first % WINDOW
        folds: list[tuple[int, int]] = []
        if window != self._window:
            if self._folds or self._small >= WORTH:
                folds.append((self._window, LARGE))
            self._window, self._small, self._folds = window, 0, 0
        self._small += events < SMALL
        if self._small >= FOLD_AFTER:
            self._small, self._folds = 0, self._folds + 1
            folds.append((window, SMALL if self._folds % LARGE_AFTER else LARGE))
        return folds


def compact(connection: sqlite3.Connection, catalog: Catalog) -> CompactionReport:
    """Merge every window of every stream, as far as one definition of the stream reaches."""
    before = count(connection)
    windows = connection.execute(
        "SELECT stream, first / ?1 * ?1 FROM segments GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 2, 1",
        (WINDOW,),
    ).fetchall()
    for stream, window in windows:
        fold(connection, catalog, stream, window, smaller_than=WINDOW + 1)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return CompactionReport(before, count(connection))


def fold(
    connection: sqlite3.Connection, catalog: Catalog, stream: str, window: int, smaller_than: int
) -> None:
    """Merge neighbouring segments of one stream in one window that are smaller than so many events."""
    condition = "stream = ? AND first >= ? AND first < ? ORDER BY first"
    segments = list(select(connection, condition, stream, window, window + WINDOW))
    with transaction(connection):
        for group in _groups(segments, smaller_than):
            whole = merged(stream, group[0].schema, catalog.codec(group[0].schema), group)
            connection.executemany(
                "DELETE FROM segments WHERE first = ?", ((segment.first,) for segment in group)
            )
            insert(connection, [whole])


def count(connection: sqlite3.Connection) -> int:
    """How many segments the log has."""
    return int(connection.execute("SELECT count(*) FROM segments").fetchone()[0])


def _groups(segments: list[Segment], smaller_than: int) -> Iterator[list[Segment]]:
    for (_, small), neighbours in groupby(
        segments, key=lambda segment: (segment.schema, segment.events < smaller_than)
    ):
        group = list(neighbours)
        if small and len(group) > 1:
            yield group
