"""What a micro-batch told, out to topics exactly once: one transaction for each of Spark's partitions.

::

    scores, letters ──► transaction ──► topics      the group's offsets go with them: what is below was told
                             └───────► offsets      in a transaction that came through, and is not told again

Spark repeats a batch whose end it did not note, and a task whose worker died; with the same offsets, and so
with the same bits. The group's committed offsets say what was told, and the transactional id, one for each
partition of Spark's, fences whoever was thought dead. The same group as the Kafka host's, so that a project
can move from one to the other. Runs in the workers; sent there by ``stream``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any

import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from pyspark import TaskContext

from headwater.scale.kafka.cluster import Cluster, unreachable

COUNTED = ("records", "events", "duplicates", "refused", "scores")
_PATIENCE = 30.0
_TRIES = 4
_WAITS = 60  # for a coordinator; half a second each
_COORDINATOR = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)

Place = tuple[str, int]  # topic and partition


@dataclass(frozen=True)
class Sink:
    """Where it goes.

    Attributes:
        cluster: where.
        group: whose offsets say what was told.
        project: whose topics.
    """

    cluster: Cluster
    group: str
    project: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """For ``mapInArrow``: send one partition's rows; a row of counts for it.

        Raises:
            LogError: the brokers did not take it.
        """
        rows = [row for batch in batches for row in batch.to_pylist()]
        if not rows:
            return
        context = TaskContext.get()
        number = 0 if context is None else context.partitionId()
        self.send(rows, f"{self.group}-spark-{number}")
        counts = dict.fromkeys(COUNTED, 0)
        for row in rows:
            if row["kind"] == "end":
                for name, count in json.loads(row["value"]).items():
                    counts[name] += count
        yield pa.RecordBatch.from_pydict({name: [count] for name, count in counts.items()})

    def send(self, rows: list[dict[str, Any]], name: str) -> None:
        """Send what was not told yet, by the transactional id ``name``."""
        try:
            for attempt in range(_TRIES):
                outlet = _outlet(self.cluster.brokers, tuple(self.cluster.security.items()), self.group, name)
                try:
                    outlet.send(rows, self.project)
                except KafkaException as error:
                    _outlet.cache_clear()  # fenced, or worse: another client is another epoch
                    outlet.close()
                    if attempt == _TRIES - 1 or not _recoverable(error):
                        raise
                else:
                    return
        except KafkaException as error:
            raise unreachable(self.cluster, error) from error


@lru_cache(maxsize=4)
def _outlet(brokers: str, security: tuple[tuple[str, str], ...], group: str, name: str) -> Outlet:
    return Outlet(Cluster(brokers, dict(security)), group, name)


@dataclass
class Outlet:
    """A transactional producer of a worker, with what it knows to be told.

    Only one client has a transactional id at a time; so as long as this one has it, nobody else can have told
    anything since it asked.
    """

    cluster: Cluster
    group: str
    name: str
    told: dict[Place, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = self.cluster.settings
        self._producer = Producer(
            settings(
                transactional_id=self.name,
                transaction_timeout_ms=30_000,
                linger_ms=0,
                compression_type="lz4",
                partitioner="murmur2_random",
            )
        )
        self._producer.init_transactions(_PATIENCE)
        self._consumer = Consumer(
            settings(group_id=self.group, enable_auto_commit=False, isolation_level="read_committed")
        )

    def send(self, rows: list[dict[str, Any]], project: str) -> None:
        """One transaction: the rows that were not told, and how far that is."""
        ends = {
            (f"{project}.{row['stream']}", row["bucket"]): row["offset"]
            for row in rows
            if row["kind"] == "end"
        }
        self._ask([place for place in ends if place not in self.told])
        news = {place: end for place, end in ends.items() if end > self.told[place]}
        if not news:
            return
        self._producer.begin_transaction()
        try:
            for row in rows:
                place = f"{project}.{row['stream']}", row["bucket"]
                if row["kind"] != "end" and row["offset"] >= self.told[place]:
                    topic = f"{project}.{'scores' if row['kind'] == 'score' else 'dead-letters'}"
                    self._produce(topic, row["name"], row["value"])
            offsets = [TopicPartition(topic, number, end) for (topic, number), end in news.items()]
            group = self._consumer.consumer_group_metadata()
            _through(lambda: self._producer.send_offsets_to_transaction(offsets, group, _PATIENCE))
            _through(lambda: self._producer.commit_transaction(_PATIENCE))
        except KafkaException as error:
            if error.args[0].txn_requires_abort():
                self._producer.abort_transaction(_PATIENCE)
            raise
        self.told |= news

    def close(self) -> None:
        """Let go of the group."""
        self._consumer.close()

    def _ask(self, places: list[Place]) -> None:
        if not places:
            return
        asked = [TopicPartition(*place) for place in places]
        found = _through(lambda: self._consumer.committed(asked, _PATIENCE), lambda: self._producer.poll(0.5))
        self.told |= {(one.topic, one.partition): max(one.offset, 0) for one in found}

    def _produce(self, topic: str, name: bytes, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(topic, value, name)
            except BufferError:
                self._producer.poll(0.05)
            else:
                return


def _recoverable(error: KafkaException) -> bool:
    """Whether another client may succeed: this one was fenced, or its transaction is over."""
    first = error.args[0]
    return bool(first.fatal() or first.txn_requires_abort() or first.retriable())


def _through(step: Callable[[], Any], wait: Callable[[], object] = lambda: None) -> Any:
    """What a step gives; what may succeed when it is tried again is tried again.

    A group that is new, or whose broker has just started, has no coordinator for some seconds.
    """
    for attempt in count(1):
        try:
            return step()
        except KafkaException as error:
            first = error.args[0]
            waiting = first.code() in _COORDINATOR and attempt < _WAITS
            if not waiting and (attempt >= _TRIES or not first.retriable()):
                raise
        wait()
    raise AssertionError("a step comes through or raises")


def security_of(settings: Mapping[str, str]) -> dict[str, str]:
    """SASL and TLS as Kafka's Java client names them, from librdkafka's names.

    Example:
        >>> security_of({"security.protocol": "sasl_ssl", "ssl.ca.location": "/ca.pem"})
        {'security.protocol': 'SASL_SSL', 'ssl.truststore.type': 'PEM', 'ssl.truststore.location': '/ca.pem'}
    """
    found: dict[str, str] = {}
    if "security.protocol" in settings:
        found["security.protocol"] = settings["security.protocol"].upper()
    if "sasl.mechanism" in settings:
        found["sasl.mechanism"] = settings["sasl.mechanism"]
    if "sasl.username" in settings:
        kind = "scram.Scram" if settings.get("sasl.mechanism", "").startswith("SCRAM") else "plain.Plain"
        name, password = (json.dumps(settings.get(f"sasl.{one}", "")) for one in ("username", "password"))
        module = f"org.apache.kafka.common.security.{kind}LoginModule"
        found["sasl.jaas.config"] = f"{module} required username={name} password={password};"
    if "ssl.ca.location" in settings:
        found |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": settings["ssl.ca.location"]}
    return found
