"""A live service of the small bank behind a real server on a free port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
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
from headwater.serving.service import Hooks, Limits, Service
from headwater.store.folder import DataFolder
from headwater.testing import ManualClock
from tests.serving.bank import PROJECT, log, micros, scoring

NOW = 100.5  # days after the bank's first


class Faults(Watching):
    """Keeps what went wrong, and counts as the real service does."""

    def __init__(self) -> None:
        super().__init__(Metrics())
        self.faults: list[tuple[str, BaseException]] = []

    def on_fault(self, where: str, error: BaseException) -> None:
        self.metrics.faults.labels(where).inc()
        self.faults.append((where, error))


@dataclass
class House:
    """A running service.

    Attributes:
        url: of the server.
        service: behind it.
        clock: the service's.
        faults: what went wrong.
        monitors: late ledger and parity sampler; a test lets them look.
        http: a bare client.
        client: ours.
    """

    url: str
    service: Service
    clock: ManualClock
    faults: Faults
    monitors: Monitors
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
    folder: Path, *, bounds: Bounds | None = None, around: Mapping[str, Any] | None = None, **kw: Any
) -> Iterator[House]:
    """A server on a free port, until the block ends; ``around`` goes to ``create_app``."""
    clock, faults = ManualClock(micros(NOW)), Faults()
    with open_service(folder, clock=clock, hooks=faults, **kw) as service, ExitStack() as stack:
        monitors = stack.enter_context(Monitors(service, Present(service), faults.metrics, rate=1.0))
        faults.monitors = monitors
        app = create_app(
            service,
            time.perf_counter_ns,
            bounds=bounds,
            metrics=faults.metrics,
            ledger=monitors.ledger,
            **(around or {}),
        )
        url = stack.enter_context(listening(app))
        with httpx.Client(base_url=url) as http, hw.Client(url) as client:
            yield House(url, service, clock, faults, monitors, http, client)


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
