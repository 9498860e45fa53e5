"""Headwater: killed, started again, and the seconds until ``/readyz`` says 200.

::

    rise from the log alone ─► a snapshot is kept ─► some events more ─► kill -9 ─► start ─► ready?
                                                     (a tail to replay)   └──── timed ────┘
"""

from __future__ import annotations

import math
import re
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.contenders.live.bank import PROJECT, append
from benchmarks.contenders.live.drive import aim
from benchmarks.contenders.live.headwater import NO_LIMIT, plan
from benchmarks.contenders.live.servers import Server, free_port, started
from benchmarks.work import Work
from headwater.apps.load.connection import Address
from headwater.apps.load.loop import Pace
from headwater.apps.load.requests import Desk, Events, Posting
from headwater.definitions.loading import load_project
from headwater.log.embedded import EmbeddedLog
from headwater.store.folder import DataFolder

EVERY = 2.0  # seconds between snapshots, so that there is one soon
MODELS = ("mlflow.db", "mlruns", "definition.json")
PATIENCE = 900.0  # seconds for what is not timed
TAIL = 20  # requests of as many events as ``tail`` says


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    """The folder: many accounts, each with its payments, and the bank's model."""
    folder, options = work.data / "crowd", work.options
    shutil.rmtree(folder, ignore_errors=True)
    data = DataFolder(folder / ".headwater").make()
    shutil.copy(PROJECT, folder / "project.py")
    start = time.perf_counter()
    with EmbeddedLog.open(data.log, load_project(folder / "project.py").streams) as log:
        append(log, options["events"], options["keys"], time.time_ns() // 1_000, days=options["days"])
    filled = time.perf_counter() - start
    for name in MODELS:
        source, target = work.data / "bank" / ".headwater" / name, data.path / name
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            shutil.copy(source, target)
    return lambda: _run(work, folder, filled)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _run(work: Work, folder: Path, filled: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "headwater.apps.cli.main", "serve", "project.py", "--port"]
    port = free_port()
    quick = ["--snapshot-every", str(EVERY)]
    with _started([*command, str(port), *quick], port, folder) as server:
        from_log = server.seconds
        kept = _snapshot(folder)
        server.kill()
    found, rising = [], []
    for _ in range(work.options["kills"]):
        with _started([*command, str(port)], port, folder) as server:
            _more(server.url, work)
            server.kill()
        with _started([*command, str(port)], port, folder) as server:
            found.append(server.seconds)
            rising.append(_rise(server))
            resident = server.resident()
            server.kill()
    size = {name: _bytes(folder / ".headwater" / name) for name in ("events.log", "snapshots")}
    shutil.rmtree(folder)
    return {
        "ready_s": found,
        "rise_s": rising,
        "from_log_s": from_log,
        "snapshot_s": kept,
        "filling_s": filled,
        "resident": resident,
        "bytes": size,
    }


def _started(command: list[str], port: int, folder: Path) -> AbstractContextManager[Server]:
    said_at_once = NO_LIMIT | {"PYTHONUNBUFFERED": "1"}
    return started(command, port, "/readyz", folder, said_at_once, patience=PATIENCE)


def _rise(server: Server) -> float:
    """The seconds that the banner tells: snapshot, tail and model, without interpreter and imports."""
    for _ in range(100):
        found = re.search(r"ready after ([\d.]+) s", server.said.read_text(encoding="utf-8"))
        if found is not None:
            return float(found[1])
        time.sleep(0.02)
    return math.nan


def _snapshot(folder: Path) -> float:
    """Wait until one is kept; seconds."""
    start = time.perf_counter()
    while not any((folder / ".headwater" / "snapshots").glob("*.snapshot")):
        if time.perf_counter() - start > PATIENCE:
            raise RuntimeError("no snapshot was kept")
        time.sleep(0.05)
    return time.perf_counter() - start


def _more(url: str, work: Work) -> None:
    """A tail: events behind the newest snapshot."""
    stream, desk = plan(url).stream("payments"), Desk(Address.of(url))
    posting = Posting(work.options["tail"] // TAIL, media="arrow")
    source = Events(desk, stream, posting, work.options["keys"], lambda: time.time_ns() // 1_000, seed=0)
    aim(url, source, Pace(TAIL, 1.0, 4))


def _bytes(path: Path) -> int:
    return sum(one.stat().st_size for one in path.rglob("*")) if path.is_dir() else path.stat().st_size
