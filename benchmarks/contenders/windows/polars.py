"""Polars, in three ways that its users write.

``idiomatic``: ``rolling(..., group_by=key)`` with filters in the aggregation. ``tuned``: the same with the
filtered columns made beforehand, so that the window only sums. ``rolling_sum_by``: expressions over the
key, which come out in the order of the events by themselves.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from benchmarks.contenders.windows import frame
from benchmarks.contenders.windows.data import FILTERED, SPANS
from benchmarks.contenders.windows.frame import answer, figures
from benchmarks.work import Work

__all__ = ["answer", "figures", "prepare"]


def prepare(work: Work) -> Callable[[], pl.DataFrame]:
    events = frame.events(work)
    run = {"idiomatic": _idiomatic, "tuned": _tuned, "rolling_sum_by": _rolling_sum_by}[work.options["way"]]
    run(frame.warm(events))
    return lambda: run(events)


def _idiomatic(events: pl.DataFrame) -> pl.DataFrame:
    def wanted(span: str) -> list[pl.Expr]:
        sums = [
            pl.col(column).filter(pl.col(where)).sum().alias(f"sum_{name}_{span}")
            for name, column, where in FILTERED
        ]
        return sums + [pl.col(where).sum().alias(f"n_{name}_{span}") for name, _, where in FILTERED]

    return _joined(events.lazy().with_row_index("row"), wanted)


def _tuned(events: pl.DataFrame) -> pl.DataFrame:
    def wanted(span: str) -> list[pl.Expr]:
        sums = [pl.col(name).sum().alias(f"sum_{name}_{span}") for name, _, _ in FILTERED]
        return sums + [pl.col(where).sum().alias(f"n_{name}_{span}") for name, _, where in FILTERED]

    return _joined(_zeroed(events).with_row_index("row"), wanted)


def _joined(events: pl.LazyFrame, wanted: Callable[[str], list[pl.Expr]]) -> pl.DataFrame:
    """All windows at once, side by side, back in the order of the events.

    The three come out with the same rows in the same order, so only one of them carries the row's number.
    """
    parts: list[pl.LazyFrame] = []
    for span in SPANS:
        row = [] if parts else [pl.col("row").last()]
        rolled = events.rolling("time", period=span, group_by="key").agg(*wanted(span), *row)
        parts.append(rolled.drop("key", "time"))
    return pl.concat(parts, how="horizontal").collect().sort("row").drop("row")


def _rolling_sum_by(events: pl.DataFrame) -> pl.DataFrame:
    return (
        _zeroed(events)
        .select(
            pl.col(column).rolling_sum_by("time", window_size=span).over("key").alias(f"{kind}_{name}_{span}")
            for span in SPANS
            for name, _, where in FILTERED
            for kind, column in (("sum", name), ("n", where))
        )
        .collect()
    )


def _zeroed(events: pl.DataFrame) -> pl.LazyFrame:
    """Filtered columns with 0 where the filter says no, and filters as numbers."""
    zeroed = [pl.when(where).then(column).otherwise(0.0).alias(name) for name, column, where in FILTERED]
    flags = [pl.col(where).cast(pl.UInt32) for _, _, where in FILTERED]
    return events.lazy().select("key", "time", *zeroed, *flags)
