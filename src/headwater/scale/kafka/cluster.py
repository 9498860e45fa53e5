"""A Kafka cluster and what a project keeps in it: how it is reached, its topics and their making.

Called by ``publish`` and ``host``. What is set beyond the brokers (SASL, TLS) comes from the edge, which
reads it from the environment, and goes to the client library as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from headwater.core.errors import DefinitionError, LogError
from headwater.definitions.project import Project
from headwater.definitions.stream import Stream
from headwater.scale.kafka.payloads.registry import Registry

_BROKER = re.compile(r"^\S+:\d+/\S+: ")
PARTITIONS = 12  # so that 2, 3, 4, 6 and 12 hosts share evenly
_PATIENCE = 30.0  # seconds for a question about topics
_LOOKS = 10  # in that time
_REFUSED = (KafkaError._AUTHENTICATION, KafkaError._SSL)  # noqa: SLF001 - the library's own names


@dataclass(frozen=True, slots=True)
class Cluster:
    """How brokers are reached.

    Attributes:
        brokers: ``host:port``, commas between several.
        security: properties of librdkafka for SASL and TLS; never shown.
        registry: where schemas are registered, if there is one.
    """

    brokers: str
    security: Mapping[str, str] = field(default_factory=dict, repr=False)
    registry: Registry | None = field(default=None, repr=False)

    def settings(self, **more: Any) -> dict[str, Any]:
        """The settings of a client; underscores in the names of ``more`` stand for dots."""
        named = {name if callable(value) else name.replace("_", "."): value for name, value in more.items()}
        return {"bootstrap.servers": self.brokers, **self.security, **named}


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of a project's topics.

    Attributes:
        project: its definitions.
    """

    project: Project

    def of(self, stream: str) -> str:
        """The topic of a stream."""
        return f"{self.project.name}.{stream}"

    @property
    def streams(self) -> dict[str, Stream]:
        """Topic to its stream, for the streams that some view reads."""
        return {self.of(view.stream.name): view.stream for view in self.project.views}

    @property
    def scores(self) -> str:
        """Where fresh scores go."""
        return f"{self.project.name}.scores"

    @property
    def dead_letters(self) -> str:
        """Where refused events go."""
        return f"{self.project.name}.dead-letters"

    @property
    def calls(self) -> str:
        """Where Spark's driver calls for parts of the online store to which no record comes."""
        return f"{self.project.name}.online-calls"

    def key(self, stream: str) -> str:
        """The column by which a stream's topic is keyed.

        Raises:
            DefinitionError: views of the stream have several keys, so that no partition holds all of one.
        """
        keys = list(dict.fromkeys(view.key for view in self.project.views if view.stream.name == stream))
        if len(keys) != 1:
            raise DefinitionError.of(
                f"the stream {stream} cannot be keyed by one entity",
                expected="views of one key",
                got=", ".join(keys) or "no view",
                where=self.project.name,
                do="declare a stream for each key, each with its own topic",
            )
        return keys[0]

    def check(self) -> None:
        """See that every key's events lie in one partition.

        Raises:
            DefinitionError: a stream has views of several keys, or a model has several keys.
        """
        for stream in self.streams.values():
            self.key(stream.name)
        for model in self.project.models:
            if len(model.keys) != 1:
                raise DefinitionError.of(
                    f"the model {model.name} has several keys, which lie in different partitions",
                    expected="views of one key",
                    got=", ".join(model.keys),
                    where=self.project.name,
                    do="serve this model from the embedded log",
                )


def make_topics(cluster: Cluster, topics: Topics, *, partitions: int = PARTITIONS, replicas: int = -1) -> int:
    """Make the topics that are missing; how many partitions the project's streams have.

    Args:
        cluster: where.
        topics: the project's.
        partitions: of a topic that is made.
        replicas: of a topic that is made; -1 as the cluster is set.

    Raises:
        LogError: the cluster does not answer, or its streams' topics differ in their partitions.
        DefinitionError: the project's entities do not lie in one partition each.
    """
    topics.check()
    wanted = [*topics.streams, topics.scores, topics.dead_letters]
    try:
        heard: list[KafkaError] = []
        admin = AdminClient(cluster.settings(error_cb=heard.append))
        known = _listed(admin, heard)
        missing = [
            # events are stamped by the broker: when it took them in, by one clock
            NewTopic(name, partitions, replicas, config={"message.timestamp.type": "LogAppendTime"})
            for name in wanted
            if name not in known
        ]
        _make(admin, missing)
        if missing:
            known = _listed(admin, heard)
    except KafkaException as error:
        raise unreachable(cluster, error) from error
    counts = {name: len(known[name].partitions) for name in topics.streams if name in known}
    if len(set(counts.values())) > 1:
        raise LogError.of(
            "the topics of the project's streams differ in their partitions",
            expected="as many in each, so that an entity's events lie under one number",
            got=", ".join(f"{name} {count}" for name, count in counts.items()),
            where=cluster.brokers,
            do="give all the same number of partitions",
        )
    return next(iter(counts.values()), partitions)


def make_topic(cluster: Cluster, name: str, config: Mapping[str, str]) -> None:
    """Make a topic of one partition, if it is missing.

    Raises:
        LogError: the cluster does not answer, or refuses.
    """
    try:
        admin = AdminClient(cluster.settings())
        _make(admin, [] if name in _listed(admin, ()) else [NewTopic(name, 1, config=dict(config))])
    except KafkaException as error:
        raise unreachable(cluster, error) from error


def has_topic(cluster: Cluster, name: str) -> bool:
    """Whether there is such a topic.

    Raises:
        LogError: the cluster does not answer.
    """
    try:
        return name in _listed(AdminClient(cluster.settings()), ())
    except KafkaException as error:
        raise unreachable(cluster, error) from error


def unreachable(cluster: Cluster, error: KafkaException) -> LogError:
    """The letter for a cluster that does not do what it is asked."""
    first = error.args[0] if error.args else None
    got = told(first) if isinstance(first, KafkaError) else type(error).__name__
    return LogError.of(
        "Kafka does not answer as it should",
        expected="brokers that take this client",
        got=got,
        where=cluster.brokers,
        do="see that the brokers run, and that HEADWATER_KAFKA_ settings name the right credentials",
    )


def told(error: KafkaError) -> str:
    """What a client says of its trouble, without which broker said it and how long that took."""
    return _BROKER.sub("", str(error.str()).partition(" (after ")[0])


def _listed(admin: Any, heard: Sequence[KafkaError]) -> Any:
    """The topics that there are; brokers that refuse this client are not waited for.

    Raises:
        KafkaException: nobody answers, or it is refused.
    """
    for attempt in range(_LOOKS):
        try:
            return admin.list_topics(timeout=_PATIENCE / _LOOKS).topics
        except KafkaException:
            admin.poll(0)  # errors are heard while it is polled
            refused = [error for error in heard if error.code() in _REFUSED]
            if refused:
                raise KafkaException(refused[0]) from None
            if attempt == _LOOKS - 1:
                raise
    raise AssertionError("it returns or raises")


def _make(admin: Any, missing: Sequence[NewTopic]) -> None:
    """Make topics, and wait for them; another may have made one meanwhile."""
    for made in admin.create_topics(missing).values() if missing else ():
        try:
            made.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
