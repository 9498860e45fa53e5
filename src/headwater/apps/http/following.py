"""What the server serves follows the registry: a promotion made anywhere is served within seconds.

::

    headwater promote ─┐
    POST .../promote ──┼──► registry ──► look ──► another champion? load, check its seal ──► swap
    MLflow's own UI ───┘                                    └─ damaged: the old one goes on

A canary is followed alike: the challenger answers its share of the decisions from the next look on, and none
if it cannot be loaded. One that ended by itself, because champion or challenger is another one, is written
down (``settle``).

The registry in the data folder is a file: it is asked only after somebody wrote to it. Only versions are
followed; the project file is read again by ``POST /v1/reload`` alone. Used by ``cli.serve`` and ``desk``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock

from headwater.apps.archive import Archive
from headwater.apps.http.shelf import Shelf, Shelved
from headwater.core.errors import GateError, HeadwaterError, ModelError
from headwater.definitions.model import Model
from headwater.definitions.project import Project
from headwater.models.canary import Canary, canary_of, lapsed
from headwater.models.version import CHALLENGER, CHAMPION, Version, Versions
from headwater.serving.deciding import Deciding
from headwater.serving.scoring import Scoring
from headwater.serving.served import Serving, Trial

LOG = logging.getLogger("headwater.champions")
EVERY = 2.0  # seconds between two looks

OnFault = Callable[[str, BaseException], None]


@dataclass(frozen=True)
class Stand:
    """What the registry says of a model.

    Attributes:
        aliases: alias to the number of the version that it names.
        canary: the one in force.
        old: versions that bear the note of a canary that is over.
        fault: why a canary's note cannot be read.
    """

    aliases: Mapping[str, int]
    canary: Canary | None = None
    old: tuple[int, ...] = ()
    fault: ModelError | None = field(default=None, compare=False)

    @classmethod
    def of(cls, versions: Sequence[Version]) -> Stand:
        """Read off a model's versions."""
        aliases = {alias: version.number for version in versions for alias in version.aliases}
        old = tuple(one.number for one in lapsed(versions))
        try:
            return cls(aliases, canary_of(versions), old)
        except ModelError as error:
            return cls(aliases, None, old, error)


class Following:
    """Keeps what is served at what the registry says. Safe to share between threads.

    Args:
        service: whose models.
        registry: of the project.
        shelf: the versions that were loaded already.
        archive: told when there may be new versions.
        on_fault: told of a version that cannot be served.

    Attributes:
        registry: of what is served.
        settle: writes down that a canary of a model is over; may take a moment, or say to come later.
    """

    def __init__(
        self,
        service: Deciding,
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
        self._stood: dict[str, Stand] = {}
        self._unsettled: set[str] = set()
        self._read = True
        self.registry = registry
        self.settle: Callable[[str], object] | None = None

    def look(self) -> tuple[str, ...]:
        """Serve what the registry says now, if it says something new; the models that changed.

        A version that cannot be served is told once, and the one that was served before goes on.

        Raises:
            ModelError: the registry cannot be read.
        """
        with self._lock:
            sign = self.registry.sign()
            changed: tuple[str, ...] = ()
            if sign is None or sign != self._sign:
                self._read = False
                changed = self._follow()
                self._read = True
                self._sign = sign  # of before it was read: what was written meanwhile is looked at next time
            self._settle()
            return changed

    @property
    def up(self) -> bool:
        """Whether the registry answered the last look; if not, what was served before goes on."""
        return self._read and not self.registry.away

    def challengers(self) -> dict[str, int]:
        """Model to the number of its challenger, as the last look found it."""
        stands = {name: stand.aliases for name, stand in self._stood.items()}
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
            stands = {model.name: Stand.of(registry.versions(model.name)) for model in project.models}
            self._service.swap(scorings, project, self._trials(project, stands, scorings, shelf))
            self._archive.renew(project)
            self.registry, self._shelf = registry, shelf
            self._sign, self._stood = None, {}

    def _follow(self) -> tuple[str, ...]:
        serving = self._service.serving
        models = serving.project.models
        stands = {model.name: Stand.of(self.registry.versions(model.name)) for model in models}
        if stands == self._stood:
            return ()
        served = dict(serving.scorings)
        for model in models:
            found = self._champion(model, stands[model.name].aliases.get(CHAMPION))
            if found is not None:
                served[model.name] = found.scoring
        canaries = self._trials(serving.project, stands, served, self._shelf)
        self._archive.renew(serving.project)  # there may be versions that it does not know
        changed = _changed(serving.scorings, served)
        if changed or _answering(serving) != {name: one.canary for name, one in canaries.items()}:
            self._service.swap(served, canaries=canaries)
        self._unsettled |= {name for name, stand in stands.items() if self._is_over(name, stand)}
        self._stood = stands
        return changed

    def _trials(
        self, project: Project, stands: Mapping[str, Stand], served: Mapping[str, Scoring], shelf: Shelf
    ) -> dict[str, Trial]:
        """The canaries beside these champions, those that can answer."""
        found = {}
        for model in project.models:
            stand, champion = stands[model.name], served.get(model.name)
            if stand.fault is not None:
                self._tell_canary(model, stand.fault)
            if stand.canary is None or champion is None or champion.digest != stand.canary.champion:
                continue
            try:
                found[model.name] = Trial(stand.canary, shelf.get(model, stand.canary.version).scoring)
            except ModelError as error:
                self._tell_canary(model, error)
        return found

    def _tell_canary(self, model: Model, error: HeadwaterError) -> None:
        LOG.error(
            "a canary cannot answer; the champion does",
            extra={"model": model.name, "error": type(error).__name__},
        )
        self._on_fault("canary", error)

    def _is_over(self, name: str, stand: Stand) -> bool:
        """Whether a canary ended, and perhaps nobody wrote it down."""
        before = self._stood.get(name)
        had = None if before is None else before.canary
        return bool(stand.old) or (had is not None and stand.canary is None)

    def _settle(self) -> None:
        if self.settle is None:
            return
        for name in sorted(self._unsettled):
            try:
                self.settle(name)
            except GateError:  # somebody is at it: at the next look
                continue
            except HeadwaterError as error:
                self._on_fault("canary", error)
            self._unsettled.discard(name)

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


def _answering(serving: Serving) -> dict[str, Canary]:
    return {name: one.canary for name, one in serving.canaries.items()}


def _changed(before: Mapping[str, Scoring], after: Mapping[str, Scoring]) -> tuple[str, ...]:
    known = {name: one.digest for name, one in before.items()}
    return tuple(name for name, one in after.items() if known.get(name) != one.digest)
