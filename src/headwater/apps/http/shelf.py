"""The models that can be served: from the registry, ready to score, kept by their seals.

Opened by ``headwater serve``; asked again when a version is promoted, and when a decision of an older version
is made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headwater.apps.archive import Archive, Exchange
from headwater.apps.http.site import Others
from headwater.core.errors import ModelError
from headwater.definitions.compile import content_hash
from headwater.definitions.model import Model
from headwater.definitions.project import Project
from headwater.models.version import CHAMPION, Version, Versions
from headwater.serving.decide import Decider
from headwater.serving.scoring import Scoring
from headwater.store.decision import Decision


@dataclass(frozen=True)
class Shelved:
    """A version of a model, ready to score."""

    version: Version
    scoring: Scoring


def scorings(shelved: Mapping[str, Shelved]) -> dict[str, Scoring]:
    """Model to what scores it."""
    return {name: one.scoring for name, one in shelved.items()}


class Shelf:
    """Versions of a project's models.

    Args:
        registry: of the project.
        project: the definitions.
    """

    def __init__(self, registry: Versions, project: Project) -> None:
        self._registry = registry
        self.project = project
        self._known: dict[str, Shelved] = {}

    def champions(self) -> dict[str, Shelved]:
        """The champion of each model that has one.

        Raises:
            ModelError: a champion was trained from another definition, or is damaged.
        """
        found = {}
        for model in self.project.models:
            if any(CHAMPION in version.aliases for version in self._registry.versions(model.name)):
                found[model.name] = self.get(model, CHAMPION)
        return found

    def get(self, model: Model, which: str | int) -> Shelved:
        """A version by its number or alias.

        Raises:
            ModelError: there is none, it was trained from another definition, or it is damaged.
        """
        version = self._registry.version(model.name, which)
        known = self._known.get(version.digest)
        if known is None or known.version != version:
            artifact = self._registry.load(model.name, version.number, definition_hash=content_hash(model))
            known = Shelved(version, Scoring(model, artifact, version.digest))
            self._known[version.digest] = known
        return known

    def sealed(self, model: Model, digest: str) -> Shelved:
        """The version of a seal, as a decision names it.

        Raises:
            ModelError: the registry has none.
        """
        for version in self._registry.versions(model.name):
            if version.digest == digest:
                return self.get(model, version.number)
        raise ModelError.of(
            f"the registry has no version of {model.name} with this seal",
            got=digest,
            do="look whether the decision is of another project",
        )


class Attic:
    """The definitions, models and policies of the past, as the routes ask for them.

    Args:
        archive: of the project.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def own(self, decision: Decision) -> Decider | None:
        """Those that made a decision; None where one of them is not at hand."""
        return self._archive.own(decision)

    def decider(self, decision: Decision, others: Others) -> Decider:
        """Those that made it, with others in place of its own.

        Raises:
            ModelError: what is not exchanged is not at hand, or there is no such version.
            DataError: there is no such policy, or no such definitions.
            DefinitionError, StoreError: kept definitions cannot be read back.
        """
        return self._archive.decider(decision, _exchange(others))

    def other(self, name: str | None, others: Others) -> Decider:
        """For decisions at large: a model's version, the champion if none is named, and a policy.

        Raises:
            ModelError: there is no such version.
            DataError: there is no such policy, or none at all; or no such definitions.
            DefinitionError, StoreError: kept definitions cannot be read back.
            TrainingError: there is no such model.
        """
        return self._archive.exchanged(name, _exchange(others))


def _exchange(others: Others) -> Exchange:
    """Definitions come as names of what is kept: nothing in a request is ever run."""
    return Exchange(others.model, others.policy, others.definitions)
