"""Bootstrap: how far a figure could have come out differently.

A resample is a weight for each row: how often it was drawn. Rows of one entity are alike, so by
default whole entities are drawn (the cluster bootstrap: Field and Welsh, 2007), else the intervals come
out far too narrow. Seeded, so the same rows give the same interval. Called by ``models.metrics``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

LEVEL = 0.95


def resamples(groups: Int64, times: int, seed: int) -> Iterator[Float64]:
    """How often each group was drawn, ``times`` times over.

    Args:
        groups: int64, shape (n,): the group of each row, numbered from 0 without gaps.
        times: number of resamples.
        seed: of the random generator.

    Yields:
        float64, shape (n,): the weight of each row; whole numbers.

    Example:
        >>> [weight.tolist() for weight in resamples(np.array([0, 0, 1]), 2, seed=3)]
        [[1.0, 1.0, 1.0], [2.0, 2.0, 0.0]]
    """
    rng = np.random.default_rng(seed)
    size = int(groups.max()) + 1 if len(groups) else 0
    for _ in range(times):
        drawn = np.bincount(rng.integers(0, size, size), minlength=size).astype(np.float64)
        yield drawn[groups]


def intervals(values: Float64, level: float = LEVEL) -> tuple[Float64, Float64]:
    """Percentile interval of each column, leaving out resamples in which it had no value.

    Args:
        values: float64, shape (resamples, figures); NaN where a resample lacked a class or a band.
        level: coverage, 0.95 by default.

    Returns:
        Low and high, each of shape (figures,); NaN where fewer than half the resamples had a value.
    """
    low = np.full(values.shape[1], np.nan)
    high = low.copy()
    known = np.isfinite(values)
    enough = known.sum(axis=0) * 2 >= max(len(values), 1)
    for column in np.flatnonzero(enough):
        tail = (1 - level) / 2
        low[column], high[column] = np.quantile(values[known[:, column], column], [tail, 1 - tail])
    return low, high
