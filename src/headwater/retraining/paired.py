"""Two models on the same rows: the difference of each figure, with an interval from paired resamples.

Both are judged on the same resample of whole entities each time, so that what makes a sample hard is hard for
both and falls out of the difference. Called by the gate's checks; the statistics are those of
``models.ranking``, the resampling that of ``models.bootstrap``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.models.bootstrap import intervals, resamples
from headwater.models.metrics import Metric
from headwater.models.ranking import Ranking

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

RANKED = ("roc_auc", "average_precision")
LOSSES = ("brier", "cost")
BINS = 10


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of both models.

    Attributes:
        candidate: its figure with its interval.
        champion: the same of the champion; None where there is none.
        gain: candidate minus champion, turned so that above 0 the candidate is better; None without champion.
    """

    candidate: Metric
    champion: Metric | None
    gain: Metric | None


class Judge:
    """The figures of one model's scores under weights.

    Args:
        y: float64, shape (n,), 0.0 and 1.0.
        score: float64, shape (n,), probabilities.
        cost: float64, shape (n,): what the decision on each row cost; None if no costs are declared.
    """

    def __init__(self, y: Float64, score: Float64, cost: Float64 | None = None) -> None:
        self._y, self._score, self._cost = y, score, cost
        self._ranking = Ranking.of(y, score)
        edges = np.quantile(score, np.linspace(0, 1, BINS + 1)[1:-1])
        self._bin = np.searchsorted(edges, score, side="right")

    @property
    def names(self) -> tuple[str, ...]:
        """The figures, in the order of :meth:`figures`."""
        costs = ("cost",) if self._cost is not None else ()
        return (*RANKED, "brier", *costs, "calibration_error", "mean_gap")

    def figures(self, weight: Float64) -> Float64:
        """Figures under weights, shape (n,); NaN in all where one class is lacking."""
        total = weight.sum()
        steps = self._ranking.steps(weight[self._ranking.order])
        if steps.one_class():
            return np.full(len(self.names), np.nan)
        costs = [] if self._cost is None else [float(weight @ self._cost / total)]
        return np.array(
            [
                steps.roc_auc(),
                steps.average_precision(),
                float(weight @ (self._score - self._y) ** 2 / total),
                *costs,
                self.calibration(weight) / total,
                float(weight @ (self._score - self._y) / total),
            ]
        )

    def calibration(self, weight: Float64) -> float:
        """Sum over the bins of how far scores and outcomes lie apart, under weights."""
        off = np.bincount(self._bin, weights=weight * (self._score - self._y), minlength=BINS)
        return float(np.abs(off).sum())


def paired(
    y: Float64,
    candidate: Float64,
    champion: Float64 | None,
    entities: Int64,
    *,
    costs: tuple[Float64 | None, Float64 | None] = (None, None),
    bootstrap: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Difference]:
    """Judge one or two models on the same rows.

    Args:
        y: float64, shape (n,), 0.0 and 1.0, both present.
        candidate: float64, shape (n,), its scores.
        champion: the same of the champion; None where there is none.
        entities: shape (n,): whose each row is.
        costs: of the decisions of both, each shape (n,) or None.
        bootstrap: resamples of whole entities.
        seed: of the bootstrap.
        level: of the intervals.

    Returns:
        Figure to both models' values. ``mean_gap`` is the mean score minus the rate, with its sign, and its
        gain is by how much nearer to 0 the candidate's lies.

    Example:
        >>> y = np.array([0.0, 1.0] * 50)
        >>> perfect, reversed_ = y * 0.8 + 0.1, 0.9 - y * 0.8
        >>> paired(y, perfect, reversed_, np.arange(100))["roc_auc"].gain.low
        1.0
    """
    groups = np.unique(entities, return_inverse=True)[1].astype(np.int64)
    sides = [Judge(y, candidate, costs[0])]
    if champion is not None:
        sides.append(Judge(y, champion, costs[1]))
    ones = np.ones(len(y))
    points = np.array([side.figures(ones) for side in sides])
    draws = np.array([[side.figures(w) for side in sides] for w in resamples(groups, bootstrap, seed)])
    names = sides[0].names
    own = [_metrics(points[i], draws[:, i], level) for i in range(len(sides))]
    if champion is None:
        return {name: Difference(one, None, None) for name, one in zip(names, own[0], strict=True)}
    gains = _metrics(_gain(names, points), np.array([_gain(names, one) for one in draws]), level)
    return {
        name: Difference(one, other, gain)
        for name, one, other, gain in zip(names, own[0], own[1], gains, strict=True)
    }


def _gain(names: Sequence[str], both: Float64) -> Float64:
    """Candidate minus champion, above 0 where the candidate is better; shape (figures,)."""
    candidate, champion = both
    better: Float64 = candidate - champion
    for place, name in enumerate(names):
        if name == "mean_gap":
            better[place] = abs(champion[place]) - abs(candidate[place])
        elif name not in RANKED:
            better[place] = -better[place]
    return better


def _metrics(points: Float64, draws: Float64, level: float) -> list[Metric]:
    low, high = intervals(draws, level)
    return [Metric(float(v), float(a), float(b)) for v, a, b in zip(points, low, high, strict=True)]


def by_chance(score: Float64, draws: int, seed: int) -> Float64:
    """Calibration errors of a model whose every score is right, on so many outcomes; shape (draws,)."""
    random, ones = np.random.default_rng(seed), np.ones(len(score))
    found = np.empty(draws)
    for place in range(draws):
        drawn = (random.random(len(score)) < score).astype(np.float64)
        found[place] = Judge(drawn, score).calibration(ones) / len(score)
    return found


def cost_of(y: Float64, bands: Sequence[str], costs: Mapping[str, tuple[float, float]]) -> Float64:
    """What each decision cost, shape (n,).

    Args:
        y: float64, shape (n,).
        bands: the band of each row.
        costs: band to the cost of a decision on a negative, and on a positive.
    """
    table = np.array([costs[band] for band in bands], np.float64).reshape(len(bands), 2)
    return np.asarray(np.where(y > 0, table[:, 1], table[:, 0]), np.float64)
