"""One retraining: from the log as of a moment to a registered challenger, once, however often it is asked.

A run is known by model, moment, definition and recipe; its key is a tag of the MLflow run and of the
version. A second run finds the first. A run that was killed left a run of MLflow without a version, which is
ended as killed, and is done again: everything follows from the log and the seed, so it comes to the same
bits, and a search goes on from its last trial. The champion is never touched here.

Two models come of one recipe. The *stand-in* learned without the newest outcomes and is judged on them; the
*registered* one learns the newest window too, and waits as challenger. The gate asks the stand-in what the
recipe is worth, and the registered one what it would decide. Called by jobs and ``headwater retrain``.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headwater.core.errors import HeadwaterError, ModelError, TrainingError
from headwater.core.instant import iso, span_text
from headwater.definitions.compile import compiled, content_hash
from headwater.definitions.finding import find_model, find_policy
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.definitions.project import Project
from headwater.models.artifact import Artifact
from headwater.models.plots import figures
from headwater.models.registry import CHALLENGER, CHAMPION, Registry, Training, Version
from headwater.retraining.search import Search, Searched, search, tuned
from headwater.retraining.triggers import Why
from headwater.retraining.turn import turn
from headwater.retraining.window import Bounds, judged_split, matured, newest_split, refuse_vanished
from headwater.training.card_kept import keep_card
from headwater.training.dataset import TrainingSet
from headwater.training.evaluate import Judged, judge
from headwater.training.fit import FittedModel, fit_model, with_judged
from headwater.training.history import Events
from headwater.training.split import Split

STAGES = ("replay", "search", "judge", "fit", "register")
KEY, WHY, AS_OF = "headwater.retraining", "headwater.why", "headwater.as_of"
TEST_FROM, STAND_IN, REGISTERED = "headwater.test_from", "headwater.stand_in", "headwater.registered"
STAND_IN_FOLDER = "stand_in"
_LONGEST = 4_000

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Recipe:
    """How to train again.

    Attributes:
        window, test, every: see ``window.Bounds``; by default as the model's ``retrain`` says.
        refit: register a model that learned the newest window too; False registers the judged one itself.
        search: look for hyper-parameters first; None takes the estimator as declared.
        bootstrap: resamples for the intervals.
        seed: for everything that is left to chance.
    """

    window: int | None = None
    test: int | None = None
    every: int | None = None
    refit: bool = True
    search: Search | None = None
    bootstrap: int = 200
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        form = {
            name: getattr(self, name) for name in ("window", "test", "every", "refit", "bootstrap", "seed")
        }
        return {**form, "search": None if self.search is None else self.search.to_json()}


@dataclass(frozen=True)
class Retraining:
    """What a retraining came to.

    Attributes:
        model: the model's name.
        as_of: its moment, microseconds UTC.
        key: of the run.
        version: as registered.
        why: the reason that was written down with the version.
        found: the same run was there already; nothing was trained.
        judged: what the recipe is worth; None if it was found.
        searched: what the search came to; None without one, and if the run was found.
        facts: rows, spans and times in plain JSON values.
    """

    model: str
    as_of: int
    key: str
    version: Version
    why: str
    found: bool
    judged: Judged | None = None
    searched: Searched | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Work:
    """One retraining at work."""

    model: Model
    policy: Policy | None
    registry: Registry
    recipe: Recipe
    bounds: Bounds
    as_of: int
    key: str
    why: Why
    now: int
    folder: Path
    tell: Progress


def retrain(
    project: Project,
    model_name: str | None,
    events: Events,
    registry: Registry,
    *,
    folder: str | Path,
    as_of: int,
    why: Why,
    now: int,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> Retraining:
    """Train a model again as of a moment, and register it as challenger.

    Args:
        project: the definitions.
        model_name: which of its models; None if it has only one.
        events: a log, or a mapping from stream name to a batch or a frame.
        registry: where to record and register.
        folder: the data folder, for the lock and the search's memory.
        as_of: as if nothing later had arrived, microseconds UTC.
        why: the reason, kept with the run.
        now: microseconds UTC, stamped on the run.
        recipe: how.
        progress: called with the stage, how many are done, and how many there are.

    Raises:
        TrainingError: there is nothing to learn from or to judge on, one class only, or an input vanished;
            the refusal is recorded as a failed run of MLflow. No version is registered.
        GateError: another process retrains this model.
        ModelError: the estimator cannot be fitted, or the registry cannot be written.
    """
    model, how = find_model(project, model_name), recipe or Recipe()
    key = run_key(model, as_of, how)
    bounds = Bounds.of(model, window=how.window, test=how.test, every=how.every)
    work = _Work(
        model=model,
        policy=find_policy(project, model),
        registry=registry,
        recipe=how,
        bounds=bounds,
        as_of=as_of,
        key=key,
        why=why,
        now=now,
        folder=Path(folder),
        tell=progress or _silent,
    )
    with turn(work.folder, model.name, "retraining"):
        known = registry.find(model.name, KEY, key)
        if known is not None:
            version = _registered(work, known)
            return Retraining(model.name, as_of, key, version, known.tags.get(WHY, ""), found=True)
        registry.abandon(KEY, key, now=now)
        try:
            return _trained(work, events)
        except (TrainingError, ModelError) as error:
            _refused(work, error)
            raise


def run_key(model: Model, as_of: int, recipe: Recipe) -> str:
    """What a retraining is known by, 64 hex digits: model, moment, definition and recipe."""
    facts = {
        "model": model.name,
        "as_of": as_of,
        "definition": content_hash(model),
        "recipe": recipe.to_json(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _trained(work: _Work, events: Events) -> Retraining:
    work.tell(STAGES[0], 0, len(STAGES))
    rows = matured(work.model, events, work.as_of, work.bounds)
    split = judged_split(rows, work.bounds)
    refuse_vanished(rows, split, _usual(work))
    searched, recipe_rows = _searched(work, rows, split)
    work.tell(STAGES[2], 2, len(STAGES))
    stand_in = _fitted(work, recipe_rows, split)
    judged = judge(
        stand_in.artifact,
        stand_in.scorer,
        recipe_rows,
        split.test,
        policy=work.policy,
        bootstrap=work.recipe.bootstrap,
        seed=work.recipe.seed,
    )
    stand_in = _with_figures(with_judged(stand_in, recipe_rows, split, judged.scores), judged)
    work.tell(STAGES[3], 3, len(STAGES))
    final = stand_in
    if work.recipe.refit:
        newest = newest_split(rows, work.bounds)
        final = _with_figures(
            with_judged(_fitted(work, recipe_rows, newest), recipe_rows, split, judged.scores), judged
        )
    facts = _facts(rows, split, final.artifact, searched)
    work.tell(STAGES[4], 4, len(STAGES))
    version = _tracked(work, final, stand_in, judged, facts)
    work.tell(STAGES[4], 5, len(STAGES))
    return Retraining(
        work.model.name,
        work.as_of,
        work.key,
        version,
        work.why.words,
        found=False,
        judged=judged,
        searched=searched,
        facts=facts,
    )


def _searched(work: _Work, rows: TrainingSet, split: Split) -> tuple[Searched | None, TrainingSet]:
    """What the search found, and the rows under a model with the estimator to fit."""
    if work.recipe.search is None:
        return None, rows
    work.tell(STAGES[1], 1, len(STAGES))
    found = search(
        rows,
        split.train,
        work.recipe.search,
        storage=work.folder / "retraining" / f"{work.key[:16]}.search.db",
        seed=work.recipe.seed,
        progress=lambda done, total: work.tell("search", done, total),
    )
    return found, replace(rows, model=tuned(work.model, found.params))


def _fitted(work: _Work, rows: TrainingSet, split: Split) -> FittedModel:
    """Fitted, under the model's own definition: found hyper-parameters are no change of the definition."""
    fitted = fit_model(rows, split, work.recipe.seed)
    artifact = replace(fitted.artifact, definition=compiled(work.model))
    return replace(fitted, artifact=artifact)


def _with_figures(fitted: FittedModel, judged: Judged) -> FittedModel:
    values = {name: metric.value for name, metric in judged.evaluation.scalars().items()}
    return replace(fitted, artifact=replace(fitted.artifact, metrics=values))


def _tracked(
    work: _Work, final: FittedModel, stand_in: FittedModel, judged: Judged, facts: Mapping[str, Any]
) -> Version:
    tags = {
        KEY: work.key,
        WHY: work.why.words[:_LONGEST],
        "headwater.why_kind": work.why.kind,
        AS_OF: str(work.as_of),
        TEST_FROM: str(facts["test_from_us"]),
    }
    with tempfile.TemporaryDirectory() as space:
        beside = {}
        if work.recipe.refit:
            home = Path(space) / STAND_IN_FOLDER
            tags[STAND_IN] = stand_in.artifact.save(home)
            beside = {STAND_IN_FOLDER: home}
        training = Training(
            judged.evaluation,
            figures(judged.y, judged.scores, judged.evaluation, judged.importance),
            {**facts, "why": work.why.words, "seed": work.recipe.seed},
            final.notes,
            tags,
            f"{work.model.name} as of {iso(work.as_of)}",
            CHALLENGER,
            beside,
        )
        version = work.registry.track(final.artifact, training, now=work.now)
    return _registered(work, version, final.artifact)


def _registered(work: _Work, version: Version, artifact: Artifact | None = None) -> Version:
    """The version with its reason, card and alias; a run that was killed between is brought to its end."""
    registry = work.registry
    if REGISTERED not in version.tags:
        texts = {"why.json": json.dumps(work.why.to_json(), sort_keys=True, indent=1) + "\n"}
        registry.keep(version, texts, {}, now=work.now)
        keep_card(registry, work.model, work.policy, version, now=work.now, artifact=artifact)
        registry.finish(version, now=work.now)
        newest = registry.versions(version.model)[0]
        if newest.number == version.number and CHAMPION not in version.aliases:
            registry.point(version.model, CHALLENGER, version.number)
        registry.note(version, {REGISTERED: "yes"})
    return registry.version(version.model, version.number)


def _usual(work: _Work) -> Any:
    """The references of the champion; None where there is none of this definition."""
    try:
        return work.registry.load(work.model.name, definition_hash=content_hash(work.model)).references
    except ModelError:
        return None


def _facts(rows: TrainingSet, split: Split, artifact: Artifact, searched: Searched | None) -> dict[str, Any]:
    learned = artifact.baseline.learned if artifact.baseline is not None else (0, 0)
    facts: dict[str, Any] = {
        "judged_train_rows": len(split.train),
        "test_rows": len(split.test),
        "test_positives": int(rows.y[split.test].sum()),
        "test_from": iso(split.test_from),
        "test_from_us": split.test_from,
        "learned_from": iso(learned[0]),
        "learned_until": iso(learned[1]),
        "mature_until": iso(rows.manifest.mature_until),
        "unmatured_rows": rows.manifest.unmatured,
        "gap": span_text(rows.gap) if rows.gap else "0d",
    }
    if searched is not None:
        facts["search_trials"] = searched.trials
        facts |= {f"found.{name}": value for name, value in searched.params.items()}
    return facts


def _refused(work: _Work, error: HeadwaterError) -> None:
    """Write the refusal down; a registry that is away must not hide why there is no model."""
    try:
        work.registry.refuse(
            work.model.name,
            {
                "headwater.refused": work.key,
                AS_OF: str(work.as_of),
                WHY: work.why.words[:_LONGEST],
            },
            str(error),
            now=work.now,
        )
    except ModelError:
        return


def _silent(_stage: str, _done: int, _total: int) -> None:
    return None
