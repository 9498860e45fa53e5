"""A bank on Kafka for tests: topics of its own for each test, hosts, and the embedded twin."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from time import sleep
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

import headwater as hw
from headwater.core.instant import iso
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.scale.kafka.cluster import Cluster, Topics, make_topics
from headwater.scale.kafka.host import Hooks, Host, Member
from headwater.scale.kafka.payloads.registry import Registry
from headwater.scale.kafka.publish import publish
from headwater.serving.live import Live
from headwater.serving.scoring import Scoring
from tests.serving import bank

Told = dict[str, Any]


class Bank:
    """The bank of ``tests.serving.bank`` under a name of its own, on a cluster.

    Args:
        brokers: where.
        folder: for snapshots and the embedded twin.
        partitions: of each topic.
        registry: where schemas are registered.
    """

    def __init__(
        self, brokers: str, folder: Path, partitions: int = 4, registry: Registry | None = None
    ) -> None:
        model = bank.model(features=[bank.SPENDING], derived={})
        self.scoring: Scoring = bank.scoring(model)
        self.project = hw.Project(f"bank{uuid4().hex[:8]}", models=[model])
        self.cluster = Cluster(brokers, registry=registry)
        self.topics = Topics(self.project)
        self.folder = folder
        self.partitions = partitions
        make_topics(self.cluster, self.topics, partitions=partitions)

    def publish(self, frame: pl.DataFrame) -> None:
        publish(self.cluster, self.topics, bank.PAYMENTS, frame)

    def send(self, value: bytes, key: bytes = b"7") -> None:
        """A record as it is."""
        send(self.cluster.brokers, self.topics.of("payments"), value, key)

    def host(self, name: str = "a", hooks: Hooks | None = None) -> Host:
        member = Member(self.project.name, name, session_ms=6_000)
        return Host(
            self.cluster, self.project, {"risk": self.scoring}, self.folder / "snapshots", member, hooks
        )

    def read(self, topic: str) -> list[Told]:
        """All that is committed in a topic."""
        return committed(self.cluster.brokers, topic, self.partitions)

    def ends(self) -> dict[int, int]:
        """How many records each partition of the payments has had.

        Asked again while a broker that has just been started does not lead them yet.
        """
        for attempt in count(1):
            try:
                return self._ends()
            except KafkaException:
                if attempt == 20:
                    raise
                sleep(0.5)
        raise AssertionError("it answers, or raises")

    def _ends(self) -> dict[int, int]:
        consumer = Consumer({"bootstrap.servers": self.cluster.brokers, "group.id": uuid4().hex})
        topic = self.topics.of("payments")
        places = [TopicPartition(topic, number) for number in range(self.partitions)]
        try:
            return {one.partition: consumer.get_watermark_offsets(one, 10)[1] for one in places}
        finally:
            consumer.close()

    def scores(self) -> list[Told]:
        return self.read(self.topics.scores)

    def letters(self) -> list[Told]:
        return self.read(self.topics.dead_letters)


def send(brokers: str, topic: str, value: bytes, key: bytes = b"7") -> None:
    """A record as it is."""
    producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random"})
    producer.produce(topic, value, key)
    assert producer.flush(10) == 0


def committed(brokers: str, topic: str, partitions: int) -> list[Told]:
    """All that is committed in a topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": uuid4().hex,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,  # for a record behind the last
            "auto.offset.reset": "earliest",
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found, ended = [], 0
    while ended < partitions:
        message = consumer.poll(10)
        assert message is not None, "the topic has no end: a transaction is open"
        if message.error() is not None:
            ended += 1
            continue
        found.append(json.loads(message.value() or b"null"))
    consumer.close()
    return found


def payments(number: int = 600, seed: int = 5) -> pl.DataFrame:
    """Payments of 20 accounts; some come late, by up to twenty places."""
    frame = bank.history(days=max(1, number * 3 // 20))["payments"].head(number)
    random = np.random.default_rng(seed)
    place = np.arange(len(frame)) + random.integers(0, 20, len(frame)) * (random.random(len(frame)) < 0.1)
    return frame[np.argsort(place, kind="stable")]


def run(hosts: Sequence[Host], until: Callable[[], bool]) -> None:
    """Turn by turn until something holds."""
    for turn in count():
        for host in hosts:
            host.turn(0.05)
        if until():
            return
        assert turn < 1_500, "it does not come to an end"


class Counted:
    """Hooks that count, and remember faults."""

    def __init__(self) -> None:
        self.events = self.duplicates = self.refused = 0
        self.faults: list[str] = []
        self.hooks = Hooks(on_turn=self._turn, on_fault=lambda where, _error: self.faults.append(where))

    @property
    def seen(self) -> int:
        return self.events + self.duplicates + self.refused

    def _turn(self, turn: Any) -> None:
        self.events += turn.events
        self.duplicates += turn.duplicates
        self.refused += turn.refused


class Twin:
    """The same events through the embedded log, event by event.

    Args:
        bank: whose model.
        frame: the events in the order in which they were published.
        folder: for its log.
    """

    def __init__(self, bank_: Bank, frame: pl.DataFrame, folder: Path) -> None:
        self.engine = Engine(bank_.project.views)
        self.scores: set[tuple[int, str, float]] = set()
        self.last: dict[int, tuple[str, float]] = {}
        with EmbeddedLog.open(folder / "twin.log", bank_.project.streams) as log:
            live = Live(log, self.engine, [bank_.scoring])
            for row in range(len(frame)):
                _, refreshes = live.append("payments", frame[row : row + 1], arrival=row)
                for refresh in refreshes:
                    scored = refresh.scored
                    who = scored.keys["who"]
                    told = iso(scored.time), scored.score
                    self.scores.add((who, *told))
                    self.last[who] = told


def agree(bank_: Bank, twin: Twin, hosts: Sequence[Host], at: int) -> None:
    """The scores that went out, and the state of whoever owns it, are the twin's to the bit."""
    told = bank_.scores()
    last = {one["keys"]["who"]: (one["time"], one["score"]) for one in told}  # an account is in one partition
    assert last == twin.last
    assert {(one["keys"]["who"], one["time"], one["score"]) for one in told} <= twin.scores
    places = [(one["partition"], one["offset"]) for one in told]
    assert len(places) == len(set(places)), "a score went out twice"
    features(twin, hosts, at)


def features(twin: Twin, hosts: Sequence[Host], at: int) -> None:
    """Each account's features are the twin's, in the one partition that holds it."""
    owners: dict[int, Engine] = {}
    for host in hosts:
        for partition in host.partitions.values():
            known = partition.engine.states["spending"]
            newest = partition.vectors.newest_of("who", sorted(twin.last))
            for who, time in zip(sorted(twin.last), newest.tolist(), strict=True):
                if time > -(2**62):
                    assert who not in owners, "two partitions hold an account"
                    owners[who] = partition.engine
            assert known.view.name == "spending"
    assert sorted(owners) == sorted(twin.last)
    for who, engine in owners.items():
        assert bits(engine.read("spending", [who], at)) == bits(twin.engine.read("spending", [who], at))


def bits(frame: pl.DataFrame) -> list[Any]:
    """Values that compare by their bits."""
    return [
        value.hex() if isinstance(value, float) else value
        for column in frame.get_columns()
        for value in column
    ]
