"""Headwater: serving while a model of the same log is trained again and gated by the usual commands."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders.live.drive import OPEN, WARM, aim
from benchmarks.contenders.live.headwater import plan, serving
from benchmarks.contenders.live.servers import Server
from benchmarks.work import Work
from headwater.apps.cli.exits import Exit
from headwater.apps.load.connection import Address
from headwater.apps.load.loop import Pace
from headwater.apps.load.requests import Decisions, Desk
from headwater.apps.workers.worker import ALONE, stand_back


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    return lambda: _run(work)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _run(work: Work) -> dict[str, Any]:
    with serving(work) as server:
        folder = work.data / "served"
        quiet = _load(server, work, 0)
        begun = _started(folder)
        during = _load(server, work, 1)
        spare = begun[0].poll() is None  # it was at work to the end of the load
        trained = _finished(begun)
    return {"trained": trained, "quiet": quiet, "during": during, "at_work_throughout": spare}


def _load(server: Server, work: Work, seed: int) -> dict[str, Any]:
    target = plan(server.url)
    source = Decisions(Desk(Address.of(server.url)), target.policy(None), work.options["keys"], seed)
    return aim(server.url, source, Pace(work.options["rate"], work.options["seconds"], OPEN, WARM))


def _started(folder: Path) -> tuple[subprocess.Popen[bytes], float]:
    """Both commands, one after the other."""
    headwater = f"{sys.executable} -m headwater.apps.cli.main"
    # "retrain" must succeed; what "gate" says is kept in its exit code
    script = f"{headwater} retrain --why weekly && date +%s.%N && {headwater} gate"
    start = time.time()
    process = subprocess.Popen(
        ["sh", "-c", script],
        cwd=folder,
        env={**os.environ, **ALONE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    stand_back(process.pid)  # as the server lets its jobs
    return process, start


def _finished(begun: tuple[subprocess.Popen[bytes], float]) -> dict[str, Any]:
    """Seconds from the start to the verdict.

    Raises:
        RuntimeError: a command failed; with what it wrote last.
    """
    process, start = begun
    told, _ = process.communicate()
    end, lines = time.time(), told.decode(errors="replace").splitlines()
    if process.returncode not in (Exit.OK, Exit.HELD):
        raise RuntimeError(f"ended with {process.returncode}: {' '.join(lines[-3:])[-300:]}")
    between = next(float(line) for line in lines if line.replace(".", "").isdecimal())
    return {
        "seconds": end - start,
        "retrain": between - start,
        "gate": end - between,
        "verdict": "promote" if process.returncode == Exit.OK else "hold",
    }
