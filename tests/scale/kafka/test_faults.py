"""What goes wrong on the way, and that nothing is lost, counted twice, or other in a single bit."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from headwater.core.errors import LogError
from headwater.scale.kafka.copying import copy_events
from headwater.scale.kafka.host import Hooks
from tests.scale.kafka.cases import Bank, Counted, Twin, agree, payments, run
from tests.serving import bank as small
from tools.services.kafka import Kafka

AT = small.micros(400)
ROOT = Path(__file__).resolve().parents[3]


def test_a_host_that_is_killed_in_the_middle_leaves_nothing_half(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments()
    bank.publish(frame[:300])
    command = [sys.executable, "-m", "tests.scale.kafka.hosting"]
    command += [bank.cluster.brokers, bank.project.name, str(tmp_path / "snapshots")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"effect\n"  # state is changed, a transaction is open
        child.kill()
    bank.publish(frame[300:])
    with bank.host() as host:
        run([host], lambda: len(host.partitions) == 4 and ended(host, bank))
        agree(bank, Twin(bank, frame, tmp_path), [host], AT)


class _PowerCutError(Exception):
    """The end, between the state and the commit."""


def test_what_was_not_committed_is_told_again_and_once(services: Mapping[str, str], tmp_path: Path) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments()
    bank.publish(frame)

    def cut(*_: Any) -> None:
        raise _PowerCutError

    broken = bank.host(hooks=Hooks(on_effect=cut))
    with pytest.raises(_PowerCutError):
        run([broken], lambda: False)
    with bank.host() as host:  # of the same name: the broker closes what the other left open
        broken.close()  # leaves the group; its state is ahead of the group, so it is not kept
        run([host], lambda: ended(host, bank))
        agree(bank, Twin(bank, frame, tmp_path), [host], AT)


def test_poison_goes_to_the_dead_letters_and_the_rest_goes_on(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments(60)
    bank.publish(frame)
    when = '"time":"2026-03-01T00:00:00Z"'
    for value in (
        b"\xff\x00 not json",
        b"[1, 2]",
        b'{"id":9001,"who":7,"time":"yesterday","amount":1.0}',
        f'{{"id":9002,"who":null,{when},"amount":1.0}}'.encode(),
        f'{{"id":{frame["id"][0]},"who":7,{when},"amount":1.0}}'.encode(),
        b"",
    ):
        bank.send(value, str(frame["who"][0]).encode())
    counted = Counted()
    with bank.host(hooks=counted.hooks) as host:
        run([host], lambda: counted.seen == 66)
        agree(bank, Twin(bank, frame, tmp_path), [host], AT)
    letters = sorted(bank.letters(), key=lambda letter: int(letter["offset"]))
    assert [(letter["reason"], letter["message"]) for letter in letters] == [
        ("not-json", "the record's value is not JSON"),
        ("not-an-event", "an event is an object with columns, not a list"),
        ("wrong-type", "time has another type: 'yesterday'"),
        ("null-key", "who is missing"),
        ("conflict", "id was taken in before with other content"),
        ("not-json", "the record's value is not JSON"),
    ]
    assert letters[1]["event"] == '"a list"'
    assert letters[1]["stream"] == "payments"


def test_a_rebalance_moves_state_with_its_partition(services: Mapping[str, str], tmp_path: Path) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments()
    bank.publish(frame[:200])
    one = bank.host("a")
    run([one], lambda: ended(one, bank))
    assert len(one.partitions) == 4
    two = bank.host("b")
    bank.publish(frame[200:400])  # under load
    run([one, two], lambda: len(two.partitions) == 2 and ended(one, bank) and ended(two, bank))
    assert sorted([*one.partitions, *two.partitions]) == [0, 1, 2, 3]
    one.close()
    bank.publish(frame[400:])
    run([two], lambda: len(two.partitions) == 4 and ended(two, bank))
    agree(bank, Twin(bank, frame, tmp_path), [two], AT)
    two.close()


def test_a_host_that_hangs_is_replaced_and_tells_nothing_when_it_wakes(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments(300)
    bank.publish(frame)
    command = [sys.executable, "-m", "tests.scale.kafka.hosting"]
    command += [bank.cluster.brokers, bank.project.name, str(tmp_path / "snapshots"), "hang"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"effect\n"  # state is changed, a transaction is open, and it hangs
        try:
            with bank.host("b") as host:
                run([host], lambda: len(host.partitions) == 4 and ended(host, bank))  # two owners
                child.send_signal(signal.SIGCONT)
                while child.stdout.readline() != b"fault commit\n":  # the brokers know the older one
                    assert child.poll() is None
                child.kill()
                agree(bank, Twin(bank, frame, tmp_path), [host], AT)
        finally:
            child.kill()


def test_of_two_hosts_of_one_name_the_older_is_fenced(services: Mapping[str, str], tmp_path: Path) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments(300)
    older = bank.host("a")
    run([older], lambda: len(older.partitions) == 4)
    bank.publish(frame)
    newer = bank.host("a")
    with pytest.raises(LogError) as raised:
        run([older], lambda: False)
    assert raised.value.problems[0].what == "Kafka does not answer as it should"
    older.close()
    run([newer], lambda: len(newer.partitions) == 4 and ended(newer, bank))
    agree(bank, Twin(bank, frame, tmp_path), [newer], AT)
    newer.close()


def test_a_broker_that_is_killed_and_comes_back_loses_nothing(
    broker: Kafka, brokers: str, tmp_path: Path
) -> None:
    """Killed between the state and the commit; started again meanwhile."""
    bank = Bank(brokers, tmp_path)
    frame = payments(400)
    bank.publish(frame[:200])
    times = iter([True])

    def cut(*_: Any) -> None:
        if next(times, False):
            broker.process.kill()
            broker.start(int(brokers.rpartition(":")[2]))

    with bank.host(hooks=Hooks(on_effect=cut)) as host:
        run([host], lambda: len(host.partitions) == 4 and ended(host, bank))
        bank.publish(frame[200:])
        run([host], lambda: ended(host, bank))
        agree(bank, Twin(bank, frame, tmp_path), [host], AT)


def test_a_changed_number_of_partitions_is_refused(services: Mapping[str, str], tmp_path: Path) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments(60)
    bank.publish(frame)
    with bank.host() as host:
        run([host], lambda: len(host.partitions) == 4 and ended(host, bank))
    admin = AdminClient({"bootstrap.servers": bank.cluster.brokers})
    topic = bank.topics.of("payments")
    admin.create_partitions([NewPartitions(topic, 6)])[topic].result()
    told = bank.scores()
    with bank.host() as host, pytest.raises(LogError) as raised:
        run([host], lambda: False)
    assert str(raised.value) == (
        "the number of partitions of the project's topics was changed\n"
        "  expected: 4 partitions, over which its events are keyed\n"
        "  got:      6: an entity's new events lie apart from its history\n"
        f"  where:    {topic}\n"
        "  do:       copy the events to topics of the new number under another project name (`copy_events`)"
    )
    assert bank.scores() == told


def test_events_over_another_number_of_partitions_are_brought_together_again(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    """Half before the number was changed, half behind it, so that entities lie in two places."""
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments(400)
    bank.publish(frame[:200])
    topic = bank.topics.of("payments")
    admin = AdminClient({"bootstrap.servers": bank.cluster.brokers})
    admin.create_partitions([NewPartitions(topic, 6)])[topic].result()
    bank.publish(frame[200:])
    moved = Bank(bank.cluster.brokers, tmp_path / "moved", partitions=6)
    assert copy_events(bank.cluster, bank.topics, moved.topics, 6) == {"payments": len(frame)}
    with moved.host() as host:
        run([host], lambda: len(host.partitions) == 6 and ended(host, moved))
        agree(moved, Twin(moved, frame, tmp_path), [host], AT)
    with pytest.raises(LogError) as raised:
        copy_events(bank.cluster, bank.topics, moved.topics, 6)
    assert str(raised.value) == (
        "the topic to copy to holds events already\n"
        "  expected: an empty topic\n"
        "  got:      400 records\n"
        f"  where:    {moved.topics.of('payments')}\n"
        "  do:       copy to topics under a new project name, from the start"
    )


def ended(host: Any, bank: Bank) -> bool:
    """Whether a host has read its partitions to their ends, and told all of it."""
    if not host.partitions or host.in_flight:
        return False
    ends = bank.ends()  # asks the brokers
    return all(
        partition.positions["payments"] >= ends[number] for number, partition in host.partitions.items()
    )
