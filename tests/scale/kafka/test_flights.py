"""Transactions in flight: what lies behind one that did not come through is never seen, nor its offsets.

::

    first   ├ records ┤ offsets ┤ fails
    second     ├ records ┤                 ready, and its producer well: undone all the same
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from headwater.core.errors import LogError
from headwater.scale.kafka.flights import FLYING, Flights, GroundedError
from headwater.scale.kafka.host import Hooks
from tests.scale.kafka.cases import Bank, Twin, agree, payments, run
from tests.scale.kafka.test_faults import ended
from tests.serving import bank as small

AT = small.micros(400)


class Trip:
    """Transactions of one letter each, with the offsets of a group of nobody."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.group = f"{bank.project.name}-flights"
        self.flights = Flights(bank.cluster, self.group)
        self.landed: list[int] = []
        self._consumer = Consumer({"bootstrap.servers": bank.cluster.brokers, "group.id": self.group})

    def begin(self, number: int) -> None:
        self.flights.begin().send(self.bank.topics.dead_letters, [(b"k", b"%d" % number)])

    def depart(self, number: int) -> None:
        ends = {(self.bank.topics.of("payments"), 0): number}
        group = self._consumer.consumer_group_metadata()
        self.flights.depart(ends, group, "", lambda: self.landed.append(number))

    def told(self) -> list[int]:
        """What can be seen of them."""
        letters: list[Any] = self.bank.letters()
        return sorted(letters)

    @property
    def committed(self) -> int:
        (found,) = self._consumer.committed([TopicPartition(self.bank.topics.of("payments"), 0)], 30)
        return int(found.offset)

    def fence(self, which: int) -> None:
        """Another client takes one of the transactional ids; the others are left alone."""
        name = self.group if which == 0 else f"{self.group}-{which}"
        settings = {"bootstrap.servers": self.bank.cluster.brokers, "transactional.id": name}
        Producer(settings).init_transactions(30)

    def close(self) -> None:
        self.flights.close()
        self._consumer.close()


@pytest.fixture
def trip(services: Mapping[str, str], tmp_path: Path) -> Iterator[Trip]:
    made = Trip(Bank(services["HEADWATER_KAFKA"], tmp_path))
    yield made
    made.close()


def test_they_come_through_in_their_order(trip: Trip) -> None:
    for number in range(1, 41):
        trip.flights.land()
        trip.begin(number)
        trip.depart(number)
        assert len(trip.flights) <= FLYING + 1
    trip.flights.land(0)
    assert trip.landed == list(range(1, 41))
    assert trip.committed == 40
    assert trip.told() == list(range(1, 41))


def test_what_is_behind_one_that_failed_is_undone(trip: Trip) -> None:
    trip.begin(1)
    trip.depart(1)
    trip.flights.land(0)
    trip.begin(2)
    trip.fence(2)  # its producer; the third's is well
    trip.depart(2)
    trip.begin(3)
    trip.depart(3)
    with pytest.raises(KafkaException) as raised:
        trip.flights.land(0)
    assert raised.value.args[0].fatal()
    last = trip.flights.last
    assert last is not None
    assert isinstance(last.exception(), GroundedError)
    _, third = trip.flights.left()
    third.undo()
    assert trip.landed == [1]
    assert trip.committed == 1
    assert trip.told() == [1]
    assert len(trip.flights) == 0


def test_a_host_of_which_one_producer_is_fenced_ends_and_leaves_nothing_half(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    """Its other producers are well, and have later turns in hand."""
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments(400)
    turns = iter(range(1_000))

    def effect(*_: Any) -> None:
        turn = next(turns)
        if turn < 200:  # the next turn has something to do
            bank.publish(frame[40 + turn : 41 + turn])
        if turn == 12:
            settings = {
                "bootstrap.servers": bank.cluster.brokers,
                "transactional.id": f"{bank.project.name}-a-2",
            }
            Producer(settings).init_transactions(30)

    bank.publish(frame[:40])
    with bank.host(hooks=Hooks(on_effect=effect)) as host, pytest.raises(LogError) as raised:
        run([host], lambda: False)
    assert raised.value.problems[0].what == "Kafka does not answer as it should"
    done = sum(bank.ends().values())
    assert done < 240
    bank.publish(frame[done:])
    with bank.host() as host:
        run([host], lambda: len(host.partitions) == 4 and ended(host, bank))
        agree(bank, Twin(bank, frame, tmp_path), [host], AT)
