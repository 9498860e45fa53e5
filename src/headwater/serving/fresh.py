"""Events into the engine, and the scores of the entities that they touched made fresh.

::

    batch of one stream ──► late ones found ──► engine ──► touched entities, once each ──► scores

A refresh rests on the last event that touched its entity, and on the newest event time that the entity has
seen (design note 0001). A batch that holds late events is cut at them, so that it is known which inputs each
of them moved. A few events go the short way, event by event and as plain values where they came as such; many
go as columns: the bits are the same.
Called by ``commit``, in its thread; read ``rescored`` for what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.batch import Batch
from headwater.core.handful import Handful, is_plain
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.serving.entities import Entities, Framed, Listed
from headwater.serving.rescored import Rescored, Timings
from headwater.serving.scoring import Scoring
from headwater.serving.vectors import Cells, Vectors

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

Events = Batch | Handful

SOME = 4  # late events up to which a batch is simply cut at each
FEW = 32  # events up to which the short way is quicker
_NEVER = -(2**63)


@dataclass(frozen=True)
class Touched:
    """The entities of one model that a batch touched; see :class:`Rescored` for its columns.

    Attributes:
        last: the place in the batch of each entity's last event, int64, shape (n,).
        cells: of its views, if they were read as the events were taken in.
    """

    scoring: Scoring
    entities: Entities
    entity: Int64
    offset: Int64
    time: Int64
    late: dict[int, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    last: Int64 = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    cells: Cells | None = None

    def read(self, cells: Cells) -> Touched:
        """The same, with the cells of each entity out of those after each event."""
        return replace(self, cells={view: found[:, self.last] for view, found in cells.items()})

    def until(self, offset: int) -> Touched:
        """The same, resting on everything up to an offset."""
        return replace(self, offset=np.full_like(self.offset, offset))


@dataclass(frozen=True)
class Applied:
    """Events that the engine has taken in, with what it takes to score their entities."""

    events: Events
    touched: tuple[Touched, ...]


class Fresh:
    """Keeps the scores of some models fresh. One thread at a time.

    Args:
        vectors: the engine.
        served: the models; their views are kept by the engine.
    """

    def __init__(self, vectors: Vectors, served: Sequence[Scoring]) -> None:
        self._vectors = vectors
        self._served = [(scoring, refreshing(scoring.model)) for scoring in served]
        streams = {state.view.stream.name: state.view.stream for state in vectors.engine.states.values()}
        self._streams = frozenset(streams)
        self._odd = {
            name
            for scoring, refreshed in self._served
            for name in refreshed
            for column in (*scoring.model.keys, *scoring.model.request)
            if not is_plain(streams[name].schema[column])
        }

    def takes(self, stream: str) -> bool:
        """Whether a handful of a stream's events can be taken in as values."""
        return stream not in self._streams or (stream not in self._odd and self._vectors.takes(stream))

    def apply(self, events: Events) -> Applied:
        """Take events into the engine.

        Args:
            events: of one stream, behind all those taken in before; a handful only where it is taken.
        """
        stream = events.stream
        if stream not in self._streams:
            self._vectors.pass_over(int(events.offset[-1]))
            return Applied(events, ())
        concerned = [scoring for scoring, streams in self._served if stream in streams]
        before = self._before(events, concerned)
        touched = tuple(_touched(scoring, events, before) for scoring in concerned)
        late = _late(events.time, touched, before)
        alone = self._of_one_key(stream, concerned)
        if not alone:  # another's event behind the entity's own may be in its vector
            touched = tuple(one.until(int(events.offset[-1])) for one in touched)
        if isinstance(events, Handful):
            self._take_in_handful(events, late)
        elif touched and not late and len(events) > FEW and all(map(self._reads, touched)):
            cells = self._vectors.apply_and_read(events)
            touched = tuple(one.read(cells) for one in touched)
        elif len(late) > SOME and alone:
            with self._vectors.shut():  # else a wave would be seen before those below it
                self._take_in_waves(events, touched, late)
        else:
            self._take_in_order(events, late)
        return Applied(events, touched)

    def score(self, touched: Touched, arrival: int, timings: Timings) -> Rescored:
        """The scores of the entities that a batch touched.

        Raises:
            ModelError: the estimator cannot score one of them.
        """
        entities, scoring, time = touched.entities, touched.scoring, touched.time
        X = self._vectors.matrix(scoring, entities, time, touched.cells)
        alone = len(X) == 1 or (len(X) <= FEW and scoring.scorer.kind != "forest")
        score = np.array([scoring.score(x) for x in X]) if alone else scoring.scorer.score(X)
        return Rescored(
            scoring,
            entities,
            touched.entity,
            time,
            touched.offset,
            X,
            score,
            touched.late,
            arrival,
            timings,
        )

    def _take_in_handful(self, events: Handful, late: Mapping[int, list[tuple[Touched, int]]]) -> None:
        """Take in a handful, cut at its late events."""
        rows = self._vectors.rows(events)
        start = 0
        for place in sorted(late):
            self._vectors.take(events, rows, start, place)
            start = place + 1

            def take(first: int = place, stop: int = start) -> None:
                self._vectors.take(events, rows, first, stop)

            self._watch_late(events.time[place:start], np.array([place]), late, take)
        self._vectors.take(events, rows, start, len(events))

    def _take_in_order(self, batch: Batch, late: Mapping[int, list[tuple[Touched, int]]]) -> None:
        """Take in a batch, cut at its late events."""
        start = 0
        for place in sorted(late):
            self._take(batch[start:place])
            self._take_late(batch[place : place + 1], np.array([place]), late)
            start = place + 1
        self._take(batch[start:] if start else batch)

    def _take_in_waves(
        self, batch: Batch, touched: Sequence[Touched], late: Mapping[int, list[tuple[Touched, int]]]
    ) -> None:
        """Take in a batch with many late events: those of different entities at once.

        ::

            entity a   o o L o      wave 0: o o   o o o      wave 1: L      wave 2: o     o is in order,
            entity b   o o o L L            o                        L              (b)   L is late
                                                             wave 3: L (b) ...

        Keys do not know of each other, so only the order within an entity counts.
        """
        wave = _waves(touched[0].entity.tolist(), late)
        for number in range(int(wave.max()) + 1):
            places = np.flatnonzero(wave == number)
            if not len(places):
                continue
            part = _rows(batch, places)
            if number % 2:
                self._take_late(part, places, late)
            else:
                self._take(part)

    def _of_one_key(self, stream: str, concerned: Sequence[Scoring]) -> bool:
        """Whether all that an event of a stream changes and refreshes hangs on a single key column."""
        states = self._vectors.engine.states.values()
        keys = {state.view.key for state in states if state.view.stream.name == stream}
        return len(keys | {key for scoring in concerned for key in scoring.model.keys}) == 1

    def _reads(self, touched: Touched) -> bool:
        """Whether the vectors of a model are read as its events are taken in: none waits for another stream,
        whose events may be newer than those of the batch."""  # noqa: D205, D209
        model, states = touched.scoring.model, self._vectors.engine.states.values()
        concerned = {state.view.stream.name for state in states if state.view.key in model.keys}
        return len(model.keys) == len(concerned) == 1 and self._vectors.reads_cells(touched.scoring)

    def _take(self, batch: Batch) -> None:
        if len(batch) > FEW:
            self._vectors.apply(batch)
            return
        for place in range(len(batch)):
            self._vectors.apply(batch[place : place + 1] if len(batch) > 1 else batch)

    def _take_late(self, part: Batch, places: Int64, late: Mapping[int, list[tuple[Touched, int]]]) -> None:
        """Take in late events of different entities, and see which inputs each of them moved.

        Args:
            part: the events.
            places: where each stands in the whole batch.
            late: place to whom it concerns, and the newest time of that entity.
        """
        self._watch_late(part.time, places, late, lambda: self._take(part))

    def _watch_late(
        self,
        time: Int64,
        places: Int64,
        late: Mapping[int, list[tuple[Touched, int]]],
        take: Callable[[], None],
    ) -> None:
        about = [
            (one, one.entity[places], np.array([late[place][i][1] for place in places.tolist()]))
            for i, (one, _) in enumerate(late[int(places[0])])
        ]
        before = [
            self._vectors.matrix(one.scoring, one.entities[rows], newest) for one, rows, newest in about
        ]
        take()
        for (one, rows, newest), was in zip(about, before, strict=True):
            now = self._vectors.matrix(one.scoring, one.entities[rows], newest)
            apart = was.view(np.int64) != now.view(np.int64)
            _note(one, rows, newest - time, apart)

    def _before(self, events: Events, concerned: Sequence[Scoring]) -> dict[str, Int64]:
        """Key column to, for each event, the newest time that its key has seen before it."""
        columns = dict.fromkeys(key for scoring in concerned for key in scoring.model.keys)
        return {column: self._before_of(events, column) for column in columns}

    def _before_of(self, events: Events, column: str) -> Int64:
        keys = _column(events, column)
        distinct = list(dict.fromkeys(keys))
        found = self._vectors.newest_of(column, distinct)
        seen = dict(zip(distinct, found.tolist(), strict=True))
        before = []
        for key, time in zip(keys, events.time.tolist(), strict=True):
            known = seen[key]
            before.append(known)
            if time > known:
                seen[key] = time
        return np.array(before, dtype=np.int64)


def refreshing(model: Model) -> frozenset[str]:
    """Streams of the model's views whose events name all its keys and bring all its request columns."""
    observed = model.observe.stream.name if isinstance(model.observe, Each) else None
    streams = {view.stream.name: view.stream for view in model.features}
    return frozenset(
        name
        for name, stream in streams.items()
        if all(key in stream.schema for key in model.keys) and (not model.request or name == observed)
    )


def _late(
    time: Int64, touched: Sequence[Touched], before: Mapping[str, Int64]
) -> dict[int, list[tuple[Touched, int]]]:
    """The places of events that come behind newer ones of an entity, with that entity's newest time."""
    late: dict[int, list[tuple[Touched, int]]] = {}
    for one in touched:
        newest = _newest(one.scoring.model, before)
        for place in np.flatnonzero(newest > time).tolist():
            late.setdefault(place, []).append((one, int(newest[place])))
    return late


def _note(touched: Touched, rows: Int64, late: Int64, apart: npt.NDArray[np.bool_]) -> None:
    """Remember of each entity by how much it was late, and which inputs that moved."""
    names = touched.scoring.names
    for row, by, moved in zip(rows.tolist(), late.tolist(), apart, strict=True):
        longest, known = touched.late.get(row, (0, ()))
        found = [names[i] for i in np.flatnonzero(moved)]
        touched.late[row] = max(longest, by), tuple(dict.fromkeys((*known, *found)))


def _waves(entity: Sequence[int], late: Collection[int]) -> Int64:
    """The wave of each event: even ones take events in order, odd ones late events, at most one an entity."""
    now: dict[int, int] = {}
    wave = np.zeros(len(entity), dtype=np.int64)
    for place, row in enumerate(entity):
        was = now.get(row, 0)
        odd = was % 2
        now[row] = wave[place] = was + (2 if odd else 1) if place in late else was + odd
    return wave


def _rows(batch: Batch, rows: Int64) -> Batch:
    """Some events of a batch."""
    if len(rows) == len(batch):
        return batch
    places = batch.offset[rows], batch.arrival[rows], batch.time[rows]
    return Batch(batch.stream, *places, batch.frame[rows])


def _newest(model: Model, before: Mapping[str, Int64]) -> Int64:
    """The newest time that the entity of each event had seen before it, shape (events,)."""
    columns = [before[key] for key in model.keys]
    newest: Int64 = columns[0] if len(columns) == 1 else np.max(columns, axis=0)
    return newest


def _touched(scoring: Scoring, events: Events, before: Mapping[str, Int64]) -> Touched:
    """The distinct entities of some events, each as of its last event, in the order of their first."""
    model = scoring.model
    keys = model.keys
    columns = [_column(events, key) for key in keys]
    rows: dict[Any, int] = {}
    named = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
    entity = [rows.setdefault(key, len(rows)) for key in named]
    places = np.array(entity, dtype=np.int64)
    last = np.zeros(len(rows), dtype=np.int64)
    last[places] = np.arange(len(places))  # the last assignment stays
    wanted = list(dict.fromkeys((*keys, *model.request)))
    entities = _entities(events, wanted)
    if len(rows) < len(events):
        entities = entities[last]
    newest = [np.maximum(before[key], events.time) for key in keys]
    if len(keys) == 1:
        return Touched(scoring, entities, places, events.offset[last], newest[0][last], last=last)
    # another event of the batch may have touched one of the keys later
    offset = _of_last(columns, entity, [events.offset] * len(keys))
    return Touched(scoring, entities, places, offset, _of_last(columns, entity, newest))


def _column(events: Events, name: str) -> Sequence[Any]:
    """A column as Python values."""
    return events.values[name] if isinstance(events, Handful) else events.frame.get_column(name).to_list()


def _entities(events: Events, columns: Sequence[str]) -> Entities:
    """Who each event is about."""
    if isinstance(events, Handful):
        return Listed({name: events.values[name] for name in columns})
    return Framed(events.frame)


def _of_last(columns: Sequence[Sequence[Any]], entity: Sequence[int], values: Sequence[Int64]) -> Int64:
    """The largest, over an entity's keys, of the value of the last event of the batch that has the key."""
    found = np.full(max(entity) + 1, _NEVER, dtype=np.int64)
    for column, value in zip(columns, values, strict=True):
        last = dict(zip(column, value.tolist(), strict=True))
        for row, key in zip(entity, column, strict=True):
            found[row] = max(found[row], last[key])
    return found
