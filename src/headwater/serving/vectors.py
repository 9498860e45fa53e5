"""Features straight from the engine's state: one entity for a decision, many after a batch of events.

One thread takes events in (``commit``), others read (``record``, the edges). The lock is held while state is
looked at or changed and no longer: scoring goes on beside it. Called by ``fresh`` and ``deciding``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import DataError
from headwater.core.handful import Handful
from headwater.definitions.model import Model
from headwater.definitions.view import FeatureView
from headwater.engine.run import Engine
from headwater.engine.single import Row, Single
from headwater.serving.entities import Entities, Framed
from headwater.serving.gather import Gather
from headwater.serving.scoring import Scoring

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

Cells = Mapping[str, Float64]  # view to its cells, shape (cells, n): see ``engine.values``

FEW = 32  # entities up to which values of Python are quicker than frames


@dataclass(frozen=True, slots=True)
class Moment:
    """As of when something is read.

    Attributes:
        time: microseconds UTC.
        exact: exactly then; else not before the newest event that the entity has seen, whose sender's clock
            may be ahead of ours.
    """

    time: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Read:
    """What was read: values by name, as of when, and the last offset that they may rest on.

    Attributes:
        places: where the log is Kafka's: each stream and partition to the last record that they may rest on.
    """

    values: Mapping[str, Any]
    time: int
    offset: int
    places: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vector:
    """A feature vector, shape (f,), as of when, and what it may rest on; see :class:`Read`."""

    x: Float64
    time: int
    offset: int
    places: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Several:
    """Feature vectors, shape (n, f), as of when each, and the last offset that each may rest on."""

    X: Float64
    times: Sequence[int]
    offsets: Sequence[int]
    places: Sequence[Mapping[str, int]] = ()  # of each, where the log is Kafka's


Wish = tuple[Mapping[str, Any], Moment, Mapping[str, Any]]  # keys, as of when, request columns


class Vectors:
    """An engine that several threads may read while one thread applies events.

    Args:
        engine: holds the state as of ``engine.offset``.

    Attributes:
        engine: the same; look at it only in the thread that applies.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._single = Single(engine)
        self._lock = RLock()
        self._gathers: dict[str, tuple[Scoring, Gather | None]] = {}
        self._named: dict[str, tuple[Model, list[tuple[FeatureView, list[str]]]]] = {}

    @property
    def offset(self) -> int:
        """The last place in the log that was taken in, -1 before the first."""
        return self.engine.offset

    def look(self) -> None:
        """See that there is a state to read from: here always.

        Raises:
            OnlineError: it is elsewhere, and not whole.
        """

    def apply(self, batch: Batch) -> None:
        """Take in events of one stream, behind all those taken in before."""
        with self._lock:
            self._single.apply(batch)

    def apply_and_read(self, batch: Batch) -> Cells:
        """:meth:`apply`, and each view's cells after each event, as of the newest event time of its key."""
        with self._lock:
            return self.engine.take(batch, emit=True)

    def reads_cells(self, scoring: Scoring) -> bool:
        """Whether :meth:`matrix` can make a model's vectors of cells."""
        return self._gather(scoring) is not None

    def takes(self, stream: str) -> bool:
        """Whether a handful of a stream's events can be taken in as values."""
        return self._single.takes(stream)

    def rows(self, handful: Handful) -> Sequence[Row]:
        """What the views read of each event of a handful: for :meth:`take`."""
        return self._single.rows(handful)

    def take(self, handful: Handful, rows: Sequence[Row], start: int, stop: int) -> None:
        """Take in some events of a handful, behind all those taken in before."""
        offsets, times = handful.offset[start:stop].tolist(), handful.time[start:stop].tolist()
        with self._lock:
            for row, time, offset in zip(rows[start:stop], times, offsets, strict=True):
                self._single.take_row(handful.stream, row, time, offset)

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Nobody reads meanwhile: for events that are not taken in by offset, one after the other."""
        with self._lock:
            yield

    def pass_over(self, offset: int) -> None:
        """Note that the log is read up to an offset, whose events no view takes."""
        with self._lock:
            self.engine.offset = max(self.engine.offset, offset)

    def newest(self, keys: Mapping[str, Any]) -> int | None:
        """The newest event time that any of the keys has seen, or None."""
        with self._lock:
            return self._single.newest(keys)

    def newest_of(self, column: str, keys: Sequence[Any]) -> Int64:
        """The newest event time that each key of one key column has seen; before all times if none."""
        with self._lock:
            return self._single.newest_of(column, keys)

    def read(self, model: Model, keys: Mapping[str, Any], moment: Moment, request: Mapping[str, Any]) -> Read:
        """View outputs and request columns of one entity.

        Raises:
            DataError: a key is of another type, or the time reaches behind what the state keeps.
        """
        with self._lock:
            time = self._time(keys, moment)
            return Read(self._values(model, keys, time, request), time, self.engine.offset)

    def read_view(self, view: FeatureView, key: Any, moment: Moment) -> Read:
        """One view's outputs for one key; see :meth:`read`."""
        names = [output.name for output in view.outputs]
        with self._lock:
            time = self._time({view.key: key}, moment)
            found = self._single.read(view.name, key, time)
            return Read(dict(zip(names, found, strict=True)), time, self.engine.offset)

    def one(
        self, scoring: Scoring, keys: Mapping[str, Any], time: int, request: Mapping[str, Any]
    ) -> Float64:
        """The feature vector of one entity as of a time, shape (f,)."""
        return self.vector(scoring, keys, Moment(time), request).x

    def vector(
        self, scoring: Scoring, keys: Mapping[str, Any], moment: Moment, request: Mapping[str, Any]
    ) -> Vector:
        """The feature vector of one entity; see :meth:`read`."""
        gather = self._gather(scoring)
        if gather is None:
            read = self.read(scoring.model, keys, moment, request)
            return Vector(scoring.vector(read.values), read.time, read.offset)
        lists = ({name: [value] for name, value in given.items()} for given in (keys, request))
        with self._lock:
            time = self._time(keys, moment)
            X = gather(next(lists), [time], next(lists))
            return Vector(X[0], time, self.engine.offset)

    def each(self, scoring: Scoring, wishes: Sequence[Wish]) -> Several:
        """:meth:`vector` of several entities."""
        model, gather = scoring.model, self._gather(scoring)
        with self._lock:
            times = [self._time(keys, moment) for keys, moment, _ in wishes]
            if gather is None:
                values = [
                    self._values(model, keys, time, request)
                    for (keys, _, request), time in zip(wishes, times, strict=True)
                ]
                X = scoring.artifact.inputs.rows(values)
            else:
                keys = {name: [one[name] for one, _, _ in wishes] for name in model.keys}
                request = {name: [one[name] for _, _, one in wishes] for name in model.request}
                X = gather(keys, times, request)
            return Several(X, times, [self.engine.offset] * len(times))

    def at_once(self, scoring: Scoring, wishes: Sequence[Wish]) -> Several | None:
        """:meth:`each`, for whoever may not wait.

        None where somebody is at work on the state, where inputs are derived by frames, and the first time.
        """
        known = self._gathers.get(scoring.model.name)
        if known is None or known[0] is not scoring:
            return None  # to find the quick way takes a while: whoever may wait does that
        if known[1] is None and scoring.artifact.inputs.arithmetic() is None:
            return None
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self.each(scoring, wishes)
        finally:
            self._lock.release()

    def matrix(
        self, scoring: Scoring, entities: Entities, time: Int64, cells: Cells | None = None
    ) -> Float64:
        """The feature vectors of entities, shape (n, f): the bits of :meth:`one`.

        Args:
            scoring: the model.
            entities: n of them: its keys and request columns.
            time: as of when, int64 microseconds, shape (n,).
            cells: what is known already, from :meth:`apply_and_read`: view to its cells, shape (cells, n).
        """
        gather, times = self._gather(scoring), time.tolist()
        if gather is None and len(entities) > FEW and isinstance(entities, Framed):
            return self._by_frames(scoring, entities, times)
        model = scoring.model
        keys = {name: entities.column(name) for name in model.keys}
        request = {name: entities.column(name) for name in model.request}
        if gather is None:
            return self._one_by_one(scoring, keys, times, request)
        if cells is not None:
            return gather.known(cells, request)
        with self._lock:
            return gather(keys, times, request)

    def _one_by_one(
        self,
        scoring: Scoring,
        keys: Mapping[str, Sequence[Any]],
        time: Sequence[int],
        request: Mapping[str, Sequence[Any]],
    ) -> Float64:
        """By values of Python: any model, for a few entities."""
        with self._lock:
            values = [
                self._values(
                    scoring.model,
                    {name: column[row] for name, column in keys.items()},
                    at,
                    {name: column[row] for name, column in request.items()},
                )
                for row, at in enumerate(time)
            ]
        return scoring.artifact.inputs.rows(values)

    def _by_frames(self, scoring: Scoring, entities: Framed, time: Sequence[int]) -> Float64:
        """By frames of Polars: any model, for many entities."""
        model = scoring.model
        rows = entities.rows((*model.keys, *model.request))
        frames = [rows.select(model.request)] if model.request else []
        with self._lock:
            frames += [
                self.engine.read(view.name, rows.get_column(view.key), time) for view in model.features
            ]
        return scoring.artifact.inputs.matrix(pl.concat(frames, how="horizontal"))

    def _values(
        self, model: Model, keys: Mapping[str, Any], time: int, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        values = dict(request)
        for view, names in self._outputs(model):
            values.update(zip(names, self._single.read(view.name, keys[view.key], time), strict=True))
        return values

    def _gather(self, scoring: Scoring) -> Gather | None:
        """The quick way to a model's vectors, if there is one."""
        known = self._gathers.get(scoring.model.name)
        if known is None or known[0] is not scoring:
            known = self._gathers[scoring.model.name] = scoring, Gather.of(self._single, scoring)
        return known[1]

    def _outputs(self, model: Model) -> list[tuple[FeatureView, list[str]]]:
        """The views of a model with the names of their outputs."""
        known = self._named.get(model.name)
        if known is None or known[0] is not model:
            pairs = [(view, [output.name for output in view.outputs]) for view in model.features]
            known = self._named[model.name] = model, pairs
        return known[1]

    def _time(self, keys: Mapping[str, Any], moment: Moment) -> int:
        newest = None if moment.exact else self._single.newest(keys)
        return moment.time if newest is None else max(moment.time, newest)


def need(model: Model, keys: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    """See that a request names the entity by all keys and brings every request column, and nothing else.

    Raises:
        DataError: it does not.
    """
    lacking = [f"no {key}" for key in model.keys if keys.get(key) is None]
    lacking += [f"no {name}" for name in model.request if name not in request]
    lacking += [f"{name}, which is no key" for name in keys if name not in model.keys]
    lacking += [f"{name}, which is no request column" for name in request if name not in model.request]
    if lacking:
        raise DataError.of(
            "the request does not say exactly what the model asks for",
            expected=", ".join((*model.keys, *model.request)),
            got=", ".join(lacking),
            where=model.name,
            do="name the entity by all its keys, and give every request column, which may be null",
        )
