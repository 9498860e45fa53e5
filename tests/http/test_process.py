"""The server as a process: its banner is true, it ends as it should, and being killed loses nothing."""

from __future__ import annotations

import random
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import headwater as hw
from headwater.apps.anchors import ACTION
from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.core.errors import HeadwaterError
from headwater.definitions.loading import load_project
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.serving.rising import catch_up
from headwater.store.audit import AuditTrail
from headwater.store.decisions import DecisionStore
from headwater.store.folder import DataFolder
from headwater.store.snapshots import Snapshots
from tests.apps.cli.shop import payments, project_text, write_csv
from tests.http.process import served

KILLS = 5


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with events and a trained model, as a user makes it."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "project.py").write_text(project_text(), encoding="utf-8")
    write_csv(payments(), folder / "payments.csv")
    at = ["--project", str(folder)]
    assert run(cli, ["import", str(folder / "payments.csv"), *at]) == 0
    assert run(cli, ["train", "--bootstrap", "20", *at]) == 0
    return folder


@pytest.fixture
def shop(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "shop")
    return tmp_path / "shop"


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


class Sender(Thread):
    """Sends events and asks for decisions until the server is gone; notes what was acknowledged."""

    def __init__(self, url: str, number: int, round_: int) -> None:
        super().__init__()
        self.url, self.number, self.round = url, number, round_
        self.acknowledged: dict[int, int] = {}
        self.sent: set[int] = set()
        self.decided: dict[str, str] = {}

    def run(self) -> None:
        first = 1_000_000 * (1 + self.round) + 100_000 * self.number
        with hw.Client(self.url, timeout=10) as client:
            for turn in range(10_000):
                events = [pay(first + 10 * turn + i, (turn + i) % 40) for i in range(1 + turn % 7)]
                self.sent |= {event["id"] for event in events}
                try:
                    results = client.events("payments", events).results
                    self.acknowledged |= {
                        event["id"]: one.offset or 0 for event, one in zip(events, results, strict=True)
                    }
                    made = client.decide({"who": turn % 40})
                    self.decided[made.decision_id] = made.chain
                except HeadwaterError:
                    return


@pytest.mark.slow
def test_killed_under_load_it_loses_nothing_and_counts_nothing_twice(shop: Path) -> None:
    """kill -9 at random moments, again and again, on one folder."""
    random.seed(11)
    senders: list[Sender] = []
    for round_ in range(KILLS):
        with served(shop, "--snapshot-every", "1") as server:
            now = [Sender(server.url, number, round_) for number in range(3)]
            for sender in now:
                sender.start()
            time.sleep(random.uniform(0.2, 1.6))  # the moment is left to chance
            server.end(signal.SIGKILL)
            for sender in now:
                sender.join(30)
            senders += now
    data, project = DataFolder(shop / ".headwater"), load_project(shop / "project.py")
    with EmbeddedLog.open(data.log, project.streams) as log:
        assert log.verify().problems == ()
        held = dict(_ids(log))
        for sender in senders:
            assert sender.acknowledged.items() <= held.items()
        new = {id for id in held if id >= 1_000_000}
        assert new <= set().union(*(sender.sent for sender in senders))
        assert sum(len(sender.acknowledged) for sender in senders) > 50
        _same_state(log, data, project.views)
    with DecisionStore.open(data.decisions) as store:
        store.verify()
        for sender in senders:
            for decision_id, chain in sender.decided.items():
                assert store.get(decision_id).chain.hex() == chain


def _ids(log: EmbeddedLog) -> Iterator[tuple[int, int]]:
    for batch in log.scan(["payments"]):
        yield from zip(batch.frame["id"].to_list(), batch.offset.tolist(), strict=True)


def _same_state(log: EmbeddedLog, data: DataFolder, views: Any) -> None:
    """What rises from the newest snapshot is what a replay of everything gives, to the bit."""
    kept = Snapshots(data.snapshots).newest(views)
    assert kept.engine is not None
    catch_up(kept.engine, log)
    straight = Engine(views)
    catch_up(straight, log)
    at = 1_780_000_000_000_000
    for view in views:
        keys = list(range(45))
        assert kept.engine.read(view.name, keys, at).equals(straight.read(view.name, keys, at))
