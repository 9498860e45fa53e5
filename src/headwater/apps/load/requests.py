"""The requests of a load: decisions and events, made up from what is served, or taken from a file.

Called by ``headwater bench load``; each class is a source for ``loop``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from headwater.apps.load.connection import Address
from headwater.apps.load.draw import Drawer
from headwater.apps.load.loop import Request, Source
from headwater.apps.load.target import PolicyShape, StreamShape
from headwater.core.errors import DataError
from headwater.core.instant import iso

BLOCK = 512  # rows that are drawn at once
MEDIA = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "arrow": "application/vnd.apache.arrow.stream",
}
_TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"

Clock = Callable[[], int]  # microseconds UTC


@dataclass(frozen=True)
class Desk:
    """Writes requests: where to, and what stands in every head."""

    address: Address
    headers: Mapping[str, str] = field(default_factory=dict)

    def write(self, kind: str, path: str, media: str, body: bytes) -> Request:
        """A POST."""
        headers = {**self.headers, "Content-Type": media}
        return Request(kind, self.address.request("POST", path, headers, body))

    def decision(self, body: Mapping[str, Any]) -> Request:
        """``POST /v1/decisions``."""
        return self.write("decisions", "/v1/decisions", MEDIA["json"], msgspec.json.encode(body))

    def events(self, stream: str, media: str, body: bytes, *, refresh: bool) -> Request:
        """``POST /v1/events``."""
        path = "/v1/events" + ("?refresh=true" if refresh else "")
        if media != "json":
            path += ("&" if refresh else "?") + f"stream={stream}"
        return self.write("events", path, MEDIA[media], body)


class Decisions:
    """Decisions on made-up keys, without end.

    Args:
        desk: writes them.
        policy: which.
        entities: how many there are of each key.
        seed: of what is drawn.
    """

    def __init__(self, desk: Desk, policy: PolicyShape, entities: int, seed: int) -> None:
        self._desk, self._policy = desk, policy
        columns = {**policy.request, **policy.keys}
        self._drawer = Drawer(columns, policy.keys.keys(), entities, {}, np.random.default_rng(seed))
        self._rows: list[dict[str, Any]] = []

    def next(self) -> Request:
        """Another."""
        if not self._rows:
            self._rows = self._drawer.frame(BLOCK).to_dicts()
        row = self._rows.pop()
        keys = {name: row[name] for name in self._policy.keys}
        request = {name: row[name] for name in self._policy.request}
        return self._desk.decision({"policy": self._policy.name, "keys": keys, "request": request})


class DecisionsOfFile:
    """The lines of a file as decisions, over and over."""

    def __init__(self, desk: Desk, lines: Sequence[Mapping[str, Any]]) -> None:
        self._desk = desk
        self._lines = cycle(lines)

    def next(self) -> Request:
        """The next line."""
        return self._desk.decision(next(self._lines))


@dataclass(frozen=True)
class Posting:
    """How events are sent.

    Attributes:
        count: in each request.
        refresh: wait for the fresh scores.
        media: ``json``, ``ndjson`` or ``arrow``.
        late: the share of events that come late.
        late_by: by how much at most, microseconds.
    """

    count: int = 1
    refresh: bool = False
    media: str = "json"
    late: float = 0.0
    late_by: int = 86_400_000_000


class Events:
    """Events of a stream, without end: made up, or with the values of a file's; ids and times are new.

    Args:
        desk: writes them.
        stream: whose.
        posting: how they are sent.
        entities: how many there are of each key.
        clock: now: the time of an event is the moment at which it is sent.
        seed: of what is drawn.
        rows: events whose values are taken, over and over, in place of made-up ones.
    """

    def __init__(
        self,
        desk: Desk,
        stream: StreamShape,
        posting: Posting,
        entities: int,
        clock: Clock,
        seed: int,
        rows: pl.DataFrame | None = None,
    ) -> None:
        self._desk, self._stream, self._posting, self._clock = desk, stream, posting, clock
        fresh = {stream.time, stream.id}
        self._columns = [name for name in stream.columns if name not in fresh]
        columns = {name: stream.columns[name] for name in self._columns}
        self._random = np.random.default_rng(seed)
        self._drawer = Drawer(columns, stream.keys - fresh, entities, stream.words, self._random)
        self._number = _first_id(stream, clock())
        self._given = rows
        self._block = pl.DataFrame()
        self._place = 0
        self._singles: list[dict[str, Any]] = []

    def next(self) -> Request:
        """Another."""
        alone = self._posting.count == 1 and self._posting.media == "json"
        body = self._single() if alone else self._body(self._take(self._posting.count))
        return self._desk.events(self._stream.name, self._posting.media, body, refresh=self._posting.refresh)

    def _single(self) -> bytes:
        """One event, without a frame around it: a frame would cost more than the server's answer."""
        if not self._singles:
            self._singles = self._more(BLOCK).to_dicts()
        row, stream, at = self._singles.pop(), self._stream, self._clock()
        if self._posting.late and self._random.random() < self._posting.late:
            at -= int(self._random.integers(1, self._posting.late_by + 1))
        row[stream.time] = iso(at)[:10] if stream.columns[stream.time] == "Date" else iso(at)
        if stream.id is not None:
            row[stream.id] = self._number if "Int" in stream.columns[stream.id] else f"load-{self._number}"
            self._number += 1
        return msgspec.json.encode({"stream": stream.name, "events": [row]})

    def _take(self, count: int) -> pl.DataFrame:
        """The next rows, with ids and times."""
        if self._place + count > self._block.height:
            self._block, self._place = self._more(max(count, BLOCK)), 0
        rows = self._block[self._place : self._place + count]
        self._place += count
        new = [self._times(count)]
        if self._stream.id is not None:
            new.append(self._ids(self._stream.id, count))
        return rows.with_columns(new)

    def _more(self, count: int) -> pl.DataFrame:
        if self._given is None:
            return self._drawer.frame(count)
        places = self._random.integers(0, self._given.height, count)
        return self._given.select(pl.all().gather(places))

    def _times(self, count: int) -> pl.Series:
        at = np.full(count, self._clock(), np.int64)
        if self._posting.late:
            behind = self._random.integers(1, self._posting.late_by + 1, count)
            at -= np.where(self._random.random(count) < self._posting.late, behind, 0)
        times = pl.Series(self._stream.time, at).cast(pl.Datetime("us", "UTC"))
        if self._stream.columns[self._stream.time] == "Date":
            return times.dt.strftime("%Y-%m-%d")
        return times if self._posting.media == "arrow" else times.dt.strftime(_TIME)

    def _ids(self, name: str, count: int) -> pl.Series:
        numbers = range(self._number, self._number + count)
        self._number += count
        whole = "Int" in self._stream.columns[name]
        return pl.Series(name, numbers if whole else [f"load-{number}" for number in numbers])

    def _body(self, frame: pl.DataFrame) -> bytes:
        media = self._posting.media
        if media == "json":
            return msgspec.json.encode({"stream": self._stream.name, "events": frame.to_dicts()})
        into = BytesIO()
        if media == "ndjson":
            frame.write_ndjson(into)
        else:
            frame.write_ipc_stream(into)
        return into.getvalue()


class EventsOfFile:
    """The lines of a file as events, each once, as they are."""

    def __init__(self, desk: Desk, stream: str, lines: Sequence[bytes], posting: Posting) -> None:
        self._desk, self._stream, self._lines, self._posting = desk, stream, lines, posting
        self._place = 0

    def next(self) -> Request | None:
        """The next lines; None after the last."""
        part = self._lines[self._place : self._place + self._posting.count]
        self._place += len(part)
        if not part:
            return None
        body = b"\n".join(part)
        return self._desk.events(self._stream, "ndjson", body, refresh=self._posting.refresh)


class Mixed:
    """Two sources at random.

    Args:
        one, other: of which.
        share: of the first.
        seed: of the choice.
    """

    def __init__(self, one: Source, other: Source, share: float, seed: int) -> None:
        self._one, self._other, self._share = one, other, share
        self._random = random.Random(seed)

    def next(self) -> Request | None:
        """Of either."""
        return (self._one if self._random.random() < self._share else self._other).next()


def lines_of(path: Path) -> list[bytes]:
    """The lines of an NDJSON file, looked through.

    Raises:
        DataError: a line is no JSON object, or there is none.
    """
    lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            good = isinstance(msgspec.json.decode(line), dict)
        except msgspec.DecodeError:
            good = False
        if not good:
            raise DataError.of(
                "a line of the file is no JSON object",
                expected="one object a line",
                where=f"{path}, line {number}",
                do="correct the line",
            )
    if not lines:
        raise DataError.of("the file is empty", where=str(path), do="give a file with one object a line")
    return lines


def decisions_of(lines: Sequence[bytes], path: Path) -> list[dict[str, Any]]:
    """Lines as bodies of decisions.

    Raises:
        DataError: one does not say for which keys.
    """
    found = [msgspec.json.decode(line) for line in lines]
    for number, one in enumerate(found, 1):
        if not isinstance(one.get("keys"), dict):
            raise DataError.of(
                "a line of the file is no decision's request",
                expected='{"keys": {...}, "request": {...}}, with "policy" and "at" if need be',
                where=f"{path}, line {number}",
                do="correct the line",
            )
    return found


def _first_id(stream: StreamShape, now: int) -> int:
    """Ids go up from the present microsecond, so that no two loads share one.

    Raises:
        DataError: the column cannot hold such an id.
    """
    dtype = "String" if stream.id is None else stream.columns[stream.id]
    if dtype not in ("Int64", "UInt64", "String"):
        raise DataError.of(
            "new ids cannot be made for this stream",
            expected="Int64, UInt64 or String",
            got=dtype,
            where=f"{stream.name}.{stream.id}",
            do="give the events in a file: --file",
        )
    return now
