"""What a gate looks at: matured outcomes that neither side has learned from, and standing decisions.

A version has not learned from a row that was observed after the labels of its own training rows were known.
Right after a retraining there are no such rows yet for the registered version, so its stand-in answers (the
same recipe, fitted without the newest outcomes; ``run``); once enough outcomes have matured since, the
version answers itself. The same holds for the champion. Called by ``gate``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import GateError, ModelError, TrainingError
from headwater.definitions.compile import compiled, content_hash
from headwater.definitions.model import Model
from headwater.definitions.observe import Every
from headwater.definitions.policy import Policy
from headwater.models.artifact import Artifact, load
from headwater.models.registry import CHALLENGER, CHAMPION, Registry, Version
from headwater.models.scorer import Scorer, scorer_for
from headwater.retraining.rules import Rules
from headwater.retraining.run import STAND_IN, STAND_IN_FOLDER
from headwater.retraining.window import WEEK, known_by
from headwater.training.dataset import TrainingSet, build, features
from headwater.training.history import Events
from headwater.training.labels import gap
from headwater.training.spine import observations

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_SAME = ("features", "derived", "request", "inputs", "label", "observe")
_MOST_STANDING = 2_000


@dataclass(frozen=True)
class Witness:
    """An artifact that can be asked.

    Attributes:
        artifact: the model.
        scorer: of its estimator.
        since: rows observed from here on it has not learned from, microseconds.
        name: ``itself`` or ``stand-in``.
    """

    artifact: Artifact
    scorer: Scorer
    since: int
    name: str

    def scores(self, frame: pl.DataFrame) -> Float64:
        """Probabilities, shape (rows,)."""
        return self.scorer.score(self.artifact.inputs.matrix(frame))


@dataclass(frozen=True)
class Side:
    """A version: what decides, and what stands in for it."""

    version: Version
    itself: Witness
    stand_in: Witness | None

    def witnesses(self) -> Iterator[Witness]:
        """Itself first."""
        yield self.itself
        if self.stand_in is not None:
            yield self.stand_in


@dataclass(frozen=True)
class Evidence:
    """Everything that the checks read.

    Attributes:
        model, policy: the definitions; the policy is None where no policy reads the model.
        as_of: what had arrived by then counts, microseconds UTC.
        candidate: who would be champion.
        champion: who is; None where there is none, or none that can be compared.
        incumbent: the champion's version, comparable or not; None where there is none.
        rows: matured rows that neither side learned from; None where there are none.
        scores: candidate's and champion's on these rows, each shape (n,).
        asked: ``candidate`` and ``champion`` to who answered on these rows.
        standing: the newest observation of each entity, with or without a known label.
        notes: sentences for the report.
    """

    model: Model
    policy: Policy | None
    as_of: int
    candidate: Side
    champion: Side | None
    incumbent: Version | None
    rows: TrainingSet | None
    scores: tuple[Float64, Float64 | None]
    asked: Mapping[str, str]
    standing: pl.DataFrame
    notes: tuple[str, ...]

    @property
    def y(self) -> Float64:
        """The outcomes, shape (n,)."""
        return np.empty(0) if self.rows is None else self.rows.y

    @property
    def entities(self) -> Int64:
        """Whose each row is, shape (n,)."""
        return np.empty(0, np.int64) if self.rows is None else self.rows.entities


def collect(
    model: Model,
    policy: Policy | None,
    events: Events,
    registry: Registry,
    *,
    as_of: int,
    which: str | int = CHALLENGER,
    rules: Rules,
) -> Evidence:
    """Bring together what a gate needs.

    Raises:
        ModelError: there is no such version, it is damaged, or of another definition.
        GateError: the candidate is the champion already.
        TrainingError: there are no events.
    """
    version = registry.version(model.name, which)
    if CHAMPION in version.aliases:
        raise GateError.of(
            f"{model.name} version {version.number} is the champion already",
            expected="a challenger",
            where=model.name,
            do="train a challenger first: headwater retrain",
        )
    candidate = _side(
        registry,
        version,
        registry.load(model.name, version.number, definition_hash=content_hash(model)),
        model,
    )
    champion, incumbent, notes = _champion(registry, model)
    batches = known_by(events, model, as_of)
    rows, witnesses = _judged(model, batches, as_of, candidate, champion, rules)
    scores = [None if one is None or rows is None else one.scores(rows.frame) for one in witnesses]
    first = scores[0] if scores[0] is not None else np.empty(0)
    asked = {
        name: one.name
        for name, one in zip(("candidate", "champion"), witnesses, strict=True)
        if one is not None
    }
    return Evidence(
        model=model,
        policy=policy,
        as_of=as_of,
        candidate=candidate,
        champion=champion,
        incumbent=incumbent,
        rows=rows,
        scores=(first, scores[1]),
        asked=asked,
        standing=_standing(model, batches, as_of),
        notes=(*notes, *_told(asked)),
    )


def _side(registry: Registry, version: Version, artifact: Artifact, model: Model) -> Side:
    itself = _witness(artifact, model, "itself")
    digest = version.tags.get(STAND_IN)
    if digest is None:
        return Side(version, itself, None)
    stand_in = load(registry.kept(version, STAND_IN_FOLDER), definition_hash=None, digest=digest)
    return Side(version, itself, _witness(stand_in, model, "stand-in"))


def _witness(artifact: Artifact, model: Model, name: str) -> Witness:
    scorer = scorer_for(artifact.estimator, artifact.inputs.names, artifact.background)
    last = artifact.baseline.learned[1] if artifact.baseline else int(artifact.manifest["mature_until"])
    return Witness(artifact, scorer, last + max(gap(model.label), 1), name)


def _champion(registry: Registry, model: Model) -> tuple[Side | None, Version | None, tuple[str, ...]]:
    """The champion as a side, its version, and what is to be said of it."""
    version = next((one for one in registry.versions(model.name) if CHAMPION in one.aliases), None)
    if version is None:
        return None, None, ("There is no champion yet, so the candidate is held against absolute bounds.",)
    artifact = registry.load(model.name, version.number)
    now = compiled(model)
    other = [part for part in _SAME if artifact.definition.get(part) != now.get(part)]
    if other:
        note = (
            f"The champion, version {version.number}, is of another definition ({', '.join(other)}), so its "
            "scores cannot be computed from this project."
        )
        return None, version, (note,)
    try:
        return _side(registry, version, artifact, model), version, ()
    except ModelError as error:
        return None, version, (f"The champion's stand-in cannot be used: {error.problems[0].what}.",)


def _judged(
    model: Model,
    batches: Mapping[str, Batch],
    as_of: int,
    candidate: Side,
    champion: Side | None,
    rules: Rules,
) -> tuple[TrainingSet | None, tuple[Witness | None, Witness | None]]:
    """The rows that neither has learned from, and who answers on them."""
    pairs = list(_pairs(candidate, champion))
    start = min(max(one.since for one in pair if one is not None) for pair in pairs)
    try:
        rows = build(model, batches, start, known_by=as_of)
    except TrainingError:
        return None, pairs[-1]
    for pair in pairs:
        fresh = rows.times >= max(one.since for one in pair if one is not None)
        if enough(rows.y[fresh], rows.entities[fresh], rules) or pair is pairs[-1]:
            return (_rows(rows, fresh), pair) if fresh.any() else (None, pair)
    return None, pairs[-1]


def _rows(rows: TrainingSet, chosen: npt.NDArray[np.bool_]) -> TrainingSet:
    place = np.flatnonzero(chosen)
    return replace(rows, frame=rows.frame[place], X=rows.X[place], y=rows.y[place], times=rows.times[place])


def _pairs(candidate: Side, champion: Side | None) -> Iterator[tuple[Witness, Witness | None]]:
    """Who may answer, the best evidence first: who really decides, else who stands in."""
    for one in candidate.witnesses():
        if champion is None:
            yield one, None
            continue
        fitting = [other for other in champion.witnesses() if other.since <= one.since]
        yield one, fitting[0] if fitting else list(champion.witnesses())[-1]


def enough(y: Float64, entities: Int64, rules: Rules) -> bool:
    """Whether outcomes suffice for a verdict."""
    positives = int(y.sum())
    return (
        len(y) >= rules.least_rows
        and min(positives, len(y) - positives) >= rules.least_of_a_class
        and len(np.unique(entities)) >= rules.least_entities
    )


def _standing(model: Model, batches: Mapping[str, Batch], as_of: int) -> pl.DataFrame:
    """The newest observation of each entity up to the moment, at most the newest two thousand."""
    if isinstance(model.observe, Every):
        start = as_of - model.observe.span + 1
    else:
        start = as_of - 4 * (model.retrain.every if model.retrain else WEEK)
    spine = observations(model, batches, start, as_of)
    who = spine.keys[model.entity].to_frame().with_row_index("place")
    newest = who.group_by(model.entity).agg(pl.col("place").max())["place"].sort()[-_MOST_STANDING:]
    chosen = np.zeros(len(spine), np.bool_)
    chosen[newest.to_numpy()] = True
    return features(model, batches, spine[chosen])


def _told(asked: Mapping[str, str]) -> Iterator[str]:
    standing = [name for name, one in asked.items() if one == "stand-in"]
    if standing:
        who = " and ".join(f"the {name}" for name in standing)
        yield (
            f"On the outcomes {who} answered through a stand-in: the same recipe, fitted without "
            "the outcomes that it is judged on."
        )


def describe(evidence: Evidence) -> dict[str, Any]:
    """The rows in numbers, as the report tells them."""
    rows = evidence.rows
    return {
        "rows": 0 if rows is None else len(rows),
        "positives": 0 if rows is None else int(rows.y.sum()),
        "entities": 0 if rows is None else len(np.unique(rows.entities)),
        "start": 0 if rows is None else int(rows.times[0]),
        "stop": 0 if rows is None else int(rows.times[-1]),
    }
