"""Headwater alone: what one event costs, by aggregation and window size.

All window sizes are engines in this one process; each gets every batch in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl

import headwater as hw
from benchmarks.work import Work
from headwater.core.batch import Batch
from headwater.engine.run import Engine

SECOND = 1_000_000
START = 1_700_000_000_000_000
BATCH = 16_384
SCHEMA = pl.Schema({"at": pl.Datetime("us", "UTC"), "key": pl.Int64(), "x": pl.Float64(), "up": pl.Float64()})

Costs = dict[str, dict[str, list[float]]]


def features(span: str) -> dict[str, hw.Aggregate]:
    """Every aggregation, over one window."""
    return {
        "count": hw.count(over=span),
        "sum": hw.sum("x", over=span),
        "mean": hw.mean("x", over=span),
        "var": hw.var("x", over=span),
        "std": hw.std("x", over=span),
        "min": hw.min("x", over=span),
        "min, rising": hw.min("up", over=span),
        "max": hw.max("x", over=span),
        "first": hw.first("x", over=span),
        "last": hw.last("x", over=span),
        "distinct": hw.distinct("x", over=span),
        "since_last": hw.since_last(over=span),
        "since_first": hw.since_first(over=span),
        "trend": hw.trend("x", over=span),
        "decayed_sum": hw.decayed_sum("x", half_life=span, over=span),
        "decayed_count": hw.decayed_count(half_life=span, over=span),
        "quantile": hw.quantile("x", q=0.5, over=span),
    }


def prepare(work: Work) -> Callable[[], Costs]:
    measured = _late if work.options["late"] else _in_order
    names = list(features("1s"))
    return lambda: {name: measured(name, work) for name in names}


def figures(result: Costs) -> dict[str, Any]:
    return dict(result)


def _in_order(name: str, work: Work) -> dict[str, list[float]]:
    """One key or several in turn; an event per key and second, so a window of n seconds holds n events."""
    sizes, keys, batches = work.options["sizes"], work.options["keys"], work.options["batches"]
    engines = [_engine(name, f"{size}s") for size in sizes]
    fill = -(-max(sizes) * keys // BATCH) + 2
    return _measured(engines, _batches([np.arange((fill + batches) * BATCH)] * len(sizes), keys), fill)


def _late(name: str, work: Work) -> dict[str, list[float]]:
    """The same window for all; what differs is by how many places one event in ten is late."""
    places, batches, window = work.options["sizes"], work.options["batches"], work.options["window"]
    engines = [_engine(name, f"{window}s") for _ in places]
    fill = -(-window // BATCH) + -(-max(places) // BATCH) + 2
    orders = [_delayed((fill + batches) * BATCH, late) for late in places]
    return _measured(engines, _batches(orders, 1), fill)


def _engine(name: str, span: str) -> Engine:
    stream = hw.Stream("s", SCHEMA, time="at")
    return Engine(
        [hw.FeatureView("v", stream=stream, key="key", features={"f": features(span)[name]})], shards=1
    )


def _delayed(events: int, late: int) -> np.ndarray[Any, Any]:
    """Positions of events in which every tenth has moved back by ``late`` places."""
    place = np.arange(events, dtype=np.float64)
    place[::10] += late + 0.5 if late else 0.0
    return np.argsort(place, kind="stable")


def _batches(orders: list[np.ndarray[Any, Any]], keys: int) -> Iterator[list[Batch]]:
    """Batch after batch, one for each order of the same events."""
    events = len(orders[0])
    x = np.random.default_rng(7).normal(size=events)
    for start in range(0, events, BATCH):
        rows = slice(start, start + BATCH)
        yield [_batch(order[rows], rows, x, keys) for order in orders]


def _batch(event: np.ndarray[Any, Any], rows: slice, x: np.ndarray[Any, Any], keys: int) -> Batch:
    offset = np.arange(rows.start, rows.start + len(event))
    at = START + event // keys * SECOND
    columns = {"at": at, "key": event % keys, "x": x[event], "up": event.astype(np.float64)}
    frame = pl.DataFrame(columns).with_columns(pl.col("at").cast(SCHEMA["at"]))
    return Batch("s", offset, START + offset, at, frame)


def _measured(engines: list[Engine], batches: Iterator[list[Batch]], fill: int) -> dict[str, list[float]]:
    """Median nanoseconds per event of each engine, by clock and by processor, after ``fill`` batches."""
    wall: list[list[float]] = [[] for _ in engines]
    cpu: list[list[float]] = [[] for _ in engines]
    for number, parts in enumerate(batches):
        for place, (engine, batch) in enumerate(zip(engines, parts, strict=True)):
            start, busy = time.perf_counter(), time.process_time()
            engine.apply(batch, emit=True)
            if number >= fill:
                wall[place].append((time.perf_counter() - start) / len(batch) * 1e9)
                cpu[place].append((time.process_time() - busy) / len(batch) * 1e9)
    return {
        "wall": [float(np.median(each)) for each in wall],
        "cpu": [float(np.median(each)) for each in cpu],
    }
