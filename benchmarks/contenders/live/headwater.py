"""Headwater as ``headwater serve`` runs: features as of now, score, band, four reasons, durable record."""

from __future__ import annotations

import json
import shutil
import sys
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
        yield server
    shutil.rmtree(folder, ignore_errors=True)


def plan(url: str) -> Target:
    """What the server serves."""
    with urllib.request.urlopen(f"{url}/v1/plan", timeout=30) as answer:
        return Target.of(json.load(answer)["definition"])
