"""Feast's feature server: 40 values of one key out of its SQLite online store; no windows, model or record.

Somebody has computed the values and brought them in before. ``feast serve`` with one worker: as it comes,
which ends its worker after about a thousand requests and starts another; and with that, and the access
log, switched off.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.contenders.live.drive import Bodies, ask, drive, same
from benchmarks.contenders.live.servers import free_port, started
from benchmarks.work import Work

PATH = "/get-online-features"
MOST = 0.2  # of the requests may fail: those that a worker's end cuts off


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    python, folder = work.options["python"], work.data / "feast"
    command = [python, "-m", "benchmarks.contenders.live.feast_store", str(work.data / "bank"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"the store could not be filled: {done.stderr.strip().splitlines()[-1]}")
    return lambda: _run(work, folder)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _run(work: Work, folder: Path) -> dict[str, Any]:
    names = [one for one in pl.read_parquet_schema(work.data / "bank" / "features.parquet") if one != "who"]
    wanted = [f"spending:{name}" for name in names]
    keys = range(1, work.options["keys"] + 1, max(1, work.options["keys"] // 500))
    bodies = [{"features": wanted, "entities": {"who": [key]}} for key in keys]
    port = free_port()
    feast = str(Path(work.options["python"]).with_name("feast"))
    command = [feast, "serve", "--port", str(port)]
    if work.options["tuned"]:
        command += ["--no-access-log", "--max-requests", "0", "--max-requests-jitter", "0"]
    with started(command, port, "/health", folder, {"FEAST_USAGE": "False"}) as server:
        _check(work, server.url, names, bodies[0])
        source = Bodies.of(server.url, PATH, bodies)
        made = drive(server.url, source, work.options["rate"], work.options["seconds"], MOST)
        return {**made, "resident": server.resident(), "ready_s": server.seconds, "features": len(names)}


def _check(work: Work, url: str, names: list[str], body: dict[str, Any]) -> None:
    """The values of the first account are those that were brought in."""
    frame = pl.read_parquet(work.data / "bank" / "features.parquet")
    (wanted,) = frame.filter(pl.col("who") == 1).select(names).rows()
    told = ask(url, PATH, body)
    found = dict(zip(told["metadata"]["feature_names"], told["results"], strict=True))
    given = [found[name]["values"][0] for name in names]
    same(*([math.nan if value is None else value for value in row] for row in (given, wanted)))
