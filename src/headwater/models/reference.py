"""What was usual in training: the yardstick beside which a reason shows a feature's value.

Computed once by ``training.fit``, kept in the artifact, shown by ``serving.reasons`` and compared by
``monitoring``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class Reference:
    """One input over the training rows. NaN where the input was always null.

    Attributes:
        rows: how many training rows.
        nulls: in how many of them the input was null.
        mean, std: of the others.
        quantiles: at 0, 5, 25, 50, 75, 95 and 100 %.
    """

    rows: int
    nulls: int
    mean: float
    std: float
    quantiles: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return self.quantiles[LEVELS.index(0.5)]


def references(X: Float64, names: Sequence[str]) -> Mapping[str, Reference]:
    """The reference of each input.

    Args:
        X: float64, shape (n, f); NaN is null.
        names: length f.

    Example:
        >>> references(np.array([[1.0], [3.0], [np.nan]]), ["amount"])["amount"].median
        2.0
    """
    return {name: _reference(X[:, place]) for place, name in enumerate(names)}


def _reference(values: Float64) -> Reference:
    known = values[~np.isnan(values)]
    nulls = len(values) - len(known)
    if not len(known):
        return Reference(len(values), nulls, np.nan, np.nan, (np.nan,) * len(LEVELS))
    quantiles = tuple(float(q) for q in np.quantile(known, LEVELS))
    return Reference(len(values), nulls, float(known.mean()), float(known.std()), quantiles)


def background(X: Float64, rows: int, seed: int = 0) -> Float64:
    """Training rows that stand for all of them, shape (at most ``rows``, f), in their order.

    What linear and black-box explanations compare with.
    """
    if len(X) <= rows:
        return X.copy()
    chosen = np.sort(np.random.default_rng(seed).choice(len(X), rows, replace=False))
    return np.ascontiguousarray(X[chosen])
