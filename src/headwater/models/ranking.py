"""Statistics of a ranking: rows in falling order of score, with a weight for each row.

Everything here is one pass of cumulative sums over scores that were sorted once, so that two hundred
bootstrap resamples (each only another weight vector) cost two hundred passes and no sort. Ties are one
step of the curve, as in scikit-learn, never an accident of row order. Called by ``models.metrics``
and, for the curves, by ``models.plots``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows in falling order of score.

    Attributes:
        order: int64, shape (n,): the input row at each place.
        score: float64, shape (n,), falling.
        label: float64, shape (n,): 1.0 for the positive class, else 0.0.
        ends: int64, shape (g,): the last place of each run of equal scores.
    """

    order: Int64
    score: Float64
    label: Float64
    ends: Int64

    @classmethod
    def of(cls, label: npt.ArrayLike, score: npt.ArrayLike) -> Ranking:
        """Sort once; equal scores keep the order of the input.

        Example:
            >>> Ranking.of([0, 1, 0, 1], [0.1, 0.9, 0.4, 0.4]).ends.tolist()
            [0, 2, 3]
        """
        values = np.asarray(score, np.float64)
        order = np.argsort(-values, kind="stable")
        falling = values[order]
        ends = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(falling) - 1)
        return cls(order, falling, np.asarray(label, np.float64)[order], ends)

    def __len__(self) -> int:
        return len(self.score)

    def steps(self, weight: Float64 | None = None) -> Steps:
        """The weight of positives and negatives that score at least as high, at each distinct score.

        Args:
            weight: float64, shape (n,), in falling order of score; None counts every row once.
        """
        positive = self.label if weight is None else self.label * weight
        above = np.cumsum(positive)[self.ends]
        total = np.asarray(self.ends + 1, np.float64) if weight is None else np.cumsum(weight)[self.ends]
        return Steps(above, total - above)


@dataclass(frozen=True, slots=True)
class Steps:
    """A ranking reduced to its distinct scores, from the highest down.

    Attributes:
        true: float64, shape (g,): weight of positives at or above each distinct score.
        false: float64, shape (g,): the same for negatives.
    """

    true: Float64
    false: Float64

    def roc(self) -> tuple[Float64, Float64]:
        """False and true positive rates, shapes (g + 1,), from (0, 0) to (1, 1)."""
        return _from_zero(self.false) / self.false[-1], _from_zero(self.true) / self.true[-1]

    def precision_recall(self) -> tuple[Float64, Float64]:
        """Precision and recall at each distinct score, shapes (g,), recall rising."""
        total = self.true + self.false
        precision = np.divide(self.true, total, out=np.ones_like(total), where=total > 0)
        return precision, self.true / self.true[-1]

    def one_class(self) -> bool:
        """Whether positives or negatives carry no weight, so that no ranking can be judged."""
        return bool(self.true[-1] <= 0 or self.false[-1] <= 0)

    def roc_auc(self) -> float:
        """The probability that a positive outscores a negative; a tie counts one half."""
        false, true = self.roc()
        return float(np.sum(np.diff(false) * (true[1:] + true[:-1])) / 2)

    def average_precision(self) -> float:
        """Mean precision over the positives: the area of the stepwise precision-recall curve."""
        precision, recall = self.precision_recall()
        return float(np.sum(np.diff(recall, prepend=0.0) * precision))

    def ks(self) -> float:
        """Kolmogorov-Smirnov: the widest gap between the two classes' score distributions."""
        false, true = self.roc()
        return float(np.max(np.abs(true - false)))

    def precision_at(self, k: float) -> float:
        """The share of positives among the k highest scores.

        Where k cuts a run of equal scores, the value expected if that run were shuffled.
        """
        total = _from_zero(self.true + self.false)
        return float(np.interp(k, total, _from_zero(self.true)) / k)


def brier(ranking: Ranking) -> Float64:
    """Squared error of each row's probability, shape (n,), in falling order of score."""
    return np.asarray((ranking.score - ranking.label) ** 2, np.float64)


def log_loss(ranking: Ranking) -> Float64:
    """Negative log likelihood of each row, shape (n,); probabilities kept one epsilon from 0 and 1."""
    score = np.clip(ranking.score, _EPS, 1 - _EPS)
    return np.asarray(-np.where(ranking.label > 0, np.log(score), np.log1p(-score)), np.float64)


def quantile_bins(ranking: Ranking, bins: int) -> Int64:
    """Where each of at most ``bins`` groups of about equal size starts; equal scores stay together.

    Returns:
        int64, shape (b,), rising places in the ranking, the first 0.
    """
    after = ranking.ends + 1
    wanted = len(ranking) * np.arange(1, bins, dtype=np.float64) / bins
    cuts = after[np.minimum(np.searchsorted(after, wanted), len(after) - 1)]
    return np.unique(np.concatenate([[0], cuts[cuts < len(ranking)]])).astype(np.int64)


def _from_zero(values: Float64) -> Float64:
    return np.concatenate([[0.0], values])
