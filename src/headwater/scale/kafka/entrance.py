"""The door of one stream in one partition: records in, events as a frame of the stream's types out.

::

    records ──► all JSON, nothing odd: columns at once ──────────────┬──► frame, times
          └──► else one by one: payload ──► exact values ──► door ──┘
                 few, nothing to refuse ──┐  └── dead letter ──┴────────┘
                                          └──► plain values, times

All ways give the same bits. Called by ``partition``; read ``payloads.reading`` next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from headwater.core.handful import Values
from headwater.core.schema import check_frame
from headwater.definitions.stream import Stream
from headwater.scale.kafka.ids import Flags, Int64
from headwater.scale.kafka.payloads.reading import Reading, Record
from headwater.scale.kafka.payloads.registry import Registry
from headwater.serving.rows import RowReader

MOST_TEXT = 65_536  # characters of a refused event that are kept

Entered = tuple[Sequence[Record], Int64, pl.DataFrame]  # records, their event times, their events


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that was not taken in: where it lies, a reason code, words without personal values, itself."""

    stream: str
    offset: int
    arrival: int
    reason: str
    message: str
    event: str


class Entrance:
    """Reads and judges the records of one stream.

    Args:
        stream: whose events they hold.
        key: the column by which the topic is keyed.
        registry: where schemas are registered, if there is one.
    """

    def __init__(self, stream: Stream, key: str, registry: Registry | None = None) -> None:
        self.stream = stream
        self._key = key
        self._reading = Reading(stream, registry)
        self._reader = RowReader(stream)

    def enter(self, records: Sequence[Record], letters: list[Letter]) -> Entered | None:
        """The records that hold events, with these; None if no record does.

        Args:
            records: in order.
            letters: where those that hold none are told.

        Raises:
            LogError: the schema registry does not answer.
        """
        frame = self._reading.columns(records)
        if frame is not None:
            checked = self._reader.door(frame, [self._key], None, None)
            if checked is not None:
                return records, checked.time, checked.accepted
        return self._one_by_one(records, letters)

    def few(self, records: Sequence[Record]) -> tuple[Int64, Values] | None:
        """The times and plain values of a few records; None if one of them raises a question.

        To make a frame, and to ask it anything, takes as long for one event as for a thousand.

        Raises:
            LogError: the schema registry does not answer.
        """
        events, unread = self._reading.events(records)
        rows = self._reader.read(events)
        if unread or rows.refused:
            return None
        time = self._reader.few(rows.columns, [self._key], None, None)
        return None if time is None else (np.array(time, dtype=np.int64), rows.columns)

    def letters(self, records: Sequence[Record], which: Flags, reason: str, message: str) -> list[Letter]:
        """Letters for events that came through the door."""
        return [
            self._letter(records[row], reason, message, self._text(records[row]))
            for row in np.flatnonzero(which).tolist()
        ]

    def _one_by_one(self, records: Sequence[Record], letters: list[Letter]) -> Entered | None:
        events, unread = self._reading.events(records)
        for one in unread:
            text = json.dumps(records[one.place].value[:MOST_TEXT].decode(errors="replace"))
            letters.append(self._letter(records[one.place], one.reason, one.message, text))
        bad = {one.place for one in unread}
        if bad:
            records = [record for place, record in enumerate(records) if place not in bad]
        rows = self._reader.read(events)
        letters += [
            self._letter(records[one.row], one.reason, one.message, one.event) for one in rows.refused
        ]
        if rows.refused:
            records = [records[row] for row in rows.row]
        checked = self._door(self._reader.frame(rows.columns))
        for row, reason, message, event in checked.rejected.iter_rows():
            letters.append(self._letter(records[row], reason, message, event))
        if checked.rejected.height:
            records = [records[row] for row in checked.row.tolist()]
        return (records, checked.time, checked.accepted) if records else None

    def _door(self, frame: pl.DataFrame) -> Any:
        """What the door says; the short way where there is nothing to refuse."""
        stream = self.stream
        found = self._reader.door(frame, [self._key], None, None)
        if found is not None:
            return found
        return check_frame(
            frame,
            stream.schema,
            time=stream.time,
            id=stream.id,
            keys=[self._key],
            personal=stream.personal,
            name=stream.name,
        )

    def _letter(self, record: Record, reason: str, message: str, event: str) -> Letter:
        return Letter(self.stream.name, record.offset, record.arrival, reason, message, event[:MOST_TEXT])

    def _text(self, record: Record) -> str:
        """An event whose values are exact, as JSON; times as microseconds, dates as days."""
        return _text(self._reader.read([self._reading.event(record)]).columns)


def _text(columns: Mapping[str, list[Any]]) -> str:
    return json.dumps({name: values[0] for name, values in columns.items()}, ensure_ascii=False)
