"""The Kafka host: events a second that it catches up with, and from an event's production to its score.

::

    topic, full ──► headwater stream (a process of its own) ──► scores    events/s, features and scores out
    producer ──► topic ──► headwater stream ──► scores ──► consumer, committed only     milliseconds

Needs the broker of ``make services``, found by ``HEADWATER_SERVICES`` or in ``build/services/env``; on the
same cores as everybody else. Only when it is named. Called by ``__main__``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.contenders.live.bank import append
from benchmarks.harness import ROOT, Setting
from benchmarks.report import Measured, Promise
from benchmarks.spark_stream import PARTITIONS, Seen, Source, bank, latencies
from headwater.apps.cli.models import registry_of
from headwater.apps.cli.workplace import Workplace
from headwater.apps.http.shelf import Shelf, scorings
from headwater.apps.settings import Settings
from headwater.definitions.loading import load_project
from headwater.scale.kafka.cluster import Cluster, Topics, make_topics
from headwater.scale.kafka.host import Hooks, Host, Member
from headwater.scale.kafka.publish import publish

SIZES = ("kafka.events", "kafka.rate", "kafka.seconds")
EVENTS, ACCOUNTS, RATE, SECONDS, WARM = 600_000, 20_000, 2_000, 10.0, 40_000
WANTED, WANTED_MS = 50_000, 50.0

METHOD = """Forty windowed features and the score of a forest of 200 trees, of 20,000 accounts, as JSON in 4
partitions. Catching up: the events are in the topic before the host starts; counted are all of them, over the
time from the host's first events to its last commit, with each account that a transaction touched scored and
sent out in that transaction. Latency: events produced at a steady rate by this process, which reads scores
back with read_committed; an event's ends with the first score of its account that rests on it; 20 s at the
same rate go before, since a broker that has just started compiles its own code beside its work. Broker, host,
producer and consumer share the machine's cores. The broker keeps one replica of everything, collects garbage
as Kafka's own script has it, and has group.coordinator.append.linger.ms=0."""


def measure(setting: Setting) -> Measured:
    """Measure both.

    Raises:
        RuntimeError: there is no broker, or the host ended.
    """
    brokers = brokers_named()
    folder = bank(setting.folder / "kafka")
    project = load_project(folder / "project.py")
    cluster, topics = Cluster(brokers), Topics(project)
    make_topics(cluster, topics, partitions=PARTITIONS)
    count = int(setting.size("kafka.events", EVENTS, EVENTS / 100))
    _fill(cluster, topics, project, count)
    caught = _catch_up(folder, brokers, count)
    setting.tell(
        f"  caught up with {count:,} events: {caught['rate']:,.0f} events/s, {caught['scores']:,} scores"
    )
    rate = int(setting.size("kafka.rate", RATE, RATE / 10))
    late, unseen = _late(folder, brokers, topics, rate, setting.size("kafka.seconds", SECONDS, 2.0))
    p50, p99, worst = (1_000 * float(np.percentile(late, p)) for p in (50, 99, 100))
    full = not setting.quick
    return Measured(
        name="kafka",
        title="The Kafka host",
        method=METHOD,
        headers=["", "", ""],
        rows=[
            [
                "catching up",
                f"{caught['rate']:,.0f} events/s",
                f"{caught['scores'] / count:.2f} scores an event",
            ],
            [
                f"produced to visible at {rate:,}/s",
                f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
                f"most {worst:.1f} ms",
            ],
        ],
        promises=[
            Promise(
                "events a second",
                f"at least {WANTED:,}",
                f"{caught['rate']:,.0f}",
                caught["rate"] >= WANTED if full else None,
            ),
            Promise(
                "p99 to a visible score",
                f"at most {WANTED_MS:g} ms",
                f"{p99:.1f} ms",
                p99 <= WANTED_MS if full else None,
            ),
        ],
        notes=[f"{count:,} events in the topic; {len(late):,} timed, {unseen} of them without a score"],
        facts={"caught": caught, "rate": rate, "events": len(late), "unseen": unseen, "p50": p50, "p99": p99},
    )


def brokers_named() -> str:
    named = Path(os.environ.get("HEADWATER_SERVICES") or ROOT / "build" / "services" / "env")
    if not named.is_file():
        raise RuntimeError("no broker: `make services` starts one")
    return dict(line.split("=", 1) for line in named.read_text(encoding="utf-8").splitlines())[
        "HEADWATER_KAFKA"
    ]


class _Frames:
    """Takes what ``append`` would put into a log."""

    def __init__(self) -> None:
        self.frames: list[pl.DataFrame] = []

    def append(self, _stream: str, frame: pl.DataFrame, **_arrival: Any) -> None:
        self.frames.append(frame)


def _fill(cluster: Cluster, topics: Topics, project: Any, count: int) -> None:
    made = _Frames()
    append(made, count, ACCOUNTS, time.time_ns() // 1_000)  # type: ignore[arg-type]
    (stream,) = project.streams
    for frame in made.frames:
        publish(cluster, topics, stream, frame)


def _command(folder: Path, brokers: str) -> list[str]:
    line = [sys.executable, "-m", "headwater.apps.cli.main", "stream", "--project", str(folder), "--json"]
    return [*line, "--kafka", brokers, "--name", "bench"]


def _catch_up(folder: Path, brokers: str, count: int) -> dict[str, float]:
    """Run the host until nothing comes; what it did, and how quickly."""
    watched = [sys.executable, "-m", "benchmarks.kafka", str(folder), brokers, str(count)]
    done = subprocess.run(watched, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"the host ended: {(done.stderr or done.stdout).strip()[-400:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _late(folder: Path, brokers: str, topics: Topics, rate: int, seconds: float) -> tuple[list[float], int]:
    """Seconds of each event at a steady rate, and how many had no score."""
    with subprocess.Popen(
        _command(folder, brokers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as host:
        try:
            seen = Seen(brokers, topics.scores, from_end=True)
            source = Source(brokers, topics.of("payments"))
            source.send(1, 0)
            if not seen.wait(60.0):
                raise RuntimeError("no score came" if host.poll() is None else "the host ended")
            source.send(WARM if rate == RATE else rate, rate)
            first = len(source.made)
            source.send(round(rate * seconds), rate)
            seen.settle(3.0)
        finally:
            host.send_signal(signal.SIGTERM)
    late = latencies(source.places[first:], source.made[first:], seen.found)
    return late, round(rate * seconds) - len(late)


def main(folder: str, brokers: str, count: str) -> None:
    """The host in this process, as the command runs it; its rate over its own commits."""
    work = Workplace(Settings.read({}, project=folder))
    served = scorings(Shelf(registry_of(work), work.project).champions())
    turns: list[tuple[float, Any]] = []
    hooks = Hooks(on_turn=lambda turn: turns.append((time.monotonic(), turn)))
    member = Member(f"headwater-{work.project.name}", "bench")
    with Host(
        Cluster(brokers), work.project, served, Path(folder) / ".headwater" / "kafka", member, hooks
    ) as host:
        begun, cpu = 0.0, 0.0
        while sum(turn.records for _, turn in turns) < int(count):
            now, spent = time.monotonic(), time.process_time()
            if host.turn(0.05) and not begun:
                begun, cpu = now, spent
        took, cpu = turns[-1][0] - begun, time.process_time() - cpu
    records = sum(turn.records for _, turn in turns)
    told = {"rate": records / took, "seconds": took, "turns": len(turns), "cpu": cpu}
    print(json.dumps(told | {"scores": sum(turn.scores for _, turn in turns)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
