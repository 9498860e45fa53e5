"""Random trees, and rows that sit on their thresholds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headwater.models.forest.tree import Tree

Float64 = npt.NDArray[np.float64]


def grow(random: np.random.Generator, features: int, leaves: int, *, empty: bool = False) -> Tree:
    """A tree split at random places; ``empty`` lets some nodes have no training rows."""
    size = 2 * leaves - 1
    left, right = np.full(size, -1, np.int32), np.full(size, -1, np.int32)
    cover = np.zeros(size)
    cover[0] = 1.0
    open_leaves = [0]
    for new in range(1, size, 2):
        node = open_leaves.pop(int(random.integers(len(open_leaves))))
        left[node], right[node] = new, new + 1
        share = float(random.integers(1, 8)) / 8
        if empty and random.random() < 0.3:
            share = float(random.integers(2))
        cover[new], cover[new + 1] = cover[node] * share, cover[node] * (1 - share)
        open_leaves += [new, new + 1]
    return Tree(
        left,
        right,
        random.integers(0, features, size).astype(np.int32),
        np.round(random.normal(size=size), 1),
        random.random(size) < 0.5,
        random.normal(size=size),
        cover,
    )


def chain(random: np.random.Generator, depth: int) -> Tree:
    """A tree that is one long path, with a feature of its own at every step."""
    size = 2 * depth + 1
    left, right = np.full(size, -1, np.int32), np.full(size, -1, np.int32)
    feature, cover = np.zeros(size, np.int32), np.ones(size)
    node, cover[0] = 0, 1.0
    for step in range(depth):
        left[node], right[node], feature[node] = 2 * step + 1, 2 * step + 2, step
        cover[left[node]] = cover[node] * random.integers(1, 4) / 4
        cover[right[node]] = cover[node] - cover[left[node]]
        node = left[node]
    return Tree(
        left,
        right,
        feature,
        random.normal(size=size),
        random.random(size) < 0.5,
        random.normal(size=size),
        cover,
    )


def rows(random: np.random.Generator, count: int, features: int, *, null: bool = True) -> Float64:
    """Rows on the same coarse grid as the thresholds, so that ties are common; a tenth is null."""
    X = np.round(random.normal(size=(count, features)), 1)
    if null:
        X[random.random(X.shape) < 0.1] = np.nan
    return np.asarray(X)


def problem(
    seed: int, count: int = 400, features: int = 6, *, null: bool = False
) -> tuple[Float64, npt.NDArray[np.int64]]:
    """A small binary problem on a coarse grid: column 1 is often zero, column 4 holds twelve categories."""
    random = np.random.default_rng(seed)
    X = rows(random, count, features, null=False)
    X[random.random(count) < 0.3, 1] = 0.0
    X[:, 4] = random.integers(0, 12, count)
    log_odds = 2 * X[:, 0] + 2.0 * (X[:, 4] % 3 == 1) + X[:, 1] * X[:, 2] + random.logistic(size=count)
    if null:
        X[random.random(X.shape) < 0.1] = np.nan
    return X, (log_odds > 0.7).astype(np.int64)
