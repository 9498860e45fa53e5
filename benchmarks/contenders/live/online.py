"""Decisions of the server that owns the log and of a replica on Redis, in turns, both running."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.contenders.live.drive import OPEN, WARM, aim
from benchmarks.contenders.live.headwater import NO_LIMIT, metrics, plan, serving
from benchmarks.contenders.live.servers import Server, free_port, started
from benchmarks.work import Work
from headwater.apps.load.connection import Address
from headwater.apps.load.loop import Pace
from headwater.apps.load.requests import Decisions, Desk, Events, Posting
from tools.services.debian import program

COUNTED = tuple(
    f"headwater_online_{name}_total"
    for name in ("publications", "published_keys", "published_bytes", "publish_seconds")
)


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    return lambda: _run(work)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _run(work: Work) -> dict[str, Any]:
    options = work.options
    pace = Pace(options["rate"], options["seconds"], OPEN, WARM)
    with (
        redis() as store,
        serving(work, "--online", store) as owner,
        replica(work, store) as other,
    ):
        until(owner.url, 1.0)
        told: dict[str, list[dict[str, Any]]] = {"embedded": [], "redis": []}
        for _ in range(int(options["turns"])):
            for name, url in (("embedded", owner.url), ("redis", other.url)):
                policy = plan(url).policy(None)
                source = Decisions(Desk(Address.of(url)), policy, options["keys"], 0)
                told[name].append(aim(url, source, pace))
        before = metrics(owner.url, *COUNTED)
        stream = plan(owner.url).stream("payments")
        events = Events(
            Desk(Address.of(owner.url)),
            stream,
            Posting(1, refresh=True),
            options["keys"],
            lambda: time.time_ns() // 1_000,
            seed=0,
        )
        fed = aim(owner.url, events, pace)
        until(owner.url, 1.0)
        made = [after - start for after, start in zip(metrics(owner.url, *COUNTED), before, strict=True)]
        return {
            **told,
            "events": fed,
            "published": dict(zip(("writes", "keys", "bytes", "seconds"), made, strict=True)),
            "fetch_seconds": _fetch(other.url),
            "resident": other.resident(),
        }


def _fetch(url: str) -> float:
    seconds, count = metrics(url, "headwater_online_fetch_seconds_total", "headwater_online_fetches_total")
    return seconds / count


@contextmanager
def redis() -> Iterator[str]:
    """A Redis of our own, without a disk."""
    port = free_port()
    name = "valkey-server" if shutil.which("valkey-server") else "redis-server"
    command = [str(program(name, "redis-server")), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def replica(work: Work, store: str) -> Iterator[Server]:
    """A server that only decides, in a folder of its own with the same models."""
    folder = work.data / "replica"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(work.data / "bank", folder)
    port = free_port()
    command = [sys.executable, "-m", "headwater.apps.cli.main", "serve", "project.py", "--port", str(port)]
    more = ["--role", "decide", "--online", store]
    with started([*command, *more], port, "/readyz", folder, NO_LIMIT) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


def until(url: str, whole: float) -> None:
    """Wait until the owner has published what it has."""
    end = time.perf_counter() + 60.0
    while metrics(url, "headwater_online_whole", "headwater_online_lag_events") != [whole, 0.0]:
        if time.perf_counter() > end:
            raise RuntimeError("the online store does not become whole")
        time.sleep(0.05)
