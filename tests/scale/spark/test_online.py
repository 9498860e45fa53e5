"""What Spark publishes to Redis: the embedded engine's bits, whatever dies, is emptied, or takes over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import headwater as hw
from headwater.apps.online import PASSWORD, address
from headwater.core.errors import FencedError, OnlineError
from headwater.scale.kafka.cluster import Topics
from headwater.scale.kafka.partition import Partition
from headwater.scale.kafka.payloads.reading import Record
from headwater.scale.kafka.publish import messages
from headwater.scale.redis.moved import Moved
from headwater.serving.vectors import Moment
from tests.letters import says
from tests.scale.redis import server as redis_server
from tests.scale.redis.cases import online, until
from tests.scale.redis.lender import LATER, Asking, Lender, cut, definitions, markers, past
from tests.scale.redis.server import Server, server
from tests.serving import bank as small

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headwater.scale.spark.publishing import Publisher, Publishing
    from headwater.scale.spark.stream import Running

pytestmark = pytest.mark.spark
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A Redis that keeps what it has, and whose password everybody who publishes finds in the environment."""
    monkeypatch.setenv(PASSWORD, redis_server.PASSWORD)
    (tmp_path / "redis").mkdir()
    with server("--appendonly", "yes", "--appendfsync", "always", "--dir", str(tmp_path / "redis")) as made:
        yield made


def publishing(at: Server) -> Publishing:
    """As the command sends it to the workers."""
    from headwater.core.clock import SystemClock
    from headwater.scale.spark.publishing import Publishing

    return Publishing(partial(address, str(at.address)), SystemClock().now, time.perf_counter_ns, 3)


@contextmanager
def running(
    spark: SparkSession, lender: Lender, at: Server, checkpoint: Path, faults: list[Any], most: int = 250
) -> Iterator[Query]:
    """The query."""
    from headwater.scale.spark.stream import start
    from tests.scale.spark.streaming import PACE

    spark.sparkContext.environment[PASSWORD] = redis_server.PASSWORD  # as spark.executorEnv sets it
    started = start(
        spark,
        lender.cluster,
        lender.project,
        {"risk": small.scoring()},
        group=lender.project.name,
        checkpoint=str(checkpoint),
        pace=replace(PACE, most=most),
        online=publishing(at),
        on_fault=lambda where, error: faults.append((where, error)),
    )
    try:
        yield Query(started, lender)
    finally:
        started.query.stop()


class Query:
    """A query that runs."""

    def __init__(self, running: Running, lender: Lender) -> None:
        self._running, self._lender = running, lender

    def __call__(self) -> None:
        """Wait until it has read the topics to their ends."""
        from tests.scale.spark.streaming import catch_up

        catch_up(self._running.query)

    def looks_after(self) -> None:
        """No record comes: wait until all parts are whole, and stand where the topics end."""

        def ready() -> bool:
            self._running.check()
            self()
            found = markers(self._lender)
            stood = sum(sum(json.loads(marker.get(b"positions", b"{}")).values()) for marker in found)
            return all(b"whole" in marker for marker in found) and stood == self._lender.sent

        until(ready)


def test_a_replica_reads_what_spark_keeps_while_redis_is_emptied_and_stops(
    spark: SparkSession, connector: str, services: Mapping[str, str], redis: Server, tmp_path: Path
) -> None:
    assert connector
    lender = Lender(services["HEADWATER_KAFKA"], redis.address, tmp_path)
    faults: list[Any] = []
    query = partial(running, spark, lender, redis, tmp_path / "spark", faults, most=1_000)
    with Asking(lender, 0.02) as asking:
        lender.send(cut(past(), 0, 0.4))
        with query() as go:
            go()
        lender.agree()
        whole = [marker[b"whole"] for marker in markers(lender)]
        lender.send(cut(past(), 0.4, 0.6))
        with query() as go:
            go()
            lender.agree()
            assert [marker[b"whole"] for marker in markers(lender)] == whole, "what moved, and not all anew"
            go.looks_after()
            redis.empty()
            go.looks_after()
            lender.agree()
            assert faults == []
            before = [marker[b"positions"] for marker in markers(lender)]
            redis.stop()
            lender.send(cut(past(), 0.6, 0.8))
            go()
            assert {(where, type(error)) for where, error in faults} == {("online", OnlineError)}
            redis.start()
            asking.again()
            assert [marker[b"positions"] for marker in markers(lender)] == before
            go.looks_after()
            lender.agree()
            redis.empty()
            lender.send(cut(past(), 0.8, 1))
            go()
            asking.again()
            lender.agree()
    assert asking.odd == []
    lender.right(asking.answers)


def test_a_partition_without_records_is_published(
    spark: SparkSession, connector: str, services: Mapping[str, str], redis: Server, tmp_path: Path
) -> None:
    """They were all deleted by the topics' retention, or none was ever sent."""
    assert connector
    lender = Lender(services["HEADWATER_KAFKA"], redis.address, tmp_path, partitions=2)
    query = partial(running, spark, lender, redis, tmp_path / "spark", [], most=1_000)
    lender.send(cut(past(), 0, 0.1))
    lender.expire()
    with query() as go:
        go()
        lender.agree()
        lender.send(cut(past(), 0.1, 0.4))
        go()
        lender.agree()
    with lender.host() as host:
        lender.settle(host)
    hosts = [marker[b"whole"] for marker in markers(lender)]
    lender.expire(forget=False)
    with query() as go:
        go()
        lender.agree()
        after = [marker[b"whole"] for marker in markers(lender)]
        assert not set(after) & set(hosts), "taken over, and filled from what Spark keeps"


def test_a_driver_killed_between_a_batch_and_its_commit_publishes_equal_bits(
    spark: SparkSession, connector: str, services: Mapping[str, str], redis: Server, tmp_path: Path
) -> None:
    lender = Lender(services["HEADWATER_KAFKA"], redis.address, tmp_path)
    lender.send(past())
    checkpoint = tmp_path / "spark"
    command = [sys.executable, "-m", "tests.scale.spark.publishing", lender.cluster.brokers]
    with (
        Asking(lender, 0.02) as asking,
        subprocess.Popen(
            [*command, lender.project.name, str(redis.address), str(checkpoint), connector],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name != "PYSPARK_PYTHON"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as child,
    ):
        assert child.stdout is not None
        assert child.stdout.readline()
        assert child.wait(30) == -signal.SIGKILL
        os.killpg(child.pid, signal.SIGKILL)  # its Java, which would end by itself
        asking.again()
        told = {number: marker[b"positions"] for number, marker in enumerate(markers(lender))}
        assert sorted(path.name for path in (checkpoint / "commits").glob("[0-9]")) == ["0"]
        faults: list[Any] = []
        with running(spark, lender, redis, checkpoint, faults, most=1_000) as go:
            go()
        asking.again()
        lender.agree()
    assert faults == []
    assert asking.odd == []
    assert told != {number: marker[b"positions"] for number, marker in enumerate(markers(lender))}
    lender.right(asking.answers)


def test_a_try_that_is_thought_dead_writes_nothing_and_another_query_refuses_this_one(redis: Server) -> None:
    from headwater.scale.spark.publishing import Publisher

    project = definitions()
    to = replace(publishing(redis), parts=1)
    quick, slow = Bucket(project, Publisher(to, project)), Bucket(project, Publisher(to, project))
    halves = [records(project, *share) for share in ((0, 0.5), (0.5, 0.7), (0.7, 1))]
    first = quick.turn(halves[0], "")
    slow.turn(halves[0], first)  # another worker has the bucket next: nothing is filled anew
    second = quick.turn(halves[1], first)  # the same batch twice: Spark thinks that a worker is dead, and
    third = quick.turn(halves[2], second)  # goes on
    before = stored(redis)
    slow.turn(halves[1], first)
    assert stored(redis) == before, "it comes late, and finds the part ahead of it"
    fourth = quick.turn({}, third)
    vectors = online(redis.address, project)
    for who in range(25):
        moment = Moment(LATER)
        found = vectors.vector(small.scoring(), {"who": who}, moment, {})
        wanted = quick.state.vectors.vector(small.scoring(), {"who": who}, moment, {})
        assert found.x.tobytes() == wanted.x.tobytes()

    other = Bucket(project, Publisher(to, project))
    for half in halves:
        other.turn(half, "")
    mine, its = (json.loads(memory)["epoch"] for memory in (fourth, other.memory))
    letter = f"""
        another server owns part 0 of the online store
          expected: epoch {mine}, which is this server's
          got:      epoch {its}
          where:    {redis.address}
          do:       let one consumer group publish each project
        """
    before = stored(redis)
    with says(FencedError, letter):
        quick.turn({}, fourth)
    assert stored(redis) == before


class Bucket:
    """A bucket that a worker keeps."""

    def __init__(self, project: hw.Project, publisher: Publisher) -> None:
        self.state = Partition(project, {})
        self.memory = ""
        self._views, self._publisher = project.views, publisher

    def turn(self, some: Mapping[str, Sequence[Record]], memory: str) -> str:
        """Take records in and publish them, as whoever published before has left off."""
        moved = Moved()
        self.state.on_taken = moved.add
        for stream, each in some.items():
            self.state.take(stream, each)
        keys: dict[str, Any] = {}
        moved.take(self._views, keys)
        self.memory, fault = self._publisher.turn(0, self.state, keys, memory)
        assert fault is None
        return self.memory


def records(project: hw.Project, first: float, last: float) -> dict[str, list[Record]]:
    """What lies in the topics' only partition, from one share of it to another."""
    topics, found = Topics(project), {}
    for name, frame in past().items():
        whole = [Record(n, 0, value) for n, (_, value) in enumerate(messages(frame, topics.key(name)))]
        found[name] = whole[int(first * len(whole)) : int(last * len(whole))]
    return found


def stored(at: Server) -> dict[bytes, Any]:
    """All states in Redis, and where each part stands."""
    with at.address.client() as client:
        found = {}
        for key in client.scan_iter():
            if client.type(key) == b"hash":
                found[key] = client.hgetall(key)
                for name in (b"epoch", b"at"):
                    found[key].pop(name, None)
        return found
