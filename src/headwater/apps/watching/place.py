"""Where watching looks: a project, its data folder and its registry, and the model version that is watched.

Called by the commands and by jobs, which open the log.
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.apps.database import DatabaseSettings
from headwater.apps.stores import Records, records_of
from headwater.definitions.compile import content_hash
from headwater.definitions.finding import find_model, find_policy
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.definitions.project import Project
from headwater.models.registry import CHAMPION, Version
from headwater.serving.scoring import Scoring
from headwater.store.folder import DataFolder
from headwater.training.train import open_registry


@dataclass(frozen=True)
class Watched:
    """A model version, ready to score, with the policy that decides on it."""

    model: Model
    policy: Policy | None
    version: Version
    scoring: Scoring


@dataclass(frozen=True)
class Place:
    """A project with its data folder.

    Attributes:
        folder: its data.
        project: its definitions.
        tracking_uri: of the registry; None for the data folder.
        database: that servers share for their records; None for the data folder.
    """

    folder: DataFolder
    project: Project
    tracking_uri: str | None = None
    database: DatabaseSettings | None = None

    def records(self) -> Records:
        """What was decided and administered; to be closed.

        Raises:
            StoreError: the database is away, or has other tables.
        """
        return records_of(self.folder.path, self.database)

    def watched(self, name: str | None = None, which: int | str = CHAMPION) -> Watched:
        """A version of a model, the champion by default.

        Raises:
            TrainingError: the project has no such model.
            ModelError: the model has no such version, or it was trained from another definition.
        """
        model = find_model(self.project, name)
        registry = open_registry(self.folder.path, self.project, self.tracking_uri)
        version = registry.version(model.name, which)
        artifact = registry.load(model.name, version.number, definition_hash=content_hash(model))
        policy = find_policy(self.project, model)
        return Watched(model, policy, version, Scoring(model, artifact, version.digest))
