"""What the registry said last, for as long as it is the same: a server starts without MLflow.

::

    mlflow.db ──► its change counter ──► the one that was noted? ──► models.json ──► the artifact's own folder
                                                 no: ask the registry, and note what it says

Only for a registry in the data folder: SQLite counts every change of its file, and MLflow writes it without a
write-ahead log; where there is one, nothing is noted. A note decides nothing by itself: an artifact is used
only if it has the seal under which it was registered. Opened by ``apps.registries``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from headwater.models.artifact import Artifact, load
from headwater.models.version import ARTIFACT, CHAMPION, Version, Versions
from headwater.models.versions_note import VersionsNote

_HEADER = 100  # bytes of an SQLite file, the change counter among them


class Noted:
    """The registry of a project in a data folder, for whoever only reads it.

    Args:
        folder: the data folder.
        project: the project's name.
        opened: opens the registry itself, when it must be asked.
    """

    def __init__(self, folder: Path, project: str, opened: Callable[[], Versions]) -> None:
        self._database = folder / "mlflow.db"
        self._note = VersionsNote(folder / "models.json")
        self._project = project
        self._opened = opened
        self._registry: Versions | None = None
        self._lock = Lock()

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, the newest first; none if it was never trained.

        Raises:
            ModelError: the registry cannot be read.
        """
        with self._lock:
            state = self.sign()
            noted = {} if state is None else self._note.read(self._kind(state))
            if model in noted:
                return noted[model]
            found = self._itself().versions(model)
            if state is not None and self.sign() == state:
                self._note.write(self._kind(state), noted | {model: found})
            return found

    def version(self, model: str, which: str | int = CHAMPION) -> Version:
        """A version by its number or its alias.

        Raises:
            ModelError: there is no such version.
        """
        for version in self.versions(model):
            if which == version.number or which in version.aliases:
                return version
        with self._lock:
            return self._itself().version(model, which)

    def load(
        self, model: str, which: str | int = CHAMPION, *, definition_hash: str | None = None
    ) -> Artifact:
        """The artifact of a version, checked against the digest under which it was registered.

        Raises:
            ModelError: no such version, a damaged artifact, or one of another definition.
        """
        version = self.version(model, which)
        if version.folder is None:
            with self._lock:
                return self._itself().load(model, version.number, definition_hash=definition_hash)
        return load(version.folder / ARTIFACT, definition_hash=definition_hash, digest=version.digest)

    def sign(self) -> str | None:
        """What changes with every change of the registry; None if there is no telling."""
        beside = [self._database.with_name(self._database.name + end) for end in ("-wal", "-journal")]
        try:
            if any(path.exists() and path.stat().st_size for path in beside):
                return None
            with self._database.open("rb") as file:
                return f"{file.read(_HEADER).hex()} {self._database.stat().st_size}"
        except OSError:
            return None

    @property
    def away(self) -> bool:
        """Never: it lies beside the log."""
        return False

    def asked(self) -> Versions:
        """The registry itself, for whoever changes it."""
        with self._lock:
            return self._itself()

    def _itself(self) -> Versions:
        if self._registry is None:
            self._registry = self._opened()
        return self._registry

    def _kind(self, state: str) -> str:
        return f"{self._project} {state}"
