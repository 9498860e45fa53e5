"""Reading: windows of the log, put in order or kept by stream.

Each window of 65,536 offsets is fetched by one query on its own, so a scan holds no transaction open:
writers and compaction go on under it, and it still reads each event once, up to the end it began with.
Within a window the segments of a stream, however small, become one frame; in log order that frame is cut
where streams take turns::

    offsets    0 1 2 3 4 5 6 7
    a          a a     a a a      one segment or five, no matter
    b              b b       b
    in order   [a a][b b][a a a][b]      by stream  [a a a a a][b b b]

Called through ``embedded``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from headwater.core.batch import Batch, Int64
from headwater.log.catalog import Catalog
from headwater.log.segments import WINDOW, Segment, select


@dataclass(frozen=True, slots=True)
class Range:
    """What to read: ``start <= offset < stop`` and ``since <= event time < until``."""

    start: int
    stop: int
    since: int | None = None
    until: int | None = None

    @property
    def condition(self) -> tuple[str, tuple[int, ...]]:
        """An SQL condition that leaves out segments without a wanted event, and its values."""
        since = -(2**63) if self.since is None else self.since
        until = 2**63 - 1 if self.until is None else self.until
        return (
            " AND last >= ? AND first < ? AND time_max >= ? AND time_min < ? ORDER BY first",
            (self.start, self.stop, since, until),
        )

    def cut(self, batch: Batch) -> Batch | None:
        """The wanted events of a batch, or None."""
        start, stop = np.searchsorted(batch.offset, [self.start, self.stop]).tolist()
        if stop - start < len(batch):
            batch = batch[start:stop]
        if self.since is not None or self.until is not None:
            wanted = np.ones(len(batch), np.bool_)
            if self.since is not None:
                wanted &= batch.time >= self.since
            if self.until is not None:
                wanted &= batch.time < self.until
            if not wanted.all():
                batch = Batch(
                    batch.stream,
                    batch.offset[wanted],
                    batch.arrival[wanted],
                    batch.time[wanted],
                    batch.frame.filter(wanted),
                )
        return batch if len(batch) else None


def by_window(
    connection: sqlite3.Connection, catalog: Catalog, streams: Sequence[str], wanted: Range
) -> Iterator[Mapping[str, Batch]]:
    """One batch per stream for each window that holds any; windows ascend."""
    rest, values = wanted.condition
    inside = f"first >= ? AND first < ? AND stream IN ({_places(streams)})"
    start = wanted.start - wanted.start % WINDOW
    while (window := _next_window(connection, streams, start, wanted)) is not None:
        start = window + WINDOW
        segments: dict[str, list[Segment]] = {}
        for segment in select(connection, inside + rest, window, start, *streams, *values):
            segments.setdefault(segment.stream, []).append(segment)
        batches = {stream: wanted.cut(catalog.batch(stream, those)) for stream, those in segments.items()}
        found = {stream: batch for stream, batch in batches.items() if batch is not None}
        if found:
            yield found


def in_order(windows: Iterator[Mapping[str, Batch]]) -> Iterator[Batch]:
    """The batches of each window, cut where streams take turns."""
    for window in windows:
        batches = list(window.values())
        if len(batches) == 1:
            yield batches[0]
        else:
            yield from _turns(batches)


def by_stream(
    connection: sqlite3.Connection, catalog: Catalog, streams: Sequence[str], wanted: Range
) -> Iterator[Batch]:
    """One stream after the other, in batches of about a window's size."""
    for stream in streams:
        held: list[Segment] = []
        for segments in _stream_windows(connection, stream, wanted):
            held += segments
            if sum(segment.events for segment in held) >= WINDOW:
                yield from _batch(catalog, stream, held, wanted)
                held = []
        yield from _batch(catalog, stream, held, wanted)


def events_at(connection: sqlite3.Connection, catalog: Catalog, stream: str, offsets: Int64) -> pl.DataFrame:
    """The events of a stream at these offsets, ascending; each segment concerned is read once."""
    frames = []
    place = 0
    while place < len(offsets):
        condition = "stream = ? AND first <= ? ORDER BY first DESC LIMIT 1"
        (segment,) = select(connection, condition, stream, int(offsets[place]))
        stop = int(np.searchsorted(offsets, segment.last, side="right"))
        batch = catalog.batch(stream, [segment])
        frames.append(batch.frame[np.searchsorted(batch.offset, offsets[place:stop])])
        place = stop
    return pl.concat(frames)


def _batch(catalog: Catalog, stream: str, segments: Sequence[Segment], wanted: Range) -> Iterator[Batch]:
    if segments and (batch := wanted.cut(catalog.batch(stream, segments))) is not None:
        yield batch


def _stream_windows(connection: sqlite3.Connection, stream: str, wanted: Range) -> Iterator[list[Segment]]:
    rest, values = wanted.condition
    inside = "stream = ? AND first >= ? AND first < ?"
    start = wanted.start - wanted.start % WINDOW
    while (window := _next_window(connection, [stream], start, wanted)) is not None:
        start = window + WINDOW
        yield list(select(connection, inside + rest, stream, window, start, *values))


def _next_window(
    connection: sqlite3.Connection, streams: Sequence[str], start: int, wanted: Range
) -> int | None:
    """The first window from ``start`` on in which one of the streams has a segment."""
    found = connection.execute(
        f"SELECT first FROM segments WHERE first >= ? AND first < ? AND stream IN ({_places(streams)})"  # noqa: S608
        " ORDER BY first LIMIT 1",
        (start, wanted.stop, *streams),
    ).fetchone()
    return None if found is None else found[0] - found[0] % WINDOW


def _places(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _turns(batches: Sequence[Batch]) -> Iterator[Batch]:
    offsets = np.concatenate([batch.offset for batch in batches])
    owner = np.repeat(np.arange(len(batches)), [len(batch) for batch in batches])
    owner = owner[np.argsort(offsets, kind="stable")]
    ends = np.append(np.flatnonzero(owner[1:] != owner[:-1]) + 1, len(owner))
    taken = [0] * len(batches)
    start = 0
    for end, who in zip(ends.tolist(), owner[ends - 1].tolist(), strict=True):
        begin, taken[who] = taken[who], taken[who] + end - start
        yield batches[who][begin : taken[who]]
        start = end
