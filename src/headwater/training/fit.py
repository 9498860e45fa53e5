"""From the training rows to an artifact: inputs fitted, estimator fitted, references taken.

Everything here sees the training rows alone; the rows to judge on are for ``evaluate``. Called by
``training.train``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from headwater.definitions.compile import compiled
from headwater.models.artifact import Artifact, versions
from headwater.models.baseline import Baseline
from headwater.models.fitting import fit
from headwater.models.inputs import Inputs
from headwater.models.reference import background, references
from headwater.models.scorer import Scorer, scorer_for
from headwater.models.spread import Rows, spread
from headwater.training.dataset import TrainingSet, rows
from headwater.training.split import Split

Float64 = npt.NDArray[np.float64]

BACKGROUND = 256


@dataclass(frozen=True, slots=True)
class FittedModel:
    """What learning gave: an artifact without metrics yet, its scorer, and what the library warned of."""

    artifact: Artifact
    scorer: Scorer
    notes: tuple[str, ...]


def fit_model(training_set: TrainingSet, split: Split, seed: int = 0) -> FittedModel:
    """Fit the model's estimator on the training rows of a split.

    Args:
        training_set: as from ``training.dataset.build``.
        split: as from ``training.split.temporal``.
        seed: for whatever the estimator leaves to chance.

    Raises:
        TrainingError: one class only, or a text input with too many categories.
        ModelError: the estimator cannot be fitted, or gives no probabilities.
    """
    model = training_set.model
    learned = rows(training_set, split.train)
    names = learned.inputs.names
    fitted = fit(model.estimator, learned.X, learned.y, names, seed)
    usual = background(learned.X, BACKGROUND, seed)
    artifact = Artifact(
        model=model.name,
        definition_hash=training_set.manifest.definition_hash,
        definition=compiled(model),
        inputs=learned.inputs,
        estimator=fitted.estimator,
        references=references(learned.X, names),
        background=usual,
        manifest={**training_set.manifest.to_json(), "digest": training_set.manifest.digest},
        versions=versions(fitted.estimator),
        baseline=Baseline.learned_from(
            learned.X,
            names,
            categories=learned.inputs.categories,
            entities=learned.entities,
            times=learned.times,
            flows=training_set.flows,
        ),
    )
    return FittedModel(artifact, scorer_for(fitted.estimator, names, usual), fitted.notes)


def with_judged(
    fitted: FittedModel, training_set: TrainingSet, split: Split, scores: Float64 | None = None
) -> FittedModel:
    """The model with what its baseline says of the rows of the test: their scores and contributions.

    Args:
        fitted: from :func:`fit_model`.
        training_set: the same.
        split: the same, with n rows to test on.
        scores: float64, shape (n,), if they were scored already.
    """
    artifact = fitted.artifact
    if artifact.baseline is None or not len(split.test):
        return fitted
    if scores is None:
        scores = fitted.scorer.score(artifact.inputs.matrix(training_set.frame[split.test]))
    found = judged_rows(artifact.baseline, artifact.inputs, fitted.scorer, training_set, split, scores)
    return replace(fitted, artifact=replace(artifact, baseline=found))


def judged_rows(
    baseline: Baseline,
    inputs: Inputs,
    scorer: Scorer,
    training_set: TrainingSet,
    split: Split,
    scores: Float64,
) -> Baseline:
    """A baseline with the scores, float64, shape (n,), of the n rows of the test."""
    entities, times = training_set.entities, training_set.times
    learned = scorer.score(inputs.matrix(training_set.frame[split.train]))
    return baseline.judged_on(
        scorer,
        inputs.matrix(training_set.frame[split.test]),
        scores,
        entities[split.test],
        times[split.test],
        learned=spread(learned, Rows.of(len(learned), entities[split.train], times[split.train])),
    )
