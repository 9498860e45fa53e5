"""Past decisions with the model and policy that made them, or with others, from the project and the registry.

A record names its model by the artifact's digest and its policy by its hash. The digest leads to a version
in the registry; the hash is that of the project's policy, or the policy has changed since. Called by the
commands and routes that replay; imports MLflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headwater.core.errors import DataError, ModelError
from headwater.definitions.compile import content_hash
from headwater.definitions.loading import load_project
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.definitions.project import Project
from headwater.models.registry import CHAMPION, Registry, Version
from headwater.serving.decide import Decider
from headwater.serving.scoring import Scoring
from headwater.store.decision import Decision
from headwater.training.train import find_model, find_policy


@dataclass(frozen=True, slots=True)
class Exchange:
    """What to replay with in place of a decision's own.

    Attributes:
        model: a version's number or alias.
        policy: a policy of the project.
        definitions: another project.

    Example:
        >>> Exchange().nothing
        True
    """

    model: str | None = None
    policy: str | None = None
    definitions: Project | None = None

    @property
    def nothing(self) -> bool:
        """Whether a decision is replayed as it was made."""
        return self.model is None and self.policy is None and self.definitions is None


def read_exchange(texts: Sequence[str]) -> Exchange:
    """``model=WHICH``, ``policy=NAME`` and ``definitions=FILE`` texts as an exchange.

    Raises:
        DataError: a text says something else.
        DefinitionError: the file is no project.
    """
    pairs = [text.partition("=") for text in texts]
    given = {name: value for name, equals, value in pairs if equals and value}
    odd = [text for text, (name, _, _) in zip(texts, pairs, strict=True) if name not in _PARTS]
    if odd or len(given) != len(texts):
        raise DataError.of(
            "it is not clear what to replay with",
            expected="model=WHICH, policy=NAME or definitions=FILE, each once",
            got=", ".join(texts),
            do="name a version or alias of the model, a policy of the project, or another project file",
        )
    file = given.get("definitions")
    project = None if file is None else load_project(Path(file))
    return Exchange(given.get("model"), given.get("policy"), project)


_PARTS = ("model", "policy", "definitions")


class Archive:
    """The models and policies of a project's past.

    Args:
        project: as it is defined today.
        registry: with the versions of its models.
    """

    def __init__(self, project: Project, registry: Registry) -> None:
        self._project = project
        self._registry = registry
        self._scorings: dict[tuple[str, str, str], Scoring] = {}
        self._versions: dict[str, list[Version]] = {}
        self._deciders: dict[tuple[str, str, str, str], Decider] = {}
        self._owns: dict[tuple[str, str, str, str], Decider | None] = {}

    def own(self, decision: Decision) -> Decider | None:
        """The model and policy that made a decision; None where one of them is not at hand."""
        d = decision
        facts = d.model, d.definition_hash, d.model_digest, d.policy_hash
        if facts not in self._owns:  # hashes of definitions take longer than a replay
            scoring, policy = self._own_scoring(d), self._own_policy(d)
            found = None if scoring is None or policy is None else self._decider(policy, scoring)
            self._owns[facts] = found
        return self._owns[facts]

    def decider(self, decision: Decision, exchange: Exchange) -> Decider:
        """A decision's own model and policy, with something exchanged.

        Raises:
            ModelError: what is not exchanged is not at hand, or there is no such version.
            DataError: there is no such policy.
            TrainingError: the other project has no such model.
        """
        own = self.own(decision) if exchange.nothing else None
        if own is not None:
            return own
        project = exchange.definitions or self._project
        model = find_model(project, decision.model)
        if exchange.model is not None:
            scoring = self.scoring(model, exchange.model)
        elif exchange.definitions is not None:
            scoring = self._trained_from(model)
        else:
            made_by = self._own_scoring(decision)
            if made_by is None:
                raise _no_model(decision)
            scoring = made_by
        if exchange.policy is not None:
            policy = _named(project, model, exchange.policy)
        elif exchange.definitions is not None:
            policy = _of_model(project, model, decision.policy)
        else:
            known = self._own_policy(decision)
            if known is None:
                raise _no_policy(decision, self._project)
            policy = known
        return self._decider(policy, scoring)

    def exchanged(self, model: str | None, exchange: Exchange) -> Decider:
        """For decisions at large: a model's version, the champion if none is named, and a policy.

        Raises:
            ModelError: there is no such version.
            DataError: there is no such policy, or none at all.
            TrainingError: there is no such model.
        """
        project = exchange.definitions or self._project
        found = find_model(project, model)
        if exchange.model is None and exchange.definitions is not None:
            scoring = self._trained_from(found)
        else:
            scoring = self.scoring(found, exchange.model or CHAMPION)
        policy = _of_model(project, found, None)
        return self._decider(
            policy if exchange.policy is None else _named(project, found, exchange.policy), scoring
        )

    def scoring(self, model: Model, which: str) -> Scoring:
        """A version of a model, by number or alias.

        Raises:
            ModelError: there is none, or it was trained from another definition.
        """
        version = self._registry.version(model.name, int(which) if which.isdecimal() else which)
        return self._opened(model, version)

    def champions(self) -> list[Scoring]:
        """The champion of each model of the project that has one of today's definition."""
        return [
            self._opened(model, version)
            for model in self._project.models
            for version in self._of(model.name)
            if CHAMPION in version.aliases and version.definition_hash == content_hash(model)
        ]

    def _of(self, model: str) -> list[Version]:
        if model not in self._versions:
            self._versions[model] = self._registry.versions(model)
        return self._versions[model]

    def _opened(self, model: Model, version: Version) -> Scoring:
        definition = content_hash(model)
        known = (model.name, definition, version.digest)
        if known not in self._scorings:
            artifact = self._registry.load(model.name, version.number, definition_hash=definition)
            self._scorings[known] = Scoring(model, artifact, version.digest)
        return self._scorings[known]

    def _own_scoring(self, decision: Decision) -> Scoring | None:
        model = next((one for one in self._project.models if one.name == decision.model), None)
        if model is None or content_hash(model) != decision.definition_hash:
            return None
        version = next((v for v in self._of(model.name) if v.digest == decision.model_digest), None)
        return None if version is None else self._opened(model, version)

    def _own_policy(self, decision: Decision) -> Policy | None:
        return next((p for p in self._project.policies if content_hash(p) == decision.policy_hash), None)

    def _trained_from(self, model: Model) -> Scoring:
        """The newest version that was trained from a definition."""
        definition = content_hash(model)
        for version in self._of(model.name):
            if version.definition_hash == definition:
                return self._opened(model, version)
        raise ModelError.of(
            f"no version of {model.name} was trained from these definitions",
            expected=f"definition {definition}",
            got=", ".join(f"version {v.number}: {v.definition_hash}" for v in self._of(model.name)[:3])
            or "no version at all",
            do="train it from that project first, with the same data folder",
        )

    def _decider(self, policy: Policy, scoring: Scoring) -> Decider:
        known = (policy.name, content_hash(policy), scoring.definition_hash, scoring.digest)
        if known not in self._deciders:
            self._deciders[known] = Decider(policy, scoring)
        return self._deciders[known]


def _no_model(decision: Decision) -> ModelError:
    return ModelError.of(
        "the model that decided is not at hand",
        expected=f"{decision.model}, definition {decision.definition_hash}, digest {decision.model_digest}",
        got="no such version of today's definition in the registry",
        do="use the project file of that time, or name another with --with model=WHICH",
    )


def _no_policy(decision: Decision, project: Project) -> ModelError:
    return ModelError.of(
        "the policy that decided is not at hand",
        expected=f"{decision.policy}, hash {decision.policy_hash}",
        got="; ".join(f"{p.name}, hash {content_hash(p)}" for p in project.policies) or "no policy",
        do="use the project file of that time, or name another with --with policy=NAME",
    )


def _named(project: Project, model: Model, name: str) -> Policy:
    known = {policy.name: policy for policy in project.policies if policy.model.name == model.name}
    if name not in known:
        raise DataError.of(
            f"{model.name} has no policy {name!r}",
            expected=" or ".join(known) or "a policy in the project",
            got=repr(name),
            do="name a policy of the project that reads this model",
        )
    return known[name]


def _of_model(project: Project, model: Model, name: str | None) -> Policy:
    """The policy of this name, or else the model's first one."""
    known = {policy.name: policy for policy in project.policies if policy.model.name == model.name}
    found = known.get(name or "") or find_policy(project, model)
    return found if found is not None else _named(project, model, name or "")
