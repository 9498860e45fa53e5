"""Pathway: an interval join of the events with themselves, reduced per event.

Its sliding windows fire on a grid; a window that ends at each event is an interval join. One join over the
longest window, and sums of what lies in the shorter ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pathway as pw  # type: ignore[import-not-found]

from benchmarks.contenders.windows.data import FILTERED, SPANS, columns
from benchmarks.contenders.windows.plain import NAMES, answer, figures
from benchmarks.work import Work

__all__ = ["answer", "figures", "prepare"]


def prepare(work: Work) -> Callable[[], Any]:
    found, rows = columns(work)
    wanted = {name: found[name] for name in ("key", "time")}
    for name, column, where in FILTERED:
        wanted[name] = np.where(found[where], found[column], 0.0)
        wanted[f"is_{name}"] = found[where].astype(np.int64)
    frame = pd.DataFrame({"row": np.arange(len(rows)), **wanted})
    return lambda: (rows, _run(frame))


def _run(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    longest = max(SPANS.values())
    asked = pw.debug.table_from_pandas(frame[["row", "key", "time"]])
    events = pw.debug.table_from_pandas(frame.drop(columns="row"))
    window = pw.temporal.interval(1 - longest, 0)
    joined = asked.interval_join(events, asked.time, events.time, window, asked.key == events.key)
    pairs = joined.select(
        asked.row, age=asked.time - events.time, **{name: events[name] for name in _columns()}
    )
    spread = {}
    for span, length in SPANS.items():
        for name, _, _ in FILTERED:
            inside = pairs.age < length
            spread[f"sum_{name}_{span}"] = pw.if_else(inside, pairs[name], 0.0)
            spread[f"n_{name}_{span}"] = pw.if_else(inside, pairs[f"is_{name}"], 0)
    parts = pairs.select(pairs.row, **spread)
    summed = parts.groupby(parts.row).reduce(
        parts.row, **{name: pw.reducers.sum(parts[name]) for name in NAMES}
    )
    out = pw.debug.table_to_pandas(summed, include_id=False).sort_values("row")
    features: np.ndarray[Any, Any] = out[NAMES].to_numpy(dtype=np.float64)
    return features


def _columns() -> list[str]:
    return [column for name, _, _ in FILTERED for column in (name, f"is_{name}")]
