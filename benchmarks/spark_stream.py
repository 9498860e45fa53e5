"""From an event's production to its visible score through ``headwater stream --on spark``, at a steady rate.

::

    producer (this process) ──► topic ──► Spark's query (its own) ──► scores ──► consumer (this process)
       time when produced                                               time when read, committed only

``python -m benchmarks.spark_stream --brokers HOST:PORT --jars FOLDER``, on the bank of ``contenders.live``:
forty features, two hundred trees. An event's latency ends with the first score of its account that rests on
it: one of a later event of the same batch counts for the earlier ones, too, since that is when they are seen.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from uuid import uuid4

import numpy as np
import polars as pl
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from benchmarks.contenders.live.bank import append
from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.definitions.loading import load_project
from headwater.log.embedded import EmbeddedLog
from headwater.scale.kafka.cluster import Cluster, Topics, make_topics
from headwater.store.folder import DataFolder

PARTITIONS, ACCOUNTS, WARM, QUIET = 4, 20_000, 2_000, 15.0
PROJECT = Path(__file__).parent / "contenders" / "live" / "project.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--jars", required=True)
    parser.add_argument("--folder", type=Path, default=Path("build/bench/spark_stream"))
    parser.add_argument("--rate", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    told = parser.parse_args()
    folder = bank(told.folder)
    project = load_project(folder / "project.py")
    topics = Topics(project)
    make_topics(Cluster(told.brokers), topics, partitions=PARTITIONS)
    command = [sys.executable, "-m", "headwater.apps.cli.main", "stream", "--on", "spark", "--json"]
    command += ["--kafka", told.brokers, "--jars", told.jars, "--master", "local[2]", "--until-idle", "5"]
    with (
        (folder / "spark.log").open("w") as log,
        subprocess.Popen([*command, "--project", str(folder)], stdout=log, stderr=log),
    ):
        seen = Seen(told.brokers, topics.scores)
        source = Source(told.brokers, topics.of("payments"))
        source.send(WARM, 0)
        if not seen.wait(120.0):
            print(f"no score came: see {folder / 'spark.log'}")
            return 1
        time.sleep(5)
        first = len(source.made)
        source.send(round(told.rate * told.seconds), told.rate)
        seen.settle(QUIET)
    late = latencies(source.places[first:], source.made[first:], seen.found)
    lost = round(told.rate * told.seconds) - len(late)
    parts = {f"p{p:g}": round(float(np.percentile(late, p)), 3) for p in (50, 90, 99, 100)}
    print(json.dumps({"rate": told.rate, "events": len(late), "unseen": lost, "seconds": parts}))
    return int(lost > 0)


def bank(folder: Path) -> Path:
    """The bank under a name of its own, trained."""
    shutil.rmtree(folder, ignore_errors=True)
    data = DataFolder(folder / ".headwater").make()
    text = PROJECT.read_text(encoding="utf-8").replace('"bank"', f'"bank{uuid4().hex[:8]}"')
    (folder / "project.py").write_text(text, encoding="utf-8")
    project = load_project(folder / "project.py")
    with EmbeddedLog.open(data.log, project.streams) as log:
        append(log, 40_000, 2_000, time.time_ns() // 1_000)
    if run(cli, ["train", "--bootstrap", "0", "--project", str(folder)]):
        raise RuntimeError("the model could not be trained")
    return folder


class Source:
    """Produces payments, and knows when each was and where it lies."""

    def __init__(self, brokers: str, topic: str) -> None:
        settings = {"bootstrap.servers": brokers, "linger.ms": 5, "partitioner": "murmur2_random"}
        self._producer = Producer(settings)
        self._topic = topic
        self.made: list[float] = []
        self.places: list[tuple[int, int, str] | None] = []

    def send(self, count: int, rate: int) -> None:
        """So many, so many a second; 0 for at once."""
        random = np.random.default_rng(len(self.made))
        who = random.integers(0, ACCOUNTS, count)
        begin = time.monotonic()
        for number in range(count):
            if rate:
                while time.monotonic() < begin + number / rate:
                    self._producer.poll(0.001)
            self._one(str(who[number]))
        assert self._producer.flush(30) == 0

    def _one(self, who: str) -> None:
        place, now = len(self.made), time.time_ns() // 1_000
        event = {"id": 10_000_000 + place, "who": int(who), "amount": 12.5, "balance": 900.0, "way": "card"}
        event["time"] = pl.Series([now]).cast(pl.Datetime("us", "UTC"))[0].isoformat()
        self.made.append(time.monotonic())
        self.places.append(None)

        def taken(_error: object, message: object) -> None:
            self.places[place] = (message.partition(), message.offset(), who)  # type: ignore[attr-defined]

        self._producer.produce(self._topic, json.dumps(event).encode(), who, on_delivery=taken)
        self._producer.poll(0)


class Seen:
    """Scores as they become visible, in a thread."""

    def __init__(self, brokers: str, topic: str, *, from_end: bool = False) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": uuid4().hex,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
            }
        )
        start = OFFSET_END if from_end else 0
        self._consumer.assign([TopicPartition(topic, number, start) for number in range(PARTITIONS)])
        self.found: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self.last = 0.0
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Until the first came."""
        return self._until(lambda: self.last > 0, seconds)

    def settle(self, seconds: float) -> None:
        """Until none came for so long."""
        self._until(lambda: time.monotonic() - self.last > seconds / 3, 4 * seconds)

    def _until(self, holds: object, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if holds():  # type: ignore[operator]
                return True
            time.sleep(0.05)
        return False

    def _read(self) -> None:
        while True:
            found = self._consumer.consume(1, 0.05)  # of several it would wait for all of them
            for message in found and found + self._consumer.consume(1_000, 0):
                if message.error() is None:
                    now, score = time.monotonic(), json.loads(message.value() or b"")
                    self.found[str(score["keys"]["who"])].append((score["offset"], now))
                    self.last = now


def latencies(
    places: list[tuple[int, int, str] | None], made: list[float], found: dict[str, list[tuple[int, float]]]
) -> list[float]:
    """Seconds of each event from its production to the first score that rests on it."""
    late = []
    for place, begun in zip(places, made, strict=True):
        if place is None:
            continue
        _, offset, who = place
        seen = [when for rests, when in found.get(who, []) if rests >= offset]
        if seen:
            late.append(min(seen) - begun)
    return late


if __name__ == "__main__":
    sys.exit(main())
