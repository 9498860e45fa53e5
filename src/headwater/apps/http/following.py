"""What the server serves follows the registry: a promotion made anywhere is served within seconds.

::

    headwater promote ─┐
    POST .../promote ──┼──► registry ──► look ──► another champion? load, check its seal ──► swap
    MLflow's own UI ───┘                                    └─ damaged: the old one goes on

The registry in the data folder is a file: it is asked only after somebody wrote to it. Only versions are
followed; the project file is read again by ``POST /v1/reload`` alone. Used by ``cli.serve`` and ``desk``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from threading import RLock

from headwater.apps.archive import Archive
from headwater.apps.http.shelf import Shelf, Shelved
from headwater.core.errors import HeadwaterError, ModelError
from headwater.definitions.model import Model
from headwater.definitions.project import Project
from headwater.models.version import CHALLENGER, CHAMPION, Versions
from headwater.serving.scoring import Scoring
from headwater.serving.service import Service

LOG = logging.getLogger("headwater.champions")
EVERY = 2.0  # seconds between two looks

OnFault = Callable[[str, BaseException], None]


class Following:
    """Keeps what is served at what the registry says. Safe to share between threads.

    Args:
        service: whose models.
        registry: of the project.
        shelf: the versions that were loaded already.
        archive: told when there may be new versions.
        on_fault: told of a version that cannot be served.
    """

    def __init__(
        self,
        service: Service,
        registry: Versions,
        shelf: Shelf,
        archive: Archive,
        on_fault: OnFault = lambda _where, _error: None,
    ) -> None:
        self._service = service
        self._shelf = shelf
        self._archive = archive
        self._on_fault = on_fault
        self._lock = RLock()
        self._sign: str | None = None
        self._stood: dict[str, dict[str, int]] = {}
        self._read = True
        self.registry = registry

    def look(self) -> tuple[str, ...]:
        """Serve what the registry says now, if it says something new; the models that changed.

        A version that cannot be served is told once, and the one that was served before goes on.

        Raises:
            ModelError: the registry cannot be read.
        """
        with self._lock:
            sign = self.registry.sign()
            if sign is not None and sign == self._sign:
                return ()
            self._read = False
            changed = self._follow()
            self._read = True
            self._sign = sign  # of before it was read: what was written meanwhile is looked at next time
            return changed

    @property
    def up(self) -> bool:
        """Whether the registry answered the last look; if not, what was served before goes on."""
        return self._read and not self.registry.away

    def challengers(self) -> dict[str, int]:
        """Model to the number of its challenger, as the last look found it."""
        stands = self._stood
        return {name: aliases[CHALLENGER] for name, aliases in stands.items() if CHALLENGER in aliases}

    def reload(self, registry: Versions, project: Project) -> None:
        """Serve another project file, and what its registry says.

        Raises:
            ModelError: a champion was trained from another definition, or is damaged; nothing is exchanged.
            DataError, StoreError: see ``Service.swap``.
        """
        with self._lock:
            shelf = Shelf(registry, project)
            scorings = {name: one.scoring for name, one in shelf.champions().items()}
            self._service.swap(scorings, project)
            self._archive.renew(project)
            self.registry, self._shelf = registry, shelf
            self._sign, self._stood = None, {}

    def _follow(self) -> tuple[str, ...]:
        serving = self._service.serving
        stands = {model.name: self._aliases(model) for model in serving.project.models}
        if stands == self._stood:
            return ()
        served = dict(serving.scorings)
        for model in serving.project.models:
            found = self._champion(model, stands[model.name].get(CHAMPION))
            if found is not None:
                served[model.name] = found.scoring
        self._archive.renew(serving.project)  # there may be versions that it does not know
        changed = _changed(serving.scorings, served)
        if changed:
            self._service.swap(served)
        self._stood = stands
        return changed

    def _aliases(self, model: Model) -> dict[str, int]:
        """Alias to the number of the version that it names."""
        found = self.registry.versions(model.name)
        return {alias: version.number for version in found for alias in version.aliases}

    def _champion(self, model: Model, number: int | None) -> Shelved | None:
        """The champion, if there is one that can be served."""
        if number is None:
            return None
        try:
            return self._shelf.get(model, number)
        except ModelError as error:
            self._tell(model, number, error)
            return None

    def _tell(self, model: Model, number: int, error: HeadwaterError) -> None:
        LOG.error(
            "a version cannot be served; the one before goes on",
            extra={"model": model.name, "version": number, "error": type(error).__name__},
        )
        self._on_fault("champion", error)


def _changed(before: Mapping[str, Scoring], after: Mapping[str, Scoring]) -> tuple[str, ...]:
    known = {name: one.digest for name, one in before.items()}
    return tuple(name for name, one in after.items() if known.get(name) != one.digest)
