"""MLflow's model server: the same model on 40 values that the caller brings; no features, reasons or record.

``mlflow models serve`` with one worker, in our environment, which has MLflow.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.sklearn

from benchmarks.contenders.live.drive import Bodies, ask, drive, same
from benchmarks.contenders.live.rows import chance, rows
from benchmarks.contenders.live.servers import free_port, started
from benchmarks.work import Work


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    folder = work.data / "mlflow"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    estimator = pickle.loads((work.data / "bank" / "model.pkl").read_bytes())  # our own file
    mlflow.sklearn.save_model(
        estimator,
        str(folder / "model"),
        serialization_format="cloudpickle",
        pyfunc_predict_fn="predict_proba",
        pip_requirements=["scikit-learn"],
    )
    return lambda: _run(work, folder)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _run(work: Work, folder: Path) -> dict[str, Any]:
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(folder / "model")]
    command += ["--env-manager", "local", "--port", str(port), "--workers", "1"]
    variables = {  # it calls uvicorn by its name
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    with started(command, port, "/ping", folder, variables) as server:
        bodies = [{"inputs": [row]} for row in rows(work)]
        source = Bodies.of(server.url, "/invocations", bodies)
        same(
            [ask(server.url, "/invocations", {"inputs": rows(work)[:1]})["predictions"][0][1]], [chance(work)]
        )
        made = drive(server.url, source, work.options["rate"], work.options["seconds"])
        return {**made, "resident": server.resident(), "ready_s": server.seconds}
