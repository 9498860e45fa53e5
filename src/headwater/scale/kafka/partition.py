"""One partition's state: its share of every view's keys, the ids it has seen, and how far it has read.

::

    records of one topic ──► entrance ──► lateness ──► ids ──► engine ──► fresh scores
                                └── dead letter ─┴────────┘

A few records go as plain values, many as a frame; the bits are the same.

A pure function of the partition's records: whoever owns it, from whatever snapshot, the same records give the
same bits. An offset of the engine is the record's offset in its topic; a view reads one stream, so that its
order is Kafka's own. Called by ``host``; no broker is seen here. Read ``entrance`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import HeadwaterError
from headwater.core.handful import Handful, Values
from headwater.definitions.project import Project
from headwater.engine.run import Engine
from headwater.scale.kafka.digests import digests, digests_few, has_words, keys_of, keys_of_few
from headwater.scale.kafka.entrance import Entrance, Letter
from headwater.scale.kafka.ids import Flags, Ids, Int64, Seen
from headwater.scale.kafka.payloads.reading import Record
from headwater.scale.kafka.payloads.registry import Registry
from headwater.serving.fresh import Applied, Fresh
from headwater.serving.rescored import Rescored, Timings
from headwater.serving.scoring import Scoring
from headwater.serving.vectors import Vectors

LATE = "too-late"  # as the door calls it
CONFLICT = "conflict"
FAILED = "model-failed"
FEW = 64  # records up to which plain values are quicker than a frame

Events = Batch | Handful

_ALONE = Lock()  # partitions are worked on by threads, and an estimator may know nothing of them
_SHARED = nullcontext()  # our own forests do
_NONE = Timings(0, 0)


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
        registry: where schemas are registered, if there is one.

    Attributes:
        on_taken: told of new events, in the thread that takes them in, while the engine is shut.
    """

    def __init__(
        self,
        project: Project,
        scorings: Mapping[str, Scoring],
        engine: Engine | None = None,
        ids: Mapping[str, Ids] | None = None,
        positions: Mapping[str, int] | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.engine = Engine(project.views, shards=1) if engine is None else engine
        self.vectors = Vectors(self.engine)
        self.on_taken: Callable[[Events], None] = lambda _events: None
        self._fresh = Fresh(self.vectors, list(scorings.values()))
        self._lateness = project.lateness
        streams = {view.stream.name: view.stream for view in project.views}
        keys = {view.stream.name: view.key for view in project.views}
        self._entrances = {name: Entrance(stream, keys[name], registry) for name, stream in streams.items()}
        self._plain = {
            name for name, stream in streams.items() if all(map(has_words, stream.schema.values()))
        }
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
        events = self._events(stream, new, effect)
        applied = self._applied(stream, events, new[-1].offset + 1)
        if events is not None and applied is not None:
            effect.events = len(events)
            if not quiet:
                last = int(events.offset[-1])
                arrival = next(record.arrival for record in reversed(new) if record.offset == last)
                for touched in applied.touched:
                    self._score(touched, events, arrival, effect)
        return effect

    def _applied(self, stream: str, events: Events | None, end: int) -> Applied | None:
        """Take events in, and stand behind them: nobody who shuts the engine sees one without the other."""
        with self.vectors.shut():
            applied = None if events is None else self._fresh.apply(events)
            self.positions[stream] = end
            if events is not None:
                self.on_taken(events)
        return applied

    def _score(self, touched: Any, events: Events, arrival: int, effect: Effect) -> None:
        try:
            with _SHARED if touched.scoring.scorer.kind == "forest" else _ALONE:
                effect.rescored.append(self._fresh.score(touched, arrival, _NONE))
        except Exception as error:  # noqa: BLE001 - an estimator is the user's code; state and events are right
            what = error.problems[0].what if isinstance(error, HeadwaterError) else type(error).__name__
            model = touched.scoring.model.name
            message = f"the model {model} failed to score {len(events)} events: {what}"
            place = int(events.offset[-1]), arrival
            effect.letters.append(Letter(events.stream, *place, FAILED, message, "null"))

    def _events(self, stream: str, records: Sequence[Record], effect: Effect) -> Events | None:
        """The new events among some records."""
        if len(records) <= FEW and stream in self._plain and self._fresh.takes(stream):
            found = self._entrances[stream].few(records)
            if found is not None and not self._late(records, found[0]).any():
                return self._handful(stream, records, *found, effect)
        return self._batch(stream, records, effect)

    def _handful(
        self, stream: str, records: Sequence[Record], time: Int64, values: Values, effect: Effect
    ) -> Handful | None:
        """The new events among a few that raise no question but whether their ids are known."""
        entrance = self._entrances[stream]
        id_, schema = entrance.stream.id, entrance.stream.schema
        places = np.array([record.offset for record in records], dtype=np.int64)
        if id_ is not None:
            keys = keys_of_few(values[id_], schema[id_])
            seen = self.ids[stream].take(keys, digests_few(values, schema))
            if not seen.new.all():
                self._known(entrance, records, seen, np.arange(len(records)), effect)
                rows = np.flatnonzero(seen.new).tolist()
                if not rows:
                    return None
                values = {name: [column[row] for row in rows] for name, column in values.items()}
                places, time = places[rows], time[rows]
        return Handful(stream, places, time, values)

    def _batch(self, stream: str, records: Sequence[Record], effect: Effect) -> Batch | None:
        """The new events among any records."""
        entrance = self._entrances[stream]
        entered = entrance.enter(records, effect.letters)
        if entered is None:
            return None
        records, time, frame = entered
        places = np.array([record.offset for record in records], dtype=np.int64)
        arrival = np.array([record.arrival for record in records], dtype=np.int64)
        late = self._late(records, time)
        keep = ~late
        if late.any():
            message = f"{entrance.stream.time} is older than the project's lateness before its arrival"
            effect.letters += entrance.letters(records, late, LATE, message)
        if entrance.stream.id is not None:
            keep = self._once(entrance, frame, records, keep, effect)
        if keep.all():
            return Batch(stream, places, arrival, time, frame)
        if not keep.any():
            return None
        return Batch(stream, places[keep], arrival[keep], time[keep], frame.filter(pl.Series(keep)))

    def _late(self, records: Sequence[Record], time: Int64) -> Flags:
        """Which events are older than the project's lateness allows."""
        if self._lateness is None:
            return np.zeros(len(time), dtype=np.bool_)
        oldest = np.array([record.arrival for record in records], dtype=np.int64) - self._lateness
        late: Flags = time < oldest
        return late

    def _once(
        self, entrance: Entrance, frame: pl.DataFrame, records: Sequence[Record], keep: Flags, effect: Effect
    ) -> Flags:
        """Leave out events whose id is known; refuse those that come with other content."""
        rows = np.flatnonzero(keep)
        some = frame if keep.all() else frame[rows]
        stream = entrance.stream
        seen = self.ids[stream.name].take(keys_of(some[str(stream.id)]), digests(some))
        if seen.new.all():
            return keep
        kept = np.zeros_like(keep)
        kept[rows[seen.new]] = True
        self._known(entrance, records, seen, rows, effect)
        return kept

    def _known(
        self, entrance: Entrance, records: Sequence[Record], seen: Seen, rows: Int64, effect: Effect
    ) -> None:
        """Count the events whose id is known, and refuse those of other content.

        Args:
            entrance: their stream's.
            records: of the events, and maybe others.
            seen: what is to be said of the events.
            rows: where each stands among the records.
            effect: where it is told.
        """
        conflict = np.zeros(len(records), dtype=np.bool_)
        conflict[rows[seen.conflict]] = True
        effect.duplicates += int(np.count_nonzero(~seen.new & ~seen.conflict))
        message = f"{entrance.stream.id} was taken in before with other content"
        effect.letters += entrance.letters(records, conflict, CONFLICT, message)
