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
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyarrow as pa
from confluent_kafka import Consumer, KafkaException, TopicPartition
from pyspark import TaskContext

from headwater.scale.kafka.cluster import Cluster, unreachable
from headwater.scale.kafka.producer import PATIENCE, TRIES, Place, Teller, through

_TOPICS = {"score": "scores", "letter": "dead-letters"}  # of a row by its kind
FAULT = "fault"  # the column that says why something was not published
MISSED = "missed"  # the column that says of which bucket
STREAM, REASONS = "stream", "reasons"
COUNTED = ("records", "events", "duplicates", "scores")
_COLUMNS = (
    (STREAM, "string", pa.string()),
    *((name, "long", pa.int64()) for name in COUNTED),
    (REASONS, "string", pa.string()),
    (FAULT, "string", pa.string()),
    (MISSED, "int", pa.int32()),
)
SAID = ", ".join(f"{name} {kind}" for name, kind, _ in _COLUMNS)
_SAID = pa.schema([(name, kind) for name, _, kind in _COLUMNS])


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
        """For ``mapInArrow``: send one partition's rows; counts of each stream, and what was got over.

        Raises:
            LogError: the brokers did not take it.
        """
        rows = [row for batch in batches for row in batch.to_pylist()]
        if not rows:
            return
        context = TaskContext.get()
        number = 0 if context is None else context.partitionId()
        self.send(rows, f"{self.group}-spark-{number}")
        missed = {row["bucket"]: row["value"].decode() for row in rows if row["kind"] == "fault"}
        faults = [{FAULT: fault, MISSED: bucket} for bucket, fault in missed.items()]
        yield pa.RecordBatch.from_pylist([*counts_of(rows), *faults], _SAID)

    def send(self, rows: list[dict[str, Any]], name: str) -> None:
        """Send what was not told yet, by the transactional id ``name``."""
        try:
            for attempt in range(TRIES):
                outlet = _outlet(self.cluster.brokers, tuple(self.cluster.security.items()), self.group, name)
                try:
                    outlet.send(rows, self.project)
                except KafkaException as error:
                    _outlet.cache_clear()  # fenced, or worse: another client is another epoch
                    outlet.close()
                    if attempt == TRIES - 1 or not _recoverable(error):
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
        self._teller = Teller(self.cluster, self.name)
        self._consumer = Consumer(
            self.cluster.settings(
                group_id=self.group, enable_auto_commit=False, isolation_level="read_committed"
            )
        )

    def send(self, rows: list[dict[str, Any]], project: str) -> None:
        """One transaction: the rows that were not told, and how far that is."""
        ends = {_place(project, row): row["offset"] for row in rows if row["kind"] == "end"}
        self._ask([place for place in ends if place not in self.told])
        news = {place: end for place, end in ends.items() if end > self.told[place]}
        if not news:
            return
        self._teller.begin()
        try:
            for kind, topic in _TOPICS.items():
                some = (row for row in rows if row["kind"] == kind)
                fresh = (row for row in some if row["offset"] >= self.told[_place(project, row)])
                self._teller.send(f"{project}.{topic}", ((row["name"], row["value"]) for row in fresh))
            self._teller.commit(news, self._consumer.consumer_group_metadata())
        except KafkaException as error:
            if error.args[0].txn_requires_abort():
                self._teller.undo()
            raise
        self.told |= news

    def close(self) -> None:
        """Let go of the group, and of what did not go out."""
        self._teller.close()
        self._consumer.close()

    def _ask(self, places: list[Place]) -> None:
        if not places:
            return
        asked = [TopicPartition(*place) for place in places]
        found = through(lambda: self._consumer.committed(asked, PATIENCE), self._teller.wait)
        self.told |= {(one.topic, one.partition): max(one.offset, 0) for one in found}


def counts_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was done with the records of each stream; dead letters by their reason."""
    counts: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {}
    for row in rows:
        if row["kind"] == "end":
            counts.setdefault(row["stream"], Counter()).update(json.loads(row["value"]))
        elif row["kind"] == "letter":
            reasons.setdefault(row["stream"], Counter())[json.loads(row["value"])["reason"]] += 1
    return [
        {
            STREAM: stream,
            **{name: count[name] for name in COUNTED},
            REASONS: json.dumps(reasons.get(stream, {})),
        }
        for stream, count in counts.items()
    ]


def _place(project: str, row: Mapping[str, Any]) -> Place:
    return f"{project}.{row['stream']}", row["bucket"]


def _recoverable(error: KafkaException) -> bool:
    """Whether another client may succeed: this one was fenced, or its transaction is over."""
    first = error.args[0]
    return bool(first.fatal() or first.txn_requires_abort() or first.retriable())


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
