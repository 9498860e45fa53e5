"""A live service of the small bank behind a real server on a free port."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
from fastapi import FastAPI

import headwater as hw
from headwater.apps.http.app import create_app
from headwater.apps.http.hooks import Watching
from headwater.apps.http.metrics import Metrics
from headwater.apps.http.monitors import Monitors
from headwater.apps.http.server import Address, Server
from headwater.apps.http.site import Bounds, Present
from headwater.apps.monitors.rounds import Figures, Rounds, Served
from headwater.apps.workers.message import Message, line_of
from headwater.log.embedded import EmbeddedLog
from headwater.serving.service import Hooks, Limits, Service
from headwater.store.decisions import DecisionStore
from headwater.store.folder import DataFolder
from headwater.store.late import LateLedger
from headwater.store.parity import ParityLedger
from headwater.store.shadow import ShadowLedger
from headwater.testing import ManualClock
from tests.serving.bank import PROJECT, log, micros, scoring

NOW = 100.5  # days after the bank's first
PLACES = {  # what stands for each part of an address, for tests of all routes
    "view": "spending",
    "key": "1",
    "decision_id": "d1",
    "id": "none",
    "hash": "0" * 8,
    "model": "risk",
    "name": "retrain.risk",
}


class Faults(Watching):
    """Keeps what went wrong, and counts as the real service does."""

    def __init__(self) -> None:
        super().__init__(Metrics())
        self.faults: list[tuple[str, BaseException]] = []

    def on_fault(self, where: str, error: BaseException) -> None:
        self.metrics.faults.labels(where).inc()
        self.faults.append((where, error))


class Beside:
    """The monitors' work in this process, when a test asks for it; else as ``apps.monitors`` does it."""

    def __init__(self, stack: ExitStack, service: Service, monitors: Monitors) -> None:
        folder, serving = service.folder, service.serving
        opened = stack.enter_context
        self._monitors = monitors
        self.late = opened(LateLedger.open(folder.late))
        self.parity = opened(ParityLedger.open(folder.parity))
        self.rounds = Rounds(
            opened(EmbeddedLog.open(folder.log, serving.project.streams, writer=False)),
            opened(DecisionStore.open(folder.decisions)),
            self.late,
            self.parity,
            Served(
                serving.project.views,
                serving.scorings,
                Present(service).own,
                lambda model, digest: (
                    serving.scorings[model] if serving.scorings[model].digest == digest else None
                ),
            ),
            shadow=opened(ShadowLedger.open(folder.shadow)),
            rate=1.0,
        )
        monitors.attach(self._take, lambda: True)

    def round(self) -> Figures:
        """Everything that is to be done now."""
        figures = self.rounds.round()
        while figures.waiting or self.rounds.unfinished:
            figures = self.rounds.round()
        self._monitors.told(figures.message(next(iter(self._monitors.greeting()))))
        self._monitors.told(self.rounds.shadow())
        return figures

    def _take(self, message: Message) -> bool:
        self.rounds.take(json.loads(line_of(message)))
        return True


@dataclass
class House:
    """A running service.

    Attributes:
        url: of the server.
        service: behind it.
        clock: the service's.
        faults: what went wrong.
        monitors: late ledger and parity check; a test lets them look.
        http: a bare client.
        client: ours.
    """

    url: str
    service: Service
    clock: ManualClock
    faults: Faults
    monitors: Beside
    http: httpx.Client
    client: hw.Client


def open_service(
    folder: Path, *, clock: ManualClock | None = None, hooks: Hooks | None = None, **kw: Any
) -> Service:
    """The bank's service on a folder; its history is written if the folder is empty."""
    if not (folder / "events.log").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with log(folder):
            pass
    clock = clock or ManualClock(micros(NOW))
    return Service.open(
        kw.pop("project", PROJECT),
        DataFolder(folder),
        kw.pop("scorings", {"risk": scoring()}),
        clock=clock.now,
        stopwatch=time.perf_counter_ns,
        hooks=hooks or Faults(),
        **kw,
    )


@contextmanager
def serving(
    folder: Path,
    *,
    bounds: Bounds | None = None,
    around: Mapping[str, Any] | None = None,
    also: Callable[[Service, ExitStack, Faults], Mapping[str, Any]] = lambda *_: {},
    clock: ManualClock | None = None,
    **kw: Any,
) -> Iterator[House]:
    """A server on a free port, until the block ends; ``create_app`` gets ``around`` and ``also``."""
    clock, faults = clock or ManualClock(micros(NOW)), Faults()
    with open_service(folder, clock=clock, hooks=faults, **kw) as service, ExitStack() as stack:
        monitors = stack.enter_context(Monitors(service, faults.metrics, rate=1.0))
        beside = Beside(stack, service, monitors)
        faults.monitors = monitors
        app = create_app(
            service,
            time.perf_counter_ns,
            bounds=bounds,
            metrics=faults.metrics,
            monitors=monitors,
            **(around or {}),
            **also(service, stack, faults),
        )
        url = stack.enter_context(listening(app))
        with httpx.Client(base_url=url) as http, hw.Client(url) as client:
            yield House(url, service, clock, faults, beside, http, client)


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """An app behind a real server on a free port, until the block ends: its address."""
    ready, found = Event(), list[str]()

    def on_ready(url: str) -> None:
        found.append(url)
        ready.set()

    server = Server(app, Address(port=0), on_ready, patience=2)
    thread = Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        assert ready.wait(20), "the server did not start"
        yield found[0]
    finally:
        server.should_exit = True
        thread.join(20)


__all__ = ["NOW", "House", "Limits", "open_service", "serving"]
