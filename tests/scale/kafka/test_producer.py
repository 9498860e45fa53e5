"""Producers leave nothing behind: a client that ends with records would tell of them on the user's screen."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer

from headwater.scale.kafka.cluster import Cluster
from headwater.scale.kafka.producer import Teller
from headwater.scale.kafka.sending import offer, producing
from tests.scale.kafka.cases import Bank

COMPLAINT = "|TERMINATE|"  # so librdkafka says it


def test_a_transaction_that_was_fenced_is_let_go_of(
    services: Mapping[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    name = f"{bank.project.name}-told"
    teller = Teller(bank.cluster, name)
    teller.begin()
    Producer({"bootstrap.servers": bank.cluster.brokers, "transactional.id": name}).init_transactions(30)
    teller.send(bank.topics.dead_letters, [(b"k", b"%d" % number) for number in range(20)])
    group = Consumer({"bootstrap.servers": bank.cluster.brokers, "group.id": name})
    ends = {(bank.topics.of("payments"), 0): 20}
    with pytest.raises(KafkaException):
        teller.commit(ends, group.consumer_group_metadata())
    group.close()
    teller.close()
    del teller
    gc.collect()
    assert COMPLAINT not in capfd.readouterr().err
    assert bank.letters() == []


def in_order() -> None:
    """Out of the block at its end."""


def by_ctrl_c() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("leave", [in_order, by_ctrl_c])
def test_what_no_broker_takes_is_let_go_of(
    leave: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    missed: list[bytes] = []
    with suppress(KeyboardInterrupt), producing(Cluster("127.0.0.1:1")) as producer:
        for number in range(20):
            offer(producer, "t", b"{}", b"%d" % number, on_delivery=lambda _, sent: missed.append(sent.key()))
        assert producer.flush(0.1) == 20
        leave()
    assert sorted(missed, key=int) == [b"%d" % number for number in range(20)]
    del producer
    gc.collect()
    assert COMPLAINT not in capfd.readouterr().err
