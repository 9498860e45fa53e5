"""A group of offers as one append: through the door together, on disk together, answered one by one.

::

    offers of one stream ──► one frame ──► door ──► log         each row is in the log, was there before,
                                  └─ refused ─────► dead letters    or is a dead letter: in one transaction

A few new events of one stream, as most groups are, stay plain values instead of a frame (``core.handful``);
as soon as one of them raises a question, such as an id that was there before, the frame is made after all.
Called by ``commit``, in its thread. The door is ``core.schema``; ``rows`` has made values that came as JSON
exact before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import HeadwaterError
from headwater.core.handful import Handful
from headwater.core.instant import instant, iso
from headwater.core.schema import Checked, check_frame
from headwater.core.tracing import Trace
from headwater.log.protocol import Append, DeadLetter, EventLog, Outcome, Receipt
from headwater.serving.rescored import Refreshes
from headwater.serving.rows import Refused, RowReader, Rows

Int64 = npt.NDArray[np.int64]

CONFLICT = "conflict"
FEW = 128  # events up to which a group stays plain values


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the events of one offer; it is on disk.

    Attributes:
        arrival: when they were accepted, microseconds UTC.
        outcome: an :class:`~headwater.log.protocol.Outcome` each, int8, shape (n,).
        offset: the place of each new event, and where the log holds each duplicate; -1 for refused ones.
        refused: why events were refused, ascending by row.
        refreshes: the scores made fresh, one for each model and entity; None if nobody asked.
        failure: why a model could not score, if one could not.
    """

    arrival: int
    outcome: npt.NDArray[np.int8]
    offset: Int64
    refused: tuple[Refused, ...]
    refreshes: Refreshes | None = None
    failure: HeadwaterError | None = None

    def with_scores(self, refreshes: Refreshes, failure: HeadwaterError | None) -> Taken:
        """The same, with what it did to the scores."""
        return Taken(self.arrival, self.outcome, self.offset, self.refused, refreshes, failure)

    def count(self, outcome: Outcome) -> int:
        """How many events came out so."""
        outcomes: list[int] = self.outcome.tolist()
        return outcomes.count(outcome)


@dataclass(frozen=True)
class Offer:
    """Events of one stream that wait to be committed.

    Attributes:
        reader: of their stream.
        keys: columns in which null is refused.
        events: how many came.
        rows: as exact values; or
        frame: as a frame that the door has seen, with ``row`` the place of each.
        refused: what was refused on the way here.
        refresh: answer with fresh scores.
        source: where they come from, for dead letters.
        came: when they came: stopwatch, nanoseconds.
        trace: of the request that they came with, if it is traced.
    """

    reader: RowReader
    keys: Collection[str]
    events: int
    rows: Rows | None = None
    frame: pl.DataFrame | None = None
    row: Sequence[int] = ()
    refused: tuple[Refused, ...] = ()
    refresh: bool = False
    source: str | None = None
    came: int = 0
    trace: Trace | None = None
    future: Future[Taken] = field(default_factory=Future)

    @property
    def places(self) -> Sequence[int]:
        """The place in the request of each event that gets to the door."""
        return self.row if self.rows is None else self.rows.row

    @property
    def all_refused(self) -> tuple[Refused, ...]:
        """What was refused before the door."""
        return self.refused if self.rows is None else (*self.refused, *self.rows.refused)

    def answer(self, taken: Taken) -> None:
        """Say what became of them."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(taken)

    def fail(self, error: BaseException) -> None:
        """Say that nothing was taken."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


@dataclass(frozen=True)
class Committed:
    """A group on disk.

    Attributes:
        arrival: of all its events.
        batches: the new events, one batch for each stream, ascending by offset.
        offers, taken: what was offered, and what became of it.
        events: for each offer its batch, or -1, and its events in it.
        duplicates, refused: how many events were no news, or were not taken.
        last: the last offset of the log.
    """

    arrival: int
    batches: tuple[Batch | Handful, ...]
    offers: tuple[Offer, ...]
    taken: tuple[Taken, ...]
    events: tuple[tuple[int, slice], ...]
    duplicates: int
    refused: int
    last: int

    @property
    def is_small(self) -> bool:
        """Whether all of it is a handful."""
        return all(isinstance(batch, Handful) for batch in self.batches)


@dataclass
class _Part:
    """The offers of one stream, as one frame of n rows."""

    offers: list[Offer]
    checked: Checked
    receipt: Receipt | None = None
    outcome: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    offset: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    refused: dict[int, Refused] = field(default_factory=dict)


def commit(
    log: EventLog,
    offers: Sequence[Offer],
    now: int,
    bounds: tuple[int | None, int | None],
    takes: Callable[[str], bool],
) -> Committed:
    """Append everything that is offered, with one wait for the disk.

    Args:
        log: open for writing.
        offers: of any streams.
        now: microseconds UTC. If the clock stepped back, the log's last arrival is used.
        bounds: how old and how far in the future events may be, microseconds.
        takes: whether a handful of a stream's events may stay plain values.

    Raises:
        LogError: the log cannot be written. Nothing was appended.
    """
    arrival = max(now, log.arrival())
    lateness, ahead = bounds
    oldest = None if lateness is None else arrival - lateness
    newest = None if ahead is None else arrival + ahead
    if (stream := _few(offers)) is not None and takes(stream):
        committed = _commit_few(log, offers, arrival, oldest, newest)
        if committed is not None:
            return committed
    parts = [_part(same, oldest, newest) for same in _by_stream(offers)]
    appends = [Append(_stream(part).name, part.checked.accepted, arrival) for part in parts]

    def letters(receipts: Sequence[Receipt]) -> list[DeadLetter]:
        for part, receipt in zip(parts, receipts, strict=True):
            _settle(part, receipt)
        return [letter for part in parts for letter in _letters(part, arrival)]

    log.append_many(appends, letters=letters)
    return _committed(parts, arrival, log.end() - 1)


def _few(offers: Sequence[Offer]) -> str | None:
    """The only stream of a few offers with a few events in which nothing was refused; else None."""
    stream = offers[0].reader.stream.name
    events = 0
    for offer in offers:
        events += offer.events
        rows = offer.rows
        if rows is None or rows.refused or offer.refused or offer.reader.stream.name != stream:
            return None
    return stream if 0 < events <= FEW else None


def _commit_few(
    log: EventLog, offers: Sequence[Offer], arrival: int, oldest: int | None, newest: int | None
) -> Committed | None:
    """A handful of new events of one stream, without a frame; None if one of them raises a question."""
    reader = offers[0].reader
    stream = reader.stream.name
    parts = [offer.rows.columns for offer in offers if offer.rows is not None]
    values = {name: [value for part in parts for value in part[name]] for name in reader.stream.schema}
    time = reader.few(values, offers[0].keys, oldest, newest)
    receipt = None if time is None else log.append_few(stream, values, arrival=arrival)
    if receipt is None:
        return None
    taken: list[Taken] = []
    events: list[tuple[int, slice]] = []
    start = 0
    for offer in offers:
        rows = slice(start, start + offer.events)
        taken.append(Taken(arrival, receipt.outcome[rows], receipt.offset[rows], ()))
        events.append((0 if offer.events else -1, rows))
        start = rows.stop
    batch = Handful(stream, receipt.offset, np.array(time, dtype=np.int64), values)
    last = int(receipt.offset[-1])
    return Committed(arrival, (batch,), tuple(offers), tuple(taken), tuple(events), 0, 0, last)


def _by_stream(offers: Sequence[Offer]) -> list[list[Offer]]:
    streams: dict[str, list[Offer]] = {}
    for offer in offers:
        streams.setdefault(offer.reader.stream.name, []).append(offer)
    return list(streams.values())


def _stream(part: _Part) -> Any:
    return part.offers[0].reader.stream


def _part(offers: list[Offer], oldest: int | None, newest: int | None) -> _Part:
    reader, stream = offers[0].reader, offers[0].reader.stream
    frame = _frame(reader, offers)
    checked = reader.door(frame, offers[0].keys, oldest, newest)
    if checked is not None:
        return _Part(offers, checked)
    checked = check_frame(
        frame,
        stream.schema,
        time=stream.time,
        id=stream.id,
        keys=offers[0].keys,
        personal=stream.personal,
        oldest=oldest,
        newest=newest,
        name=stream.name,
    )
    return _Part(offers, checked)


def _frame(reader: RowReader, offers: Sequence[Offer]) -> pl.DataFrame:
    """All events of the offers in their order; neighbours that came as values become one frame."""
    frames: list[pl.DataFrame] = []
    columns: dict[str, list[Any]] = {}
    for offer in offers:
        if offer.rows is not None:
            for name, values in offer.rows.columns.items():
                columns.setdefault(name, []).extend(values)
        elif offer.frame is not None:
            if columns:
                frames.append(reader.frame(columns))
                columns = {}
            frames.append(offer.frame)
    if columns:
        frames.append(reader.frame(columns))
    return frames[0] if len(frames) == 1 else pl.concat(frames)


def _settle(part: _Part, receipt: Receipt) -> None:
    """Note for each row of the frame what became of it."""
    checked = part.checked
    n = len(checked.row) + checked.rejected.height
    part.receipt = receipt
    part.outcome = np.full(n, Outcome.REFUSED, dtype=np.int8)
    part.outcome[checked.row] = receipt.outcome
    part.offset = np.full(n, -1, dtype=np.int64)
    part.offset[checked.row] = np.maximum(receipt.offset, receipt.known)
    part.refused = {
        row: Refused(row, reason, message, event)
        for row, reason, message, event in checked.rejected.iter_rows()
    }
    for refusal in receipt.refusals:
        row = int(checked.row[refusal.row])
        event = _event_text(checked.accepted.row(refusal.row, named=True))
        part.refused[row] = Refused(row, refusal.reason, refusal.message, event)


def _letters(part: _Part, arrival: int) -> list[DeadLetter]:
    stream = _stream(part).name
    letters = []
    start = 0
    for offer in part.offers:
        places = offer.places
        found = [*offer.all_refused]
        for row in range(start, start + len(places)) if part.refused else ():
            if row in part.refused:
                one = part.refused[row]
                found.append(Refused(places[row - start], one.reason, one.message, one.event))
        letters += [
            DeadLetter(
                stream,
                arrival,
                one.reason,
                one.message,
                one.event,
                None if offer.source is None else f"{offer.source}[{one.row}]",
            )
            for one in found
        ]
        start += len(places)
    return letters


def _committed(parts: Sequence[_Part], arrival: int, last: int) -> Committed:
    batches: list[Batch | Handful] = []
    offers: list[Offer] = []
    taken: list[Taken] = []
    events: list[tuple[int, slice]] = []
    for part in parts:
        new = np.flatnonzero(part.outcome == Outcome.NEW)
        batch = len(batches) if len(new) else -1
        if len(new):
            batches.append(_batch(part, arrival))
        start = 0
        for offer in part.offers:
            stop = start + len(offer.places)
            offers.append(offer)
            taken.append(_taken(part, offer, start, stop, arrival))
            found = slice(*np.searchsorted(new, [start, stop]).tolist())
            events.append((batch if found.stop > found.start else -1, found))
            start = stop
    return Committed(
        arrival,
        tuple(batches),
        tuple(offers),
        tuple(taken),
        tuple(events),
        sum(one.count(Outcome.DUPLICATE) for one in taken),
        sum(one.count(Outcome.REFUSED) for one in taken),
        last,
    )


def _batch(part: _Part, arrival: int) -> Batch:
    checked, receipt = part.checked, part.receipt  # kernels take times that are nobody else's
    assert receipt is not None  # noqa: S101 - settled by the append
    new = receipt.offset >= 0
    whole = bool(new.all())
    return Batch(
        _stream(part).name,
        receipt.offset[new],
        np.full(int(new.sum()), arrival, dtype=np.int64),
        np.require(checked.time, np.int64, ["C", "W"]) if whole else checked.time[new],
        checked.accepted if whole else checked.accepted.filter(pl.Series(new)),
    )


def _taken(part: _Part, offer: Offer, start: int, stop: int, arrival: int) -> Taken:
    """What became of the rows ``start`` to ``stop`` of the frame, in the places that they came from."""
    places = offer.places
    before = offer.all_refused
    if not before and stop - start == offer.events and not part.refused:
        return Taken(arrival, part.outcome[start:stop], part.offset[start:stop], ())
    outcome = np.full(offer.events, Outcome.REFUSED, dtype=np.int8)
    offset = np.full(offer.events, -1, dtype=np.int64)
    at = np.asarray(places, dtype=np.int64)
    outcome[at] = part.outcome[start:stop]
    offset[at] = part.offset[start:stop]
    later = [
        Refused(places[row - start], one.reason, one.message, one.event)
        for row, one in part.refused.items()
        if start <= row < stop
    ]
    return Taken(arrival, outcome, offset, tuple(sorted((*before, *later), key=lambda one: one.row)))


def _event_text(event: Mapping[str, Any]) -> str:
    return json.dumps(event, default=_plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return iso(instant(value))
    return value.isoformat() if isinstance(value, date) else str(value)
