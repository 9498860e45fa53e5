"""A transactional producer: what was told and how far that is, out as one, or not at all.

The same for the Kafka host and for Spark's sink: a transactional id, of which the brokers let one client
live; the group's offsets in the transaction; and patience with coordinators that have just started. Called
by ``flights`` and ``spark.sink``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from headwater.scale.kafka.cluster import Cluster
from headwater.scale.kafka.sending import forget

PATIENCE = 30.0  # seconds for one answer of the brokers
TRIES = 4
_WAITS = 60  # for a coordinator; half a second each
_COORDINATOR = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_LEADER_FOR_PARTITION,  # of a topic that was just made
    KafkaError.LEADER_NOT_AVAILABLE,
)
_AT_ONCE = 10_000  # records that are handed over together

Place = tuple[str, int]  # topic and partition
Pairs = Iterable[tuple[bytes, bytes]]  # key and value


class Teller:
    """Tells topics something, exactly once.

    Args:
        cluster: where.
        name: the transactional id; another client that takes it fences this one.

    Raises:
        KafkaException: the brokers do not take it.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._producer = _producer(cluster, name)
        through(lambda: self._producer.init_transactions(PATIENCE), self.wait)

    def begin(self) -> None:
        """Begin a transaction."""
        self._producer.begin_transaction()

    def send(self, topic: str, pairs: Pairs) -> None:
        """Records of the transaction."""
        batch: list[dict[str, bytes]] = []
        for name, value in pairs:
            batch.append({"key": name, "value": value})
            if len(batch) == _AT_ONCE:
                self._hand_over(topic, batch)
                batch = []
        self._hand_over(topic, batch)

    def commit(self, ends: Mapping[Place, int], group: Any, note: str = "") -> None:
        """Commit it, with the offsets of a consumer group, and a note beside each.

        Args:
            ends: topic and partition to the offset of the next record.
            group: the consumer's metadata, of when it was given the partitions: the brokers refuse an older
                generation, but not that of a consumer which knows that it was put out.
            note: in few words.

        Raises:
            KafkaException: it did not come through; see :meth:`undo`.
        """
        offsets = [TopicPartition(topic, number, end, note) for (topic, number), end in ends.items()]
        through(lambda: self._producer.send_offsets_to_transaction(offsets, group, PATIENCE), self.wait)
        through(lambda: self._producer.commit_transaction(PATIENCE), self.wait)

    def undo(self) -> None:
        """Undo it."""
        through(lambda: self._producer.abort_transaction(PATIENCE), self.wait)

    def wait(self) -> None:
        """Wait half a second."""
        self._producer.poll(0.5)

    def close(self) -> None:
        """Let go of what did not go out: of a transaction that did not come through."""
        forget(self._producer)

    def _hand_over(self, topic: str, batch: list[dict[str, Any]]) -> None:
        while batch:
            self._producer.produce_batch(topic, batch)
            batch = [one for one in batch if "_error" in one]  # the queue is full: those wait
            for one in batch:
                error = one.pop("_error")
                if error.code() != KafkaError._QUEUE_FULL:  # noqa: SLF001 - the library's own name for it
                    raise KafkaException(error)
            if batch:
                self._producer.poll(0.05)


def _producer(cluster: Cluster, name: str) -> Producer:
    return Producer(
        cluster.settings(
            transactional_id=name,
            transaction_timeout_ms=30_000,
            linger_ms=1,  # what is handed over together goes together, and at once
            compression_type="lz4",
            partitioner="murmur2_random",
        )
    )


def through(step: Callable[[], Any], wait: Callable[[], object]) -> Any:
    """What a step gives; what may succeed when it is tried again is tried again.

    A group that is new, or whose broker has just started, has no coordinator for some seconds.
    """
    for attempt in count(1):
        try:
            return step()
        except KafkaException as error:
            first = error.args[0]
            waiting = first.code() in _COORDINATOR and attempt < _WAITS
            if not waiting and (attempt >= TRIES or not first.retriable()):
                raise
        wait()
    raise AssertionError("a step comes through or raises")
