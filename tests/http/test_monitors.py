"""The monitors of a real server: late events told within seconds, wrong vectors counted, and their life."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

import headwater as hw
from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.core.batch import Batch
from headwater.store.parity import ParityLedger
from tests.apps.cli.shop import payments, project_text, write_csv
from tests.apps.workers.test_worker import lives, until
from tests.http.house import House, serving
from tests.http.process import Process, served
from tests.http.test_events import pay, post
from tests.http.test_project import read_metrics
from tests.serving.bank import PAYMENTS, micros, payment

SOON = 10.0  # seconds
START = 90.0  # they stand back behind everybody, and import much: on a busy machine that takes long


@dataclass
class Shop:
    """A server with monitors that look at everything, in processes of their own."""

    folder: Path
    process: Process
    http: httpx.Client
    client: hw.Client

    def metrics(self) -> dict[str, float]:
        families = text_string_to_metric_families(self.http.get("/metrics").text)
        return {one.name: one.value for family in families for one in family.samples if not one.labels}

    def metric(self, name: str) -> float:
        return self.metrics()[f"headwater_{name}"]

    def monitors(self) -> int:
        """The process id."""
        which = ["pgrep", "-P", str(self.process.process.pid), "-f", "headwater.apps.monitors.process"]
        told = subprocess.run(which, capture_output=True, text=True, check=True).stdout
        (found,) = told.split()
        return int(found)

    def pay(self, id: int, who: int, days_ago: float, amount: float = 12.5) -> None:
        when = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
        event = {"id": id, "who": who, "time": when, "amount": amount, "kind": "card", "name": "Ada"}
        assert self.client.events("payments", [event]).accepted == 1

    @contextmanager
    def held_still(self) -> Iterator[None]:
        """The monitors do nothing meanwhile."""
        pid = self.monitors()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "project.py").write_text(project_text(), encoding="utf-8")
    write_csv(payments(), folder / "payments.csv")
    at = ["--project", str(folder)]
    assert run(cli, ["import", str(folder / "payments.csv"), *at]) == 0
    assert run(cli, ["train", "--bootstrap", "0", *at]) == 0
    return folder


@contextmanager
def opened(folder: Path) -> Iterator[Shop]:
    with (
        served(folder, HEADWATER_PARITY_SHARE="1") as process,
        httpx.Client(base_url=process.url) as http,
        hw.Client(process.url) as client,
    ):
        shop = Shop(folder, process, http, client)
        assert shop.http.get("/readyz").status_code == 200  # whether the monitors are there yet or not
        assert until(lambda: shop.metric("monitors_up") == 1, START)
        yield shop


@pytest.fixture(scope="module")
def shop(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One server for the tests of this module that do not end it: each uses accounts and ids of its own."""
    folder = tmp_path_factory.mktemp("served") / "shop"
    shutil.copytree(trained, folder)
    with opened(folder) as found:
        yield found
        pid = found.monitors()
        assert found.process.end(signal.SIGTERM) == 0
        assert not lives(pid)


def soon(fact: Callable[[], bool]) -> None:
    started = time.monotonic()
    assert until(fact)
    assert time.monotonic() - started < SOON


#     day -3 ●            -1 ● event    now ▲ decision      then ○ comes in: of day -2
def test_a_late_event_is_told_within_seconds(shop: Shop) -> None:
    before = shop.metrics()
    shop.pay(50_001, who=1, days_ago=3)
    shop.pay(50_002, who=1, days_ago=1)
    made = shop.client.decide({"who": 1})
    shop.pay(50_003, who=1, days_ago=2, amount=900.0)

    def late() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = shop.http.get("/v1/late", params={"key": "1"}).json()["events"]
        return found

    soon(lambda: len(late()) == 1)
    (event,) = late()
    assert event["late_seconds"] == pytest.approx(86_400, abs=60)
    assert event["moved"] == ["n_7d", "n_30d", "spent_30d"]
    (decision,) = event["decisions"]
    assert (decision["decision_id"], decision["then"]["score"]) == (made.decision_id, made.score)
    assert decision["now"]["score"] != made.score
    soon(lambda: shop.metric("late_events_total") == before["headwater_late_events_total"] + 1)
    assert shop.metric("late_decisions_total") == before["headwater_late_decisions_total"] + 1
    soon(lambda: shop.metric("late_backlog_events") == 0)


def test_decisions_and_fresh_scores_are_derived_again(shop: Shop) -> None:
    before = shop.metric("parity_compared_total")
    for who in range(10, 15):
        shop.pay(51_000 + who, who, days_ago=0.5)
        shop.client.decide({"who": who})
    soon(lambda: shop.metric("parity_compared_total") >= before + 10)
    assert shop.metric("parity_mismatches_total") == 0
    assert shop.http.get("/healthz").json() == {
        "status": "ok",
        "monitors": {"up": True, "late_backlog": 0, "parity_mismatches": 0},
        "database": None,
    }


def test_what_is_served_anew_is_taken_over(shop: Shop) -> None:
    """Another policy: its decisions can be derived only by monitors that know it."""
    before, pid = shop.metrics(), shop.monitors()
    text = project_text().replace('"watch": 0.3', '"watch": 0.25')
    (shop.folder / "project.py").write_text(text, encoding="utf-8")
    assert shop.http.post("/v1/reload").json()["changed"] == ["policy risk_policy"]
    time.sleep(3)  # they are told with their next figures
    shop.client.decide({"who": 20})
    soon(lambda: shop.metric("parity_compared_total") == before["headwater_parity_compared_total"] + 1)
    assert shop.metric("parity_gone_total") == before["headwater_parity_gone_total"]
    assert (shop.monitors(), shop.metric("monitors_up")) == (pid, 1)


def test_killed_monitors_come_back_and_serving_does_not_notice(shop: Shop) -> None:
    pid = shop.monitors()
    os.kill(pid, signal.SIGKILL)
    soon(lambda: shop.metric("monitors_up") == 0)
    assert shop.http.get("/readyz").status_code == 200
    assert shop.http.get("/healthz").json()["monitors"]["up"] is False
    shop.pay(52_000, who=30, days_ago=1)
    shop.pay(52_001, who=30, days_ago=2)
    assert shop.metric("late_backlog_events") > 0
    assert until(lambda: shop.metric("monitors_up") == 1, START)
    assert shop.monitors() != pid
    soon(lambda: len(shop.http.get("/v1/late", params={"key": "30"}).json()["events"]) == 1)
    soon(lambda: shop.metric("late_backlog_events") == 0)


def test_a_tampered_record_is_counted_with_its_cause(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "shop")
    data = tmp_path / "shop" / ".headwater"
    with opened(tmp_path / "shop") as shop:
        with shop.held_still():
            shop.pay(53_000, who=2, days_ago=1)
            made = shop.client.decide({"who": 2})
            connection = sqlite3.connect(data / "decisions.db")
            connection.executescript(
                "DROP TRIGGER decisions_stay;"
                "UPDATE decisions SET record = replace(record, '\"n_7d\":1', '\"n_7d\":2') WHERE number = 1"
            )
            connection.close()
        soon(lambda: shop.metric("parity_mismatches_total") == 1)
        assert shop.http.get("/healthz").json()["monitors"]["parity_mismatches"] == 1
        with ParityLedger.open(data / "parity.db") as ledger:
            ((_, found),) = ledger.page()
        assert (found.source, found.feature) == (f"decision {made.decision_id}", "n_7d")
        assert (found.served, found.derived) == (2.0, 1.0)
        assert found.cause == "the record was changed after it was written: see `headwater audit verify`"
        pid = shop.monitors()
        shop.process.end(signal.SIGKILL)
        assert until(lambda: not lives(pid))  # nobody told it to end


def test_a_state_that_is_wrong_is_found(tmp_path: Path) -> None:
    """An event gets into the live state and not into the log, as a bug or a flipped bit might do it."""
    with serving(tmp_path) as house:
        post(house, pay(60_001, who=3, day=100.0), refresh=True)
        assert house.monitors.round().mismatches == 0
        _slip_in(house)
        post(house, pay(60_002, who=3, day=100.3), refresh=True)
        house.client.decide({"who": 4})
        house.monitors.round()
        found = read_metrics(house)
        assert found["headwater_parity_mismatches_total"] == 1
        ((_, cause),) = house.monitors.parity.page()
        assert (cause.source, cause.keys) == ("fresh score", {"who": 3})
        assert {"n_7d", "spent_7d"} <= set(cause.features)
        assert cause.cause.startswith("the state that served it and the log do not agree")


def _slip_in(house: House) -> None:
    engine = house.service.serving.vectors.engine
    one = np.array([engine.offset + 1], dtype=np.int64)
    time_ = np.array([micros(100.1)], dtype=np.int64)
    engine.apply(Batch(PAYMENTS.name, one, time_, time_.copy(), payment(999, 3, 100.1, 77.0)))
    engine.offset -= 1
