"""A bank on Kafka whose hosts publish to Redis: two entities, three streams, texts; and its embedded twin."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self
from uuid import uuid4

import numpy as np
import polars as pl
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

import headwater as hw
from headwater.apps.online import Online
from headwater.core.batch import Batch
from headwater.core.errors import HeadwaterError, OnlineError
from headwater.engine.run import Engine
from headwater.scale.kafka.cluster import Cluster, Topics, make_topics
from headwater.scale.kafka.host import Hooks, Host, Member
from headwater.scale.kafka.partition import Partition
from headwater.scale.kafka.payloads.reading import Record
from headwater.scale.kafka.publish import messages
from headwater.scale.redis.connection import Address
from headwater.scale.redis.owners import Owners
from headwater.serving.vectors import Moment, Vectors
from tests.http.house import Faults
from tests.scale.redis.cases import online, until
from tests.serving import bank

VISITS = hw.Stream(
    "visits", {"id": pl.Int64, "shop": pl.String, "time": bank.CLOCK, "clerk": pl.String}, id="id"
)
SHOP = hw.FeatureView(
    "shop",
    VISITS,
    "shop",
    {"n": hw.count(over="30d"), "clerk": hw.last("clerk"), "clerks": hw.distinct("clerk")},
)
BUSY = bank.model(
    name="busy",
    features=[SHOP],
    derived={},
    label=hw.happens(VISITS, within="10d"),
    observe=hw.each(VISITS),
)
SHOPS = [f"shop-{number}" for number in range(9)]
LATER = bank.micros(140)


def definitions(name: str | None = None) -> hw.Project:
    """The bank's under a name of its own: tests share the services."""
    return hw.Project(name or f"bank{uuid4().hex[:8]}", models=[bank.RISK, BUSY], policies=[bank.POLICY])


@cache
def visits(count: int = 400) -> pl.DataFrame:
    """Of nine shops, a tenth of them late."""
    dice = np.random.default_rng(3)
    when = np.sort(bank.micros(0) + dice.integers(0, 100 * bank.DAY, count))
    place = np.arange(count) + dice.integers(0, 20, count) * (dice.random(count) < 0.1)
    frame = pl.DataFrame(
        {
            "id": np.arange(count),
            "shop": dice.choice(SHOPS, count),
            "time": pl.Series(when).cast(bank.CLOCK),
            "clerk": dice.choice(["ada", "bo", "cy", "di"], count),
        },
        schema=dict(VISITS.schema),
    )
    return frame[np.argsort(place, kind="stable")]


def past() -> dict[str, pl.DataFrame]:
    """All events, by stream."""
    return {**bank.history(), "visits": visits()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What was read of an account."""

    who: int
    time: int
    offset: int
    places: Mapping[str, int]
    x: bytes


class Asking:
    """Asks for the accounts again and again, in a thread of its own.

    Args:
        lender: whose.
        pause: seconds between two questions.
    """

    def __init__(self, lender: Lender, pause: float = 0.002) -> None:
        self._pause = pause
        self.answers: list[Answer] = []
        self.refused: list[HeadwaterError] = []
        self.odd: list[BaseException] = []
        self._vectors = online(lender.redis, lender.project)
        self._end = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join(20)

    def again(self) -> None:
        """Wait until it is answered."""
        before = len(self.answers)
        until(lambda: len(self.answers) > before)

    def _run(self) -> None:
        who = 0
        while not self._end.wait(self._pause):
            who = (who + 7) % 20
            try:
                found = self._vectors.vector(bank.scoring(), {"who": who}, Moment(LATER, exact=False), {})
            except OnlineError as error:
                self.refused.append(error)
            except BaseException as error:  # noqa: BLE001 - there must be none
                self.odd.append(error)
            else:
                self.answers.append(Answer(who, found.time, found.offset, found.places, found.x.tobytes()))


class Lender:
    """On a cluster and a Redis.

    Args:
        brokers, redis: where.
        folder: for snapshots.
        partitions: of each topic.
        project: the definitions.
    """

    def __init__(
        self,
        brokers: str,
        redis: Address,
        folder: Path,
        partitions: int = 3,
        project: hw.Project | None = None,
    ) -> None:
        self.project = project or definitions()
        self.cluster, self.redis, self.folder = Cluster(brokers), redis, folder
        self.topics = Topics(self.project)
        self.partitions = partitions
        self.twin = Vectors(Engine(self.project.views))
        self._sent = 0
        self._producer = Producer(self.cluster.settings(partitioner="murmur2_random"))
        make_topics(self.cluster, self.topics, partitions=partitions)

    def send(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """To Kafka, and to the twin."""
        ready = [
            (
                self.topics.of(name),
                list(messages(frame, self.topics.key(name))),
            )  # as `publish`, by one producer
            for name, frame in frames.items()
            if len(frame)
        ]
        for topic, some in ready:
            for key, value in some:
                self._producer.produce(topic, value, key)
        assert self._producer.flush(10) == 0
        for name, frame in frames.items():
            if len(frame):
                places = np.arange(self._sent, self._sent + len(frame))
                self._sent += len(frame)
                when = frame["time"].to_physical().to_numpy()
                self.twin.apply(Batch(name, places, when, when, frame))

    @property
    def sent(self) -> int:
        """How many events were sent."""
        return self._sent

    def expire(self, *, forget: bool = True) -> None:
        """The topics' retention deletes all that was sent; the twin never saw it, if it is to forget."""
        admin = AdminClient(self.cluster.settings())
        numbers = range(self.partitions)
        places = [TopicPartition(topic, n, OFFSET_END) for topic in self.topics.streams for n in numbers]
        for done in admin.delete_records(places).values():
            done.result()
        if forget:
            self.twin = Vectors(Engine(self.project.views))

    @contextmanager
    def host(self, name: str = "a", *, group: str | None = None) -> Iterator[tuple[Host, Owners, Faults]]:
        """A host that publishes."""
        faults = Faults()
        owners = Online(address=self.redis).owners(self.project, micros, faults.on_fault)
        hooks = Hooks(on_fault=faults.on_fault, on_own=owners.own, on_gone=owners.gone)
        member = Member(group or self.project.name, name, session_ms=6_000)
        folder = self.folder / (group or "snapshots")
        with (
            Host(self.cluster, self.project, {"risk": bank.scoring()}, folder, member, hooks) as host,
            owners,
        ):
            owners.start(host.count)
            yield host, owners, faults

    def settle(self, *hosts: tuple[Host, Owners, Faults], parts: int | None = None) -> None:
        """Take in and publish all that was sent."""
        end = time.monotonic() + 40
        while True:
            moved = sum(host.turn(0.02) for host, _, _ in hosts)
            owned = [owners for host, owners, _ in hosts if host.partitions]
            total = sum(len(host.partitions) for host, _, _ in hosts)
            done = sum(owners.published.offset + 1 for owners in owned)
            if (
                not moved
                and all(host.partitions for host, _, _ in hosts)
                and total == (parts or self.partitions)
                and done == self._sent
                and all(owners.published.whole for owners in owned)
            ):
                return
            assert time.monotonic() < end, (total, done, self._sent, [f.faults for _, _, f in hosts])

    def records(self) -> dict[tuple[int, str], list[Record]]:
        """All that lies in the streams' topics, by partition and stream."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.cluster.brokers,
                "group.id": uuid4().hex,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,  # for a record behind the last
            }
        )
        numbers = range(self.partitions)
        consumer.assign([TopicPartition(topic, n, 0) for topic in self.topics.streams for n in numbers])
        found: dict[tuple[int, str], list[Record]] = {}
        ended = 0
        while ended < self.partitions * len(self.topics.streams):
            message = consumer.poll(10)
            assert message is not None
            if message.error() is not None:
                ended += 1
                continue
            stream = self.topics.streams[str(message.topic())].name
            record = Record(int(message.offset() or 0), 0, message.value() or b"", "")
            found.setdefault((int(message.partition() or 0), stream), []).append(record)
        consumer.close()
        return found

    def right(self, answers: Sequence[Answer]) -> None:
        """Each answer is what the records up to its places say, and no part ever went back."""
        records = self.records()
        last: dict[int, int] = {}
        states = {n: Partition(self.project, {}) for n in range(self.partitions)}
        for one in answers:
            (number,) = {int(place.rpartition("/")[2]) for place in one.places}
            assert one.offset >= last.get(number, -1), "a part went back"
            last[number] = one.offset
            for place, end in one.places.items():
                stream, state = place.rpartition("/")[0], states[number]
                some = records.get((number, stream), [])
                state.take(
                    stream, [r for r in some if state.positions[stream] <= r.offset <= end], quiet=True
                )
            wanted = states[number].vectors.vector(bank.scoring(), {"who": one.who}, Moment(one.time), {})
            assert one.x == wanted.x.tobytes(), one

    def agree(self, whos: Sequence[int] = range(25), shops: Sequence[str] = (*SHOPS, "none")) -> None:
        """What is read from Redis is what the embedded engine says, to the bit."""
        vectors = online(self.redis, self.project)
        for exact in (False, True):
            moment = Moment(LATER, exact=exact)
            for who in whos:
                found = vectors.vector(bank.scoring(), {"who": who}, moment, {})
                wanted = self.twin.vector(bank.scoring(), {"who": who}, moment, {})
                assert found.x.tobytes() == wanted.x.tobytes()
                assert found.time == wanted.time
                assert len({place.rpartition("/")[2] for place in found.places}) == 1
            for shop in shops:
                read = vectors.read_view(SHOP, shop, moment)
                own = self.twin.read_view(SHOP, shop, moment)
                assert (read.values, read.time) == (own.values, own.time)


def micros() -> int:
    """Now."""
    return time.time_ns() // 1_000


def cut(frames: Mapping[str, pl.DataFrame], first: float, last: float) -> dict[str, pl.DataFrame]:
    """A part of each stream, from one share of it to another."""
    return {name: frame[int(first * len(frame)) : int(last * len(frame))] for name, frame in frames.items()}


def markers(lender: Lender) -> list[dict[bytes, Any]]:
    """What each part's marker holds."""
    with lender.redis.client() as client:
        return [
            client.hgetall(f"hw:{{{lender.project.name}}}:owner:{number}")
            for number in range(lender.partitions)
        ]
