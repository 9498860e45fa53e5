"""The registry as a server and its monitors read it: one elsewhere may be away.

Called by ``cli.serve`` and ``monitors.process``; read ``models.recalled`` for what is remembered. MLflow is
imported only when it must be asked.
"""

from __future__ import annotations

import hashlib
import time
from importlib import import_module

from headwater.apps.settings import Settings
from headwater.definitions.project import Project
from headwater.models.recalled import Fetching, Recalled
from headwater.models.version import Versions
from headwater.store.folder import DataFolder


def versions_of(settings: Settings, project: Project) -> Versions:
    """The project's registry: in the data folder, or where MLFLOW_TRACKING_URI says.

    Raises:
        ModelError: the one in the data folder cannot be opened.
    """

    def opened() -> Fetching:
        registry: Fetching = import_module("headwater.models.registry").Registry(
            settings.data, project.name, settings.tracking_uri
        )
        return registry

    if settings.tracking_uri is None:
        return opened()
    # The address may hold a password, so what is noted holds its hash.
    kind = hashlib.sha256(f"{settings.tracking_uri}\n{project.name}".encode()).hexdigest()
    return Recalled(DataFolder(settings.data).registry, kind, opened, time.monotonic_ns)
