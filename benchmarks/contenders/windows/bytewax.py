"""bytewax: ``stateful_map`` by key. Its windows fire by the clock; one per event is the user's own code.

Deques with running sums, as its users write them; one worker, since Python code holds the GIL.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import bytewax.operators as op  # type: ignore[import-not-found]
import numpy as np
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
from bytewax.testing import TestingSink, TestingSource, run_main  # type: ignore[import-not-found]

from benchmarks.contenders.windows.data import FILTERED, SPANS, columns
from benchmarks.contenders.windows.plain import answer, figures, rows_of
from benchmarks.work import Work

__all__ = ["answer", "figures", "prepare"]

Row = tuple[int, float, float, bool, bool, bool]


class State:
    """One key: per filtered column its events, and per window its sum, count and first event."""

    def __init__(self) -> None:
        self.events: list[deque[tuple[int, float]]] = [deque() for _ in range(len(FILTERED) * len(SPANS))]
        self.sums = [0.0] * len(self.events)

    def add(self, row: Row) -> list[float]:
        time, amount, balance, credit, debit, cash = row
        values = ((amount, credit), (amount, debit), (balance, cash))
        place = 0
        out: list[float] = []
        for span in SPANS.values():
            for value, wanted in values:
                events = self.events[place]
                if wanted:
                    events.append((time, value))
                    self.sums[place] += value
                while events and events[0][0] <= time - span:
                    self.sums[place] -= events.popleft()[1]
                out += (self.sums[place], len(events))
                place += 1
        return out


def _mapper(state: State | None, item: tuple[int, Row]) -> tuple[State, tuple[int, list[float]]]:
    state = state or State()
    return state, (item[0], state.add(item[1]))


def prepare(work: Work) -> Callable[[], Any]:
    found, rows = columns(work)
    items = [
        (str(key), (place, row))
        for place, (key, row) in enumerate(zip(found["key"].tolist(), rows_of(found), strict=True))
    ]
    return lambda: (rows, _run(items))


def _run(items: list[Any]) -> np.ndarray[Any, Any]:
    out: list[tuple[str, tuple[int, list[float]]]] = []
    flow = Dataflow("windows")
    events = op.input("events", flow, TestingSource(items, batch_size=1_000))
    op.output("out", op.stateful_map("features", events, _mapper), TestingSink(out))
    run_main(flow)
    features = np.empty((len(items), 2 * len(FILTERED) * len(SPANS)))
    features[[place for _, (place, _) in out]] = [values for _, (_, values) in out]
    return features
