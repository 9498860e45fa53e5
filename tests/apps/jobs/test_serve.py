"""``headwater serve`` with its jobs, as processes: run, promoted, swapped in, and gone on with."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.store.audit import AuditTrail
from headwater.store.folder import DataFolder
from headwater.store.jobs import JobStore
from tests.apps.jobs.test_desk import lender_place
from tests.http.process import Process, served
from tests.hurry import hurry

__all__ = ["lender_place"]

pytestmark = pytest.mark.slow

LONG = 120.0
# What is asked for alone is run: each job is a process of its own, which takes seconds to rise.
ALONE = {"HEADWATER_JOBS_EVERY": "retrain=off,drift=off,outcomes=off,alerts=off"}


def until(fact: Callable[[], Any]) -> Any:
    end = time.monotonic() + LONG
    while not (found := fact()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def metric(http: httpx.Client, name: str) -> float:
    lines = http.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("headwater_" + name))


def state(process: Process, http: httpx.Client, id: str) -> str:
    hurry(process.process.pid)
    return str(http.get(f"/v1/jobs/{id}").json()["state"])


def ended(process: Process, http: httpx.Client, id: str) -> Any:
    def look() -> Any:
        hurry(process.process.pid)
        found = http.get(f"/v1/jobs/{id}").json()
        return found if found["state"] in ("done", "refused", "failed") else None

    return until(look)


def test_a_server_runs_its_jobs_and_goes_on_with_one_that_was_killed(
    lender_place: Path, tmp_path: Path
) -> None:
    """
    serve  |-- asked to retrain --x killed   |-- goes on: done, promoted, served --|
    """
    folder = Path(shutil.copytree(lender_place, tmp_path / "lender"))
    data = DataFolder(folder / ".headwater")
    with served(folder) as process, httpx.Client(base_url=process.url) as http:
        listed = http.get("/v1/jobs").json()
        assert listed["on"] is True
        assert [one["job"] for one in listed["jobs"]] == [
            "retrain.risk",
            "drift.risk",
            "outcomes.risk",
            "alerts",
        ]
        assert (listed["jobs"][0]["every"], listed["jobs"][0]["last"]) == ("7d", None)
        assert http.get("/v1/jobs/j999").status_code == 404
        unknown = http.post("/v1/jobs/dance/run", json={})
        assert (unknown.status_code, unknown.json()["title"]) == (422, "there is no such job")
        asked = http.post("/v1/jobs/retrain.risk/run", json={"why": "Try it."})
        assert asked.status_code == 200
        id = asked.json()["id"]
        assert until(lambda: state(process, http, id) == "running")
        process.end(signal.SIGKILL)
    with JobStore.open(data.jobs) as jobs:
        assert jobs.page(limit=1)[0].state in ("running", "waiting")
    with (
        served(folder, HEADWATER_JOBS_PROMOTE="on", **ALONE) as process,
        httpx.Client(base_url=process.url) as http,
    ):
        made = ended(process, http, id)
        assert (made["state"], made["outcome"]["promoted"], made["why"]) == ("done", 1, "Try it.")
        assert until(lambda: http.get("/v1/models").json()["models"][0].get("digest")) is not None
        assert until(lambda: "headwater_model_info{" in http.get("/metrics").text)
        assert (metric(http, "jobs_total"), metric(http, "jobs_success_timestamp_seconds") > 0) == (1.0, True)
        assert until(lambda: metric(http, "jobs_up") == 1)
        assert metric(http, "registry_up") == 1
        assert decides(http)
        assert process.end(signal.SIGTERM) == 0
    with AuditTrail.open(data.access) as trail:
        acts = [(entry.act.actor, entry.act.action) for entry in trail.page(limit=50)]
    assert ("open", "job.run") in acts or ("local", "job.run") in acts
    assert (f"job:{made['id']}", "model.promote") in acts


@contextmanager
def mlflow_server(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """MLflow's own server; killed at the end, with its workers."""
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    places = [
        "--backend-store-uri",
        f"sqlite:///{home}/mlflow.db",
        "--artifacts-destination",
        str(home / "files"),
    ]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *places], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:

        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
            except httpx.HTTPError:
                return False

        assert until(answers), (home / "log").read_text()
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def decides(http: httpx.Client) -> bool:
    asked_for = {"keys": {"who": 3}, "request": {"amount": 90.0, "channel": "web"}}
    return http.post("/v1/decisions", json=asked_for).status_code == 200


def test_it_serves_while_mlflow_is_away(
    lender_place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    mlflow  |----------------------------------x killed
    serve         |-- no jobs; decides, promotes ---- decides --|   |-- without it: decides, its job fails --|
    """
    folder = Path(shutil.copytree(lender_place, tmp_path / "lender"))
    (tmp_path / "far").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    for rest in ("FACTOR", "JITTER"):  # it is asked again as often, and at once
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_BACKOFF_{rest}", "0")
    promote = "/v1/models/risk/promote"
    with mlflow_server(tmp_path / "far", port) as mlflow:
        assert run(cli, ["train", "--project", str(folder), "--bootstrap", "0"]) == 0
        with served(folder, HEADWATER_JOBS="off") as process:
            with httpx.Client(base_url=process.url, timeout=60) as http:
                assert http.get("/v1/jobs").json()["on"] is False
                refused = http.post("/v1/jobs/alerts/run", json={})
                assert refused.json()["detail"] == (
                    "this server runs no jobs\n  expected: HEADWATER_JOBS on\n  got:      off\n"
                    "  do:       run it beside the server: headwater jobs run alerts"
                )
                assert decides(http)
                stands = http.post(promote, json={"version": 1, "force": True, "why": "It decides."})
                assert (stands.status_code, stands.json()["served"]) == (200, True), stands.text
                os.killpg(mlflow.pid, signal.SIGKILL)
                assert decides(http)
                assert http.post("/v1/reload").status_code == 200
                assert decides(http)
                away = http.post(promote, json={"version": 1, "force": True, "why": "It decides."})
                assert (away.status_code, str(port) in away.text) == (422, False), away.text
                assert until(lambda: metric(http, "registry_up") == 0)
            assert process.end(signal.SIGTERM) == 0
    with served(folder, **ALONE) as process, httpx.Client(base_url=process.url, timeout=60) as http:
        assert decides(http)
        assert metric(http, "registry_up") == 0
        away = http.post(promote, json={"version": 1, "force": True, "why": "It decides."}).json()
        (told,) = away["problems"]
        assert {fact: text for fact, text in told.items() if text is not None} == {
            "what": "the registry cannot be opened",
            "where": "the registry",
            "do": "look at the folder or the tracking server, then try again",
        }
        failed = ended(process, http, http.post("/v1/jobs/retrain.risk/run", json={}).json()["id"])
        assert (failed["state"], failed["again"] is not None) == ("failed", True)
        assert failed["letter"][0]["what"] == "the registry cannot be opened"
        assert failed["letter"][0]["where"] == f"http://127.0.0.1:{port}"
        event = {"id": 5_000_000, "who": 3, "time": "2026-04-11T10:00:00Z", "amount": 90.0, "channel": "web"}
        taken = http.post("/v1/events", json={"stream": "payments", "events": [event]})
        assert taken.json()["accepted"] == 1
        assert decides(http)
