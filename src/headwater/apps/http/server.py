"""The server: uvicorn over the app, snapshots now and then, and an end that finishes what was taken.

Called by ``headwater serve`` and by tests, which start it on a free port.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from headwater.apps.http.metrics import Metrics
from headwater.apps.http.patience import Patient, rooms, watch
from headwater.apps.http.site import Site
from headwater.apps.workers.worker import Worker
from headwater.serving.edges import Hooks
from headwater.serving.service import Service

MINUTE = 60.0
FOLD = 0.5  # seconds between two times that the decision records are tidied up behind the recorder
SWITCH = 0.002  # seconds: how long a thread may keep the others from running; less is spent on changing


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens.

    Attributes:
        host, port: port 0 takes a free one.
        tls: makes the TLS context; None for plain HTTP.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    tls: Callable[[], ssl.SSLContext] | None = None


class Server(uvicorn.Server):
    """uvicorn with a word to say once it listens, and with a hint to streams that it goes down.

    Args:
        app: as from ``create_app``.
        address: where to listen.
        on_ready: told the URL once requests are answered.
        patience: seconds that open requests get to end.
    """

    def __init__(
        self,
        app: FastAPI,
        address: Address,
        on_ready: Callable[[str], None],
        patience: int = 10,
    ) -> None:
        tls = address.tls
        room, backlog = rooms()
        super().__init__(
            uvicorn.Config(
                app,
                http=type("Connection", (Patient,), {"limit": room, "lane": app.state.lane}),
                backlog=backlog,
                host=address.host,
                port=address.port,
                ssl_context_factory=None if tls is None else lambda _config, _default: tls(),
                proxy_headers=False,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=patience,
            )
        )
        self._address = address
        self._on_ready = on_ready
        self._site: Site = app.state.site
        self._watching: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's shape
        """Ctrl-C or SIGTERM: go down, but not at once: uvicorn's own way would end the process too soon.

        A second Ctrl-C does not wait for open requests.
        """
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    def stop(self) -> None:
        """Go down, from any thread: finish what was taken."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started and self.servers:
            port = self.servers[0].sockets[0].getsockname()[1]
            scheme = "https" if self._address.tls else "http"
            self._on_ready(f"{scheme}://{self._address.host}:{port}")
            self._watching = asyncio.create_task(watch(self.server_state.connections))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams, then what is left."""
        self._site.end()
        if self._watching is not None:
            self._watching.cancel()
        await super().shutdown(sockets)


def beside(
    service: Service | None,
    every: float,
    metrics: Metrics,
    hooks: Hooks,
    workers: Sequence[Worker] = (),
    chores: Mapping[str, Callable[[], object]] | None = None,
    often: Mapping[str, tuple[float, Callable[[], object]]] | None = None,
) -> Callable[[FastAPI], Any]:
    """The app's lifespan: keeps the state every so many seconds, and the server's child processes alive.

    Args:
        service: whose state is kept; None where there is none to keep.
        every: seconds between two snapshots.
        metrics: what is counted.
        hooks: told what went wrong.
        workers: not yet started.
        chores: what else is done once a minute, by what it is called where it fails.
        often: the same at intervals of its own, in seconds.
    """

    def keep(kept: Service) -> None:
        with metrics.snapshot_seconds.time():
            if kept.snapshot():
                metrics.snapshots.inc()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        timed = {name: (MINUTE, task) for name, task in (chores or {}).items()} | dict(often or {})
        if service is not None:
            timed["snapshot"] = every, partial(keep, service)
        tasks = [
            asyncio.create_task(_now_and_then(name, seconds, task, hooks))
            for name, (seconds, task) in timed.items()
        ]
        for worker in workers:
            worker.start()
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in workers))

    return lifespan


async def _now_and_then(where: str, seconds: float, task: Callable[[], object], hooks: Hooks) -> None:
    """Do something again and again; the same fault, round after round, is told once a minute."""
    failed, again = "", 0.0
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(task)
            failed = ""
        except Exception as error:  # noqa: BLE001 - serving goes on without; the next round may do
            now = asyncio.get_running_loop().time()
            if repr(error) != failed or now >= again:
                failed, again = repr(error), now + MINUTE
                hooks.on_fault(where, error)


def settle() -> None:
    """Short turns between threads, and no looks of the garbage collector at what is there to stay."""
    sys.setswitchinterval(SWITCH)
    if gc.isenabled():
        gc.collect()
    gc.freeze()  # where it stood still (``cli.lazy.uncollected``), imports left next to nothing to collect
    gc.enable()
