"""The server as a process: its banner is true, and it ends as it should. Being killed: ``test_killed``."""

from __future__ import annotations

import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.apps.anchors import ACTION
from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.definitions.loading import load_project
from headwater.log.embedded import EmbeddedLog
from headwater.store.audit import AuditTrail
from headwater.store.folder import DataFolder
from headwater.store.snapshots import Snapshots
from tests.http.process import served


def pay(id: int, who: int = 1) -> dict[str, Any]:
    when = f"2026-05-{1 + id % 28:02d}T12:00:00Z"
    return {"id": id, "who": who, "time": when, "amount": 12.5, "kind": "card", "name": "Ada"}


def test_the_banner_is_true(shop: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with served(shop) as server:
        line = server.banner["curl"]
        told = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True).stdout
        assert '"decision_id":"d1"' in told
        assert '"score":' in told

        def headwater(*args: str) -> tuple[int, str]:
            capfd.readouterr()
            return run(cli, [*args, "--url", server.url]), capfd.readouterr().out

        code, out = headwater("decide", "--key", "who=3", "--at", "2026-04-20T00:00:00Z")
        assert (code, out.splitlines()[0][:28]) == (0, "risk_policy: who 3 is 'calm'")
        assert headwater("decide", "--key", "who=x")[0] == 4
        code, out = headwater("status")
        assert (code, out.splitlines()[0]) == (0, f"{server.url} is ready")
    assert run(cli, ["status", "--url", server.url]) == 5


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_and_keeps_the_state(shop: Path, how: signal.Signals) -> None:
    with served(shop) as server:
        with hw.Client(server.url) as client:
            assert client.events("payments", [pay(90_000 + i, i) for i in range(50)]).accepted == 50
            made = client.decide({"who": 3})
        assert server.end(how) == 0
    data = DataFolder(shop / ".headwater")
    with AuditTrail.open(data.access) as trail:
        noted = trail.newest(1)[0].act
        assert (noted.action, noted.actor, noted.details["link"]) == (ACTION, "server", made.chain)
    project = load_project(shop / "project.py")
    with EmbeddedLog.open(data.log, project.streams) as log:
        kept = Snapshots(data.snapshots).newest(project.views)
        assert kept.engine is not None
        assert kept.engine.offset == log.end() - 1
