"""Kafka through Spark's state and out again: the embedded engine's bits, each score once, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl
import pytest

import headwater as hw
from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.apps.online import PASSWORD
from headwater.core.errors import StoreError
from headwater.definitions.loading import load_project
from headwater.scale.kafka.cluster import Cluster, Topics, make_topics
from headwater.scale.kafka.publish import publish
from headwater.scale.kafka.turns import Turn
from tests.apps.cli.shop import payments as shop_payments
from tests.apps.cli.shop import project_text, write_csv
from tests.scale.kafka.cases import Bank, Twin, agree, committed, payments, send
from tests.scale.metered import PATIENCE, Command, beside
from tests.scale.redis.cases import address
from tests.serving import bank as small
from tools.services.process import free_port

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

AT = small.micros(400)
ROOT = Path(__file__).resolve().parents[3]


def test_spark_and_embedded_agree_to_the_bit_over_a_restart(
    spark: SparkSession, connector: str, services: Mapping[str, str], tmp_path: Path
) -> None:
    from tests.scale.spark.streaming import buckets, drain

    assert connector
    bank, frame, checkpoint = Bank(services["HEADWATER_KAFKA"], tmp_path), payments(), tmp_path / "spark"
    turns: list[Turn] = []
    bank.publish(frame[:350])
    drain(spark, bank, checkpoint, turns.append)
    when = '"time":"2026-03-01T00:00:00Z"'
    for value in (
        b"\xff\x00 not json",
        f'{{"id":9002,"who":null,{when},"amount":1.0}}'.encode(),
        f'{{"id":{frame["id"][0]},"who":7,{when},"amount":1.0}}'.encode(),
    ):
        bank.send(value, str(frame["who"][0]).encode())
    bank.publish(pl.concat([frame[350:], frame[100:140]]))  # some come twice, across the restart
    drain(spark, bank, checkpoint, turns.append)
    state = buckets(spark, bank.project, {"risk": bank.scoring}, checkpoint)
    assert state.snapshots
    agree(bank, Twin(bank, frame, tmp_path), [state], AT)
    assert len(turns) >= 4
    assert [sum(getattr(turn, name) for turn in turns) for name in ("records", "events", "duplicates")] == [
        643,
        600,
        40,
    ]
    assert sum(turn.scores for turn in turns) == len(bank.scores())
    letters = sorted(bank.letters(), key=lambda letter: int(letter["offset"]))
    assert [letter["reason"] for letter in letters] == ["not-json", "null-key", "conflict"]

    other = small.model(
        features=[hw.FeatureView("spending", small.PAYMENTS, "who", {"n": hw.count()})], derived={}
    )
    bank.project, bank.scoring = hw.Project(bank.project.name, models=[other]), small.scoring(other)
    bank.publish(frame[:1].with_columns(id=pl.lit(70_000, pl.Int64)))
    with pytest.raises(StoreError) as caught:
        drain(spark, bank, checkpoint)
    (problem,) = caught.value.problems
    assert problem.what.startswith("the state of bucket ")
    assert problem.what.endswith(" cannot be read")
    assert problem.expected == "a checkpoint of these definitions"


def test_a_driver_killed_between_a_batch_and_its_commit_tells_nothing_twice(
    spark: SparkSession, connector: str, services: Mapping[str, str], tmp_path: Path
) -> None:
    from tests.scale.spark.streaming import PACE, buckets, drain

    bank, frame, checkpoint = Bank(services["HEADWATER_KAFKA"], tmp_path), payments(), tmp_path / "spark"
    bank.publish(frame)
    command = [sys.executable, "-m", "tests.scale.spark.streaming", bank.cluster.brokers, bank.project.name]
    bare = {name: value for name, value in os.environ.items() if name != "PYSPARK_PYTHON"}
    with subprocess.Popen(
        [*command, str(checkpoint), connector],
        cwd=ROOT,
        env=bare,  # the workers' Python is ours without being told
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        records, scores = map(int, child.stdout.readline().split())
        assert child.wait(30) == -signal.SIGKILL
        os.killpg(child.pid, signal.SIGKILL)  # its Java, which would end by itself
    before = bank.scores()
    assert len(before) == scores > 0, "what the batch told can be read already"
    assert sorted(path.name for path in (checkpoint / "commits").glob("[0-9]")) == ["0"]
    assert sorted(path.name for path in (checkpoint / "offsets").glob("[0-9]")) == ["0", "1"]
    turns: list[Turn] = []
    drain(spark, bank, checkpoint, turns.append)
    assert turns[0].records == records <= PACE.most, "the batch was done again"
    after = bank.scores()
    assert len(before) < len(after)
    state = buckets(spark, bank.project, {"risk": bank.scoring}, checkpoint)
    assert state.snapshots
    agree(bank, Twin(bank, frame, tmp_path), [state], AT)


@pytest.mark.usefixtures("connector")
def test_the_command_keeps_a_registered_model_fresh(
    spark: SparkSession,
    services: Mapping[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"shop{uuid4().hex[:8]}"
    monkeypatch.chdir(tmp_path)
    Path("project.py").write_text(project_text().replace('"shop"', f'"{name}"'), encoding="utf-8")
    frame = shop_payments(customers=10)
    write_csv(frame, Path("payments.csv"))
    assert run(cli, ["import", "payments.csv"]) == 0
    assert run(cli, ["train", "--bootstrap", "0"]) == 0
    project = load_project(Path("project.py"))
    brokers = services["HEADWATER_KAFKA"]
    topics, publishes = (
        Topics(project),
        partial(publish, Cluster(brokers), Topics(project), project.streams[0]),
    )
    make_topics(Cluster(brokers), topics, partitions=2)
    publishes(frame[:200])
    publishes(frame[:5])  # again
    capfd.readouterr()
    at = address(services)
    password = at.password.reveal() if at.password else ""
    monkeypatch.setenv(PASSWORD, password)
    spark.sparkContext.environment[PASSWORD] = password  # as spark.executorEnv sets it
    on_spark = ["stream", "--on", "spark", "--kafka", brokers, "--json"]
    scores: list[float] = []

    def looked_at(one: Command) -> None:
        scores.append(ready_and_counted(one))
        publishes(frame[200:])
        send(brokers, topics.of("payments"), b"not json")
        scores.append(kept_up_and_counted(one))

    port = free_port()
    with beside(port, looked_at):
        assert run(cli, [*on_spark, "--metrics", str(port)]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told == {"records": 306, "events": 300, "duplicates": 5, "refused": 1, "scores": scores[1]}
    assert scores[0] == 10  # customers, in one batch
    assert told["scores"] == len(committed(brokers, topics.scores, 2))
    command = [*on_spark, "--until-idle", "2"]
    assert run(cli, [*command, "--online", str(at)]) == 0  # goes on where it was, and publishes it
    assert json.loads(capfd.readouterr().out) == dict.fromkeys(told, 0)
    with at.client() as client:
        markers = [client.hgetall(f"hw:{{{name}}}:owner:{number}") for number in range(2)]
    stood = [json.loads(marker[b"positions"])["payments"] for marker in markers]
    assert all(marker[b"whole"] for marker in markers)
    assert sum(stood) == 306
    assert run(cli, command) == 0  # a checkpoint that was published from goes on without it


def ready_and_counted(one: Command) -> float:
    """Of 200 events, of which 5 came twice; how many scores it tells of."""
    status, text = one.ask("/readyz")
    assert (status, json.loads(text)["problems"][0]["got"]) == (503, "no batch has ended yet")
    one.until(lambda: one.ask("/readyz")[0] == 200)
    assert one.ask("/readyz")[1] == '{"status":"ready","partitions":2}'
    assert one.sample("stream_records_total", stream="payments") == 205
    assert one.sample("stream_events_total", stream="payments", outcome="accepted") == 200
    assert one.sample("stream_events_total", stream="payments", outcome="duplicate") == 5
    assert one.sample("stream_dead_letters_total") == -1
    assert one.sample("stream_batch_seconds_count") == one.sample("stream_turn_records_count") == 1
    return one.sample("stream_scores_total", stream="payments")


def kept_up_and_counted(one: Command) -> float:
    """Of 100 events more, and of one record that holds none; how many scores it tells of."""
    one.until(lambda: one.sample("stream_records_total", stream="payments") == 306)
    batches = one.sample("stream_turn_records_count")
    one.until(lambda: one.sample("stream_batch_seconds_count") == batches)  # asked for after a batch
    assert batches >= 2
    assert one.sample("stream_turn_records_sum") == 306
    assert one.sample("stream_events_total", stream="payments", outcome="accepted") == 300
    assert one.sample("stream_events_total", stream="payments", outcome="duplicate") == 5
    assert one.sample("stream_dead_letters_total", stream="payments", reason="not-json") == 1
    assert [one.sample("stream_lag_records", stream="payments", partition=part) for part in "01"] == [0, 0]
    assert one.sample("stream_partitions") == 2
    assert one.sample("stream_state_rows") > 0
    assert one.sample("stream_state_bytes") > 0
    assert 0 < one.sample("stream_batch_seconds_sum") < PATIENCE * batches
    assert abs(one.sample("stream_commit_timestamp_seconds") - time.time()) < PATIENCE
    assert one.sample("stream_ready") == 1
    assert one.sample("stream_turn_age_seconds") < PATIENCE
    assert one.sample("faults_total") == -1
    assert one.ask("/readyz") == (200, '{"status":"ready","partitions":2}')
    assert one.ask("/livez") == (200, '{"status":"ok"}')
    return one.sample("stream_scores_total", stream="payments")


def test_the_jars_of_the_connector_are_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from headwater.scale.spark.stream import CONNECTOR

    (tmp_path / "project.py").write_text(project_text(), encoding="utf-8")
    (tmp_path / "none").mkdir()
    at = ["--project", str(tmp_path)]
    capfd.readouterr()
    on_it = ["stream", "--on", "spark", "--kafka", "127.0.0.1:1"]
    code = run(cli, [*on_it, "--jars", f"{tmp_path}/none", *at])
    assert (code, capfd.readouterr().err) == (
        4,
        (
            "there are no jars of Spark's Kafka connector\n"
            "  expected: spark-sql-kafka-0-10, spark-token-provider-kafka-0-10, kafka-clients, "
            "commons-pool2\n"
            "  got:      no file that ends in .jar\n"
            f"  where:    {tmp_path}/none\n"
            f"  do:       put {CONNECTOR} and what it needs there, or leave --jars out\n"
        ),
    )
