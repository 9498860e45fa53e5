"""What Spark publishes to Redis: the embedded engine's bits, whatever dies, is emptied, or takes over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from headwater.apps.online import PASSWORD, address
from headwater.core.errors import OnlineError
from tests.scale.redis import server as redis_server
from tests.scale.redis.lender import Asking, Lender, cut, markers, past
from tests.scale.redis.server import Server, server
from tests.serving import bank as small

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headwater.scale.spark.publishing import Publishing

pytestmark = pytest.mark.spark
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A Redis whose password is in the environment, where everybody who publishes looks for it."""
    monkeypatch.setenv(PASSWORD, redis_server.PASSWORD)
    with server() as made:
        yield made


def publishing(at: Server) -> Publishing:
    """As the command sends it to the workers."""
    from headwater.core.clock import SystemClock
    from headwater.scale.spark.publishing import Publishing

    return Publishing(partial(address, str(at.address)), SystemClock().now, time.perf_counter_ns, 3)


def drain(spark: SparkSession, lender: Lender, at: Server, checkpoint: Path, faults: list[Any]) -> None:
    """Run the query until it has read the topics to their ends."""
    from headwater.scale.spark.stream import start
    from tests.scale.spark.streaming import PACE, end

    spark.sparkContext.environment[PASSWORD] = redis_server.PASSWORD  # as spark.executorEnv sets it
    query = start(
        spark,
        lender.cluster,
        lender.project,
        {"risk": small.scoring()},
        group=lender.project.name,
        checkpoint=str(checkpoint),
        pace=PACE,
        online=publishing(at),
        on_fault=lambda where, error: faults.append((where, error)),
    )
    end(query)


def test_a_replica_reads_what_spark_keeps_while_redis_is_emptied_and_stops(
    spark: SparkSession, connector: str, services: Mapping[str, str], redis: Server, tmp_path: Path
) -> None:
    assert connector
    lender = Lender(services["HEADWATER_KAFKA"], redis.address, tmp_path)
    faults: list[Any] = []
    go = partial(drain, spark, lender, redis, tmp_path / "spark", faults)
    with Asking(lender) as asking:
        lender.send(cut(past(), 0, 0.4))
        go()
        lender.agree()
        whole = [marker[b"whole"] for marker in markers(lender)]
        lender.send(cut(past(), 0.4, 0.6))
        go()
        lender.agree()
        assert [marker[b"whole"] for marker in markers(lender)] == whole, "what moved, and not all anew"
        redis.empty()
        lender.send(cut(past(), 0.6, 0.8))
        go()
        lender.agree()
        assert faults == []
        redis.stop()
        lender.send(cut(past(), 0.8, 0.9))
        go()
        assert {(where, type(error)) for where, error in faults} == {("online", OnlineError)}
        redis.start()
        lender.send(cut(past(), 0.9, 1))
        go()
        asking.again()
        lender.agree()
    assert asking.odd == []
    lender.right(asking.answers)


def test_a_driver_killed_between_a_batch_and_its_commit_publishes_equal_bits(
    spark: SparkSession, connector: str, services: Mapping[str, str], redis: Server, tmp_path: Path
) -> None:
    lender = Lender(services["HEADWATER_KAFKA"], redis.address, tmp_path)
    lender.send(past())
    checkpoint = tmp_path / "spark"
    command = [sys.executable, "-m", "tests.scale.spark.publishing", lender.cluster.brokers]
    with (
        Asking(lender) as asking,
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
        drain(spark, lender, redis, checkpoint, faults)
        asking.again()
        lender.agree()
    assert faults == []
    assert asking.odd == []
    assert told != {number: marker[b"positions"] for number, marker in enumerate(markers(lender))}
    lender.right(asking.answers)
