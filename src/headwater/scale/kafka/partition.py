"""One partition's state: its share of every view's keys, the ids it has seen, and how far it has read.

::

    records of one topic ──► JSON ──► exact values ──► door ──► ids ──► engine ──► fresh scores
                               └── dead letter ──┴───────┴────────┘

A pure function of the partition's records: whoever owns it, from whatever snapshot, the same records give the
same bits. An offset of the engine is the record's offset in its topic; a view reads one stream, so that its
order is Kafka's own. Called by ``host``; no library of Kafka is seen here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import msgspec
import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import HeadwaterError
from headwater.core.schema import check_frame
from headwater.definitions.project import Project
from headwater.definitions.stream import Stream
from headwater.engine.run import Engine
from headwater.scale.kafka.ids import Ids, Int64, digest, key_of
from headwater.serving.fresh import Fresh
from headwater.serving.rescored import Rescored, Timings
from headwater.serving.rows import RowReader
from headwater.serving.scoring import Scoring
from headwater.serving.vectors import Vectors

NOT_JSON = "not-json"
LATE = "too-late"  # as the door calls it
CONFLICT = "conflict"
FAILED = "model-failed"
MOST_TEXT = 65_536  # characters of a refused event that are kept

_NONE = Timings(0, 0)


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic: its offset, when the broker took it in (microseconds UTC), its bytes."""

    offset: int
    arrival: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that was not taken in: where it lies, a reason code, words without personal values, itself."""

    stream: str
    offset: int
    arrival: int
    reason: str
    message: str
    event: str


@dataclass(slots=True)
class Effect:
    """What some records did.

    Attributes:
        events: new events.
        duplicates: events that were known.
        letters: what was refused.
        rescored: fresh scores.
    """

    events: int = 0
    duplicates: int = 0
    letters: list[Letter] = field(default_factory=list)
    rescored: list[Rescored] = field(default_factory=list)


class Partition:
    """The state of one partition.

    Args:
        project: the definitions.
        scorings: model to its version.
        engine: its state; new if there is none.
        ids: stream to the ids that it has seen.
        positions: stream to the offset of the next record.
    """

    def __init__(
        self,
        project: Project,
        scorings: Mapping[str, Scoring],
        engine: Engine | None = None,
        ids: Mapping[str, Ids] | None = None,
        positions: Mapping[str, int] | None = None,
    ) -> None:
        self.engine = Engine(project.views, shards=1) if engine is None else engine
        self.vectors = Vectors(self.engine)
        self._fresh = Fresh(self.vectors, list(scorings.values()))
        self._lateness = project.lateness
        streams = {view.stream.name: view.stream for view in project.views}
        self._keys = {view.stream.name: view.key for view in project.views}
        self._readers = {name: RowReader(stream) for name, stream in streams.items()}
        known = ids or {}
        self.ids = {name: known.get(name, Ids()) for name, stream in streams.items() if stream.id is not None}
        self.positions = dict.fromkeys(streams, 0) | dict(positions or {})

    def take(self, stream: str, records: Sequence[Record], *, quiet: bool = False) -> Effect:
        """Take in records of one stream, in order, behind all those taken in before.

        Records that were taken in already change nothing.

        Args:
            stream: whose topic they are of.
            records: of this partition.
            quiet: what they did was told before: make no scores of them.
        """
        effect = Effect()
        start = self.positions[stream]
        new = [record for record in records if record.offset >= start]
        if not new:
            return effect
        batch = self._batch(stream, new, effect)
        if batch is not None:
            effect.events = len(batch)
            applied = self._fresh.apply(batch)
            if not quiet:
                for touched in applied.touched:
                    self._score(touched, batch, effect)
        self.positions[stream] = new[-1].offset + 1
        return effect

    def _score(self, touched: Any, batch: Batch, effect: Effect) -> None:
        try:
            effect.rescored.append(self._fresh.score(touched, int(batch.arrival[-1]), _NONE))
        except Exception as error:  # noqa: BLE001 - an estimator is the user's code; state and events are right
            what = error.problems[0].what if isinstance(error, HeadwaterError) else type(error).__name__
            model = touched.scoring.model.name
            message = f"the model {model} failed to score {len(batch)} events: {what}"
            place = int(batch.offset[-1]), int(batch.arrival[-1])
            effect.letters.append(Letter(batch.stream, *place, FAILED, message, "null"))

    def _batch(self, stream: str, records: Sequence[Record], effect: Effect) -> Batch | None:
        """The new events among some records."""
        reader = self._readers[stream]
        letters = effect.letters
        events, told = _parsed(stream, records)
        letters += told
        if told:
            bad = {letter.offset for letter in told}
            records = [record for record in records if record.offset not in bad]
        rows = reader.read(events)
        letters += [
            _letter(stream, records[one.row], one.reason, one.message, one.event) for one in rows.refused
        ]
        if rows.refused:
            records = [records[row] for row in rows.row]
        columns = rows.columns
        checked = _door(reader, reader.frame(columns), self._keys[stream])
        for row, reason, message, event in checked.rejected.iter_rows():
            letters.append(_letter(stream, records[row], reason, message, event))
        keep = np.zeros(len(records), dtype=np.bool_)
        keep[checked.row] = True
        time = np.zeros(len(records), dtype=np.int64)
        time[checked.row] = checked.time
        self._not_too_old(reader.stream, columns, records, time, keep, letters)
        if reader.stream.id is not None:
            self._once(reader.stream, columns, records, keep, effect)
        if not keep.any():
            return None
        kept = records if keep.all() else list(compress(records, keep))
        places = np.array([record.offset for record in kept], dtype=np.int64)
        arrival = np.array([record.arrival for record in kept], dtype=np.int64)
        frame = checked.accepted
        taken = keep[checked.row]
        if not taken.all():
            frame = frame.filter(pl.Series(taken))
        return Batch(stream, places, arrival, time[keep], frame)

    def _not_too_old(
        self,
        stream: Stream,
        columns: Mapping[str, list[Any]],
        records: Sequence[Record],
        time: Int64,
        keep: Any,
        letters: list[Letter],
    ) -> None:
        """Refuse what happened longer before its arrival than the project's bound."""
        if self._lateness is None:
            return
        arrival = np.array([record.arrival for record in records], dtype=np.int64)
        for row in np.flatnonzero(keep & (time < arrival - self._lateness)).tolist():
            keep[row] = False
            message = f"{stream.time} is older than the project's lateness before its arrival"
            letters.append(_letter(stream.name, records[row], LATE, message, _text(columns, row)))

    def _once(
        self,
        stream: Stream,
        columns: Mapping[str, list[Any]],
        records: Sequence[Record],
        keep: Any,
        effect: Effect,
    ) -> None:
        """Leave out events whose id is known; refuse those that come with other content."""
        seen = self.ids[stream.name]
        rows = np.flatnonzero(keep).tolist()
        named = columns[str(stream.id)]
        values = list(zip(*columns.values(), strict=True))
        for row in rows:
            key, content = key_of(named[row]), digest(values[row])
            known = seen.find(key)
            if known is None:
                seen.add(key, content)
                continue
            keep[row] = False
            if known == content:
                effect.duplicates += 1
                continue
            message = f"{stream.id} was taken in before with other content"
            effect.letters.append(_letter(stream.name, records[row], CONFLICT, message, _text(columns, row)))


def _parsed(stream: str, records: Sequence[Record]) -> tuple[list[Any], list[Letter]]:
    """What the records hold, and letters for those that are no JSON."""
    events: list[Any] = []
    letters: list[Letter] = []
    for record in records:
        try:
            events.append(_decode(record.value))
        except (msgspec.DecodeError, UnicodeDecodeError):
            text = json.dumps(record.value[:MOST_TEXT].decode(errors="replace"))
            letters.append(_letter(stream, record, NOT_JSON, "the record's value is not JSON", text))
    return events, letters


def _door(reader: RowReader, frame: pl.DataFrame, key: str) -> Any:
    """What the door says; the short way where there is nothing to refuse."""
    stream = reader.stream
    found = reader.door(frame, [key], None, None)
    if found is not None:
        return found
    return check_frame(
        frame,
        stream.schema,
        time=stream.time,
        id=stream.id,
        keys=[key],
        personal=stream.personal,
        name=stream.name,
    )


def _letter(stream: str, record: Record, reason: str, message: str, event: str) -> Letter:
    return Letter(stream, record.offset, record.arrival, reason, message, event[:MOST_TEXT])


def _text(columns: Mapping[str, list[Any]], row: int) -> str:
    """An event whose values are exact, as JSON; times as microseconds, dates as days."""
    return json.dumps({name: values[row] for name, values in columns.items()}, ensure_ascii=False)


_decode = msgspec.json.Decoder().decode
