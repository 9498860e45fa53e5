"""Rows of 40 values for servers that have a model and no features."""

from __future__ import annotations

import pickle

import numpy as np
import polars as pl

from benchmarks.work import Work

ROWS = 500


def rows(work: Work) -> list[list[float]]:
    """Some accounts' features; JSON has no NaN, so that a missing value is 0 for all of them."""
    frame = pl.read_parquet(work.data / "bank" / "features.parquet").drop("who").head(ROWS)
    return [list(map(float, row)) for row in frame.fill_nan(0.0).fill_null(0.0).iter_rows()]


def chance(work: Work) -> float:
    """What the model itself says of the first row."""
    estimator = pickle.loads((work.data / "bank" / "model.pkl").read_bytes())  # our own file
    return float(estimator.predict_proba(np.array(rows(work)[:1]))[0, 1])
