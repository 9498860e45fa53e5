"""When to look: one row for each observation, with its keys, its time and what was known by then.

``hw.every`` observes each entity on a grid of times that does not depend on the entity, from when its first
event is known on; ``hw.each`` observes at each event of a stream. Called by ``training.dataset``; the engine
then answers what every feature was at that moment.

    hw.every("30d"), entity ada, first event at x:

        |        |        |        |        |        multiples of 30 days since 1970
              x  o        o        o        o
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import Problem, TrainingError
from headwater.definitions.model import Model
from headwater.definitions.observe import Each, Every
from headwater.training.past import Past, held

Int64 = npt.NDArray[np.int64]

INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Spine:
    """Observations, ascending by time.

    Attributes:
        keys: n rows: the model's key columns.
        time: int64 microseconds, shape (n,): as of when.
        known: int64 microseconds, shape (n,): what had arrived by then is seen.
        observed: n rows: the observed event, all columns of its stream; without columns for ``hw.every``.
    """

    keys: pl.DataFrame
    time: Int64
    known: Int64
    observed: pl.DataFrame

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, rows: npt.NDArray[np.bool_]) -> Spine:
        observed = self.observed.filter(rows) if self.observed.width else self.observed
        return Spine(self.keys.filter(rows), self.time[rows], self.known[rows], observed)


def observations(model: Model, events: Past | Mapping[str, Batch], start: int | None, end: int) -> Spine:
    """The observations of a model with ``start <= time <= end``.

    Args:
        model: the definition.
        events: the past, or a batch for each stream that the model reads.
        start: the earliest time, microseconds; None for the first event's.
        end: the latest time, microseconds.

    Raises:
        TrainingError: the model is observed at regular times, but has request columns, which no log holds.
    """
    if isinstance(model.observe, Each):
        return _at_each(model, model.observe, held(events), start, end)
    TrainingError.raise_if(_unknowable(model))
    return _at_every(model, model.observe, held(events), start, end)


def _at_every(model: Model, observe: Every, past: Past, start: int | None, end: int) -> Spine:
    entities = past.first_known(model)
    first = entities["known"].to_numpy()
    if start is not None:
        first = np.maximum(first, start)
    grid = -(-first // observe.span)
    count = np.maximum(end // observe.span - grid + 1, 0)
    entity = np.repeat(np.arange(len(entities)), count)
    step = np.arange(len(entity)) - np.repeat(np.cumsum(count) - count, count)
    time = (grid[entity] + step) * observe.span
    order = np.argsort(time, kind="stable")
    time = time[order]
    keys = entities.select(model.entity)[entity[order]]
    return Spine(keys, time, time, pl.DataFrame())


def _at_each(model: Model, observe: Each, past: Past, start: int | None, end: int) -> Spine:
    batch = past.observed(observe, start, end)
    place = np.argsort(batch.time, kind="stable")
    observed = batch.frame[place]
    known = np.maximum(batch.arrival[place], batch.time[place])
    return Spine(observed.select(model.keys), batch.time[place], known, observed)


def _unknowable(model: Model) -> list[Problem]:
    if not model.request:
        return []
    return [
        Problem(
            "the model's request columns cannot be known at regular times",
            expected="columns of an observed event: observe=hw.each(stream)",
            got=", ".join(model.request),
            where=f"{model.name}.request",
            do="observe each event of the stream that has them, or make them a feature with hw.last",
        )
    ]
