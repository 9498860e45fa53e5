"""Scores that a batch of events made fresh, as columns; and those of them that one sender asked for.

A batch of a thousand events makes a thousand scores, and who answers it writes them down column by column.
An object for each (:class:`~headwater.serving.live.Refresh`) is made for those alone who look at one. Made by
``fresh`` and ``commit``; read by the edges and by whoever is told of fresh scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from headwater.serving.entities import Entities
from headwater.serving.live import Refresh, Scored
from headwater.serving.scoring import Scoring

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


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
        entities: n of them: keys and request columns.
        entity: which row each event of the batch is about, int64, shape (events,).
        time: as of when, int64 microseconds, shape (n,).
        offset: the last place in the log that its vector may rest on, int64, shape (n,): of the entity's last
            event, or of the batch's where other keys than the entity's take part.
        X: feature vectors, float64, shape (n, f).
        score: float64, shape (n,).
        late: row to by how much its latest late event was late, and the inputs that its late events moved.
        arrival: when the batch arrived, microseconds UTC.
        timings: of the batch.
        fresh: when the scores were there: stopwatch, nanoseconds.
    """

    scoring: Scoring
    entities: Entities
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
        keys, request = self._columns
        time, offset, score = self.numbers
        scored = Scored(
            model=self.scoring.model.name,
            keys={name: values[row] for name, values in keys.items()},
            time=time[row],
            offset=offset[row],
            request={name: values[row] for name, values in request.items()},
            x=self.X[row],
            score=score[row],
        )
        late, moved = self.late.get(row, (0, ()))
        timings = self.timings
        return Refresh(scored, self.arrival, late, moved, timings.sent, timings.accepted, self.fresh)

    @cached_property
    def _columns(self) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """Keys and request columns as Python values."""
        model, column = self.scoring.model, self.entities.column
        return {name: column(name) for name in model.keys}, {name: column(name) for name in model.request}

    @cached_property
    def numbers(self) -> tuple[list[int], list[int], list[float]]:
        """Times, offsets and scores as Python values."""
        return self.time.tolist(), self.offset.tolist(), self.score.tolist()

    def __iter__(self) -> Iterator[Refresh]:
        return (self[row] for row in range(len(self)))

    def about(self, events: slice) -> list[int]:
        """The rows of the entities that some events of the batch are about, once each."""
        return list(dict.fromkeys(self.entity[events].tolist()))

    def column(self, name: str) -> list[Any]:
        """A key or request column as Python values."""
        keys, request = self._columns
        return keys[name] if name in keys else request[name]


@dataclass(frozen=True, eq=False)
class Refreshes(Sequence[Refresh]):
    """Some fresh scores, one after the other.

    Attributes:
        parts: of each batch and model the rows.
    """

    parts: tuple[tuple[Rescored, list[int]], ...] = ()

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.parts)

    def __iter__(self) -> Iterator[Refresh]:
        return (rescored[row] for rescored, rows in self.parts for row in rows)

    @overload
    def __getitem__(self, place: int) -> Refresh: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Refresh, ...]: ...

    def __getitem__(self, place: int | slice) -> Refresh | tuple[Refresh, ...]:
        return tuple(self)[place]
