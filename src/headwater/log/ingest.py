"""From the outside into the log: through the door, duplicates and late events sorted out, refusals kept.

Everything of one call lands in one transaction: each row is in the log, or was there before, or is a dead
letter with its reason. Called by the live edge (``ingest``) and by imports (``import_history``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from headwater.core.batch import Int64
from headwater.core.errors import DataError
from headwater.core.instant import instant, iso
from headwater.core.schema import REJECTED, Checked, check_frame
from headwater.definitions.stream import Stream
from headwater.log.protocol import Append, DeadLetter, EventLog, Receipt


@dataclass(frozen=True, slots=True)
class Incoming:
    """Events of one stream as they came.

    Attributes:
        stream: whose they are.
        frame: a Polars, pandas or Arrow frame.
        keys: columns that are entity keys of some view; null is refused there.
        source: where they come from, for the dead letters.
        arrival: history only: when each event arrived, int64 microseconds, shape (n,), where that is known.
        rows: the place of each row in its source, int64, shape (n,), where the frame is a part of it.
    """

    stream: Stream
    frame: Any
    keys: Collection[str] = ()
    source: str | None = None
    arrival: Int64 | None = None
    rows: Int64 | None = None


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of the rows of one frame; it is on disk.

    Attributes:
        stream: the stream's name.
        received: rows that came.
        accepted: new events.
        duplicates: events that were in the log already.
        refused: how many dead letters, by reason.
        rejected: ``row`` in the frame, ``reason``, ``message``, ``event`` of each dead letter.
        receipt: the log's answer for the rows ``row``, in that order.
        row: int64: the row in the frame of each event that reached the log.
    """

    stream: str
    received: int
    accepted: int
    duplicates: int
    refused: Mapping[str, int]
    rejected: pl.DataFrame
    receipt: Receipt
    row: Int64


@dataclass(frozen=True, slots=True)
class _Checked:
    """Rows behind the door, in the order in which they are appended."""

    incoming: Incoming
    received: int
    row: Int64
    append: Append
    rejected: pl.DataFrame


def ingest(
    log: EventLog,
    stream: Stream,
    frame: Any,
    *,
    arrival: int,
    lateness: int | None = None,
    ahead: int | None = None,
    keys: Collection[str] = (),
    parse: bool = False,
    extra: bool = False,
    source: str | None = None,
) -> Ingested:
    """Check and append events that arrive now.

    Args:
        log: a log that is open for writing.
        stream: whose events they are.
        frame: a Polars, pandas or Arrow frame.
        arrival: the present instant. A clock that stepped back does not stop the log: the log's last
            arrival is used then.
        lateness: events older than this, in microseconds before arrival, are refused; None for no bound.
        ahead: events that claim to happen later than this after arrival are refused; None for no bound.
        keys: columns in which null is refused.
        parse: read texts as numbers, Booleans and dates, as for a CSV file.
        extra: drop columns that are not declared, instead of refusing the frame.
        source: where the events come from, for the dead letters.

    Raises:
        DataError: the columns of the frame are not the stream's. Nothing was appended.
        LogError: the log cannot be written. Nothing was appended.
    """
    came = Incoming(stream, frame, keys, source)
    return ingest_many(
        log, [came], arrival=arrival, lateness=lateness, ahead=ahead, parse=parse, extra=extra
    )[0]


def ingest_many(
    log: EventLog,
    incoming: Sequence[Incoming],
    *,
    arrival: int,
    lateness: int | None = None,
    ahead: int | None = None,
    parse: bool = False,
    extra: bool = False,
) -> list[Ingested]:
    """Check and append several frames with one wait for the disk, in this order: group commit.

    Arguments and errors are those of :func:`ingest`.
    """
    now = max(arrival, log.arrival())
    oldest = None if lateness is None else now - lateness
    newest = None if ahead is None else now + ahead
    checked = []
    for came in incoming:
        found = _door(came, oldest, newest, parse=parse, extra=extra)
        append = Append(came.stream.name, found.accepted, now)
        checked.append(
            _Checked(came, len(found.row) + found.rejected.height, found.row, append, found.rejected)
        )
    return _append(log, checked, now, merge=False)


def import_history(
    log: EventLog, incoming: Sequence[Incoming], *, parse: bool = False, extra: bool = False
) -> list[Ingested]:
    """Append history in bulk: all streams merged by arrival, which is event time where none is given.

    Within a stream, events are sorted by arrival; equal ones keep the order of the rows. What the log holds
    already stays before: an event whose time lies before the log's last arrival arrives *at* that last
    arrival, since nobody who read the log up to there had seen it. So import all streams of a project in one
    call, or the later ones will look late.

    All or nothing; importing the same again changes nothing in streams that have ids.

    Raises:
        DataError: the columns of a frame are not its stream's. Nothing was appended.
        LogError: the log cannot be written. Nothing was appended.
    """
    last = log.arrival()
    checked = []
    for came in incoming:
        found = _door(came, None, None, parse=parse, extra=extra)
        received = len(found.row) + found.rejected.height
        arrival = found.time if came.arrival is None else _given(came, received)[found.row]
        order = np.argsort(arrival, kind="stable")
        frame = found.accepted if (order[1:] > order[:-1]).all() else found.accepted[order]
        append = Append(came.stream.name, frame, np.maximum(arrival[order], last))
        checked.append(_Checked(came, received, found.row[order], append, found.rejected))
    latest = max((int(one.append.arrival[-1]) for one in checked if one.append.frame.height), default=last)  # type: ignore[index]
    return _append(log, checked, latest, merge=True)


def _door(came: Incoming, oldest: int | None, newest: int | None, *, parse: bool, extra: bool) -> Checked:
    stream = came.stream
    return check_frame(
        came.frame,
        stream.schema,
        time=stream.time,
        id=stream.id,
        keys=came.keys,
        personal=stream.personal,
        oldest=oldest,
        newest=newest,
        parse=parse,
        extra=extra,
        name=came.source or stream.name,
    )


def _given(came: Incoming, received: int) -> Int64:
    arrival = np.asarray(came.arrival)
    if arrival.shape != (received,) or arrival.dtype != np.int64:
        raise DataError.of(
            "there is not one arrival per event",
            expected=f"an int64 array of shape ({received},)",
            got=f"{arrival.dtype} of shape {arrival.shape}",
            where=came.source or came.stream.name,
            do="give one arrival per row, in microseconds UTC",
        )
    return arrival


def _append(log: EventLog, checked: Sequence[_Checked], arrival: int, *, merge: bool) -> list[Ingested]:
    results: list[Ingested] = []

    def letters(receipts: Sequence[Receipt]) -> list[DeadLetter]:
        results[:] = [_result(one, receipt) for one, receipt in zip(checked, receipts, strict=True)]
        return [
            DeadLetter(one.incoming.stream.name, arrival, reason, message, event, _source(one, row))
            for one, result in zip(checked, results, strict=True)
            for row, reason, message, event in result.rejected.iter_rows()
        ]

    log.append_many([one.append for one in checked], merge=merge, letters=letters)
    return results


def _result(one: _Checked, receipt: Receipt) -> Ingested:
    rejected = one.rejected
    if receipt.refusals:
        rejected = pl.concat([rejected, _conflicts(one, receipt)]).sort("row", maintain_order=True)
    place = {place: int(row) for place, row in enumerate(one.row)} if receipt.refusals else {}
    refusals = tuple(replace(refusal, row=place[refusal.row]) for refusal in receipt.refusals)
    return Ingested(
        stream=one.incoming.stream.name,
        received=one.received,
        accepted=receipt.accepted,
        duplicates=receipt.duplicates,
        refused=dict(sorted(Counter(rejected["reason"].to_list()).items())),
        rejected=rejected,
        receipt=replace(receipt, refusals=refusals),
        row=one.row,
    )


def _conflicts(one: _Checked, receipt: Receipt) -> pl.DataFrame:
    places = [refusal.row for refusal in receipt.refusals]
    events = [
        json.dumps(
            event,
            default=_text,
            ensure_ascii=False,
            separators=(",", ":"),
        )
        for event in one.append.frame[places].iter_rows(named=True)
    ]
    return pl.DataFrame(
        {
            "row": one.row[places],
            "reason": [refusal.reason for refusal in receipt.refusals],
            "message": [refusal.message for refusal in receipt.refusals],
            "event": events,
        },
        schema=REJECTED,
    )


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return iso(instant(value))
    return value.isoformat() if isinstance(value, date) else str(value)


def _source(one: _Checked, row: int) -> str | None:
    came = one.incoming
    place = row if came.rows is None else int(came.rows[row])
    return None if came.source is None else f"{came.source}[{place}]"
