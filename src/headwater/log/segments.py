"""A segment: events of one stream that lie together, as one row of the log's file.

An append writes one segment per stream; ``compaction`` merges them later. Offsets are global over streams,
so the events of a segment need not be neighbours. A segment never crosses a multiple of ``WINDOW`` offsets:
all segments of a window can be read by one query and put in order in memory, and merging them touches
nothing outside.

Each append is a link of its stream's hash chain: SHA-256 over the link before, the schema, the places
(offset, arrival) and the canonical record. A merged segment remembers the sizes of the appends it came
from, so the same links can be computed from it. Read ``scan`` next.
"""

from __future__ import annotations

import hashlib
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from headwater.core.batch import Int64
from headwater.core.errors import LogError
from headwater.log.format import Codec, Columns, concat
from headwater.log.format_single import parse_many

WINDOW = 65_536  # offsets; a distance inside a window fits in 16 bits
GENESIS = b"\0" * 32
SINGLE_PLACES = b"\0" * 8  # of neighbours that arrived together: they follow the segment's first

_FACTS = struct.Struct("<10q")
_LINK = struct.Struct("<qqqI")
_SCATTERED, _ARRIVAL_IS_TIME, _ARRIVAL_EACH = 1, 2, 4
COLUMNS = (
    "first, last, stream, schema, events, time_min, time_max, arrival_min, arrival_max, checksum, chain, "
    "appends, places, record"
)
SELECT = f"SELECT {COLUMNS} FROM segments"  # noqa: S608  # constant column names
_INSERT = f"INSERT INTO segments ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Events:
    """Rows of one stream with their places, as the log thinks of them; shape (n,) each."""

    columns: Columns
    offset: Int64
    arrival: Int64
    time: Int64

    def __len__(self) -> int:
        return self.columns.rows

    def __getitem__(self, rows: slice) -> Events:
        return Events(self.columns[rows], self.offset[rows], self.arrival[rows], self.time[rows])


@dataclass(frozen=True, slots=True)
class Segment:
    """One row of the table ``segments``; times in microseconds."""

    first: int
    last: int
    stream: str
    schema: int
    events: int
    time_min: int
    time_max: int
    arrival_min: int
    arrival_max: int
    checksum: int
    chain: bytes
    appends: bytes | None
    places: bytes
    record: bytes

    @property
    def row(self) -> tuple[Any, ...]:
        """The values of the row, in the table's order."""
        return (
            *(self.first, self.last, self.stream, self.schema, self.events),
            *(self.time_min, self.time_max, self.arrival_min, self.arrival_max),
            *(self.checksum, self.chain, self.appends, self.places, self.record),
        )

    def computed_checksum(self) -> int:
        """CRC-32 over everything in the row but itself."""
        return _checksum(self.row)

    def check(self) -> None:
        """Compare the checksum.

        Raises:
            LogError: the bytes are not those that were written.
        """
        if self.computed_checksum() != self.checksum:
            raise LogError.of(
                "a segment of the log is damaged",
                expected=f"checksum {self.checksum:08x}",
                got=f"checksum {self.computed_checksum():08x}",
                where=self.where,
                do="restore the log from a copy",
            )

    @property
    def where(self) -> str:
        """The place of this segment in words."""
        return f"stream {self.stream!r}, offsets {self.first} to {self.last}"

    def sizes(self) -> Int64:
        """How many events each original append had; they add up to ``events``."""
        if self.appends is None:
            return np.array([self.events], np.int64)
        return np.frombuffer(zlib.decompress(self.appends), "<u4").astype(np.int64)


def make(stream: str, schema: int, codec: Codec, events: Events, before: bytes) -> Segment:
    """The segment of one append; ``before`` is the link of the stream's append before it."""
    places = _places(events)
    record = codec.encode(events.columns)
    link = _link(before, codec, events, places, record)
    return _segment(stream, schema, events, places, record, link, None)


def make_single(
    stream: str,
    schema: int,
    codec: Codec,
    record: bytes,
    before: bytes,
    *,
    offset: int,
    arrival: int,
    times: Sequence[int],
) -> Segment:
    """The segment of an append of one event or a few neighbours, as :func:`make` would make it."""
    n = len(times)
    link = _hashed(before, codec, _LINK.pack(offset, arrival, n, len(SINGLE_PLACES)), SINGLE_PLACES, record)
    head = (offset, offset + n - 1, stream, schema, n, min(times), max(times), arrival, arrival)
    checksum = _checksum((*head, 0, link, None, SINGLE_PLACES, record))
    return Segment(*head, checksum, link, None, SINGLE_PLACES, record)


def merged(stream: str, schema: int, codec: Codec, parts: list[Segment]) -> Segment:
    """One segment with the events, places and links of neighbours of one stream and schema."""
    events = read_all(codec, parts)
    sizes = np.concatenate([part.sizes() for part in parts]).astype("<u4")
    appends = zlib.compress(sizes.tobytes(), 6)
    return _segment(
        stream, schema, events, _places(events), codec.encode(events.columns), parts[-1].chain, appends
    )


def read(codec: Codec, segment: Segment) -> Events:
    """The events of a segment, checked against its checksum.

    Raises:
        LogError: the segment is damaged.
    """
    segment.check()
    columns = codec.parse(segment.record)
    time = codec.time(columns)
    kind, places = segment.places[0], segment.places[8:]
    n = segment.events
    if kind & _SCATTERED:
        offset = segment.first + np.frombuffer(places, "<u2", n).astype(np.int64)
        places = places[2 * n + (-2 * n % 8) :]
    else:
        offset = np.arange(segment.first, segment.first + n)
    if kind & _ARRIVAL_EACH:
        arrival: Int64 = np.frombuffer(places, "<i8", n)
    else:
        arrival = time if kind & _ARRIVAL_IS_TIME else np.full(n, segment.arrival_min)
    return Events(columns, offset, arrival, time)


def read_all(codec: Codec, segments: Sequence[Segment]) -> Events:
    """The events of segments one after the other; quick where many hold one event each.

    Raises:
        LogError: a segment is damaged.
    """
    parts: list[Events] = []
    for alone, neighbours in groupby(segments, key=lambda segment: segment.events == 1):
        group = list(neighbours)
        singles = _read_singles(codec, group) if alone and len(group) > 1 else None
        parts += [read(codec, segment) for segment in group] if singles is None else [singles]
    return join(parts)


def _read_singles(codec: Codec, segments: list[Segment]) -> Events | None:
    """The events of segments of one event each, or None if one of them is odd and must be read by itself."""
    for segment in segments:
        segment.check()
    columns = parse_many(codec, [segment.record for segment in segments])
    if columns is None or any(segment.places != SINGLE_PLACES for segment in segments):
        return None
    offset = np.array([segment.first for segment in segments], np.int64)
    arrival = np.array([segment.arrival_min for segment in segments], np.int64)
    return Events(columns, offset, arrival, codec.time(columns))


def links(codec: Codec, segment: Segment, events: Events, before: bytes) -> Iterator[bytes]:
    """The links of the appends in a segment, one after the other, from its content."""
    start = 0
    for size in segment.sizes().tolist():
        part = events[start : start + size]
        before = _link(before, codec, part, _places(part), codec.encode(part.columns))
        start += size
        yield before


def join(parts: list[Events]) -> Events:
    """Events one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Events(
        concat([part.columns for part in parts]),
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.arrival for part in parts]),
        np.concatenate([part.time for part in parts]),
    )


def insert(connection: sqlite3.Connection, segments: Iterable[Segment]) -> None:
    """Write rows, inside the caller's transaction."""
    connection.executemany(_INSERT, (segment.row for segment in segments))


def select(connection: sqlite3.Connection, where: str, *values: object) -> Iterator[Segment]:
    """Rows that fulfil a condition (a constant text with placeholders)."""
    for row in connection.execute(f"{SELECT} WHERE {where}", values):
        yield Segment(*row)


def _segment(
    stream: str,
    schema: int,
    events: Events,
    places: bytes,
    record: bytes,
    chain: bytes,
    appends: bytes | None,
) -> Segment:
    time, arrival, offset = events.time, events.arrival, events.offset
    head = (int(offset[0]), int(offset[-1]), stream, schema, len(events), int(time.min()), int(time.max()))
    between = (int(arrival[0]), int(arrival[-1]))
    checksum = _checksum((*head, *between, 0, chain, appends, places, record))
    return Segment(*head, *between, checksum, chain, appends, places, record)


def _checksum(row: tuple[Any, ...]) -> int:
    stream, chain, appends, places, record = row[2], *row[10:]
    facts = _FACTS.pack(*row[:2], *row[3:9], len(places), len(record))
    return zlib.crc32(record, zlib.crc32(b"".join([facts, stream.encode(), chain, appends or b"", places])))


def _places(events: Events) -> bytes:
    """Canonical bytes of offsets and arrivals: as short as the content allows."""
    n, first = len(events), int(events.offset[0])
    kind, parts = 0, []
    if int(events.offset[-1]) - first != n - 1:
        kind |= _SCATTERED
        parts.append((events.offset - first).astype("<u2").tobytes() + b"\0" * (-2 * n % 8))
    if events.arrival[0] != events.arrival[-1]:  # ascending, so all are equal when these two are
        if np.array_equal(events.arrival, events.time):
            kind |= _ARRIVAL_IS_TIME
        else:
            kind |= _ARRIVAL_EACH
            parts.append(events.arrival.astype("<i8").tobytes())
    return b"".join([bytes([kind]), b"\0" * 7, *parts])


def _link(before: bytes, codec: Codec, events: Events, places: bytes, record: bytes) -> bytes:
    head = _LINK.pack(int(events.offset[0]), int(events.arrival[0]), len(events), len(places))
    return _hashed(before, codec, head, places, record)


def _hashed(before: bytes, codec: Codec, head: bytes, places: bytes, record: bytes) -> bytes:
    hashed = hashlib.sha256(before)
    for part in (codec.schema.fingerprint, head, places, record):
        hashed.update(part)
    return hashed.digest()
