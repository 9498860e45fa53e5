"""A small trained model, for tests of what keeps, registers and draws models."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

from headwater.models.artifact import Artifact
from headwater.models.fitting import fit
from headwater.models.inputs import Inputs
from headwater.models.reference import background, references

NAMES = ("amount", "age", "way", "ratio")
TYPES = {
    "amount": pl.Float64(),
    "age": pl.Int64(),
    "way": pl.Enum(["card", "cash"]),
    "seen": pl.Datetime("us", "UTC"),
    "day": pl.Date(),
}


def rows(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """A feature matrix with some nulls, and outcomes that depend on it."""
    random = np.random.default_rng(0)
    X = np.column_stack(
        [
            random.normal(size=count),
            random.integers(18, 80, count),
            random.integers(0, 2, count),
            np.ones(count),
        ]
    )
    y = X[:, 0] + random.normal(size=count) > 0
    X[:5, 1] = np.nan
    return X, y.astype(np.int64)


def artifact(**changes: Any) -> Artifact:
    """An artifact of a model called ``risk``, with every kind of part."""
    X, y = rows()
    parts: dict[str, Any] = {
        "model": "risk",
        "definition_hash": "d" * 64,
        "definition": {"name": "risk", "kind": "model"},
        "inputs": Inputs(
            NAMES, TYPES, {"ratio": pl.col("amount") / pl.col("age")}, {"way": ("card", "cash")}
        ),
        "estimator": fit(HistGradientBoostingClassifier(max_iter=5), X, y, NAMES).estimator,
        "references": references(X, NAMES),
        "background": background(X, 20),
        "manifest": {"rows": 300, "positives": int(y.sum()), "checksums": {"X": "ab" * 32}},
        "metrics": {"roc_auc": 0.75, "band_act_rate": float("nan")},
    }
    return Artifact(**(parts | changes))
