"""The registry as a server and its monitors read it: MLflow is imported only if it must be asked.

One in the data folder is remembered for as long as it is the same (``models.noted``), one elsewhere for as
long as it is away (``models.recalled``). Called by ``cli.serving`` and ``monitors.process``.
"""

from __future__ import annotations

import hashlib
import time
from importlib import import_module

from headwater.apps.settings import Settings
from headwater.definitions.project import Project
from headwater.models.noted import Noted
from headwater.models.recalled import Fetching, Recalled
from headwater.models.version import Versions
from headwater.store.folder import DataFolder


def versions_of(settings: Settings, project: Project) -> Versions:
    """The project's registry: in the data folder, or where MLFLOW_TRACKING_URI says.

    It is opened when it must be asked; only then is told that it cannot be.
    """

    def opened() -> Fetching:
        registry: Fetching = import_module("headwater.models.registry").Registry(
            settings.data, project.name, settings.tracking_uri
        )
        return registry

    if settings.tracking_uri is None:
        return Noted(settings.data, project.name, opened)
    # The address may hold a password, so what is noted holds its hash.
    kind = hashlib.sha256(f"{settings.tracking_uri}\n{project.name}".encode()).hexdigest()
    return Recalled(DataFolder(settings.data).registry, kind, opened, time.monotonic_ns)
