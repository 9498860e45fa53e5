"""What a person finds in MLflow after a training, read back by MLflow's client, here and from a server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

from headwater.models.registry import Registry
from headwater.training.card_kept import PAGE
from headwater.training.train import Plan, train
from tests.retraining.lender import day, payments, project


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def local(home: Path) -> Registry:
    """A registry in a folder, with one training in it."""
    registry = Registry(home, "lender")
    _train(registry)
    return registry


def _train(registry: Registry) -> None:
    plan = Plan(known_by=day(100), bootstrap=20)
    train(project(), "risk", {"payments": payments()}, registry, now=day(100), plan=plan)


def told_in_full(registry: Registry) -> None:
    """The run, its model and its version say everything that a person looks for."""
    client = MlflowClient(registry.uri, registry.uri)
    version = client.get_model_version_by_alias("lender.risk", "champion")
    run = client.get_run(version.run_id or "")
    own = registry.version("risk")
    manifest = registry.load("risk").manifest
    _tags(run.data.tags, dict(version.tags), manifest)
    assert run.info.run_name == "risk"
    assert run.data.params["estimator"] == "LogisticRegression"
    assert run.data.params["C"] == "100.0"
    assert {"roc_auc", "roc_auc_low", "roc_auc_high", "brier"} <= set(run.data.metrics)
    kept = {one.path for one in client.list_artifacts(version.run_id or "", "plots")}
    assert {"plots/roc.png", "plots/calibration.png", "plots/top_features.png"} <= kept
    assert registry.kept(own, PAGE).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert (version.description or "").startswith("Gives the probability that “bad” comes true")
    assert run.data.tags["mlflow.note.content"] == version.description
    assert run.inputs is not None and run.outputs is not None  # noqa: PT018
    (data,) = run.inputs.dataset_inputs
    assert [(tag.key, tag.value) for tag in data.tags] == [("mlflow.data.context", "training")]
    assert json.loads(data.dataset.profile or "")["num_rows"] == manifest["rows"]
    assert "mlflow_colspec" in json.loads(data.dataset.schema or "")
    source = mlflow.data.get_source(data).to_dict()["tags"]
    assert source["streams"]["payments"]["last"] == manifest["sources"]["payments"]["last"]
    model = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    assert {one.key: one.dataset_digest for one in model.metrics or []}["roc_auc"] == data.dataset.digest
    assert model.params["C"] == "100.0"


def _tags(run: dict[str, str], version: dict[str, str], manifest: object) -> None:
    assert isinstance(manifest, dict)
    payments_read = manifest["sources"]["payments"]
    for tags in (run, version):
        assert tags["headwater.log_offsets"] == f"{payments_read['first']} to {payments_read['last']}"
        assert tags["headwater.known_by"] == "2026-04-11T00:00:00Z"
        assert tags["headwater.manifest"] == manifest["digest"]
        assert len(tags["headwater.definition"]) == 64


def test_a_training_is_told_in_full(local: Registry) -> None:
    told_in_full(local)


@pytest.mark.filterwarnings("ignore:X has feature names")  # MLflow hands over a frame; fitted on an array
def test_mlflow_itself_can_use_the_model_by_its_example(
    local: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", local.uri)
    mlflow.set_tracking_uri(local.uri)
    try:
        model = mlflow.pyfunc.load_model(local.version("risk").location)
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    example = model.input_example
    assert list(example.columns) == list(local.load("risk").inputs.names)
    found = model.predict(example)
    assert found.shape == (len(example), 2)
    assert model.metadata.signature.outputs.to_dict()[0]["tensor-spec"]["shape"] == (-1, 2)
    assert found[:, 1] == pytest.approx(local.load("risk").estimator.predict_proba(example.to_numpy())[:, 1])


def test_the_example_is_nobodys_row(local: Registry) -> None:
    references = local.load("risk").references
    path = Path(local.version("risk").location.removeprefix("file://")) / "input_example.json"
    form = json.loads(path.read_text(encoding="utf-8"))
    column = [row[form["columns"].index("amount")] for row in form["data"]]
    assert column == pytest.approx(np.array(references["amount"].quantiles))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real MLflow server, a process of its own, with its store and files in a folder."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}"]
    command += ["--artifacts-destination", (tmp_path / "files").as_uri()]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    process = subprocess.Popen(
        command,
        env={**os.environ, **quiet},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, process)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its own group alone
        process.wait(10)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=1) as answer:  # noqa: S310 - our own
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the MLflow server did not start")


@pytest.mark.slow
def test_a_server_is_told_the_same(server: str, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "here", "lender", server)
    _train(registry)
    told_in_full(registry)
    assert not list((tmp_path / "here").iterdir())  # nothing is kept beside the server
