"""What an event log is, whoever keeps it: the embedded one here, Kafka as a second door.

Everything above (training, serving, the command line) is written against :class:`EventLog`; its promises
are checked by ``headwater.testing.log_contract``, against any implementation. Read ``embedded`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch, Int64
from headwater.core.errors import ConflictError, Problem
from headwater.core.handful import Values


class Outcome(IntEnum):
    """What became of one event of an append."""

    NEW = 0
    DUPLICATE = 1
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class Append:
    """Events of one stream to append: ``frame`` has the stream's columns and types.

    ``arrival`` is one instant for all, or one per event, ascending (int64, shape (n,)).
    """

    stream: str
    frame: pl.DataFrame
    arrival: int | Int64


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that was not taken in: its row in the appended frame, a reason code, and words."""

    row: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an append; it is on disk.

    Attributes:
        accepted: events that are new in the log.
        duplicates: events that the log held already, with the same content. Answered as accepted.
        refused: events whose id is held with other content.
        first: offset of the first new event, None if there is none.
        last: offset of the last new event. Events of other streams may lie between.
        offset: shape (n,): the place of each new event, -1 for every other.
        known: shape (n,): the place where the log holds each duplicate, -1 for every other.
        outcome: shape (n,), int8: an :class:`Outcome` each.
        refusals: why events were refused, ascending by row.
    """

    accepted: int
    duplicates: int
    refused: int
    first: int | None
    last: int | None
    offset: Int64
    known: Int64
    outcome: npt.NDArray[np.int8]
    refusals: tuple[Refusal, ...] = field(default=())

    def raise_if_refused(self) -> None:
        """For callers that take no event half-heartedly.

        Raises:
            ConflictError: an id came again with other content; names every such row.
        """
        ConflictError.raise_if(
            Problem(
                refusal.message,
                expected="the same content, or an id of its own",
                where=f"row {refusal.row}",
                do="send a correction as an event with its own id",
            )
            for refusal in self.refusals
        )


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was refused, kept until somebody has looked at it.

    Attributes:
        stream: the stream that it was sent to.
        arrival: when it came, microseconds UTC.
        reason: a short code, what is counted.
        message: what is wrong, in words; holds no personal values.
        event: the event as JSON, as far as it could be read.
        source: where it came from, such as a file and its line.
        id: its number in the table, 0 before it is stored.
    """

    stream: str
    arrival: int
    reason: str
    message: str
    event: str
    source: str | None = None
    id: int = 0


Letters = Callable[[Sequence[Receipt]], Sequence[DeadLetter]]


class DeadLetters(Protocol):
    """Refused events that nobody settled yet: in the log's own file, or in a database that servers share."""

    def dead_letters(
        self, *, stream: str | None = None, reason: str | None = None, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Refused events, the oldest first: at most ``limit`` of those behind the id ``after``."""
        ...

    def dead_letter_counts(self, stream: str | None = None) -> dict[str, int]:
        """How many dead letters there are, by reason, the most frequent first."""
        ...

    def remove_dead_letters(
        self, *, stream: str | None = None, reason: str | None = None, ids: Sequence[int] | None = None
    ) -> int:
        """Delete the dead letters that match all that is given; how many."""
        ...


class EventLog(Protocol):
    """A durable log of events of several streams in one order.

    * Offsets count from 0 over all streams, without gaps.
    * An append is on disk when it returns; one that raises left nothing behind.
    * Arrival never descends with the offset.
    * In a stream with an id column: the same id with the same content is a duplicate and changes nothing;
      with other content it is refused. This holds inside one append too.
    """

    def append(self, stream: str, frame: pl.DataFrame, *, arrival: int | Int64) -> Receipt:
        """Append events of one stream.

        Raises:
            DataError: the frame or the arrivals are not what the stream takes.
            LogError: the log cannot be written.
        """
        ...

    def append_many(
        self, appends: Sequence[Append], *, merge: bool = False, letters: Letters | None = None
    ) -> list[Receipt]:
        """Append several batches, all or none, with one wait for the disk; one receipt each.

        Args:
            appends: the batches.
            merge: give out offsets in the order of arrival over all batches (equal arrivals: in the order
                of the batches), not one batch after the other.
            letters: asked, once it is known what becomes of the events, for dead letters to store with them.

        Raises:
            DataError: a frame or its arrivals are not what the stream takes.
            LogError: the log cannot be written.
        """
        ...

    def append_few(self, stream: str, values: Values, *, arrival: int) -> Receipt | None:
        """Append a few events of one stream, if there is a short way for them: what :meth:`append` leaves.

        Args:
            stream: a declared stream.
            values: as :class:`~headwater.core.handful.Handful` has them; no null where the stream takes none.
            arrival: of all of them.

        Returns:
            None if they are to go the long way: nothing was appended then. Only new events are taken.

        Raises:
            LogError: the log cannot be written.
        """
        ...

    def scan(
        self,
        streams: Collection[str] | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
        since: int | None = None,
        until: int | None = None,
        by_stream: bool = False,
    ) -> Iterator[Batch]:
        """Events in the order of the log.

        Offsets ascend from batch to batch and no two batches overlap: where streams alternate, batches are
        as short as their turns. With ``by_stream`` one stream follows the other, in the order named (by name
        if none is), each in long batches; the caller merges by offset if it must.

        Args:
            streams: only these; None for all.
            start: from this offset.
            stop: before this offset; None for what the log holds now.
            since: only events with ``since <= event time``, microseconds.
            until: only events with ``event time < until``.
            by_stream: one stream after the other.
        """
        ...

    def end(self) -> int:
        """The offset that the next event will get: how many events the log holds."""
        ...

    def arrival(self) -> int:
        """The last arrival, or -2^63 in an empty log. A new event cannot have arrived before it."""
        ...
