"""Decision records in a file and in Postgres: how long a decision waits for its record.

Method: the recorder of a service (``serving.record``), which puts decisions that are asked for together on
disk together, over each of the two stores. A decision has 40 features and three reasons, and is made
beforehand: what is measured is the wait from asking to the answer, which is queue, JSON, hash chain and
commit. So many senders each ask for one decision after the other. Stores take turns over the rounds, in one
process, and the median of the rounds counts. With two servers, two recorders with a connection each share the
records and the senders. Both stores wait for the disk on each commit (Postgres: ``synchronous_commit`` as it
is set there). Needs `headwater[postgres]` and a database of its own, whose tables are made.

    python -m benchmarks.records --database postgresql://... --json build/bench/records.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from headwater.core.secret import Secret
from headwater.scale.postgres.door import Address, Database, PostgresDecisions, upgrade
from headwater.serving.live import Scored
from headwater.serving.making import Pair, Wanted
from headwater.serving.record import Asked, Recorder
from headwater.serving.waiting import Waiting
from headwater.store.decision import Decision, Reason
from headwater.store.decisions import DecisionStore
from headwater.store.protocol import Decisions

SENDERS = 1, 16, 64
SECONDS = 2.0
GROUPS = {"file": 16, "postgres": 64}  # decisions that are recorded at once, as `headwater serve` has it


def decision(random: np.random.Generator) -> Decision:
    """A decision on 40 features."""
    features = {f"feature_{i:02}_30d": float(x) for i, x in enumerate(random.normal(size=40))}
    reasons = tuple(Reason(f"Reason number {i}", f"feature_{i:02}_30d", 0.5, 0.1, 0.2) for i in range(3))
    return Decision(
        "risk", "d" * 64, "h" * 64, "lend", "p" * 64, {"who": 1}, 5, 3, 6, features, 0.4, "act", reasons
    )


def served(stores: Sequence[Decisions], senders: int, seconds: float, group: int) -> dict[str, float]:
    """Senders that ask for one decision after the other, over one or several servers."""
    queues: list[Waiting[Asked]] = [Waiting("decisions", 2_000, 1 << 30, group) for _ in stores]
    ready = [decision(np.random.default_rng(i)) for i in range(64)]
    scored = Scored("risk", {"who": 1}, 5, 3, {}, np.zeros(40), 0.4)

    def make(wanted: Sequence[Wanted]) -> list[Pair | Exception]:
        return [(scored, replace(ready[one.keys["who"] % 64], keys=one.keys)) for one in wanted]

    recorders = [
        Recorder(store, queue, make, time.perf_counter_ns, _nothing, _nothing, _told)
        for store, queue in zip(stores, queues, strict=True)
    ]
    for recorder in recorders:
        recorder.start()
    waits: list[list[int]] = [[] for _ in range(senders)]
    stop = time.perf_counter() + seconds

    def send(sender: int) -> None:
        queue, n = queues[sender % len(queues)], 0
        while time.perf_counter() < stop:
            n += 1
            began = time.perf_counter_ns()
            asked = Asked(Wanted("lend", {"who": sender * 1_000_000 + n}, {}), began)
            queue.put(asked, 1, 1_000)
            asked.future.result()
            waits[sender].append(time.perf_counter_ns() - began)

    threads = [Thread(target=send, args=(sender,)) for sender in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for queue, recorder in zip(queues, recorders, strict=True):
        queue.close()
        recorder.join()
    took = np.array([wait for some in waits for wait in some]) / 1e6
    p50, p99 = np.quantile(took, (0.5, 0.99))
    return {"p50_ms": float(p50), "p99_ms": float(p99), "per_s": len(took) / seconds}


def measure(url: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Median over the rounds, by contender and number of senders."""
    found: dict[str, list[dict[str, float]]] = {}
    address = Address.read(Secret(url))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        files = stack.enter_context(DecisionStore.open(Path(folder) / "decisions.db"))
        databases = [Database(address) for _ in range(2)]
        upgrade(databases[0])
        one, two = (PostgresDecisions(database) for database in databases)
        contenders: dict[str, Sequence[Decisions]] = {
            "file": [files],
            "postgres": [one],
            "postgres, two servers": [one, two],
        }
        for turn in range(rounds + 1):
            for name, stores in contenders.items():
                for senders in SENDERS:
                    figures = served(
                        stores, senders, seconds if turn else seconds / 4, GROUPS[name.partition(",")[0]]
                    )
                    if turn:  # the first one warms up
                        found.setdefault(f"{name}, {senders} senders", []).append(figures)
        started = time.perf_counter()
        count = one.verify()
        verified = {"records": count, "records_per_s": count / (time.perf_counter() - started)}
        for database in databases:
            database.close()
    medians = {
        name: {key: statistics.median(one[key] for one in several) for key in several[0]}
        for name, several in found.items()
    }
    return {"median": medians, "verify": verified, "rounds": found, "processors": os.cpu_count()}


def _nothing(_: object) -> None:
    """Nobody is told."""


def _told(where: str, error: BaseException) -> None:
    raise SystemExit(f"{where}: {error}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Decision records in a file and in Postgres.")
    parser.add_argument("--database", default=os.environ.get("HEADWATER_DATABASE_URL"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    found = measure(given.database, given.rounds, given.seconds)
    show: Callable[[str], None] = print
    show(f"{'':34}{'p50 ms':>9}{'p99 ms':>9}{'per s':>9}")
    for name, figures in found["median"].items():
        show(f"{name:34}{figures['p50_ms']:9.2f}{figures['p99_ms']:9.2f}{figures['per_s']:9,.0f}")
    verified = found["verify"]
    show(f"the chain of {verified['records']:,} records is followed at {verified['records_per_s']:,.0f}/s")
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
