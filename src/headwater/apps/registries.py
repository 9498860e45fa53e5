"""The registry as a server and its monitors read it: MLflow is imported only if it must be asked.

Called by ``cli.serving`` and ``monitors.process``; read ``models.noted`` for what is remembered.
"""

from __future__ import annotations

from importlib import import_module

from headwater.apps.settings import Settings
from headwater.definitions.project import Project
from headwater.models.noted import Noted
from headwater.models.version import Versions


def versions_of(settings: Settings, project: Project) -> Versions:
    """The project's registry: in the data folder, or where MLFLOW_TRACKING_URI says.

    Raises:
        ModelError: it cannot be opened. One in the data folder is opened when it must be asked.
    """

    def opened() -> Versions:
        registry: Versions = import_module("headwater.models.registry").Registry(
            settings.data, project.name, settings.tracking_uri
        )
        return registry

    return Noted(settings.data, project.name, opened) if settings.tracking_uri is None else opened()
