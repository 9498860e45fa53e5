"""What is served at a moment: a project with the versions that score, exchanged as a whole.

Made by ``service``, ``replica`` and ``swap``; everything that answers looks at one of these from beginning
to end, so that nobody gets half of an exchange.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from headwater.core.errors import HeadwaterError
from headwater.definitions.policy import Policy
from headwater.definitions.project import Project
from headwater.models.canary import Canary
from headwater.serving.decide import Decider
from headwater.serving.rows import RowReader
from headwater.serving.scoring import Scoring
from headwater.serving.vectors import Vectors


@dataclass(frozen=True)
class Trial:
    """A canary, ready to answer.

    Attributes:
        canary: whose decisions it answers.
        scoring: the challenger.
    """

    canary: Canary
    scoring: Scoring


@dataclass(frozen=True)
class Chance:
    """A canary under one policy: whose decisions, and who decides them."""

    canary: Canary
    decider: Decider


@dataclass(frozen=True)
class Serving:
    """What is served at a moment: never changed, exchanged as a whole.

    Attributes:
        project: the definitions.
        scorings: model to its version.
        deciders: policy to policy and model.
        readers: stream to its reader.
        keys: stream to the columns that are keys of a view, or its id.
        vectors: the engine.
        canaries: model to the canary beside its champion; empty while there is none.
        chances: policy to the canary of its model.
    """

    project: Project
    scorings: Mapping[str, Scoring]
    deciders: Mapping[str, Decider]
    readers: Mapping[str, RowReader]
    keys: Mapping[str, Collection[str]]
    vectors: Vectors
    canaries: Mapping[str, Trial] = field(default_factory=dict)
    chances: Mapping[str, Chance] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        project: Project,
        scorings: Mapping[str, Scoring],
        vectors: Vectors,
        canaries: Mapping[str, Trial] | None = None,
    ) -> Self:
        """Put together what belongs together."""
        deciders = {
            policy.name: Decider(policy, scorings[policy.model.name])
            for policy in project.policies
            if policy.model.name in scorings
        }
        chances = {
            name: Chance(found.canary, Decider(decider.policy, found.scoring))
            for name, decider in deciders.items()
            if (found := (canaries or {}).get(decider.policy.model.name)) is not None
        }
        keys: dict[str, list[str]] = {stream.name: [] for stream in project.streams}
        for view in project.views:
            keys[view.stream.name].append(view.key)
        readers = {stream.name: RowReader(stream) for stream in project.streams}
        beside = dict(canaries or {})
        return cls(project, dict(scorings), deciders, readers, keys, vectors, beside, chances)

    def band(self, model: str, score: float) -> str | None:
        """The band of a score in the model's only policy; None if it has none or several."""
        return self.bands(model, (score,))[0]

    def bands(self, model: str, scores: Sequence[float]) -> list[str | None]:
        """:meth:`band` of each score."""
        policy = self._only.get(model)
        return [None if policy is None else policy.band(score) for score in scores]

    @cached_property
    def _only(self) -> Mapping[str, Policy]:
        """Model to its policy, for models that have one and no other."""
        models = [one.scoring.model.name for one in self.deciders.values()]
        found = zip(models, self.deciders.values(), strict=True)
        return {model: one.policy for model, one in found if models.count(model) == 1}

    def policy(self, name: str | None) -> Decider:
        """The policy of a name, or the only one.

        Raises:
            UnknownError: there is none of this name, or its model is not trained.
        """
        if name is None and len(self.deciders) == 1:
            return next(iter(self.deciders.values()))
        if name is None or name not in self.deciders:
            raise unknown("policy", name, self.deciders)
        return self.deciders[name]


class UnknownError(HeadwaterError):
    """A name that nothing bears."""

    code = "unknown"


def unknown(noun: str, name: object, known: Collection[str]) -> UnknownError:
    """The error of a name that nothing bears."""
    return UnknownError.of(
        f"there is no such {noun}",
        expected=" or ".join(sorted(known)) or f"a {noun}; there is none",
        got=repr(name),
        do=f"name a {noun} of the project",
    )
