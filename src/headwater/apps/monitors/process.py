"""The process of the monitors: a job of ``apps.workers``, started by ``headwater serve``.

It waits to be told what is served, opens the same project and registry, and makes a round twice a second. It
tells its figures when they change, and now and then in any case; the server says again what it serves when
these are not of it. It ends when the server does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from headwater.apps.archive import Archive
from headwater.apps.http import logs
from headwater.apps.http.shelf import Shelf
from headwater.apps.masking import Mask
from headwater.apps.monitors.rounds import Figures, Rounds, Served
from headwater.apps.monitors.served import FAULT, FRESH, SERVE
from headwater.apps.registries import versions_of
from headwater.apps.settings import Settings
from headwater.apps.stores import records_of
from headwater.apps.workers.message import Message
from headwater.apps.workers.parent import Parent
from headwater.core.errors import DefinitionError, HeadwaterError, ModelError
from headwater.definitions.compile import content_hash
from headwater.definitions.loading import load_project
from headwater.definitions.model import Model
from headwater.definitions.project import Project
from headwater.log.embedded import EmbeddedLog
from headwater.serving.scoring import Scoring
from headwater.store.folder import DataFolder
from headwater.store.late import LateLedger
from headwater.store.parity import ParityLedger
from headwater.store.shadow import ShadowLedger

LOG = logging.getLogger("headwater.monitors")
EVERY = 0.5  # seconds from one round to the next
BEAT = 2.0  # seconds after which figures are told even if nothing changed
REST = 5.0  # seconds after a round that failed
SHARE = 0.25  # of one processor, at most, while there is much to do
SLICE = 0.05  # seconds of work between two rests


@dataclass
class _Due:
    """When something that is done now and then is done again."""

    every: float
    at: float = 0.0

    def now(self, now: float) -> bool:
        if now < self.at:
            return False
        self.at = now + self.every
        return True


class Process:
    """The loop of the process.

    Args:
        server: who started it.
        settings: where project and data are.
        shares: which share of what is served is derived again, and which challengers score.
        log_level: the least that is logged.
        stopwatch: seconds.
    """

    def __init__(
        self,
        server: Parent,
        settings: Settings,
        shares: tuple[float, float],
        log_level: str,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._settings = settings
        self._shares = shares
        self._log_level = log_level
        self._watch = stopwatch
        self._stack = ExitStack()
        self._wanted: Message | None = None
        self._serving: Message | None = None
        self._rounds: Rounds | None = None
        self._told: tuple[Figures, Message] | None = None
        self._beat = _Due(BEAT)
        self._since = time.process_time()

    def run(self) -> None:
        """Round after round.

        Raises:
            GoneError: the server is gone: the way in which this ends.
            HeadwaterError: what is served cannot be opened.
        """
        with self._stack:
            rest = EVERY
            while True:
                self._listen(rest)
                if self._wanted is not None:
                    self._open(self._wanted)
                rest = self._round()

    def _listen(self, seconds: float) -> None:
        """Take what the server says, for so long."""
        until = self._watch() + seconds
        while (left := until - self._watch()) > 0:
            message = self._server.next(left)
            if message is not None:
                self._hear(message)

    def _hear(self, message: Message) -> None:
        if message["kind"] == SERVE:
            self._wanted = None if message == self._serving else message
        elif message["kind"] == FRESH and self._rounds is not None:
            self._rounds.take(message)

    def _step(self) -> None:
        """In the midst of a round: is the server there, what does it say, and is it time for a rest?"""
        self._server.step()
        for message in self._server.waiting():
            self._hear(message)
        worked = time.process_time() - self._since
        if worked >= SLICE:
            self._listen(worked * (1 / SHARE - 1))
            self._since = time.process_time()

    def _round(self) -> float:
        """A round; seconds until the next one."""
        if self._rounds is None:
            return EVERY
        try:
            figures = self._rounds.round()
            now = self._watch()
            told = figures, self._rounds.shadow()
            if told != self._told or self._beat.now(now):
                self._told = told
                self._server.tell(figures.message(self._serving))
                self._server.tell(told[1])
        except HeadwaterError as error:
            LOG.exception("a round failed")
            self._server.tell({"kind": FAULT, "error": type(error).__name__})
            return REST
        return 0.0 if self._rounds.unfinished else EVERY

    # --- What is served ------------------------------------------------------------------------------

    def _open(self, wanted: Message) -> None:
        """Open the project and the models that are served.

        Raises:
            DefinitionError: the project file is not what is served.
            ModelError: the registry has not what is served.
        """
        self._stack.close()
        self._rounds = None
        project = load_project(self._settings.project)
        if content_hash(project) != wanted["project"]:
            raise DefinitionError.of(
                "the project file is not what the server serves",
                expected=wanted["project"],
                got=content_hash(project),
                where=str(self._settings.project),
                do="let the server read it: POST /v1/reload",
            )
        logs.set_up(self._log_level, mask=Mask.of(project))
        folder = DataFolder(self._settings.data)
        opened = self._stack.enter_context
        log = opened(EmbeddedLog.open(folder.log, project.streams, writer=False))
        records = opened(records_of(self._settings.data, self._settings.database))
        decisions = opened(records.decisions())
        late, parity = opened(LateLedger.open(folder.late)), opened(ParityLedger.open(folder.parity))
        served = _served(self._settings, project, wanted)
        shadow, (rate, share) = opened(ShadowLedger.open(folder.shadow)), self._shares
        self._rounds = Rounds(
            log,
            decisions,
            late,
            parity,
            served,
            shadow=shadow,
            rate=rate,
            share=share,
            step=self._step,
        )
        self._serving, self._wanted = wanted, None
        self._server.tell(self._rounds.figures().message(wanted))


def _served(settings: Settings, project: Project, wanted: Message) -> Served:
    """The models that are served, and those of the past."""
    registry = versions_of(settings, project)
    shelf = Shelf(registry, project)
    models = {model.name: model for model in project.models}
    known: dict[tuple[str, str], Scoring | None] = {
        (name, digest): shelf.sealed(models[name], digest).scoring
        for name, digest in wanted["models"].items()
    }

    def version(name: str, digest: str) -> Scoring | None:
        if (name, digest) not in known:
            try:
                known[name, digest] = shelf.sealed(models[name], digest).scoring
            except (ModelError, KeyError):
                known[name, digest] = None
        return known[name, digest]

    scorings = {name: scoring for (name, _), scoring in known.items() if scoring is not None}
    challengers = dict(_challengers(shelf, models, wanted["challengers"]))
    return Served(project.views, scorings, Archive(project, registry).own, version, challengers)


def _challengers(
    shelf: Shelf, models: Mapping[str, Model], wanted: Mapping[str, int]
) -> Iterator[tuple[str, Scoring]]:
    """Those that can be loaded: one that is missing or damaged leaves everything else as it is."""
    for name, number in wanted.items():
        try:
            yield name, shelf.get(models[name], number).scoring
        except ModelError as error:
            facts = {"model": name, "version": number, "error": type(error).__name__}
            LOG.warning("a challenger cannot be loaded and scores nothing", extra=facts)


def main(server: Parent, arguments: Sequence[str]) -> None:
    """The monitors of a live service.

    Args:
        server: who started them.
        arguments: the project file, the data folder, the share of what is served that is derived again, that
            of the decisions which challengers score, and the least that is logged.

    Raises:
        GoneError: the server is gone: the way in which this ends.
        HeadwaterError: what is served cannot be opened.
    """
    project, data, rate, share, log_level = arguments
    logs.set_up(log_level)
    Process(server, Settings.read(project=project, data=data), (float(rate), float(share)), log_level).run()
