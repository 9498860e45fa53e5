"""Headwater as ``headwater serve`` runs: features as of now, score, band, four reasons, durable record."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.contenders.live.drive import ask, drive
from benchmarks.contenders.live.servers import Server, free_port, started
from benchmarks.work import Work
from headwater.apps.load.connection import Address
from headwater.apps.load.requests import Decisions, Desk
from headwater.apps.load.target import Target

PATIENCE = 60.0  # seconds for the monitors
NO_LIMIT = {"HEADWATER_RATE": "0"}  # of one caller: the generator is all callers


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    return lambda: _run(work)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _run(work: Work) -> dict[str, Any]:
    with serving(work) as server:
        target = plan(server.url)
        source = Decisions(Desk(Address.of(server.url)), target.policy(None), work.options["keys"], 0)
        made = drive(server.url, source, work.options["rate"], work.options["seconds"])
        asked = {"policy": target.policy(None).name, "keys": {"who": 1}, "request": {}}
        sample = ask(server.url, "/v1/decisions", asked)
        return {
            **made,
            "resident": server.resident(),
            "ready_s": server.seconds,
            "features": len(sample["features"]),
            "reasons": len(sample["reasons"]),
        }


@contextmanager
def serving(work: Work, *options: str) -> Iterator[Server]:
    """The bank, served from a copy of its own."""
    folder = work.data / "served"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(work.data / "bank", folder)
    port = free_port()
    command = [sys.executable, "-m", "headwater.apps.cli.main", "serve", "project.py", "--port", str(port)]
    with started([*command, *options], port, "/readyz", folder, NO_LIMIT) as server:
        settle(server.url)
        yield server
    shutil.rmtree(folder, ignore_errors=True)


def settle(url: str) -> None:
    """Wait until the monitors, too, are up and have looked through the bank's history: once in its life."""
    until = time.perf_counter() + PATIENCE
    while time.perf_counter() < until:
        figures = metrics(url, "headwater_monitors_up", "headwater_late_backlog_events")
        if figures == [1.0, 0.0]:
            return
        time.sleep(0.5)


def metrics(url: str, *names: str) -> list[float]:
    """What the server counts: each the sum over its labels."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        page = answer.read().decode()
    return [
        sum(map(float, re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))) for name in names
    ]


def plan(url: str) -> Target:
    """What the server serves."""
    with urllib.request.urlopen(f"{url}/v1/plan", timeout=30) as answer:
        return Target.of(json.load(answer)["definition"])
