"""An engine that rises while the rest of its server is still being imported.

::

    serve ─► engine, project ─► the rest of the imports ─► Service.open ─► ready
                    └────────► snapshot, tail of the log ──────┘ taken over, with what came since

To replay a tail is the work of compiled code and of the system, which gives each page that is written for the
first time; imports need neither. The log is read, not held: whoever may write it is found out at
``Service.open``, and whatever goes wrong here goes wrong there again, in words. Begun by ``headwater serve``,
asked by ``keeping``.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread

from headwater.definitions.project import Project
from headwater.definitions.view import FeatureView, view_hash
from headwater.log.embedded import EmbeddedLog
from headwater.serving.rising import Risen, rise
from headwater.store.ahead import Ahead
from headwater.store.folder import DataFolder
from headwater.store.snapshots import Snapshots


class Early:
    """Begins to rise at once, in a thread of its own.

    Args:
        project: whose engine.
        folder: its data folder; it need not exist.
        ahead: the newest snapshot, already being read.
    """

    def __init__(self, project: Project, folder: DataFolder, ahead: Ahead) -> None:
        self._hashes = hashes(project.views)
        self._found: Future[Risen | None] | None = Future()
        arguments = (project, folder, ahead, self._found)
        Thread(target=self._rise, args=arguments, name="headwater-early", daemon=True).start()

    def take(self, views: Sequence[FeatureView]) -> Risen | None:
        """What has risen, once and to one caller; None if nothing has, or for other views."""
        found, self._found = self._found, None
        return found.result() if found is not None and hashes(views) == self._hashes else None

    @staticmethod
    def _rise(project: Project, folder: DataFolder, ahead: Ahead, found: Future[Risen | None]) -> None:
        try:
            with EmbeddedLog.open(folder.log, project.streams, writer=False) as log:
                found.set_result(rise(project.views, log, Snapshots(folder.snapshots), ahead))
        except BaseException:  # noqa: BLE001 - tried again by whoever asks, and told if it fails again
            found.set_result(None)


def hashes(views: Sequence[FeatureView]) -> list[str]:
    """What tells views from others."""
    return [view_hash(view) for view in views]
