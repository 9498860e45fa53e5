"""The input as a Polars frame, for the contenders that live in our environment."""

from __future__ import annotations

from typing import Any

import polars as pl

from benchmarks.contenders.windows.data import columns
from benchmarks.work import Work

WARM = 20_000


def events(work: Work) -> pl.DataFrame:
    """``key, time, amount, balance, is_credit, is_debit, is_cash``, in the order of the log."""
    found, _ = columns(work)
    return pl.DataFrame(found).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))


def answer(result: pl.DataFrame) -> dict[str, Any]:
    """The eighteen columns; a sum over nothing is 0, as in SQL's other half of the world."""
    return {
        name: result[name].cast(pl.Float64).fill_null(0.0).to_numpy()
        for name in result.columns
        if name.startswith(("n_", "sum_"))
    }


def figures(result: pl.DataFrame) -> dict[str, float]:
    wanted = [name for name in result.columns if name.startswith(("n_", "sum_"))]
    return {"events": result.height, "columns": len(wanted), "bytes": result.select(wanted).estimated_size()}


def warm(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.head(WARM)
