"""The past that a training set is made of: what it asks of the events, wherever they lie.

::

    log, frames ──► Held: all of it in this process ─┐
                                                     ├──► spine, labels, features, manifest
    tables      ──► scale.spark.past: on Spark ──────┘

Called by ``dataset``, ``spine`` and ``labels``; both kinds answer with the same bits. Read ``history`` for
how events come into this process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.definitions.view import FeatureView
from headwater.engine.asof import asof_batches
from headwater.models.flow import Flow, flow
from headwater.training.history import Events, gather, streams_of
from headwater.training.manifest import Source

Int64 = npt.NDArray[np.int64]


@runtime_checkable
class Past(Protocol):
    """The events of a model's streams. Times are microseconds."""

    def sources(self) -> Mapping[str, Source]:
        """What there is of each stream."""
        ...

    def flows(self, known: int) -> Mapping[str, Flow]:
        """How the events of each stream came that had arrived by ``known``."""
        ...

    def first_known(self, model: Model) -> pl.DataFrame:
        """Each entity, ascending, with the first instant at which one of its events had happened and come."""
        ...

    def observed(self, observe: Each, start: int | None, end: int) -> Batch:
        """The events with ``start <= time <= end`` that are observed, in the order of the log."""
        ...

    def features(
        self, views: Sequence[FeatureView], spine: pl.DataFrame, *, time: str, known: Int64 | None = None
    ) -> pl.DataFrame:
        """The rows of a spine with the features of each at its time, as ``hw.asof`` has them."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """Events that this process holds: a batch for each stream."""

    batches: Mapping[str, Batch]

    def sources(self) -> Mapping[str, Source]:
        """What there is of each stream."""
        return {name: Source.of(batch) for name, batch in self.batches.items()}

    def flows(self, known: int) -> Mapping[str, Flow]:
        """How the events of each stream came that had arrived by ``known``."""
        return {name: _flow(batch, known) for name, batch in self.batches.items()}

    def first_known(self, model: Model) -> pl.DataFrame:
        """Each entity, ascending, with the first instant at which one of its events had happened and come."""
        streams = {view.stream.name for view in model.features}
        parts = [
            self.batches[name].frame.select(
                pl.col(model.entity),
                pl.Series("known", np.maximum(self.batches[name].arrival, self.batches[name].time), pl.Int64),
            )
            for name in streams
        ]
        return pl.concat(parts).group_by(model.entity).agg(pl.col("known").min()).sort(model.entity)

    def observed(self, observe: Each, start: int | None, end: int) -> Batch:
        """The events with ``start <= time <= end`` that are observed, in the order of the log."""
        batch = self.batches[observe.stream.name]
        inside = batch.time <= end
        if start is not None:
            inside &= batch.time >= start
        if observe.where is not None:
            fits = batch.frame.select(observe.where.fill_null(False).alias("fits"))["fits"]
            inside &= fits.to_numpy()
        place = np.flatnonzero(inside)
        return Batch(
            batch.stream, batch.offset[place], batch.arrival[place], batch.time[place], batch.frame[place]
        )

    def features(
        self, views: Sequence[FeatureView], spine: pl.DataFrame, *, time: str, known: Int64 | None = None
    ) -> pl.DataFrame:
        """The rows of a spine with the features of each at its time."""
        return asof_batches(views, self.batches, spine, time=time, known=known)


def held(events: Past | Mapping[str, Batch]) -> Past:
    """The past itself, or the one that some batches are."""
    return events if isinstance(events, Past) else Held(events)


def past_of(events: Events | Past, model: Model) -> Past:
    """The past of a model: events are brought into this process, unless they lie elsewhere.

    Raises:
        DataError, ConflictError: as ``history.gather`` does.
    """
    return events if isinstance(events, Past) else Held(gather(events, streams_of(model), model.keys))


def _flow(batch: Batch, known: int) -> Flow:
    arrived = batch.arrival <= known
    return flow(batch.time[arrived], batch.arrival[arrived])
