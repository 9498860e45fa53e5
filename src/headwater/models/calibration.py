"""From scores to probabilities that came true: isotonic regression. Called by ``monitoring.outcomes``.

A rising step function, fitted by pooling adjacent violators (Zadrozny and Elkan, 2002); between its steps
it is linear, outside them flat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibrator:
    """A rising map from scores to probabilities.

    Attributes:
        scores: float64, shape (k,), rising.
        probabilities: float64, shape (k,), rising, of each.

    Example:
        >>> known = Calibrator.fit(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0.0, 0.0, 1.0]))
        >>> known(np.array([0.0, 0.9])).tolist()
        [0.0, 1.0]
    """

    scores: Float64
    probabilities: Float64

    @classmethod
    def fit(cls, scores: Float64, outcomes: Float64) -> Self:
        """Learn it.

        Args:
            scores: float64, shape (n,), at least one.
            outcomes: float64, shape (n,), 0 and 1.
        """
        fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores, outcomes)
        return cls(np.asarray(fitted.X_thresholds_), np.asarray(fitted.y_thresholds_))

    def __call__(self, scores: Float64) -> Float64:
        """Probabilities of scores, shape (n,)."""
        return np.interp(scores, self.scores, self.probabilities)
