"""What a registry elsewhere said last: a server starts and goes on while the registry is away.

::

    asked ──► it answers ──► noted in versions.json; a model's files are kept by their seal
      └─────► it does not ──► what was noted; and for a while it is not asked again

What is remembered decides nothing by itself: an artifact is used only if it has the seal under which it was
registered. Only reading is remembered; whoever trains or promotes asks the registry itself, and is refused
while it is away. Opened by ``apps.registries``.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Protocol, TypeVar

from headwater.core.errors import ModelError
from headwater.models.artifact import Artifact, load
from headwater.models.version import CHAMPION, Version, Versions
from headwater.models.versions_note import VersionsNote

LOG = logging.getLogger("headwater.registry")
REST = 15_000_000_000  # nanoseconds until a registry that was away is asked again
MOST = 20  # artifacts that are kept
Answer = TypeVar("Answer")
_SEAL = re.compile("[0-9a-f]{64}")


class Fetching(Versions, Protocol):
    """A registry that gives out files, too."""

    def fetch(self, version: Version, into: Path) -> Path:
        """The folder of a version's artifact; ModelError if it cannot be fetched."""
        ...


class Recalled:
    """A registry elsewhere, for whoever only reads it. Safe to share between threads.

    Args:
        folder: of what is remembered; made when there is something.
        kind: which registry and project it is: what was noted of another one does not count.
        opened: opens the registry itself.
        stopwatch: nanoseconds.
    """

    def __init__(
        self, folder: Path, kind: str, opened: Callable[[], Fetching], stopwatch: Callable[[], int]
    ) -> None:
        self._folder = folder
        self._note = VersionsNote(folder / "versions.json")
        self._artifacts = folder / "artifacts"
        self._kind = kind
        self._opened = opened
        self._stopwatch = stopwatch
        self._registry: Fetching | None = None
        self._away: tuple[int, ModelError] | None = None  # since when, and what it said
        self._lock = RLock()

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, the newest first; as they were noted where the registry is away.

        Raises:
            ModelError: it is away, and nothing of the model was noted.
        """
        with self._lock:
            noted = self._note.read(self._kind)
            try:
                found = self._asked(lambda registry: registry.versions(model))
            except ModelError:
                if model in noted:
                    return noted[model]
                raise
            if noted.get(model) != found or [one.tags for one in noted[model]] != [one.tags for one in found]:
                self._note.write(self._kind, noted | {model: found})
            return found

    def version(self, model: str, which: str | int = CHAMPION) -> Version:
        """A version by its number or its alias.

        Raises:
            ModelError: there is no such version, or none is known while the registry is away.
        """
        for version in self.versions(model):
            if which == version.number or which in version.aliases:
                return version
        with self._lock:
            if self._away is not None or self._registry is None:
                raise self._unknown(model, which)
            return self._registry.version(model, which)

    def load(
        self, model: str, which: str | int = CHAMPION, *, definition_hash: str | None = None
    ) -> Artifact:
        """The artifact of a version, checked against the digest under which it was registered.

        Raises:
            ModelError: no such version, a damaged artifact, one of another definition, or one that was never
                fetched while the registry is away.
        """
        with self._lock:
            version = self.version(model, which)
            kept = self._artifacts / (version.digest if _SEAL.fullmatch(version.digest) else "none")
            if not kept.is_dir():
                self._keep(version, kept)
                return load(kept, definition_hash=definition_hash, digest=version.digest)
            kept.touch()  # the one that was used last is let go last
            try:
                return load(kept, definition_hash=definition_hash, digest=version.digest)
            except ModelError as error:
                self._again(version, kept, error)
            return load(kept, definition_hash=definition_hash, digest=version.digest)

    def sign(self) -> str | None:
        """None: it is asked each time."""
        return None

    @property
    def away(self) -> bool:
        """Whether it did not answer last, and what it said before goes on."""
        return self._away is not None

    def asked(self) -> Fetching:
        """The registry itself, for whoever changes it; it is asked at once, also if it was away just now.

        Raises:
            ModelError: it is away.
        """
        with self._lock:
            self._registry = self._registry or self._opened()
            self._away = None
            return self._registry

    # --- Asking ----------------------------------------------------------------------------------

    def _asked(self, question: Callable[[Fetching], Answer]) -> Answer:
        """Raises ModelError where the registry is away, and at once where it just was."""
        with self._lock:
            if self._away is not None and self._stopwatch() - self._away[0] < REST:
                raise self._away[1]
            try:
                if self._registry is None:
                    self._registry = self._opened()
                answer = question(self._registry)
            except ModelError as error:
                if self._away is None:
                    LOG.warning("the registry is away; what it said last goes on")
                self._away = self._stopwatch(), error
                raise
            if self._away is not None:
                LOG.warning("the registry is back")
            self._away = None
            return answer

    def _unknown(self, model: str, which: str | int) -> ModelError:
        return ModelError.of(
            f"the registry is away, and no such version of {model!r} was noted before",
            got=str(which),
            where=str(self._note.path),
            do="try again when the registry is back",
        )

    # --- Remembering -----------------------------------------------------------------------------

    def _keep(self, version: Version, kept: Path) -> None:
        """Fetch the files of a version; whoever reads finds all of them or none."""
        self._artifacts.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as space:
            home = Path(space) / "fetched"
            home.mkdir()
            folder = self._asked(lambda registry: registry.fetch(version, home))
            load(folder, digest=version.digest)  # before it takes the place of another
            whole = Path(shutil.copytree(folder, Path(space) / "whole"))
            shutil.rmtree(kept, ignore_errors=True)
            with suppress(FileExistsError):  # another process was quicker
                whole.rename(kept)
        found = sorted(self._artifacts.iterdir(), key=lambda path: path.stat().st_mtime)
        for old in found[:-MOST]:
            shutil.rmtree(old, ignore_errors=True)

    def _again(self, version: Version, kept: Path, error: ModelError) -> None:
        """What is kept cannot be used: fetch it once more. Raises what was wrong with it if that fails."""
        try:
            self._keep(version, kept)
        except ModelError:
            raise error from None
