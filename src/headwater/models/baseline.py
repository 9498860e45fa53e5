"""What all was like when a model was trained: what later windows are held against.

Spreads of the inputs over the training rows; spread of the scores, and the mean contribution of each
input, over the rows that the model was judged on (scores of rows that it learned from flatter it); the
flow of its streams.
Made by ``training``, kept in the artifact as ``baseline.json``, read by ``monitoring.reference``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from headwater.models.flow import Flow
from headwater.models.scorer import Scorer
from headwater.models.spread import Rows, Spread, spread, spreads

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_EXPLAINED = 4_000
_EXPLAINED_SLOWLY = 100  # an estimator that must be asked again and again


@dataclass(frozen=True)
class Contributions:
    """What each input added to a score on average.

    Attributes:
        space: of the contributions: ``log-odds`` or ``probability``.
        rows: how many rows were explained.
        base: what contributions start from.
        means: input to its mean contribution; ``base`` and all of them add up to the mean margin.
    """

    space: str
    rows: int
    base: float
    means: Mapping[str, float]

    @property
    def margin(self) -> float:
        """The mean score in ``space``."""
        return self.base + sum(self.means.values())

    @classmethod
    def of(cls, scorer: Scorer, X: Float64, most: int | None = None, seed: int = 0) -> Self:
        """Explain rows, shape (n, f); at most ``most`` of them, drawn at random."""
        quick = scorer.kind in ("forest", "linear")
        limit = most if most is not None else (_EXPLAINED if quick else _EXPLAINED_SLOWLY)
        rows = np.sort(np.random.default_rng(seed).permutation(len(X))[:limit])
        phi, base = scorer.contributions(X[rows])
        means = dict(zip(scorer.names, phi.mean(axis=0).tolist(), strict=True))
        return cls(str(scorer.space), len(rows), float(base), means)


@dataclass(frozen=True)
class Baseline:
    """The reference of one model version. Times are microseconds UTC.

    Attributes:
        spreads: input to its spread over the training rows.
        learned: first and last time of the training rows.
        flows: stream to its flow, up to when the training set was made.
        scores: spread of the scores over the rows that it was judged on; None if it was not.
        judged: first and last time of those rows.
        contributions: over those rows.
    """

    spreads: Mapping[str, Spread]
    learned: tuple[int, int]
    flows: Mapping[str, Flow] = field(default_factory=dict)
    scores: Spread | None = None
    judged: tuple[int, int] | None = None
    contributions: Contributions | None = None

    @classmethod
    def learned_from(
        cls,
        X: Float64,
        names: tuple[str, ...],
        *,
        categories: Mapping[str, tuple[str, ...]],
        entities: Int64,
        times: Int64,
        flows: Mapping[str, Flow],
    ) -> Self:
        """From training rows, shape (n, f), at least one; see ``models.spread.spreads``."""
        found = spreads(X, names, categories=categories, entities=entities, times=times)
        return cls(found, (int(times.min()), int(times.max())), dict(flows))

    def judged_on(
        self,
        scorer: Scorer,
        X: Float64,
        scores: Float64,
        entities: Int64,
        times: Int64,
        *,
        learned: Spread | None = None,
    ) -> Self:
        """With the scores and contributions of the rows that the model was judged on, at least one.

        Args:
            scorer: of the model.
            X: float64, shape (n, f).
            scores: float64, shape (n,).
            entities: int64, shape (n,).
            times: int64 microseconds, shape (n,).
            learned: the scores of the training rows. They flatter the model, but there are enough weeks of
                them to tell how much is usual from week to week.
        """
        found = spread(scores, Rows.of(len(scores), entities, times))
        if learned is not None and learned.variation >= found.variation:
            found = replace(found, variation=learned.variation, weeks=learned.weeks)
        return replace(
            self,
            scores=found,
            judged=(int(times.min()), int(times.max())),
            contributions=Contributions.of(scorer, X),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        parts = self.contributions
        return {
            "spreads": {name: one.to_json() for name, one in self.spreads.items()},
            "learned": list(self.learned),
            "flows": {name: one.to_json() for name, one in self.flows.items()},
            "scores": None if self.scores is None else self.scores.to_json(),
            "judged": None if self.judged is None else list(self.judged),
            "contributions": None
            if parts is None
            else {"space": parts.space, "rows": parts.rows, "base": parts.base, "means": dict(parts.means)},
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        scores, parts, judged = form["scores"], form["contributions"], form["judged"]
        return cls(
            spreads={name: Spread.from_json(one) for name, one in form["spreads"].items()},
            learned=(form["learned"][0], form["learned"][1]),
            flows={name: Flow.from_json(one) for name, one in form["flows"].items()},
            scores=None if scores is None else Spread.from_json(scores),
            judged=None if judged is None else (judged[0], judged[1]),
            contributions=None if parts is None else Contributions(**parts),
        )
