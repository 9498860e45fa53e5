"""What a model is worth on rows that it has not seen.

Scores come from the scorer that serves, on inputs made as in serving, so that the figures are those of the
decisions. Called by ``training.train`` and by ``headwater evaluate``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.definitions.policy import Policy
from headwater.models.artifact import Artifact
from headwater.models.metrics import Evaluation, evaluate
from headwater.models.scorer import Scorer
from headwater.training.dataset import TrainingSet

Float64 = npt.NDArray[np.float64]

_EXPLAINED = 500
_EXPLAINED_SLOWLY = 100  # an estimator that must be asked again and again


@dataclass(frozen=True)
class Judged:
    """Rows with their scores.

    Attributes:
        evaluation: what the scores are worth.
        y: float64, shape (n,), 0.0 and 1.0.
        scores: float64, shape (n,), probabilities.
        importance: input to its mean absolute contribution, the largest first.
    """

    evaluation: Evaluation
    y: Float64
    scores: Float64
    importance: dict[str, float]


def judge(
    artifact: Artifact,
    scorer: Scorer,
    training_set: TrainingSet,
    chosen: npt.NDArray[np.intp] | None = None,
    *,
    policy: Policy | None = None,
    cards_at: Sequence[int] = (),
    bootstrap: int = 200,
    seed: int = 0,
) -> Judged:
    """Score rows and compare with what came true.

    Args:
        artifact: the model; its inputs are used, not those of the set.
        scorer: of the artifact's estimator.
        training_set: rows with mature labels.
        chosen: places of the rows to judge; None for all.
        policy: its bands are judged too.
        cards_at: see ``headwater.models.cards``.
        bootstrap: resamples of whole entities; 0 for no intervals.
        seed: of the bootstrap and of the sample that is explained.

    Raises:
        TrainingError: the rows hold one class only.
    """
    place = np.arange(len(training_set)) if chosen is None else chosen
    X = artifact.inputs.matrix(training_set.frame[place])
    y = training_set.y[place]
    scores = scorer.score(X)
    evaluation = evaluate(
        y,
        scores,
        by=training_set.entity[place].rank("dense").to_numpy(),
        times=training_set.times[place],
        bands=policy.bands if policy else None,
        cards_at=cards_at,
        bootstrap=bootstrap,
        seed=seed,
    )
    return Judged(evaluation, y, scores, importance(scorer, X, seed))


def importance(scorer: Scorer, X: Float64, seed: int = 0) -> dict[str, float]:
    """The mean absolute contribution of each input over a sample of rows, the largest first."""
    most = _EXPLAINED if scorer.kind in ("forest", "linear") else _EXPLAINED_SLOWLY
    rows = np.random.default_rng(seed).permutation(len(X))[:most]
    moved, _ = scorer.contributions(X[np.sort(rows)])
    sizes = np.abs(moved).mean(axis=0)
    order = np.argsort(-sizes, kind="stable")
    return {scorer.names[i]: float(sizes[i]) for i in order}
