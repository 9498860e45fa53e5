"""A plain producer: records out, each by itself, and what the brokers did not take of them.

A client counts a record that it gave up (no right to write there, too large, expired) as done, just as one
that was written. So what was refused is kept here, and nobody who sends takes it for sent. Called by
``publish`` and ``copying`` for events, and by ``spark.calling``; ``producer`` has the transactional one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from headwater.scale.kafka.cluster import Cluster, told

_PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001 - the library's own names
_ROOM = 0.1  # seconds, for the client's queue to have room again


class Sending:
    """Records on their way; made by :func:`sending`.

    Attributes:
        why: what the brokers, or the client, said of the first record that was refused; empty without one.
    """

    def __init__(self, cluster: Cluster, settings: dict[str, Any]) -> None:
        self.why = ""
        self._missed: list[bytes] = []
        reports = {"on_delivery": self._reported, "delivery_report_only_error": True}
        self._producer = Producer(cluster.settings(**settings, **reports))

    def offer(self, topic: str, value: bytes, key: bytes, **more: Any) -> None:
        """Have a record sent; waits where the brokers are slower than we are.

        Raises:
            KafkaException: the client cannot take it.
        """
        while True:
            try:
                self._producer.produce(topic, value, key, **more)
            except BufferError:
                self._producer.poll(_ROOM)
            else:
                return

    def end(self, seconds: float) -> list[bytes]:
        """Wait until the brokers have all; the keys of the records that they have not, which are dropped."""
        self._producer.flush(seconds)
        forget(self._producer)
        return self._missed

    def _reported(self, error: KafkaError, message: Any) -> None:
        self._missed.append(message.key())
        if not self.why and error.code() not in _PURGED:
            self.why = told(error)


@contextmanager
def sending(cluster: Cluster, **settings: Any) -> Iterator[Sending]:
    """A way to send records, for as long as the block lasts; what has not gone by then is dropped.

    Args:
        cluster: where.
        settings: of the client, by librdkafka's names with ``_`` for ``.``.

    Example:
        >>> with sending(cluster, linger_ms=5) as records:  # doctest: +SKIP
        ...     records.offer("lender.payments", b"{}", b"7")
        ...     assert records.end(60) == []
    """
    records = Sending(cluster, settings)
    try:
        yield records
    finally:
        records.end(0)


def forget(producer: Producer) -> None:
    """Drop what the brokers have not taken; otherwise the client tells of it on the screen when it ends."""
    producer.purge()
    for _ in range(100):  # it counts until it was told of; at once, as a rule
        if not len(producer):
            return
        with suppress(KafkaException):  # again that this client is fenced
            producer.poll(0.01)
