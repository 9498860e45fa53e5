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
from headwater.apps.workers.worker import ALONE

POLITE = 19  # niceness of whoever trains: it takes what serving leaves


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    return lambda: _run(work)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _run(work: Work) -> dict[str, Any]:
    with serving(work) as server:
        folder = work.data / "served"
        alone = _finished(_started(folder, seed=1))
        quiet = _load(server, work, work.options["seconds"], 0)
        process, start = _started(folder, seed=2)
        during = _load(server, work, min(work.options["seconds"], alone["seconds"]), 1)
        spare = process.poll() is None  # it was at work to the end of the load
        loaded = _finished((process, start))
    return {"alone": alone, "loaded": loaded, "quiet": quiet, "during": during, "at_work_throughout": spare}


def _load(server: Server, work: Work, seconds: float, seed: int) -> dict[str, Any]:
    target = plan(server.url)
    source = Decisions(Desk(Address.of(server.url)), target.policy(None), work.options["keys"], seed)
    return aim(server.url, source, Pace(work.options["rate"], seconds, OPEN, WARM))


def _started(folder: Path, seed: int) -> tuple[subprocess.Popen[bytes], float]:
    """Both commands in one process group; another seed is another run of the same work."""
    headwater = f"{sys.executable} -m headwater.apps.cli.main"
    # "retrain" must succeed; what "gate" says is kept in its exit code
    script = f"{headwater} retrain --seed {seed} --why weekly && date +%s.%N && {headwater} gate"
    start = time.time()
    process = subprocess.Popen(
        ["nice", "-n", str(POLITE), "sh", "-c", script],
        cwd=folder,
        env={**os.environ, **ALONE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
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
