"""Headwater: decisions and events at half of what it takes, for long; its memory, its errors, its parity."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks.contenders.live.drive import CONNECTIONS, OPEN, WARM, aim
from benchmarks.contenders.live.headwater import metrics, plan, serving
from benchmarks.contenders.live.servers import Server
from benchmarks.work import Work
from headwater.apps.load.connection import Address
from headwater.apps.load.loop import Pace
from headwater.apps.load.requests import Decisions, Desk, Events, Mixed, Posting
from headwater.apps.load.target import Target

LOOK = 0.5  # seconds between two looks at the memory
SETTLE = 20.0  # seconds that the monitors get to look at what is left
COUNTERS = (
    "headwater_parity_compared_total",
    "headwater_parity_mismatches_total",
    "headwater_parity_waiting",
    "headwater_faults_total",
)


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    return lambda: _run(work)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _run(work: Work) -> dict[str, Any]:
    options = work.options
    with serving(work, "--snapshot-every", str(options["snapshot_every"])) as server:
        target = plan(server.url)
        top = aim(
            server.url, _mixed(server.url, target, work, 0), Pace(None, options["find"], CONNECTIONS, WARM)
        )
        half = round(top["per_second"] / 2, 1)
        held: list[tuple[float, int]] = []
        over = threading.Event()
        watching = threading.Thread(target=_watch, args=(server, held, over))
        watching.start()
        try:
            pace = Pace(half, options["seconds"], OPEN, timeout=30)
            steady = aim(server.url, _mixed(server.url, target, work, 1), pace)
        finally:
            over.set()
            watching.join()
        return {
            "top": top,
            "steady": steady,
            "thirds": _thirds(held),
            **_counters(server.url, options["settle"]),
        }


def _mixed(url: str, target: Target, work: Work, seed: int) -> Mixed:
    desk, keys = Desk(Address.of(url)), work.options["keys"]
    decisions = Decisions(desk, target.policy(None), keys, seed)
    posting = Posting(1, refresh=True)
    events = Events(desk, target.stream("payments"), posting, keys, lambda: time.time_ns() // 1_000, seed)
    return Mixed(decisions, events, work.options["share"], seed)


def _watch(server: Server, held: list[tuple[float, int]], over: threading.Event) -> None:
    while not over.wait(LOOK):
        held.append((time.perf_counter(), server.resident()))


def _thirds(held: list[tuple[float, int]]) -> list[float]:
    """The median of each third, in bytes; of the whole, where a third is too short for a sample."""
    first, last = held[0][0], held[-1][0]
    width = (last - first) / 3 or 1.0
    parts: list[list[int]] = [[], [], []]
    for at, count in held:
        parts[min(int((at - first) / width), 2)].append(count)
    return [statistics.median(part or [count for _, count in held]) for part in parts]


def _counters(url: str, settle: float) -> dict[str, Any]:
    """What the service counted, once its monitors have looked at what waited for them."""
    start = time.perf_counter()
    while True:
        found = dict(zip(COUNTERS, metrics(url, *COUNTERS), strict=True))
        done = found["headwater_parity_compared_total"] and not found["headwater_parity_waiting"]
        if done or time.perf_counter() - start > settle:
            return {"counters": found}
        time.sleep(0.5)
