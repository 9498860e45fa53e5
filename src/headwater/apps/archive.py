"""Past decisions with the definitions, model and policy that made them, or with others.

A record names its model by the artifact's digest, its definition and its policy by their hashes. The digest
leads to a version in the registry; the hashes lead to today's project, or to what the data folder has kept
(``store.definitions``), or to the definition that lies in the artifact: so what decided once decides again,
whatever the project file says today. Called by the commands and routes that replay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from headwater.core.errors import DataError, DefinitionError, ModelError
from headwater.definitions.compile import content_hash, hash_of
from headwater.definitions.finding import find_model, find_policy
from headwater.definitions.loading import load_project
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.definitions.project import Project
from headwater.definitions.restoring import restored_model, restored_policy, restored_project
from headwater.models.version import CHAMPION, Version, Versions
from headwater.serving.decide import Decider
from headwater.serving.scoring import Scoring
from headwater.store.decision import Decision
from headwater.store.definitions import SHORTEST, DefinitionStore

CURRENT = "current"
Definitions = Project | Model  # what features can be taken from


@dataclass(frozen=True, slots=True)
class Exchange:
    """What to replay with in place of a decision's own.

    Attributes:
        model: a version's number or alias.
        policy: a policy of the project, or the hash of a kept one.
        definitions: another project, or a model of another definition; or the hash of one that is kept, or
            ``current`` for today's project.

    Example:
        >>> Exchange().nothing
        True
    """

    model: str | None = None
    policy: str | None = None
    definitions: Definitions | str | None = None

    @property
    def nothing(self) -> bool:
        """Whether a decision is replayed as it was made."""
        return self.model is None and self.policy is None and self.definitions is None


def read_exchange(texts: Sequence[str]) -> Exchange:
    """``model=WHICH``, ``policy=NAME`` and ``definitions=FILE`` texts as an exchange.

    What follows ``definitions=`` is a hash, if it looks like one and no file is called so; or ``current``.

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
    named = given.get("definitions")
    definitions = named if named is None or _kept(named) else load_project(Path(named))
    return Exchange(given.get("model"), given.get("policy"), definitions)


def _kept(text: str) -> bool:
    """Whether a text names definitions that are kept, and no file."""
    return not Path(text).exists() and (text == CURRENT or is_hash(text))


def is_hash(text: str) -> bool:
    """Whether a text can be a hash, or the first digits of one.

    Example:
        >>> is_hash("64664fc4"), is_hash("project.py"), is_hash("64664f")
        (True, False, False)
    """
    return SHORTEST <= len(text) <= len(hash_of(None)) and set(text) <= set("0123456789abcdef")


_PARTS = ("model", "policy", "definitions")


class Archive:
    """The models and policies of a project's past.

    Args:
        project: as it is defined today.
        registry: with the versions of its models.
        kept: every definition that was in force; None where none were kept.
    """

    def __init__(self, project: Project, registry: Versions, kept: DefinitionStore | None = None) -> None:
        self._project = project
        self._registry = registry
        self._kept = kept
        self._scorings: dict[tuple[str, str, str], Scoring] = {}
        self._versions: dict[str, list[Version]] = {}
        self._deciders: dict[tuple[str, str, str, str], Decider] = {}
        self._owns: dict[tuple[str, str, str, str], Decider | None] = {}

    def renew(self, project: Project) -> None:
        """The project is another one now, and there may be new versions: forget what was not at hand."""
        self._project = project
        self._versions.clear()
        self._owns = {facts: one for facts, one in self._owns.items() if one is not None}

    def own(self, decision: Decision) -> Decider | None:
        """The model and policy that made a decision; None where one of them is not at hand.

        Raises:
            StoreError: what was kept of them is not what was written.
        """
        facts = decision.model, decision.definition_hash, decision.model_digest, decision.policy_hash
        if facts not in self._owns:  # hashes of definitions take longer than a replay
            try:
                self._owns[facts] = self._made_by(decision)
            except (ModelError, DefinitionError):
                self._owns[facts] = None
        return self._owns[facts]

    def decider(self, decision: Decision, exchange: Exchange) -> Decider:
        """A decision's own model and policy, with something exchanged.

        Raises:
            ModelError: what is not exchanged is not at hand, or there is no such version.
            DataError: there is no such policy, or no such definitions.
            DefinitionError: kept definitions cannot be read back.
            StoreError: kept definitions are not what was written.
            TrainingError: the other project has no such model.
        """
        if exchange.nothing:
            return self.own(decision) or self._made_by(decision)
        definitions = self._definitions(exchange.definitions)
        if definitions is not None:
            model = _model_of(definitions, decision.model)
            scoring = self._reading(model, exchange.model, lambda: self._own_scoring(decision))
        elif exchange.model is not None:
            scoring = self._version(decision.model, exchange.model)
        else:
            scoring = self._own_scoring(decision)
        project = definitions if isinstance(definitions, Project) else self._project
        if exchange.policy is not None:
            policy = self._named(project, scoring.model, exchange.policy)
        elif isinstance(definitions, Project):
            policy = _of_model(definitions, scoring.model, decision.policy)
        else:
            policy = self._own_policy(decision, scoring.model)
        return self._decider(policy, scoring)

    def exchanged(self, model: str | None, exchange: Exchange) -> Decider:
        """For decisions at large: a model's version, the champion if none is named, and a policy.

        Raises:
            ModelError: there is no such version.
            DataError: there is no such policy, or none at all; or no such definitions.
            DefinitionError: kept definitions cannot be read back.
            StoreError: kept definitions are not what was written.
            TrainingError: there is no such model.
        """
        definitions = self._definitions(exchange.definitions)
        project = definitions if isinstance(definitions, Project) else self._project
        if definitions is None:
            scoring = self._version(find_model(project, model).name, exchange.model or CHAMPION)
        else:
            found = _model_of(definitions, model)
            scoring = self._reading(found, exchange.model, lambda: self._version(found.name, CHAMPION))
        if exchange.policy is not None:
            return self._decider(self._named(project, scoring.model, exchange.policy), scoring)
        return self._decider(_of_model(project, scoring.model, None), scoring)

    def champions(self) -> list[Scoring]:
        """The champion of each model of the project that has one of today's definition."""
        return [
            self._opened(model, version)
            for model in self._project.models
            for version in self._of(model.name)
            if CHAMPION in version.aliases and version.definition_hash == content_hash(model)
        ]

    def _made_by(self, decision: Decision) -> Decider:
        """Raises ModelError, DefinitionError or StoreError where something is not at hand."""
        scoring = self._own_scoring(decision)
        return self._decider(self._own_policy(decision, scoring.model), scoring)

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

    # --- What made a decision --------------------------------------------------------------------

    def _own_scoring(self, decision: Decision) -> Scoring:
        version = next((v for v in self._of(decision.model) if v.digest == decision.model_digest), None)
        if version is None or version.definition_hash != decision.definition_hash:
            raise _no_model(decision)
        return self._opened(self._definition(version), version)

    def _definition(self, version: Version) -> Model:
        """As it is defined today, or as it was kept, or as it lies in the model that was trained from it."""
        known = self._known_definition(version.model, version.definition_hash)
        if known is not None:
            return known
        artifact = self._registry.load(version.model, version.number, definition_hash=version.definition_hash)
        return restored_model(artifact.definition)

    def _known_definition(self, name: str, wanted: str) -> Model | None:
        for model in self._project.models:
            if model.name == name and content_hash(model) == wanted:
                return model
        kept = None if self._kept is None else self._kept.find(wanted)
        return None if kept is None else restored_model(kept.form)

    def _own_policy(self, decision: Decision, model: Model) -> Policy:
        """The policy that decided; ``model`` stands in for its own where that is not at hand."""
        for policy in self._project.policies:
            if content_hash(policy) == decision.policy_hash:
                return policy
        kept = None if self._kept is None else self._kept.find(decision.policy_hash)
        if kept is None:
            raise _no_policy(decision, self._project)
        own = self._known_definition(decision.model, decision.definition_hash)
        return restored_policy(kept.form, own or model)

    # --- What is exchanged -----------------------------------------------------------------------

    def _definitions(self, named: Definitions | str | None) -> Definitions | None:
        if not isinstance(named, str):
            return named
        if named == CURRENT:
            return self._project
        kept = None if self._kept is None else self._kept.find(named)
        if kept is not None and kept.kind == "project":
            return restored_project(kept.form)
        if kept is not None and kept.kind == "model":
            return restored_model(kept.form)
        raise DataError.of(
            "no such definitions are kept",
            expected=f"the hash of a project or a model, its first {SHORTEST} digits or more, or {CURRENT}",
            got=repr(named[:80]) if kept is None else f"a {kept.kind}, {kept.name}",
            do="`headwater plan` lists what is kept"
            if kept is None
            else "replay with the policy of this hash",
        )

    def _version(self, model: str, which: str) -> Scoring:
        """A version by number or alias, whatever definition it was trained from."""
        version = self._registry.version(model, int(which) if which.isdecimal() else which)
        return self._opened(self._definition(version), version)

    def _reading(self, model: Model, which: str | None, other: Callable[[], Scoring]) -> Scoring:
        """A definition with a model: the version that is asked for, or the newest that was trained from it,
        or the one of another definition; the last two if they can read it."""  # noqa: D205, D209
        if which is not None:
            found = self._version(model.name, which)
        else:
            self._versions.pop(model.name, None)  # one may have been trained just now
            own = (v for v in self._of(model.name) if v.definition_hash == content_hash(model))
            version = next(own, None)
            found = other() if version is None else self._opened(model, version)
        same = found.definition_hash == content_hash(model)
        read = found if same else found.reading(model)
        if read is None:
            raise self._no_reader(model)
        return read

    def _no_reader(self, model: Model) -> ModelError:
        return ModelError.of(
            f"no version of {model.name} was trained from these definitions",
            expected=f"definition {content_hash(model)}, or inputs of the same names",
            got=", ".join(f"version {v.number}: {v.definition_hash}" for v in self._of(model.name)[:3])
            or "no version at all",
            do="train it from that project first, with the same data folder",
        )

    def _named(self, project: Project, model: Model, name: str) -> Policy:
        """A policy of a project by its name, or one that was kept by its hash."""
        known = {policy.name: policy for policy in project.policies if policy.model.name == model.name}
        if name in known:
            return known[name]
        kept = self._kept.find(name) if self._kept is not None and is_hash(name) else None
        if kept is not None and kept.kind == "policy" and kept.form["model"] == model.name:
            return restored_policy(kept.form, self._with_inputs(kept.form["reasons"], model))
        raise _no_such_policy(model, known, name)

    def _with_inputs(self, names: Collection[str], model: Model) -> Model:
        """The model, or else a kept definition of it, that has all these inputs."""
        kept = [] if self._kept is None else self._kept.all("model")
        forms = [one.form for one in kept if one.name == model.name and set(names) <= set(one.form["inputs"])]
        return model if set(names) <= set(model.inputs) or not forms else restored_model(forms[-1])

    def _decider(self, policy: Policy, scoring: Scoring) -> Decider:
        known = (policy.name, content_hash(policy), scoring.definition_hash, scoring.digest)
        if known not in self._deciders:
            self._deciders[known] = Decider(policy, scoring)
        return self._deciders[known]


def _model_of(definitions: Definitions, name: str | None) -> Model:
    if isinstance(definitions, Project):
        return find_model(definitions, name)
    if name is not None and definitions.name != name:
        raise DataError.of(
            "the definition is that of another model",
            expected=name,
            got=definitions.name,
            do="name a definition of this model",
        )
    return definitions


def _no_model(decision: Decision) -> ModelError:
    return ModelError.of(
        "the model that decided is not at hand",
        expected=f"{decision.model}, definition {decision.definition_hash}, digest {decision.model_digest}",
        got="no such version in the registry",
        do="bring its version back, or name another with --with model=WHICH",
    )


def _no_policy(decision: Decision, project: Project) -> ModelError:
    return ModelError.of(
        "the policy that decided is not at hand",
        expected=f"{decision.policy}, hash {decision.policy_hash}",
        got="; ".join(f"{p.name}, hash {content_hash(p)}" for p in project.policies) or "no policy",
        where="neither in the project nor among the kept definitions",
        do="use the project file of that time, or name another with --with policy=NAME",
    )


def _no_such_policy(model: Model, known: Collection[str], name: str) -> DataError:
    return DataError.of(
        f"{model.name} has no policy {name!r}",
        expected=" or ".join(known) or "a policy in the project",
        got=repr(name),
        do="name a policy of the project that reads this model, or the hash of one that was kept",
    )


def _of_model(project: Project, model: Model, name: str | None) -> Policy:
    """The policy of this name, or else the model's first one."""
    known = {policy.name: policy for policy in project.policies if policy.model.name == model.name}
    found = known.get(name or "") or find_policy(project, model)
    if found is None:
        raise _no_such_policy(model, known, name or "")
    return found
