"""Reading the input, and what the results have in common, for contenders in our environment."""

from __future__ import annotations

from typing import Any

import polars as pl

from benchmarks.work import Work

SPANS = ("1d", "7d", "30d")
NAMES = [
    f"{name}_{span}"
    for name in ("n_customer", "mean_customer", "n_terminal", "risk_terminal")
    for span in SPANS
]


def read(work: Work) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events and spine."""
    return pl.read_parquet(work.data / "events.parquet"), pl.read_parquet(work.data / "spine.parquet")


def answer(result: tuple[pl.DataFrame, int]) -> dict[str, Any]:
    frame, _ = result
    return {name: frame[name].cast(pl.Float64).fill_null(0.0).to_numpy() for name in NAMES}


def figures(result: tuple[pl.DataFrame, int]) -> dict[str, float]:
    frame, asked = result
    return {"rows": frame.height, "asked": asked, "columns": len(NAMES)}
