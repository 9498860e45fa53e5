"""Shapley values of any function by asking it: exact for few features, sampled permutations for many.

Called by ``models.generic``. A feature that is "not known" takes the values of background rows, so the value
of a set S of known features is the mean score over the background with the features of S from the row.

Why not shap's explainer: the reasons of a decision may not depend on whether an optional package is
installed; this one is seeded, so that a replay gives the same reasons, and the tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import numpy as np
import numpy.typing as npt

from headwater.models.matrix import Float64

Bool = npt.NDArray[np.bool_]

EXACT = 8  # up to this many features all 2^n sets are asked
PERMUTATIONS = 8  # each is walked forwards and backwards
LARGEST = 64  # background rows
CELLS = 4_000_000  # numbers handed to the function at a time


class Permutation:
    """Explains a scoring function against background rows.

    Args:
        score: from rows, shape (n, features), to scores, shape (n,).
        background: shape (m, features), m >= 1; more than 64 rows are sampled down.
        seed: of the sample and of the permutations.

    Attributes:
        base: the mean score of the background.

    Example:
        >>> explainer = Permutation(lambda X: X[:, 0] * X[:, 1], np.zeros((1, 2)))
        >>> explainer.explain(np.array([[2.0, 3.0]]))
        array([[3., 3.]])
    """

    def __init__(self, score: Callable[[Float64], Float64], background: Float64, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self._score = score
        self._background = background
        if len(background) > LARGEST:
            self._background = background[np.sort(random.choice(len(background), LARGEST, replace=False))]
        features = background.shape[1]
        self._masks, self._weights = _all_sets(features) if features <= EXACT else _walks(features, random)
        self.base = float(np.mean(score(self._background)))

    def explain(self, X: Float64) -> Float64:
        """Contributions, shape (n, features). Each row's sum is its score less ``base``."""
        return np.array([self._weights @ self._values(row) for row in X]).reshape(X.shape)

    def _values(self, row: Float64) -> Float64:
        """The value of every set of known features."""
        size = max(CELLS // self._background.size, 1)
        parts = [self._masks[start : start + size] for start in range(0, len(self._masks), size)]
        return np.concatenate([self._value(row, part) for part in parts])

    def _value(self, row: Float64, masks: Bool) -> Float64:
        mixed = np.where(masks[:, None, :], row, self._background)
        scores = self._score(mixed.reshape(-1, len(row)))
        return np.asarray(scores.reshape(len(masks), -1).mean(axis=1))


def _all_sets(features: int) -> tuple[Bool, Float64]:
    """All sets, and per feature the weight of each set's value in its Shapley value."""
    masks = (np.arange(2**features)[:, None] >> np.arange(features) & 1).astype(bool)
    size = masks.sum(axis=1)
    order = factorial(features)
    joined = np.array(
        [factorial(max(k - 1, 0)) * factorial(features - k) / order for k in range(features + 1)]
    )
    apart = np.array(
        [factorial(k) * factorial(max(features - k - 1, 0)) / order for k in range(features + 1)]
    )
    return masks, np.where(masks.T, joined[size], -apart[size])


def _walks(features: int, random: np.random.Generator) -> tuple[Bool, Float64]:
    """The sets met on sampled permutations and their reverses, and the weights of the steps between them."""
    masks, weights = [], []
    share = 1 / (2 * PERMUTATIONS)
    for _ in range(PERMUTATIONS):
        forwards = random.permutation(features)
        for walk in (forwards, forwards[::-1]):
            rank = np.argsort(walk)
            masks.append(rank[None, :] < np.arange(features + 1)[:, None])
            steps = np.zeros((features, features + 1))
            steps[walk, np.arange(1, features + 1)] = share
            steps[walk, np.arange(features)] = -share
            weights.append(steps)
    return np.concatenate(masks), np.concatenate(weights, axis=1)
