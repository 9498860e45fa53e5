"""Registered versions of models, and where they are asked for: without MLflow, which takes seconds to import.

Given by ``registry``, which is MLflow, and by ``noted`` and ``recalled``, which remember what it said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from headwater.models.artifact import Artifact

CHAMPION = "champion"
CHALLENGER = "challenger"
ARTIFACT = "headwater"  # where ours lies among a version's files


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of a model.

    Attributes:
        model: the model's name, without the project.
        number: counts from 1.
        aliases: ``champion``, ``challenger``, or none.
        digest: the seal of its artifact.
        definition_hash: of the definition that it was trained from.
        run: the MLflow run that made it.
        location: where its files lie.
        tags: what else was noted of it, such as the verdict of a gate.
    """

    model: str
    number: int
    aliases: tuple[str, ...]
    digest: str
    definition_hash: str
    run: str
    location: str
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def folder(self) -> Path | None:
        """Where its files lie on this machine; None if they must be fetched."""
        if not self.location.startswith("file:"):
            return None
        return Path(url2pathname(urlsplit(self.location).path))


class Versions(Protocol):
    """What is read of a registry."""

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, the newest first; none if it was never trained."""
        ...

    def version(self, model: str, which: str | int = CHAMPION) -> Version:
        """A version by its number or its alias; ModelError if there is no such version."""
        ...

    def load(
        self, model: str, which: str | int = CHAMPION, *, definition_hash: str | None = None
    ) -> Artifact:
        """The artifact of a version; ModelError if there is none, or it is another or damaged."""
        ...

    def sign(self) -> str | None:
        """What changes with every change of the registry; None if there is no telling but to ask it."""
        ...

    @property
    def away(self) -> bool:
        """Whether it did not answer last, and what it said before goes on."""
        ...
