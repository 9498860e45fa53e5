"""River: ``TimeRolling`` around ``stats.Sum``, eighteen of them per key.

A rolling statistic lets go of old events only when it is updated, so each gets every event, with 0 where
the filter says no.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from river import stats, utils  # type: ignore[import-not-found]

from benchmarks.contenders.windows.data import FILTERED, SPANS, columns
from benchmarks.contenders.windows.plain import NAMES, answer, figures, rows_of
from benchmarks.work import Work

__all__ = ["answer", "figures", "prepare"]

EPOCH = dt.datetime(1970, 1, 1)  # without a zone: River compares faster so


def prepare(work: Work) -> Callable[[], Any]:
    found, rows = columns(work)
    keys = found["key"].tolist()
    events = [(EPOCH + dt.timedelta(microseconds=time), *rest) for time, *rest in rows_of(found)]
    return lambda: (rows, _run(keys, events))


def _rollings() -> list[Any]:
    periods = [dt.timedelta(microseconds=span) for span in SPANS.values()]
    return [
        utils.TimeRolling(stats.Sum, period=period) for period in periods for _ in range(2 * len(FILTERED))
    ]


def _run(keys: list[int], events: list[Any]) -> np.ndarray[Any, Any]:
    state: dict[int, list[Any]] = defaultdict(_rollings)
    out = np.empty((len(keys), len(NAMES)))
    for place, (key, (time, amount, balance, credit, debit, cash)) in enumerate(
        zip(keys, events, strict=True)
    ):
        values = [amount * credit, float(credit), amount * debit, float(debit), balance * cash, float(cash)]
        row = state[key]
        for rolling, value in zip(row, values * len(SPANS), strict=True):
            rolling.update(value, t=time)
        out[place] = [rolling.get() for rolling in row]
    return out
