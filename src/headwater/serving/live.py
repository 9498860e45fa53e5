"""The life of an event: into the log, through the engine, and its entities' scores are fresh.

::

    frame ──► log (on disk: accepted) ──► engine ──► features as of the newest event ──► score (fresh)

A refresh rests on the offset of its event, and on the newest event time that its entity has seen (design
note 0001). Decisions that are asked for, without an event, go through :meth:`Live.score`. Called by the
edges, which bring the clock and the door: events have been through ``core.schema`` before they come here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.cast import microseconds
from headwater.core.errors import DataError
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.definitions.stream import Stream
from headwater.engine.run import Engine
from headwater.engine.single import Single
from headwater.log.protocol import EventLog, Receipt
from headwater.serving.scoring import Float64, Scoring

Int64 = npt.NDArray[np.int64]
Stopwatch = Callable[[], int]  # nanoseconds from some start, never back


@dataclass(frozen=True, slots=True)
class Scored:
    """A score and what it rests on.

    Attributes:
        model: whose score.
        keys: key column to the entity's key.
        time: as of when the features are, microseconds UTC.
        offset: the last place in the log that they may rest on.
        request: request columns as they came.
        x: the feature vector, float64, shape (f,).
        score: the probability of the label.
        places: where the log is Kafka's: each stream and partition to the last record that they may rest on.
    """

    model: str
    keys: Mapping[str, Any]
    time: int
    offset: int
    request: Mapping[str, Any]
    x: Float64
    score: float
    places: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refresh:
    """A score that an event made fresh.

    Attributes:
        scored: the score.
        arrival: when the event was accepted, microseconds UTC.
        late: how long before its entity's newest event it happened, in microseconds; 0 if it was in order.
        moved: for a late event, the inputs that it changed.
        sent, accepted, fresh: stopwatch, nanoseconds: handed to the log, acknowledged as on disk, scored.
    """

    scored: Scored
    arrival: int
    late: int
    moved: tuple[str, ...]
    sent: int
    accepted: int
    fresh: int


class Live:
    """Keeps the scores of some models fresh. One thread at a time.

    Args:
        log: open for writing.
        engine: holds the state as of ``engine.offset``; :meth:`catch_up` takes in what the log has beyond.
        served: the models. Their views are kept by the engine.
        stopwatch: how time is measured; without one all timings are 0.
    """

    def __init__(
        self, log: EventLog, engine: Engine, served: Sequence[Scoring], stopwatch: Stopwatch | None = None
    ) -> None:
        self._log = log
        self._engine = engine
        self._single = Single(engine)
        self._served = {scoring.model.name: _Served(scoring, self._single) for scoring in served}
        self._watch = stopwatch or _stopped
        streams = {state.view.stream.name: state.view.stream for state in engine.states.values()}
        self._times = {name: _Time(stream) for name, stream in streams.items()}

    @property
    def offset(self) -> int:
        """The last place in the log that the scores rest on."""
        return self._engine.offset

    def catch_up(self) -> int:
        """Take in what the log holds beyond the engine's offset, without scoring; how many events."""
        start, taken = self._engine.offset + 1, 0
        for batch in self._log.scan(list(self._times), start=start, by_stream=True):
            self._engine.apply(batch)
            taken += len(batch)
        self._engine.offset = max(self._engine.offset, self._log.end() - 1)
        return taken

    def append(self, stream: str, frame: pl.DataFrame, *, arrival: int) -> tuple[Receipt, list[Refresh]]:
        """Append events, and refresh their entities, event by event in the order of the log.

        Args:
            stream: a stream of the project.
            frame: exactly its columns and types, as the door lets them through.
            arrival: now, microseconds UTC.

        Returns:
            The log's receipt, and for each new event one refresh per model that it concerns. Duplicates and
            refused events refresh nothing.

        Raises:
            DataError: the frame is not what the stream takes. Nothing was appended.
            LogError: the log cannot be written. Nothing was appended.
        """
        sent = self._watch()
        receipt = self._log.append(stream, frame, arrival=arrival)
        accepted = self._watch()
        refreshes: list[Refresh] = []
        for row in _new_rows(receipt):
            event = frame if len(frame) == 1 else frame[row : row + 1]
            refreshes += self._refresh(stream, event, int(receipt.offset[row]), arrival, (sent, accepted))
        return receipt, refreshes

    def score(
        self, model: str, keys: Mapping[str, Any], at: int, request: Mapping[str, Any] | None = None
    ) -> Scored:
        """The score of an entity as of a time, on the newest offset. Changes nothing.

        Args:
            model: which of the models.
            keys: key column to the entity's key, for each key of the model.
            at: as of when, microseconds UTC.
            request: the model's request columns.

        Raises:
            DataError: no such model; a key or request column is missing; the time reaches behind the state.
        """
        served = self._served.get(model)
        if served is None:
            raise DataError.of(
                "no such model is served",
                expected=" or ".join(sorted(self._served)) or "a model",
                got=repr(model),
                do="name a model of the project that was trained",
            )
        return served.score(keys, at, self._engine.offset, request or {})

    def _refresh(
        self, stream: str, event: pl.DataFrame, offset: int, arrival: int, timings: tuple[int, int]
    ) -> list[Refresh]:
        if stream not in self._times:
            self._engine.offset = max(self._engine.offset, offset)
            return []
        columns = event.get_columns()
        time = self._times[stream].micros(columns)
        concerned = [served for served in self._served.values() if served.concerns(stream)]
        rows = [served.row(stream, columns) for served in concerned]
        before = [served.before(row, time) for served, row in zip(concerned, rows, strict=True)]
        self._single.take(stream, columns, time, offset)
        refreshes = []
        for served, row, known in zip(concerned, rows, before, strict=True):
            scored = served.score(row.keys, known.newest, offset, row.request)
            moved = () if known.x is None else served.differing(known.x, scored.x)
            late = known.newest - time
            refreshes.append(Refresh(scored, arrival, late, moved, *timings, self._watch()))
        return refreshes


class _Time:
    """Reads the event time of a single event of a stream."""

    def __init__(self, stream: Stream) -> None:
        self._place = list(stream.schema).index(stream.time)
        dtype = stream.schema[stream.time]
        self._plain = isinstance(dtype, pl.Datetime) and dtype.time_unit == "us"

    def micros(self, event: Sequence[pl.Series]) -> int:
        series = event[self._place]
        return int((series.cast(pl.Int64) if self._plain else microseconds(series))[0])


@dataclass(frozen=True, slots=True)
class _Row:
    """What an event says of the entity that it concerns."""

    keys: Mapping[str, Any]
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Before:
    """An entity before an event: its newest event time, this one included; its vector if this one is late."""

    newest: int
    x: Float64 | None


class _Served:
    """A model on a live engine."""

    def __init__(self, scoring: Scoring, single: Single) -> None:
        self._scoring = scoring
        self._single = single
        model = scoring.model
        self._keys = model.keys
        self._views = [(v.name, v.key, [output.name for output in v.outputs]) for v in model.features]
        self._streams = _refreshing(model)
        self._request = model.request

    def concerns(self, stream: str) -> bool:
        """Whether an event of the stream says whose score it makes fresh, and brings what that takes."""
        return stream in self._streams

    def row(self, stream: str, event: Sequence[pl.Series]) -> _Row:
        place_of = self._streams[stream]
        return _Row(
            {key: event[place_of[key]][0] for key in self._keys},
            {name: event[place_of[name]][0] for name in self._request},
        )

    def before(self, row: _Row, time: int) -> _Before:
        newest = self._single.newest(row.keys)
        if newest is None or newest <= time:
            return _Before(time, None)
        return _Before(newest, self.score(row.keys, newest, -1, row.request).x)

    def differing(self, before: Float64, after: Float64) -> tuple[str, ...]:
        apart = before.view(np.int64) != after.view(np.int64)
        return tuple(self._scoring.names[i] for i in np.flatnonzero(apart))

    def score(self, keys: Mapping[str, Any], time: int, offset: int, request: Mapping[str, Any]) -> Scored:
        self._need(keys, request)
        values: dict[str, Any] = dict(request)
        for view, key, outputs in self._views:
            values.update(zip(outputs, self._single.read(view, keys[key], time), strict=True))
        x = self._scoring.vector(values)
        return Scored(self._scoring.model.name, keys, time, offset, request, x, self._scoring.score(x))

    def _need(self, keys: Mapping[str, Any], request: Mapping[str, Any]) -> None:
        lacking = [key for key in self._keys if keys.get(key) is None]
        lacking += [name for name in self._request if name not in request]
        if lacking:
            raise DataError.of(
                "the request does not say enough",
                expected=", ".join((*self._keys, *self._request)),
                got="no " + ", ".join(lacking),
                where=self._scoring.model.name,
                do="name the entity by all its keys, and give every request column, which may be null",
            )


def _refreshing(model: Model) -> dict[str, dict[str, int]]:
    """Streams of the model's views whose events name all its keys and bring all its request columns.

    With the place of each of their columns.
    """
    observed = model.observe.stream.name if isinstance(model.observe, Each) else None
    streams = {view.stream.name: view.stream for view in model.features}
    return {
        name: {column: place for place, column in enumerate(stream.schema)}
        for name, stream in streams.items()
        if all(key in stream.schema for key in model.keys) and (not model.request or name == observed)
    }


def _new_rows(receipt: Receipt) -> Sequence[int]:
    if receipt.accepted == len(receipt.offset):
        return range(receipt.accepted)
    rows: list[int] = np.flatnonzero(receipt.offset >= 0).tolist()
    return rows


def _stopped() -> int:
    return 0
