"""The whole way: from the log to a model that is trained, judged, recorded and registered.

Called by ``headwater train`` and by ``retraining``. Each step is a module of its own: ``dataset``, ``split``,
``fit``, ``evaluate``, then ``models.registry``. This module loads MLflow and matplotlib, so import it late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headwater.core.instant import iso, span_text
from headwater.definitions.finding import find_model, find_policy
from headwater.definitions.project import Project
from headwater.models.artifact import Artifact
from headwater.models.metrics import Evaluation
from headwater.models.plots import figures
from headwater.models.registry import Registry, Training, Version
from headwater.models.scorer import Scorer
from headwater.training.card_kept import keep_card
from headwater.training.dataset import TrainingSet, build
from headwater.training.evaluate import Judged, judge
from headwater.training.fit import fit_model, with_judged
from headwater.training.history import Events
from headwater.training.past import Past
from headwater.training.split import Split, temporal, without_known

STAGES = ("replay", "fit", "evaluate", "register")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. Times and spans are microseconds.

    Attributes:
        start, end: only observations with ``start <= time < end``.
        known_by: as if nothing later had arrived.
        test_from: the test begins here; by default where the last ``test_share`` of the rows begins.
        test_share: see ``test_from``.
        test_until: the test ends before this.
        window: learn from so long a time; by default the window of the model's ``retrain``, if it has one.
        leave_known: leave out test rows of entities already known to be positive that day.
        cards_at: the k of the daily card precision.
        bootstrap: resamples for the intervals.
        seed: for everything that is left to chance.
    """

    start: int | None = None
    end: int | None = None
    known_by: int | None = None
    test_from: int | None = None
    test_share: float = 0.25
    test_until: int | None = None
    window: int | None = None
    leave_known: bool = False
    cards_at: Sequence[int] = field(default=())
    bootstrap: int = 200
    seed: int = 0


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with everything that led to it.

    Attributes:
        artifact: what was saved, metrics included.
        scorer: of its estimator.
        judged: test labels, scores, evaluation and importance.
        training_set: all mature rows, of the training and of the test.
        split: which rows were which.
        version: as registered; None if it was not.
        notes: what the estimator's library warned of.
    """

    artifact: Artifact
    scorer: Scorer
    judged: Judged
    training_set: TrainingSet
    split: Split
    version: Version | None
    notes: tuple[str, ...]

    @property
    def evaluation(self) -> Evaluation:
        """What the model is worth on the test rows."""
        return self.judged.evaluation


def train(
    project: Project,
    model_name: str | None,
    events: Events | Past,
    registry: Registry | None,
    *,
    now: int,
    plan: Plan | None = None,
    progress: Progress | None = None,
) -> TrainedModel:
    """Train a model of a project.

    Args:
        project: the definitions.
        model_name: which of its models; None if it has only one.
        events: a log, or a mapping from stream name to a batch or a frame; or a past that lies elsewhere.
        registry: where to record and register; None does neither.
        now: microseconds UTC, stamped on the run.
        plan: how; the default learns from the first three quarters and judges on the rest.
        progress: called with the stage, how many are done, and how many there are.

    Raises:
        TrainingError: there is nothing to learn from, or nothing to judge on.
        ModelError: the estimator cannot be fitted, or the registry cannot be written.
        DataError: the events do not fit their streams.

    Example:
        >>> registry = Registry(folder, "early_warning")  # doctest: +SKIP
        >>> trained = train(project, "early_warning", log, registry, now=clock.now())  # doctest: +SKIP
        >>> print(trained.evaluation.roc_auc)  # doctest: +SKIP
        0.8731 (0.8602 to 0.8847)
    """
    model = find_model(project, model_name)
    how = plan or Plan()
    tell = progress or _silent
    tell(STAGES[0], 0, len(STAGES))
    training_set = build(model, events, how.start, how.end, known_by=how.known_by)
    split = _split(training_set, how)
    tell(STAGES[1], 1, len(STAGES))
    fitted = fit_model(training_set, split, how.seed)
    tell(STAGES[2], 2, len(STAGES))
    judged = judge(
        fitted.artifact,
        fitted.scorer,
        training_set,
        split.test,
        policy=find_policy(project, model),
        cards_at=how.cards_at,
        bootstrap=how.bootstrap,
        seed=how.seed,
    )
    values = {name: metric.value for name, metric in judged.evaluation.scalars().items()}
    fitted = with_judged(fitted, training_set, split, judged.scores)
    artifact = replace(fitted.artifact, metrics=values)
    tell(STAGES[3], 3, len(STAGES))
    version = None
    if registry is not None:
        version = registry.track(artifact, _training(judged, split, fitted.notes, how), now=now)
        keep_card(registry, model, find_policy(project, model), version, now=now, artifact=artifact)
    tell(STAGES[3], 4, len(STAGES))
    return TrainedModel(artifact, fitted.scorer, judged, training_set, split, version, fitted.notes)


def open_registry(folder: str | Path, project: Project, tracking_uri: str | None = None) -> Registry:
    """The registry of a project: in its folder, or where ``tracking_uri`` says."""
    return Registry(folder, project.name, tracking_uri)


def _split(training_set: TrainingSet, how: Plan) -> Split:
    retrain = training_set.model.retrain
    window = how.window if how.window is not None else retrain.window if retrain else None
    split = temporal(
        training_set.times,
        training_set.gap,
        test_from=how.test_from,
        test_share=how.test_share,
        test_until=how.test_until,
        window=window,
    )
    if not how.leave_known:
        return split
    entities = training_set.entity.rank("dense").to_numpy()
    return without_known(split, entities, training_set.y, training_set.times)


def _training(judged: Judged, split: Split, notes: tuple[str, ...], how: Plan) -> Training:
    params: dict[str, Any] = {
        "train_rows": len(split.train),
        "test_rows": len(split.test),
        "skipped_rows": split.skipped,
        "test_from": iso(split.test_from),
        "gap": span_text(split.gap) if split.gap else "0d",
        "seed": how.seed,
    }
    drawn = figures(judged.y, judged.scores, judged.evaluation, judged.importance)
    return Training(judged.evaluation, drawn, params, notes)


def _silent(_stage: str, _done: int, _total: int) -> None:
    return None
