"""Feast's feature server: 40 values of one key out of its SQLite online store; no windows, model or record.

Somebody has computed the values and brought them in before. ``feast serve`` with one worker, as it comes,
but without its restart after a thousand requests and without an access log.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.contenders.live.drive import Bodies, drive
from benchmarks.contenders.live.servers import free_port, started
from benchmarks.work import Work


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
    command = [feast, "serve", "--port", str(port), "--no-access-log", "--workers", "1"]
    command += ["--max-requests", "0", "--max-requests-jitter", "0"]
    with started(command, port, "/health", folder, {"FEAST_USAGE": "False"}) as server:
        source = Bodies.of(server.url, "/get-online-features", bodies)
        made = drive(server.url, source, work.options["rate"], work.options["seconds"])
        return {**made, "resident": server.resident(), "ready_s": server.seconds, "features": len(names)}
