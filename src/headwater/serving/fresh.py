"""Events into the engine, and the scores of the entities that they touched made fresh.

::

    batch of one stream ──► late ones found ──► engine ──► touched entities, once each ──► scores

A refresh rests on the last event that touched its entity, and on the newest event time that the entity has
seen (design note 0001). A batch that holds late events is cut at them, so that it is known which inputs each
of them moved. A few events go the short way, event by event; many go as columns: the bits are the same.
Called by ``commit``, in its thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.serving.live import Refresh, Scored
from headwater.serving.scoring import Scoring
from headwater.serving.vectors import Vectors

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

FEW = 6  # events up to which the short way is quicker
_NEVER = -(2**63)


@dataclass(frozen=True, slots=True)
class Timings:
    """When events were handed to the log and when they were on disk: stopwatch, nanoseconds."""

    sent: int
    accepted: int


@dataclass(frozen=True)
class Rescored:
    """The scores of one model that one batch made fresh, as columns over n entities.

    Attributes:
        scoring: whose scores.
        entities: n rows: keys and request columns.
        entity: which row each event of the batch is about, int64, shape (events,).
        time: as of when, int64 microseconds, shape (n,).
        offset: the last event that touched the entity, int64, shape (n,).
        X: feature vectors, float64, shape (n, f).
        score: float64, shape (n,).
        late: row to by how much its latest late event was late, and the inputs that its late events moved.
        arrival: when the batch arrived, microseconds UTC.
        timings: of the batch.
        fresh: when the scores were there: stopwatch, nanoseconds.
    """

    scoring: Scoring
    entities: pl.DataFrame
    entity: Int64
    time: Int64
    offset: Int64
    X: Float64
    score: Float64
    late: Mapping[int, tuple[int, tuple[str, ...]]]
    arrival: int
    timings: Timings
    fresh: int = 0

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, row: int) -> Refresh:
        model = self.scoring.model
        scored = Scored(
            model=model.name,
            keys={key: self.entities.get_column(key)[row] for key in model.keys},
            time=int(self.time[row]),
            offset=int(self.offset[row]),
            request={name: self.entities.get_column(name)[row] for name in model.request},
            x=self.X[row],
            score=float(self.score[row]),
        )
        late, moved = self.late.get(row, (0, ()))
        timings = self.timings
        return Refresh(scored, self.arrival, late, moved, timings.sent, timings.accepted, self.fresh)

    def __iter__(self) -> Iterator[Refresh]:
        return (self[row] for row in range(len(self)))

    def about(self, events: slice) -> Iterator[Refresh]:
        """The refreshes of the entities that some events of the batch are about, once each."""
        return (self[row] for row in dict.fromkeys(self.entity[events].tolist()))


@dataclass(frozen=True)
class Touched:
    """The entities of one model that a batch touched: ``rows`` are their last events in it."""

    scoring: Scoring
    entities: pl.DataFrame
    entity: Int64
    offset: Int64
    late: dict[int, tuple[int, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Applied:
    """A batch that the engine has taken in, with what it takes to score its entities."""

    batch: Batch
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
        self._streams = {state.view.stream.name for state in vectors.engine.states.values()}

    def apply(self, batch: Batch) -> Applied:
        """Take a batch into the engine.

        Args:
            batch: events of one stream, behind all those taken in before.
        """
        if batch.stream not in self._streams:
            self._vectors.pass_over(int(batch.offset[-1]))
            return Applied(batch, ())
        touched = tuple(
            _touched(scoring, batch) for scoring, streams in self._served if batch.stream in streams
        )
        late = self._late(batch, touched)
        start = 0
        for place in sorted(late):
            self._take(batch[start:place])
            self._take_late(batch, place, late[place])
            start = place + 1
        self._take(batch[start:] if start else batch)
        return Applied(batch, touched)

    def score(self, touched: Touched, arrival: int, timings: Timings) -> Rescored:
        """The scores of the entities that a batch touched.

        Raises:
            ModelError: the estimator cannot score one of them.
        """
        entities, scoring = touched.entities, touched.scoring
        time = self._newest(scoring.model, entities)
        X = self._matrix(scoring, entities, time)
        few = len(X) <= FEW
        score = np.array([scoring.score(x) for x in X]) if few else scoring.scorer.score(X)
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

    def _take(self, batch: Batch) -> None:
        if len(batch) > FEW:
            self._vectors.apply(batch)
            return
        for place in range(len(batch)):
            self._vectors.apply(batch[place : place + 1] if len(batch) > 1 else batch)

    def _take_late(self, batch: Batch, place: int, about: Sequence[tuple[Touched, int]]) -> None:
        """Take in a late event, and see which inputs it moved."""
        before = [self._entity(touched, place, newest) for touched, newest in about]
        self._vectors.apply(batch[place : place + 1])
        for (touched, newest), was in zip(about, before, strict=True):
            now = self._entity(touched, place, newest)
            names = touched.scoring.names
            moved = [names[i] for i in np.flatnonzero(was.view(np.int64) != now.view(np.int64))]
            row = int(touched.entity[place])
            late, known = touched.late.get(row, (0, ()))
            longest = max(late, newest - int(batch.time[place]))
            touched.late[row] = longest, tuple(dict.fromkeys((*known, *moved)))

    def _entity(self, touched: Touched, place: int, time: int) -> Float64:
        row = touched.entities.row(int(touched.entity[place]), named=True)
        model = touched.scoring.model
        request = {name: row[name] for name in model.request}
        return self._vectors.one(touched.scoring, row, time, request)

    def _late(self, batch: Batch, touched: Sequence[Touched]) -> dict[int, list[tuple[Touched, int]]]:
        """The places of events that come behind newer ones of an entity, with that entity's newest time."""
        columns: dict[str, list[int]] = {}
        late: dict[int, list[tuple[Touched, int]]] = {}
        for one in touched:
            keys = one.scoring.model.keys
            for key in keys:
                if key not in columns:
                    columns[key] = self._before(batch, key)
            newest = np.max([columns[key] for key in keys], axis=0)
            for place in np.flatnonzero(newest > batch.time).tolist():
                late.setdefault(place, []).append((one, int(newest[place])))
        return late

    def _before(self, batch: Batch, column: str) -> list[int]:
        """For each event, the newest time that its key has seen before it."""
        keys = batch.frame.get_column(column).to_list()
        distinct = list(dict.fromkeys(keys))
        seen = dict(zip(distinct, self._vectors.newest_of(column, distinct), strict=True))
        found = []
        for key, time in zip(keys, batch.time.tolist(), strict=True):
            known = seen[key]
            found.append(_NEVER if known is None else known)
            seen[key] = time if known is None or time > known else known
        return found

    def _newest(self, model: Model, entities: pl.DataFrame) -> Int64:
        found = [self._vectors.newest_of(key, entities.get_column(key).to_list()) for key in model.keys]
        columns = [[_NEVER if time is None else time for time in times] for times in found]
        newest: Int64 = np.array(columns, dtype=np.int64).max(axis=0)
        return newest

    def _matrix(self, scoring: Scoring, entities: pl.DataFrame, time: Int64) -> Float64:
        if len(entities) > FEW:
            return self._vectors.many(scoring, entities, time)
        rows = []
        for place, row in enumerate(entities.iter_rows(named=True)):
            request = {name: row[name] for name in scoring.model.request}
            rows.append(self._vectors.one(scoring, row, int(time[place]), request))
        return np.array(rows)


def refreshing(model: Model) -> frozenset[str]:
    """Streams of the model's views whose events name all its keys and bring all its request columns."""
    observed = model.observe.stream.name if isinstance(model.observe, Each) else None
    streams = {view.stream.name: view.stream for view in model.features}
    return frozenset(
        name
        for name, stream in streams.items()
        if all(key in stream.schema for key in model.keys) and (not model.request or name == observed)
    )


def _touched(scoring: Scoring, batch: Batch) -> Touched:
    """The distinct entities of a batch, each as of its last event, in the order of their first."""
    model = scoring.model
    columns = [batch.frame.get_column(key).to_list() for key in model.keys]
    rows: dict[Any, int] = {}
    entity = [rows.setdefault(key, len(rows)) for key in zip(*columns, strict=True)]
    last = np.zeros(len(rows), dtype=np.int64)
    for place, row in enumerate(entity):
        last[row] = place
    wanted = list(dict.fromkeys((*model.keys, *model.request)))
    entities = batch.frame.select(wanted)[last] if len(rows) < len(batch) else batch.frame.select(wanted)
    offset = batch.offset[last]
    if len(columns) > 1:  # another event of the batch may have touched one of the keys later
        offset = _last_of_any(columns, entity, batch.offset, len(rows))
    return Touched(scoring, entities, np.array(entity, dtype=np.int64), offset)


def _last_of_any(columns: Sequence[Sequence[Any]], entity: Sequence[int], offset: Int64, n: int) -> Int64:
    """The last offset of the batch that touched any of an entity's keys."""
    found = np.full(n, -1, dtype=np.int64)
    for column in columns:
        last = dict(zip(column, offset.tolist(), strict=True))
        for row, key in zip(entity, column, strict=True):
            found[row] = max(found[row], last[key])
    return found
