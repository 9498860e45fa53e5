"""The commands: `stream --online` publishes, a replica decides, `replay --kafka` makes it again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.apps.cli.models import registry_of
from headwater.apps.cli.replay_from_kafka import from_kafka
from headwater.apps.cli.workplace import Workplace
from headwater.apps.http.parts import Part
from headwater.apps.http.shelf import Shelf, scorings
from headwater.apps.online import Online
from headwater.apps.settings import Settings
from headwater.core.errors import LogError
from headwater.scale.kafka.cluster import Cluster, Topics, make_topics
from headwater.scale.kafka.past import rested_on
from headwater.scale.kafka.publish import publish
from headwater.scale.redis.parts import part_of
from headwater.serving.replica import Replica
from headwater.store.folder import DataFolder
from tests.apps.cli.shop import payments, project_text, write_csv
from tests.letters import says
from tests.scale.redis.cases import address
from tests.scale.redis.lender import micros


def test_decisions_from_kafka_are_made_again_from_its_topics(
    services: Mapping[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(*command: str, code: int = 0) -> Any:
        capfd.readouterr()
        assert run(cli, [*command, *(["--json"] if not code else [])]) == code
        found = capfd.readouterr()
        return json.loads(found.out) if not code else found.err

    brokers, redis, name = services["HEADWATER_KAFKA"], address(services), f"shop{uuid4().hex[:8]}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADWATER_ONLINE_PASSWORD", "" if redis.password is None else redis.password.reveal())
    Path("project.py").write_text(project_text().replace('"shop"', f'"{name}"'), encoding="utf-8")
    frame = payments(customers=10)
    write_csv(frame, Path("payments.csv"))
    told("import", "payments.csv")
    told("train", "--bootstrap", "0")
    work = Workplace(Settings.read(project=None, data=None))
    project, cluster = work.project, Cluster(brokers)
    topics = Topics(project)
    make_topics(cluster, topics, partitions=2)
    publish(cluster, topics, project.streams[0], frame[:200])
    command = ["stream", "--kafka", brokers, "--online", str(redis), "--until-idle", "1"]
    counts = told(*command)
    assert (counts["events"], counts["fillings"]) == (200, 2)
    assert counts["states"] >= counts["publications"] >= 0

    vectors, _ = Online(Part.DECIDE, redis).reading()
    served = scorings(Shelf(registry_of(work), project).champions())
    with Replica.open(
        project,
        DataFolder(tmp_path / "replica"),
        served,
        vectors,
        clock=micros,
        stopwatch=time.perf_counter_ns,
    ) as replica:
        first = [replica.decide("risk_policy", {"who": who}) for who in (3, 4, 99)]
        publish(cluster, topics, project.streams[0], frame[200:])
        publish(cluster, topics, project.streams[0], frame[:5])  # again, which changes nothing
        producer = Producer({"bootstrap.servers": brokers})
        producer.produce(topics.of("payments"), b"[]", b"3", part_of(3, 2))  # nor does what is none
        assert producer.flush(10) == 0
        told(*command)
        later = [replica.decide("risk_policy", {"who": who}) for who in (3, 4, 99)]
    ids = [record.id for record in (*first, *later)]
    again = ["replay", "--records", "replica", "--kafka", brokers]
    found = told(*again, *ids)
    assert found["same"] == len(ids)
    seen = {3: frame[:200]["who"].to_list().count(3), 4: frame[:200]["who"].to_list().count(4), 99: 0}
    assert [one["events"] for one in found["replayed"]][:3] == list(seen.values())
    for record, one in zip((*first, *later), found["replayed"], strict=True):
        assert one["places"] == dict(record.decision.places)
        assert one["offset"] == record.decision.offset
    other = told(*again, "--last", "1", "--with", "policy=risk_policy")
    assert other["replayed"][0]["decision"] == ids[-1]

    (place, last) = next(iter(first[0].decision.places.items()))
    assert told("replay", "--records", "replica", ids[0], code=4) == (
        "the decision rests on Kafka's topics\n"
        "  expected: one that rests on the embedded log\n"
        f"  got:      {place} up to {last:,}\n"
        "  where:    risk\n"
        "  do:       make it again from there: headwater replay ID --kafka BROKERS\n"
    )
    with says(
        LogError,
        f"""
        Kafka does not hold what the decision rested on
          expected: 1,000,001 records in {name}.payments, partition {place[-1]}
          got:      {_held(cluster, topics, int(place[-1]))} records
          where:    {brokers}
          do:       name the brokers and the project that the decision was made with
        """,
    ):
        rested_on(cluster, project, [replace(first[0].decision, places={place: 1_000_000})])
    with says(
        LogError,
        f"""
        Kafka does not hold what the decision rested on
          expected: a topic {name}.visits
          got:      a project without the stream
          where:    {brokers}
          do:       name the brokers and the project that the decision was made with
        """,
    ):
        rested_on(cluster, project, [replace(first[0].decision, places={"visits/0": 1})])
    with says(
        LogError,
        """
        the decision d1 rests on the embedded log
          expected: one that rests on Kafka's topics
          got:      no places in its record
          where:    risk
          do:       leave --kafka out
        """,
    ):
        from_kafka(work, brokers, [replace(first[0], decision=replace(first[0].decision, places={}))], _never)

    admin = AdminClient(cluster.settings())
    gone = [
        TopicPartition(topics.of("payments"), number, _held(cluster, topics, number)) for number in (0, 1)
    ]
    for done in admin.delete_records(gone).values():
        done.result(20)
    assert told(*again, ids[0], code=5) == (
        f"the decision {ids[0]} cannot be made again\n"
        "  expected: topics with all their records\n"
        "  got:      their first ones are gone\n"
        f"  where:    {name}.payments\n"
        "  do:       keep events as long as decisions are to be proven (`retention.ms`)\n"
    )


def _never(*_: Any) -> Any:
    raise AssertionError


def _held(cluster: Cluster, topics: Topics, number: int) -> int:
    consumer = Consumer(cluster.settings(group_id="none"))
    _, high = consumer.get_watermark_offsets(TopicPartition(topics.of("payments"), number), 10)
    consumer.close()
    return int(high)
