"""Is the log what was written? Every byte, every offset, every link of every chain.

Finds flipped bytes (checksums), removed or reordered or rewritten segments (offsets, hash chains), and a
log whose end was cut off (heads). Whoever can rewrite the whole file can also compute new chains: to prove
a log to others, keep ``Verification.heads`` somewhere else. Called through ``embedded``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from headwater.core.errors import LogError, Problem
from headwater.log.catalog import Catalog
from headwater.log.runs import intact
from headwater.log.segments import GENESIS, WINDOW, Events, Segment, links, read, select

_RESTORE = "restore the log from a copy"


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at and what was wrong.

    Attributes:
        events: events that could be read.
        segments: segments looked at.
        problems: everything that is wrong; empty for a sound log.
        heads: stream to the last link of its chain, hex.
    """

    events: int
    segments: int
    problems: tuple[Problem, ...]
    heads: Mapping[str, str]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass
class _Found:
    """What the walk over the segments has seen so far."""

    events: int = 0
    segments: int = 0
    arrival: int = -(2**63)
    chain: dict[str, bytes] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def verify(connection: sqlite3.Connection, catalog: Catalog, folder: Path) -> Verification:
    """Look at everything; raises nothing that it can report. ``folder`` holds the sorted ids."""
    found = _Found()
    try:
        found.problems += _pages(connection)
        end = 1 + int(connection.execute("SELECT coalesce(max(last), -1) FROM heads").fetchone()[0])
        for window in range(0, max(end, 1), WINDOW):
            _window(connection, catalog, window, min(end, window + WINDOW), found)
        found.problems += _heads(connection, found)
        found.problems += _runs(connection, folder)
    except sqlite3.DatabaseError as error:
        found.problems.append(
            Problem(
                "the file's pages cannot be read to their end",
                got=str(error),
                where=f"behind {found.events} events that could be read",
                do=_RESTORE,
            )
        )
    heads = {stream: chain.hex() for stream, chain in sorted(found.chain.items())}
    return Verification(found.events, found.segments, tuple(found.problems), heads)


def _pages(connection: sqlite3.Connection) -> Iterator[Problem]:
    for (text,) in connection.execute("PRAGMA integrity_check(20)"):
        if text != "ok":
            yield Problem("the file's pages are damaged", got=text.replace("\n", " "), do=_RESTORE)


def _window(connection: sqlite3.Connection, catalog: Catalog, window: int, end: int, found: _Found) -> None:
    whole: list[Events] = []
    readable = True
    for segment in select(connection, "first >= ? AND first < ? ORDER BY first", window, window + WINDOW):
        found.segments += 1
        try:
            events = read(catalog.codec(segment.schema), segment)
            problems = list(_segment(catalog, segment, events, found.chain.get(segment.stream, GENESIS)))
        except LogError as error:
            readable = False
            problems = [
                Problem(one.what, one.expected, one.got, segment.where, one.do) for one in error.problems
            ]
        else:
            whole.append(events)
            found.events += len(events)
        found.problems += problems
        found.chain[segment.stream] = segment.chain
        found.last[segment.stream] = segment.last
        found.count[segment.stream] = found.count.get(segment.stream, 0) + segment.events
    if readable:
        found.problems += _order(whole, window, end, found)


def _segment(catalog: Catalog, segment: Segment, events: Events, before: bytes) -> Iterator[Problem]:
    codec = catalog.codec(segment.schema)
    told = (segment.first, segment.last, segment.events, segment.time_min, segment.time_max)
    held = (
        *(int(events.offset[0]), int(events.offset[-1]), len(events)),
        *(int(events.time.min()), int(events.time.max())),
    )
    neighbours = (
        bool((np.diff(events.offset) > 0).all()) and segment.first // WINDOW == segment.last // WINDOW
    )
    if told != held or not neighbours or int(segment.sizes().sum()) != len(events):
        raise LogError.of(
            "a segment's events are not those that its row tells of",
            expected=str(told),
            got=str(held),
            do=_RESTORE,
        )
    chain = before
    for link in links(codec, segment, events, before):
        chain = link
    if chain != segment.chain:
        yield Problem(
            "the hash chain breaks: something at or before this segment was changed, removed or moved",
            expected=segment.chain.hex(),
            got=chain.hex(),
            where=segment.where,
            do=_RESTORE,
        )


def _order(whole: list[Events], window: int, end: int, found: _Found) -> Iterator[Problem]:
    seen = np.zeros(WINDOW, np.int64)
    arrival = np.zeros(WINDOW, np.int64)
    for events in whole:
        np.add.at(seen, events.offset - window, 1)
        arrival[events.offset - window] = events.arrival
    expected = np.zeros(WINDOW, np.int64)
    expected[: end - window] = 1
    for what, wrong in (("missing", seen < expected), ("there more than once", seen > expected)):
        places = np.flatnonzero(wrong)
        if len(places):
            yield Problem(
                f"offsets are {what}",
                expected=f"each offset from {window} to {end - 1} once",
                got=f"{len(places)} {what}",
                where=f"offsets {window + int(places[0])} to {window + int(places[-1])}",
                do=_RESTORE,
            )
    known = np.concatenate([[found.arrival], arrival[seen > 0]])
    back = np.flatnonzero(known[1:] < known[:-1])
    if len(back):
        at = window + int(np.flatnonzero(seen > 0)[back[0]])
        yield Problem("arrival goes back", where=f"offset {at}", do=_RESTORE)
    found.arrival = int(known.max())


def _runs(connection: sqlite3.Connection, folder: Path) -> Iterator[Problem]:
    for file, stream in connection.execute("SELECT file, stream FROM id_runs ORDER BY stream, low"):
        if (folder / file).exists() and not intact(folder / file):
            yield Problem(
                "sorted ids are damaged: duplicates may be missed",
                where=f"stream {stream!r}, file {file}",
                do=f"delete the folder {folder.name} while nobody writes; it is made again from the log",
            )


def _heads(connection: sqlite3.Connection, found: _Found) -> Iterator[Problem]:
    heads = connection.execute("SELECT stream, events, last, chain FROM heads ORDER BY stream").fetchall()
    for stream, events, last, chain in heads:
        seen = (found.count.get(stream, 0), found.last.get(stream), found.chain.get(stream, GENESIS))
        if seen != (events, last, chain):
            yield Problem(
                f"stream {stream!r} does not end where its last append ended",
                expected=f"{events} events, the last at offset {last}, chain {chain.hex()}",
                got=f"{seen[0]} events, the last at offset {seen[1]}, chain {seen[2].hex()}",
                where=f"stream {stream!r}",
                do=_RESTORE,
            )
    for stream in sorted(set(found.count) - {row[0] for row in heads}):
        yield Problem(
            f"stream {stream!r} has events that no append left", where=f"stream {stream!r}", do=_RESTORE
        )
