"""Compaction: many small segments of a stream become one per window; offsets, bits and chain stay.

Runs a window at a time, each in a transaction of its own: a crash leaves a window merged or not, and a
reader finds either. The writer folds the newest small segments by itself (:class:`Folding`), so that a log
that is fed event by event stays quick to read without anybody calling ``compact``.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from itertools import groupby

from headwater.log import strokes
from headwater.log.catalog import Catalog
from headwater.log.database import transaction
from headwater.log.segments import WINDOW, Segment, merged, select

SMALL, LARGE = 512, 16_384  # events: segments below these are folded
FOLD_AFTER = 16  # so many small segments
LARGE_AFTER = 8_192  # so many events in them
WORTH = 64  # events in small segments of a window that is over
_INSIDE = "stream = ? AND first >= ? AND first < ?"


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """How many segments there were, and are."""

    before: int
    after: int


class Folding:
    """The newest small segments of one stream, and when they become one.

    16 small ones become one, and are folded on until they hold 512 events; now and then those become one;
    what is left of a window is folded when the next begins. Each event is so written a few times, in portions
    that hold up an append by a millisecond or two. What was just written is still in memory, so that most
    folds read nothing.

    Args:
        catalog: of the log's schemas.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._window = self._small = self._events = 0  # small segments, and events in them, not folded yet
        self._newest: list[Segment] = []  # neighbours of one schema, as they lie in the file

    def add(self, connection: sqlite3.Connection, segment: Segment) -> None:
        """Take note of a segment that was appended, and fold what is due.

        Raises:
            sqlite3.Error, LogError: it cannot be folded now; the events lie there as they did.
        """
        window = segment.first - segment.first % WINDOW
        if window != self._window:
            before, worth = self._window, self._events >= WORTH
            self._window, self._small, self._events, self._newest = window, 0, 0, []
            if worth:
                fold(connection, self._catalog, segment.stream, before, LARGE)
        if segment.events >= SMALL:
            self._newest = []
            return
        if self._newest and self._newest[0].schema != segment.schema:
            self._newest = []
        self._newest.append(segment)
        self._small += 1
        self._events += segment.events
        if self._small >= FOLD_AFTER:
            newest, self._newest, self._small = self._newest, [], 0
            if self._events >= LARGE_AFTER:
                self._events = 0
                fold(connection, self._catalog, segment.stream, window, LARGE)
            elif len(newest) > 1:
                self._newest = self._folded(connection, newest)

    def _folded(self, connection: sqlite3.Connection, parts: list[Segment]) -> list[Segment]:
        """One in the place of several; what of it may be folded on."""
        schema = parts[0].schema
        whole = merged(parts[0].stream, schema, self._catalog.codec(schema), parts)
        strokes.fold(connection, whole)
        return [whole] if whole.events < SMALL else []


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
    inside = (stream, window, window + WINDOW)
    with transaction(connection):
        for first, last in _groups(connection, inside, smaller_than):
            group = list(select(connection, f"{_INSIDE} ORDER BY first", stream, first, last + 1))
            whole = merged(stream, group[0].schema, catalog.codec(group[0].schema), group)
            strokes.fold(connection, whole)


def count(connection: sqlite3.Connection) -> int:
    """How many segments the log has."""
    return int(connection.execute("SELECT count(*) FROM segments").fetchone()[0])


def _groups(
    connection: sqlite3.Connection, inside: tuple[str, int, int], smaller_than: int
) -> list[tuple[int, int]]:
    """Where runs of small neighbours begin and end; the records themselves are not read for that."""
    rows = connection.execute(
        f"SELECT first, schema, events FROM segments WHERE {_INSIDE} ORDER BY first",  # noqa: S608  # constant
        inside,
    )
    found = []
    for (_, small), neighbours in groupby(rows, key=lambda row: (row[1], row[2] < smaller_than)):
        group = list(neighbours)
        if small and len(group) > 1:
            found.append((group[0][0], group[-1][0]))
    return found
