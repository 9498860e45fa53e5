"""A plain producer: records out, each by itself, and nothing of it left when the block is.

Called by ``publish`` and ``copying`` for events, and by ``spark.calling``; the transactional one is in
``producer``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from confluent_kafka import KafkaException, Producer

from headwater.scale.kafka.cluster import Cluster


@contextmanager
def producing(cluster: Cluster, **settings: Any) -> Iterator[Producer]:
    """A producer for as long as the block lasts; what the brokers have not taken by then is let go of.

    Args:
        cluster: where.
        settings: of the client, by librdkafka's names with ``_`` for ``.``.

    Example:
        >>> with producing(cluster, linger_ms=5) as producer:  # doctest: +SKIP
        ...     producer.produce("lender.payments", b"{}", b"7")
        ...     assert not producer.flush(60)
    """
    producer = Producer(cluster.settings(**settings))
    try:
        yield producer
    finally:
        forget(producer)


def offer(producer: Producer, topic: str, value: bytes, key: bytes, **more: Any) -> None:
    """Have a record sent; waits where the brokers are slower than we are."""
    while True:
        try:
            producer.produce(topic, value, key, **more)
        except BufferError:
            producer.poll(0.1)
        else:
            return


def forget(producer: Producer) -> None:
    """Drop what the brokers have not taken; otherwise the client tells of it on the screen when it ends."""
    producer.purge()
    for _ in range(100):  # it counts until it was told of; at once, as a rule
        if not len(producer):
            return
        with suppress(KafkaException):  # again that this client is fenced
            producer.poll(0.01)
