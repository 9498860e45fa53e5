"""What was lived, in numbers: AUC, Brier and cost by week, and how much of what the change took came back.

The AUC moves from week to week for everybody, because some weeks are harder to tell. So a model is held
against the simulation's true risk on the same decisions: its *shortfall* is the truth's AUC less its own.

::

    taken      shortfall of the first model after the change     minus its shortfall before it
    regained   AUC of a retrained model                          minus AUC of the first model, same decisions
    share      regained / taken

What the change takes is a hundredth of AUC, and the outcomes of a few thousand accounts fall by chance within
two hundredths. But the chances are known here: so the AUC of these figures is the **expected** one, each
decision a positive with its true risk and a negative with the rest. By the outcomes as they fell the same
figures are told beside it; AUC, Brier score and cost of the weeks are of the outcomes.

Two models are judged, frozen, on the eight weeks that follow a retraining: its *candidate*, and the
*champion* that the loop's gate had let through by then. Part of what is taken no model can bring back: in the
new regime bookings tell less of the hidden life. So ``taken_of_bookings`` is told too, with the exact risk
given only the bookings in the place of the truth. All figures have intervals: whole accounts are drawn again,
for all models alike. Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.loop.life import Float64, Int64, Lives
from benchmarks.loop.lives import AFTER, CHANGING, LIVES
from headwater.apps.demo import project as demo
from headwater.core.instant import WEEK
from headwater.models.bootstrap import intervals, resamples
from headwater.models.metrics import Metric

RETRAINS = 3
WANTED = 0.8
_METRICS = ("taken", "regained", "share", "champion")
_PLAIN = ("taken_of_bookings", "realised", "rows", "positives")
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
        champion: the share of the model that the gate had made champion by then, the loop's own.
        taken_of_bookings: what was taken beside the best that bookings allow.
        realised: taken and regained by the outcomes as they fell.
        rows, positives: of the weeks on which it is judged.
    """

    week: int
    taken: Metric
    regained: Metric
    share: Metric
    champion: Metric
    taken_of_bookings: float
    realised: tuple[float, float]
    rows: int
    positives: int

    def json(self) -> dict[str, Any]:
        """Plain JSON values."""
        named = {name: getattr(self, name).to_json() for name in _METRICS}
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


@dataclass(frozen=True)
class Ranked:
    """Scores in their order, asked for the AUC again and again with other weights.

    Attributes:
        chance: of each row to be a positive; 0 or 1 for an outcome that is known, shape (n,).
        place: the rank of each row's score among the different ones, shape (n,).
    """

    chance: Float64
    place: npt.NDArray[np.intp]

    @classmethod
    def of(cls, chance: Float64, scores: Float64) -> Ranked:
        return cls(chance, np.unique(scores, return_inverse=True)[1])

    def auc(self, weight: Float64 | float = 1.0) -> float:
        """The share of weight of (positive, negative) that is in the right order; ties count half.

        Example:
            >>> Ranked.of(np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.1, 0.9])).auc()
            0.75
        """
        positive = np.bincount(self.place, self.chance * weight)
        negative = np.bincount(self.place, (1.0 - self.chance) * weight)
        below = np.cumsum(negative) - negative / 2
        return float(below @ positive / (positive.sum() * negative.sum()))


def auc(y: Float64, scores: Float64) -> float:
    """The area under the ROC curve; NaN where one class is lacking."""
    return Ranked.of(y, scores).auc() if 0 < y.sum() < len(y) else float("nan")


def weekly(worlds: Sequence[Lives]) -> list[dict[str, Any]]:
    """Each week with the figures of each life, all worlds together."""
    size = worlds[0].size
    return [_week(worlds, week) for week in range(-size.before, size.after)]


def _week(worlds: Sequence[Lives], week: int) -> dict[str, Any]:
    inside = [one.week == week for one in worlds]
    y = np.concatenate([one.y[rows] for one, rows in zip(worlds, inside, strict=True)])
    found: dict[str, Any] = {"week": week, "rows": len(y), "positives": int(y.sum())}

    def of(life: str) -> Float64:
        return np.concatenate([one.scores[life][rows] for one, rows in zip(worlds, inside, strict=True)])

    risk = of("truth")
    best = Ranked.of(risk, risk).auc()
    for life in LIVES:
        scores = of(life)
        found[life] = {
            "auc": auc(y, scores),
            "behind": best - Ranked.of(risk, scores).auc(),
            "brier": float(np.mean((scores - y) ** 2)),
            "cost": float(cost(scores, y).mean()),
        }
    return found


def shares(worlds: Sequence[Lives]) -> list[Share]:
    """What each retraining from the change on brought back, where eight weeks follow it."""
    weeks = sorted(set.intersection(*(set(one.candidates) for one in worlds)))
    return [_share(worlds, week) for week in weeks if week >= 0]


def _share(worlds: Sequence[Lives], week: int) -> Share:
    parts = [_Part.of(one, week, one.scores["truth"]) for one in worlds]
    point = np.mean([part.figures() for part in parts], axis=0)
    draws = np.mean([list(part.drawn()) for part in parts], axis=0)
    low, high = intervals(np.column_stack([draws[:, :2], draws[:, 1:3] / draws[:, :1]]))
    values = [point[0], point[1], point[1] / point[0], point[2] / point[0] + 0.0]  # no minus zero
    taken, regained, share, champion = (
        Metric(float(v), float(a), float(b)) for v, a, b in zip(values, low, high, strict=True)
    )
    fell = np.mean([_Part.of(one, week, one.y).figures() for one in worlds], axis=0)
    after = [(one.week >= week) & (one.week < week + AFTER) for one in worlds]
    return Share(
        week,
        taken,
        regained,
        share,
        champion,
        taken_of_bookings=float(point[3]),
        realised=(float(fell[0]), float(fell[1])),
        rows=sum(int(rows.sum()) for rows in after),
        positives=sum(int(one.y[rows].sum()) for one, rows in zip(worlds, after, strict=True)),
    )


def champion(lives: Lives, week: int) -> Float64:
    """The scores of whoever was champion when a week began, its turn included; frozen then."""
    promoted = [turn.week for turn in lives.turns if turn.verdict == "promote" and turn.week <= week]
    return lives.candidates[max(promoted)] if promoted else lives.scores["fresh"]


@dataclass(frozen=True)
class _Part:
    """One world, as far as it tells of one retraining."""

    before: Mapping[str, Ranked]
    after: Mapping[str, Ranked]
    accounts: tuple[Int64, Int64]
    number: int

    @classmethod
    def of(cls, lives: Lives, week: int, chance: Float64) -> _Part:
        rows = lives.week < 0, (lives.week >= week) & (lives.week < week + AFTER)
        best = {"truth": lives.scores["truth"], "bookings": lives.bookings, "fresh": lives.scores["fresh"]}
        models = {"candidate": lives.candidates[week], "champion": champion(lives, week)}
        account = np.unique(lives.accounts, return_inverse=True)[1].astype(np.int64)
        return cls(
            {name: Ranked.of(chance[rows[0]], scores[rows[0]]) for name, scores in best.items()},
            {name: Ranked.of(chance[rows[1]], s[rows[1]]) for name, s in (best | models).items()},
            (account[rows[0]], account[rows[1]]),
            int(account.max()) + 1,
        )

    def figures(self, weight: Float64 | None = None) -> tuple[float, float, float, float]:
        """Taken, regained by candidate and champion, and taken beside the best that bookings allow."""
        weights = (1.0, 1.0) if weight is None else tuple(weight[rows] for rows in self.accounts)
        before = {name: one.auc(weights[0]) for name, one in self.before.items()}
        after = {name: one.auc(weights[1]) for name, one in self.after.items()}
        short = before["truth"] - before["fresh"], after["truth"] - after["fresh"]
        of_bookings = before["bookings"] - before["fresh"], after["bookings"] - after["fresh"]
        return (
            short[1] - short[0],
            after["candidate"] - after["fresh"],
            after["champion"] - after["fresh"],
            of_bookings[1] - of_bookings[0],
        )

    def drawn(self) -> Iterator[tuple[float, float, float, float]]:
        for weight in resamples(np.arange(self.number), RESAMPLES, seed=0):
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
