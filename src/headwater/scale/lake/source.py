"""What a source of rows is, and the first: the events of a stream, from the log.

A source counts its rows' places: of events their offset in the log, of decisions their number. Called by
``export``; read ``decided`` for the other one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from headwater.core.batch import Batch
from headwater.definitions.stream import Stream
from headwater.log.protocol import EventLog
from headwater.scale.lake.private import Private
from headwater.scale.lake.table import TYPES, Column, Table, Unit, nameable, type_of

ROWS = 262_144  # at a time
_CLOCK = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows to be written together.

    Attributes:
        reached: the place behind the last that was looked at; no row of the table before it is missing.
        frame: the table's columns.
        dates: the date of each row's partition, shape (n,).
    """

    reached: int
    frame: pl.DataFrame
    dates: pl.Series


class Source(Protocol):
    """Where a table's rows come from: the same rows for the same places, always."""

    @property
    def table(self) -> Table:
        """What the table holds."""
        ...

    def end(self) -> int:
        """The place behind the last row that there is now."""
        ...

    def mark(self, place: int) -> str:
        """What stands before a place: so is a lake told from that of another log."""
        ...

    def chunks(self, start: int, stop: int) -> Iterator[Chunk]:
        """The rows of some places, ascending; the last chunk has reached ``stop``."""
        ...


class Events:
    """The events of a stream.

    Args:
        log: whose.
        stream: as it is declared.
        private: what becomes of personal columns.
        unit: of the partitions.

    Raises:
        DataError: a column has a name that a lake cannot have.
    """

    def __init__(self, log: EventLog, stream: Stream, private: Private, unit: Unit = "day") -> None:
        self._log = log
        self._stream = stream
        self._private = private
        self._personal = frozenset(stream.personal)
        self.table = nameable(events_table(stream, private, unit))

    def end(self) -> int:
        """The offset behind the last event of the log, of whatever stream."""
        return self._log.end()

    def mark(self, place: int) -> str:
        """Stream and arrival of the event before."""
        if place == 0:
            return ""
        return next(f"{one.stream}@{one.arrival[0]}" for one in self._log.scan(start=place - 1, stop=place))

    def chunks(self, start: int, stop: int) -> Iterator[Chunk]:
        """The stream's events of some offsets."""
        held: list[Batch] = []
        for batch in self._log.scan([self._stream.name], start=start, stop=stop, by_stream=True):
            held.append(batch)
            if sum(map(len, held)) >= ROWS:
                yield self._chunk(held, int(batch.offset[-1]) + 1)
                held = []
        yield self._chunk(held, stop)

    def _chunk(self, batches: list[Batch], reached: int) -> Chunk:
        parts = [self._frame(batch) for batch in batches]
        frame = pl.concat(parts) if parts else self.table.schema.to_frame()
        times = [pl.Series(one.time, dtype=pl.Int64).cast(_CLOCK).cast(pl.Date) for one in batches]
        dates = pl.concat(times) if times else pl.Series(dtype=pl.Date)
        return Chunk(reached, frame, dates)

    def _frame(self, batch: Batch) -> pl.DataFrame:
        own = {column.name: plain(column) for column in batch.frame}
        log = {
            "offset": pl.Series(batch.offset, dtype=pl.Int64),
            "arrived_at": pl.Series(batch.arrival, dtype=pl.Int64).cast(_CLOCK),
        }
        return self.table.fit(pl.DataFrame(log | self._private.of(own, self._personal)))


def events_table(stream: Stream, private: Private, unit: Unit) -> Table:
    """The table of a stream, as it follows from its definition."""
    found = {
        name: private.column(name, dtype, _meaning(stream, name), personal=name in stream.personal)
        for name, dtype in stream.schema.items()
    }
    log = (
        Column("offset", "int64", "The event's place in the log; unique."),
        Column("arrived_at", "timestamp", "When the log accepted it, UTC."),
    )
    return Table(
        f"events/{stream.name}",
        f"The events of the stream {stream.name}, one row each, by the date of the event.",
        (*log, *(one for one in found.values() if one is not None)),
        f"event_{'date' if unit == 'day' else 'month'}",
        "offset",
        unit,
        tuple(name for name, one in found.items() if one is None),
    )


def plain(values: pl.Series) -> pl.Series:
    """Values in the lake's type: every bit of them, in a type that every reader has."""
    dtype = values.dtype
    if isinstance(dtype, pl.Datetime):
        physical = values.cast(pl.Int64)
        if dtype.time_unit == "ns":
            return physical
        return (physical * 1_000 if dtype.time_unit == "ms" else physical).cast(_CLOCK)
    if isinstance(dtype, pl.Enum | pl.Categorical):
        return values.cast(pl.String)
    if dtype.is_unsigned_integer():
        return values.cast(TYPES[type_of(dtype)])
    return values


def _meaning(stream: Stream, name: str) -> str:
    dtype = stream.schema[name]
    words = [f"`{name}` of the event"]
    if name == stream.id:
        words.append("its id")
    if name == stream.time:
        words.append("when it happened")
    if isinstance(dtype, pl.Datetime):
        words.append("nanoseconds since 1970 UTC" if dtype.time_unit == "ns" else "UTC")
    if isinstance(dtype, pl.Enum):
        words.append("one of " + ", ".join(dtype.categories.head(8)) + ", …" * (len(dtype.categories) > 8))
    return ", ".join(words) + "."
