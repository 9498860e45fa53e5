"""A plain producer: records out, each by itself, and what the brokers did not take of them.

A client counts a record that it gave up (no right to write there, too large, expired) as done, just as one
that was written. So what was refused is kept here, and nobody who sends takes it for sent. Called by
``publish`` and ``copying`` for events, and by ``spark.calling``; ``producer`` has the transactional one.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Producer

from headwater.scale.kafka.cluster import Cluster, told

EVENTS = {"enable_idempotence": True, "compression_type": "lz4", "partitioner": "murmur2_random"}
_PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001 - the library's own names
_ROOM = 0.1  # seconds, for the client's queue to have room again


class Sending:
    """A way to send records, for as long as a ``with`` block lasts; what has not gone by then is dropped.

    Args:
        cluster: where.
        settings: of the client, by librdkafka's names with ``_`` for ``.``.

    Attributes:
        why: what the brokers, or the client, said of the first record that was missed, if one was.

    Example:
        >>> with Sending(cluster, linger_ms=5) as records:  # doctest: +SKIP
        ...     records.offer("lender.payments", b"{}", b"7")
        ...     assert records.end(60) == []
    """

    def __init__(self, cluster: Cluster, **settings: Any) -> None:
        self.why = ""
        self._missed: list[bytes] = []
        reports = {"on_delivery": self._reported, "delivery_report_only_error": True}
        self._producer = Producer(cluster.settings(**settings, **reports))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        forget(self._producer)

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
        if self._producer.flush(seconds):
            self.why = self.why or f"no answer in {seconds:g} s"
        forget(self._producer)
        return self._missed

    def _reported(self, error: KafkaError, message: Any) -> None:
        self._missed.append(message.key())
        if not self.why and error.code() not in _PURGED:
            self.why = told(error)


def forget(producer: Producer) -> None:
    """Drop what the brokers have not taken; otherwise the client tells of it on the screen when it ends."""
    producer.purge()
    for _ in range(100):  # it counts until it was told of; at once, as a rule
        if not len(producer):
            return
        with suppress(KafkaException):  # again that this client is fenced
            producer.poll(0.01)
