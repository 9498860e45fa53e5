"""Why scores moved: the change of the mean score, told by what each feature added then and now.

A score in margin space (log-odds, or the probability itself; ``Scorer.space``) is a base plus the
contributions of its features, and a mean is additive, so the change of the mean margin is the sum of the
changes of the mean contributions, with nothing left over (Lundberg and others, "From local explanations to
global understanding with explainable AI for trees", 2020, use the same sum to monitor a model). A feature
may drift and move no score, and move scores though it hardly drifts: this says which of the drifts matter.
Called by jobs and reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import ModelError
from headwater.models.baseline import Contributions
from headwater.models.scorer import Scorer
from headwater.monitoring.window import Window

Float64 = npt.NDArray[np.float64]

_EXPLAINED = 4_000
_EXPLAINED_SLOWLY = 100  # an estimator that must be asked again and again


@dataclass(frozen=True, slots=True)
class Moved:
    """What one feature did to the mean margin.

    Attributes:
        feature: its name.
        usual, now: its mean contribution in the reference and in the window.
        change: ``now - usual``.
        error: standard error of ``now``, whole entities counted once.
    """

    feature: str
    usual: float
    now: float
    change: float
    error: float


@dataclass(frozen=True)
class ScoreDrift:
    """The change of the mean margin.

    Attributes:
        space: of the margin.
        rows: of the window that were explained.
        usual, now: mean margin in the reference and in the window.
        moved: the features, the largest change first; their changes add up to ``now - usual``.
    """

    space: str
    rows: int
    usual: float
    now: float
    moved: tuple[Moved, ...]

    @property
    def change(self) -> float:
        """``now - usual``."""
        return self.now - self.usual

    def words(self, most: int = 3) -> str:
        """The change and the features that made most of it, in one or two sentences."""
        way = "up" if self.change > 0 else "down"
        head = (
            f"The mean score went {way} by {abs(self.change):.3f} ({self.space}), "
            f"from {self.usual:.3f} to {self.now:.3f}."
        )
        telling = [one for one in self.moved[:most] if abs(one.change) > 2 * one.error]
        if not telling:
            return f"{head} No feature stands out."
        parts = [f"{one.feature} {one.change:+.3f}" for one in telling]
        rest = self.change - sum(one.change for one in telling)
        return f"{head} Of this: {', '.join(parts)}; all others together {rest:+.3f}."

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            **{name: getattr(self, name) for name in ("space", "rows", "usual", "now", "change")},
            "moved": [{name: getattr(one, name) for name in one.__slots__} for one in self.moved],
            "words": self.words(),
        }


def attribute(
    usual: Contributions, scorer: Scorer, window: Window, *, most: int | None = None, seed: int = 0
) -> ScoreDrift:
    """Say which features moved the mean score.

    Args:
        usual: of the baseline of the same model version.
        scorer: of that version.
        window: what was served, at least one row; a random sample of it is explained.
        most: rows to explain; 4,000 unless an estimator must be asked again and again.
        seed: of the sample.

    Raises:
        ModelError: the window is empty, or the scorer is of another model version.
    """
    _same(usual, scorer, window)
    quick = scorer.kind in ("forest", "linear")
    limit = most if most is not None else (_EXPLAINED if quick else _EXPLAINED_SLOWLY)
    rows = np.sort(np.random.default_rng(seed).permutation(len(window))[:limit])
    phi, base = scorer.contributions(window.X[rows])
    means, errors = phi.mean(axis=0), _errors(phi, window.entities[rows])
    moved = [
        Moved(name, usual.means[name], float(now), float(now) - usual.means[name], float(error))
        for name, now, error in zip(scorer.names, means, errors, strict=True)
    ]
    moved.append(Moved("base", usual.base, float(base), float(base) - usual.base, 0.0))
    order = sorted((one for one in moved if one.feature != "base" or one.change), key=_size)
    return ScoreDrift(usual.space, len(rows), usual.margin, float(base + means.sum()), tuple(order))


def _size(one: Moved) -> float:
    return -abs(one.change)


def _errors(phi: Float64, entities: npt.NDArray[np.int64]) -> Float64:
    """Standard errors of the means, whole entities counted once; shape (f,)."""
    code = np.unique(entities, return_inverse=True)[1]
    gaps = phi - phi.mean(axis=0)
    sums = np.zeros((int(code.max()) + 1, phi.shape[1]))
    np.add.at(sums, code, gaps)
    return np.asarray(np.sqrt((sums**2).sum(axis=0)) / len(phi), np.float64)


def _same(usual: Contributions, scorer: Scorer, window: Window) -> None:
    if not len(window):
        raise ModelError.of(
            "there is nothing to explain the scores of", expected="at least one row", got="an empty window"
        )
    if str(scorer.space) != usual.space or set(scorer.names) != set(usual.means):
        raise ModelError.of(
            "scores are explained by another model version than the reference",
            expected=f"{len(usual.means)} inputs in {usual.space}",
            got=f"{len(scorer.names)} inputs in {scorer.space}",
            do="take the scorer and the baseline of one artifact",
        )
