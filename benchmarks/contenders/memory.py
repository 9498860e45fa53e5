"""Headwater alone: bytes per retained event, as its state counts them and as the process grows."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

import headwater as hw
from benchmarks.contenders.flatness import features
from benchmarks.work import Work
from benchmarks.worker import resident
from headwater.core.batch import Batch
from headwater.engine.run import Engine

START = 1_700_000_000_000_000
STEP = 1_000
SPAN = "365d"  # longer than all events last
BATCH = 250_000
NAMES = ("x", "up", "c", "d")
SCHEMA = pl.Schema({"at": pl.Datetime("us", "UTC"), "key": pl.Int64(), **dict.fromkeys(NAMES, pl.Float64())})
COLUMNLESS = ("count", "since", "decayed_count")


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    options = work.options
    if options["columns"] < 0:
        return lambda: {
            name: {
                **_grown({"f": aggregate}, work, 1),
                "grew": 0.0,
                "columns": 0 if name.startswith(COLUMNLESS) else 1,
            }
            for name, aggregate in features(SPAN).items()
        }
    wanted = {"n": hw.count(over=SPAN)}
    wanted |= {f"sum_{name}": hw.sum(name, over=SPAN) for name in NAMES[: options["columns"]]}
    return lambda: _grown(wanted, work, work.threads)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _grown(wanted: dict[str, hw.Aggregate], work: Work, shards: int) -> dict[str, float]:
    """Feed a new engine; a first batch of a throw-away one lets the process find its working size."""
    events, keys = work.options["events"], work.options["keys"]
    view = hw.FeatureView("v", stream=hw.Stream("s", SCHEMA, time="at"), key="key", features=wanted)
    Engine([view], shards=shards).apply(_batch(0, keys))
    gc.collect()
    engine, before = Engine([view], shards=shards), resident()
    for start in range(0, events, BATCH):
        engine.apply(_batch(start, keys))
    gc.collect()
    state = engine.states["v"]
    retained = state.events()
    if retained != -(-events // BATCH) * BATCH:
        raise RuntimeError(f"{retained} of {events} events are retained")
    return {
        "events": retained,
        "state": state.bytes_used() / retained,
        "grew": (resident() - before) / retained,
    }


def _batch(start: int, keys: int) -> Batch:
    random = np.random.default_rng(start)
    offset = np.arange(start, start + BATCH)
    at = START + offset * STEP
    columns = {name: random.normal(size=BATCH) for name in NAMES}
    columns["up"] = offset.astype(np.float64)
    frame = pl.DataFrame({"at": at, "key": random.integers(0, keys, BATCH), **columns})
    return Batch("s", offset, at, at, frame.with_columns(pl.col("at").cast(SCHEMA["at"])))
