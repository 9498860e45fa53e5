"""Producers: what no broker took is known and dropped, and neither taken for sent nor told on the screen."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer

import headwater as hw
from headwater.core.errors import LogError
from headwater.scale.kafka import publish as publishing
from headwater.scale.kafka.cluster import Cluster, Topics
from headwater.scale.kafka.producer import Teller
from headwater.scale.kafka.sending import Sending
from tests.scale.kafka.cases import Bank, payments
from tests.serving import bank

COMPLAINT = "|TERMINATE|"  # so librdkafka says it
AWAY = Cluster("127.0.0.1:1")
KEYS = [b"%d" % number for number in range(20)]


def test_a_transaction_that_was_fenced_is_let_go_of(
    services: Mapping[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own = Bank(services["HEADWATER_KAFKA"], tmp_path)
    name = f"{own.project.name}-told"
    teller = Teller(own.cluster, name)
    teller.begin()
    Producer({"bootstrap.servers": own.cluster.brokers, "transactional.id": name}).init_transactions(30)
    teller.send(own.topics.dead_letters, [(b"k", key) for key in KEYS])
    group = Consumer({"bootstrap.servers": own.cluster.brokers, "group.id": name})
    ends = {(own.topics.of("payments"), 0): 20}
    with pytest.raises(KafkaException):
        teller.commit(ends, group.consumer_group_metadata())
    group.close()
    teller.close()
    gone = weakref.ref(teller)
    del teller
    gc.collect()
    assert gone() is None
    assert COMPLAINT not in capfd.readouterr().err
    assert own.letters() == []


def test_all_that_is_taken_is_taken(services: Mapping[str, str], tmp_path: Path) -> None:
    own = Bank(services["HEADWATER_KAFKA"], tmp_path)
    with Sending(own.cluster) as records:
        for key in KEYS:
            records.offer(own.topics.dead_letters, b"{}", key)
        assert records.end(30) == []
    assert records.why == ""
    assert len(own.letters()) == 20


def test_what_the_brokers_refuse_is_not_taken_for_sent(services: Mapping[str, str], tmp_path: Path) -> None:
    """The client has nothing left to send then: it says that all is done."""
    own = Bank(services["HEADWATER_KAFKA"], tmp_path)
    with Sending(own.cluster, message_max_bytes=4_000_000) as records:
        records.offer(own.topics.dead_letters, b"x" * 3_000_000, b"large")
        records.offer(own.topics.dead_letters, b"{}", b"small")
        assert records.end(30) == [b"large"]
    assert "too large" in records.why
    assert len(own.letters()) == 1


def test_what_expires_is_not_taken_for_sent() -> None:
    with Sending(AWAY, message_timeout_ms=300) as records:
        for key in KEYS:
            records.offer("t", b"{}", key)
        assert sorted(records.end(10), key=int) == KEYS
    assert records.why == "Local: Message timed out"


def test_events_that_no_broker_takes_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_PATIENCE", 0.2)
    project = hw.Project("away", models=[bank.model(features=[bank.SPENDING], derived={})])
    frame = payments(8)
    with pytest.raises(LogError) as raised:
        publishing.publish(AWAY, Topics(project), bank.PAYMENTS, frame)
    (problem,) = raised.value.problems
    assert problem.what == "not all events were taken"
    assert problem.got == f"{len(frame)} that were not: no answer in 0.2 s"


def in_order() -> None:
    """Out of the block at its end."""


def by_ctrl_c() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("leave", [in_order, by_ctrl_c])
def test_what_no_broker_takes_is_let_go_of(
    leave: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    with suppress(KeyboardInterrupt), Sending(AWAY) as records:
        for key in KEYS:
            records.offer("t", b"{}", key)
        leave()
    assert sorted(records.end(0), key=int) == KEYS
    assert records.why == ""
    gone = weakref.ref(records)
    del records
    gc.collect()
    assert gone() is None
    assert COMPLAINT not in capfd.readouterr().err
