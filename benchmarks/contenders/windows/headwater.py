"""Headwater: ``Engine.apply(batch, emit=True)``, in one batch or in small ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

import headwater as hw
from benchmarks.contenders.windows import frame
from benchmarks.contenders.windows.data import FILTERED, SPANS
from benchmarks.contenders.windows.frame import answer, figures
from benchmarks.work import Work
from headwater.core.batch import Batch
from headwater.engine.run import Engine

__all__ = ["answer", "figures", "prepare"]


def view(schema: pl.Schema) -> hw.FeatureView:
    features = {}
    for name, column, where in FILTERED:
        features[f"sum_{name}"] = hw.sum(column, where=pl.col(where), over=list(SPANS))
        features[f"n_{name}"] = hw.count(where=pl.col(where), over=list(SPANS))
    return hw.FeatureView("v", stream=hw.Stream("bookings", schema), key="key", features=features)


def prepare(work: Work) -> Callable[[], pl.DataFrame]:
    events = frame.events(work)
    wanted = view(events.schema)
    _run(wanted, frame.warm(events), work)
    return lambda: _run(wanted, events, work)


def _run(wanted: hw.FeatureView, events: pl.DataFrame, work: Work) -> pl.DataFrame:
    """From a frame of events to a frame of features; a new engine each time."""
    engine = Engine([wanted], shards=work.threads)
    time, offset = events["time"].to_physical().to_numpy(), np.arange(events.height)
    size = work.options.get("batch", events.height)
    parts = []
    for start in range(0, events.height, size):
        rows = slice(start, start + size)
        batch = Batch("bookings", offset[rows], time[rows], time[rows], events[rows])
        parts.append(engine.apply(batch, emit=True)["v"])
    return parts[0] if len(parts) == 1 else pl.concat(parts, rechunk=True)
