"""What was lived, in numbers: AUC, Brier and cost by week, and how much of what the change took came back.

The AUC moves from week to week for everybody, because some weeks are harder to tell. So a model is
held against the simulation's true risk on the same decisions: its *shortfall* is the truth's AUC less its
own.

::

    taken      shortfall of the first model after the change     minus its shortfall before it
    regained   AUC of the model of a retraining                  minus AUC of the first model, same decisions
    share      regained / taken

Part of what is taken no model can bring back: in the new regime bookings tell less of the hidden life. So
``taken_of_bookings`` is told too, with the exact risk given only the bookings in the place of the truth.

The model of a retraining is frozen for this and judged on the eight weeks that follow it. All figures have
intervals: whole accounts are drawn again, for all models alike. Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.loop.lives import AFTER, CHANGING, LIVES, Float64, Int64, Lives
from headwater.apps.demo import project as demo
from headwater.core.instant import WEEK
from headwater.models.bootstrap import intervals, resamples
from headwater.models.metrics import Metric
from headwater.models.ranking import Ranking

RETRAINS = 3
WANTED = 0.8
_PLAIN = ("taken_of_bookings", "rows", "positives")
RESAMPLES = 200
BANDS = tuple(demo.policy.bands.values())
# What a decision costs on a negative and on a positive, so that the policy's bounds are the best ones.
COSTS = {"healthy": (0.0, 100.0), "watch": (3.5, 60.0), "act": (17.0, 20.0)}

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Share:
    """How much a retraining brought back.

    Attributes:
        week: of the retraining.
        taken, regained, share: with their intervals.
        taken_of_bookings: what was taken beside the best that bookings allow.
        rows, positives: of the weeks on which it is judged.
    """

    week: int
    taken: Metric
    regained: Metric
    share: Metric
    taken_of_bookings: float
    rows: int
    positives: int

    def json(self) -> dict[str, Any]:
        """Plain JSON values."""
        named = {name: getattr(self, name).to_json() for name in ("taken", "regained", "share")}
        return {"week": self.week, **named, **{name: getattr(self, name) for name in _PLAIN}}


def cost(scores: Float64, y: Float64) -> Float64:
    """What each decision cost, shape (n,).

    Example:
        >>> cost(np.array([0.01, 0.01, 0.5]), np.array([0.0, 1.0, 1.0])).tolist()
        [0.0, 100.0, 20.0]
    """
    table = np.array(list(COSTS.values()))
    band = np.searchsorted(BANDS, scores, side="right") - 1
    return np.asarray(np.where(y > 0, table[band, 1], table[band, 0]))


def auc(y: Float64, scores: Float64, weight: Float64 | None = None) -> float:
    """The area under the ROC curve; NaN where one class is lacking."""
    ranking = Ranking.of(y, scores)
    steps = ranking.steps(None if weight is None else weight[ranking.order])
    return float("nan") if steps.one_class() else steps.roc_auc()


def weekly(worlds: Sequence[Lives]) -> list[dict[str, Any]]:
    """Each week with the figures of each life, all worlds together."""
    size = worlds[0].size
    return [_week(worlds, week) for week in range(-size.before, size.after)]


def _week(worlds: Sequence[Lives], week: int) -> dict[str, Any]:
    inside = [one.week == week for one in worlds]
    y = np.concatenate([one.y[rows] for one, rows in zip(worlds, inside, strict=True)])
    found: dict[str, Any] = {"week": week, "rows": len(y), "positives": int(y.sum())}
    for life in LIVES:
        scores = np.concatenate([one.scores[life][rows] for one, rows in zip(worlds, inside, strict=True)])
        found[life] = {
            "auc": auc(y, scores),
            "brier": float(np.mean((scores - y) ** 2)),
            "cost": float(cost(scores, y).mean()),
        }
    return found


def shares(worlds: Sequence[Lives]) -> list[Share]:
    """What each retraining from the change on brought back, where eight weeks follow it."""
    weeks = sorted(set.intersection(*(set(one.candidates) for one in worlds)))
    return [_share(worlds, week) for week in weeks if week >= 0]


def _share(worlds: Sequence[Lives], week: int) -> Share:
    parts = [_Part.of(one, week) for one in worlds]
    point = np.mean([part.figures() for part in parts], axis=0)
    draws = np.mean([list(part.drawn()) for part in parts], axis=0)
    low, high = intervals(np.column_stack([draws, draws[:, 1] / draws[:, 0]]))
    values = [*point, point[1] / point[0]]
    metrics = [Metric(float(v), float(a), float(b)) for v, a, b in zip(values, low, high, strict=True)]
    rows = sum(int(part.after.sum()) for part in parts)
    best = float(np.mean([part.figures(best="bookings")[0] for part in parts]))
    taken, regained, share = metrics
    return Share(
        week, taken, regained, share, best, rows, sum(int(part.y[part.after].sum()) for part in parts)
    )


@dataclass(frozen=True)
class _Part:
    """One world, as far as it tells of one retraining."""

    y: Float64
    accounts: Int64
    before: Mask
    after: Mask
    scores: Mapping[str, Float64]

    @classmethod
    def of(cls, lives: Lives, week: int) -> _Part:
        weeks = lives.week
        scores = {
            "truth": lives.scores["truth"],
            "bookings": lives.bookings,
            "fresh": lives.scores["fresh"],
            "candidate": lives.candidates[week],
        }
        return cls(
            lives.y,
            np.unique(lives.accounts, return_inverse=True)[1].astype(np.int64),
            weeks < 0,
            (weeks >= week) & (weeks < week + AFTER),
            scores,
        )

    def figures(self, weight: Float64 | None = None, best: str = "truth") -> tuple[float, float]:
        """What was taken, and what was regained."""

        def of(rows: Mask, name: str) -> float:
            return auc(self.y[rows], self.scores[name][rows], None if weight is None else weight[rows])

        before = of(self.before, best) - of(self.before, "fresh")
        fresh = of(self.after, "fresh")
        return of(self.after, best) - fresh - before, of(self.after, "candidate") - fresh

    def drawn(self) -> Iterator[tuple[float, float]]:
        for weight in resamples(self.accounts, RESAMPLES, seed=0):
            yield self.figures(weight)


def counts() -> dict[str, int]:
    """The week of the first retraining, counted in three ways.

    ``change`` is the first after the change began; ``matured`` the first whose window holds known outcomes
    of the new regime; ``whole`` the first whose window holds such of the regime as it is from March on.
    """
    gap = demo.early_warning.label.horizon + demo.early_warning.label.delay
    return {
        "change": 0,
        "matured": -(-(gap + 1) // WEEK),
        "whole": -(-(CHANGING + gap + 1) // WEEK),
    }
