"""BentoML's server: the same model on 40 values that the caller brings; no features, reasons or record.

``bentoml serve`` with one worker, in an environment of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders.live.drive import Bodies, ask, drive, same
from benchmarks.contenders.live.rows import chance, rows
from benchmarks.contenders.live.servers import free_port, started
from benchmarks.work import Work

SERVICE = Path(__file__).with_name("bentoml_service.py")


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    folder = work.data / "bentoml"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(SERVICE, folder / "service.py")
    shutil.copy(work.data / "bank" / "model.pkl", folder / "model.pkl")
    return lambda: _run(work, folder)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _run(work: Work, folder: Path) -> dict[str, Any]:
    port = free_port()
    bentoml = str(Path(work.options["python"]).with_name("bentoml"))
    command = [bentoml, "serve", "service:Risk", "--port", str(port)]
    settings = {"BENTOML_HOME": str(folder / "home"), "BENTOML_DO_NOT_TRACK": "True"}
    with started(command, port, "/readyz", folder, settings) as server:
        source = Bodies.of(server.url, "/score", [{"rows": [row]} for row in rows(work)])
        same([ask(server.url, "/score", {"rows": rows(work)[:1]})[0]], [chance(work)])
        made = drive(server.url, source, work.options["rate"], work.options["seconds"])
        return {**made, "resident": server.resident(), "ready_s": server.seconds}
