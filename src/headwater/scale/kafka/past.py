"""What decisions rested on: the events of their entities, up to their places, out of Kafka's topics.

::

    places of decisions ──► their partitions, from the beginning ──► door, ids, lateness
                                              events of the keys, up to the places ◄──┘

Judged as the live host judges them (``partition``), so that what was a dead letter or a duplicate then is one
now. Called by ``headwater replay --kafka``, which puts the events of each decision into a log of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from headwater.core.batch import Batch
from headwater.core.errors import LogError
from headwater.core.handful import Handful, framed
from headwater.definitions.project import Project
from headwater.engine.keys import entity_keys
from headwater.scale.kafka.cluster import Cluster, Topics, unreachable
from headwater.scale.kafka.host import record_of
from headwater.scale.kafka.partition import Partition
from headwater.scale.kafka.payloads.reading import Record
from headwater.store.decision import Decision

_SOME = 10_000  # records that are asked for at once
_AT_ONCE = 0.2  # seconds that they are gathered for
_PATIENCE = 30.0  # seconds that they may take

Place = tuple[int, str]  # partition and stream


@dataclass(frozen=True, slots=True)
class Rested:
    """What a decision rested on.

    Attributes:
        events: of its entity, by stream, each in the order of its topic.
        cut: topics that no longer have their first records, so that some of the events may be missing.
    """

    events: Mapping[str, pl.DataFrame]
    cut: Sequence[str]


@dataclass(slots=True)
class _Wanted:
    """What is read of a partition: each stream's end, and its entities."""

    ends: dict[str, int] = field(default_factory=dict)
    keys: dict[str, set[Any]] = field(default_factory=dict)


def rested_on(cluster: Cluster, project: Project, decisions: Sequence[Decision]) -> list[Rested]:
    """The events that each decision rested on; every partition is read once.

    Args:
        cluster: where.
        project: the definitions of the streams.
        decisions: with places.

    Raises:
        LogError: the brokers do not answer, or have no such records.
    """
    topics = Topics(project)
    wanted: dict[int, _Wanted] = {}
    for one in decisions:
        for (number, stream), last in placed(one).items():
            if topics.of(stream) not in topics.streams:
                raise _lacks(cluster, f"a topic {topics.of(stream)}", "a project without the stream")
            part = wanted.setdefault(number, _Wanted())
            part.ends[stream] = max(part.ends.get(stream, 0), last + 1)
            if topics.key(stream) in one.keys:  # what others' events are is not asked
                part.keys.setdefault(stream, set()).add(one.keys[topics.key(stream)])
    found: dict[Place, Batch] = {}
    cut: dict[int, list[str]] = {}
    try:
        for number, part in wanted.items():
            batches, cut[number] = _read(cluster, topics, number, part)
            found |= {(number, stream): batch for stream, batch in batches.items()}
    except KafkaException as error:
        raise unreachable(cluster, error) from error
    return [_of(topics, one, found, cut) for one in decisions]


def placed(decision: Decision) -> dict[Place, int]:
    """A decision's places by partition and stream."""
    cut = ((*place.rpartition("/")[::2], last) for place, last in decision.places.items())
    return {(int(number), stream): last for stream, number, last in cut}


def _of(
    topics: Topics, decision: Decision, found: Mapping[Place, Batch], cut: Mapping[int, Sequence[str]]
) -> Rested:
    events, places = {}, placed(decision)
    for place, last in places.items():
        batch, key = found.get(place), topics.key(place[1])
        if batch is None or key not in decision.keys:
            continue
        own = batch.frame.get_column(key)
        fits = (own == entity_keys([decision.keys[key]], own.dtype, key)[0]).to_numpy() & (
            batch.offset <= last
        )
        events[place[1]] = batch.frame.filter(pl.Series(fits))
    return Rested(events, [topic for number in {number for number, _ in places} for topic in cut[number]])


def _read(
    cluster: Cluster, topics: Topics, number: int, wanted: _Wanted
) -> tuple[dict[str, Batch], list[str]]:
    """The events of the wanted entities in a partition, by stream, and the topics that are cut."""
    state = Partition(topics.project, {}, registry=cluster.registry)
    kept: dict[str, list[Batch]] = {}

    def keep(events: Batch | Handful) -> None:
        schema, key = topics.streams[topics.of(events.stream)].schema, topics.key(events.stream)
        frame = framed(events.values, schema) if isinstance(events, Handful) else events.frame
        listed = entity_keys(list(wanted.keys[events.stream]), schema[key], key)
        rows = np.flatnonzero(frame.get_column(key).is_in(listed.implode()).to_numpy())
        if len(rows):
            offset, time = events.offset[rows], events.time[rows]
            kept.setdefault(events.stream, []).append(Batch(events.stream, offset, offset, time, frame[rows]))

    state.on_taken = keep
    consumer = Consumer(
        cluster.settings(
            group_id=uuid4().hex,
            enable_auto_commit=False,
            isolation_level="read_committed",
            enable_partition_eof=True,
        )
    )
    try:
        cut = []
        ends = {stream: wanted.ends[stream] for stream in wanted.keys}
        for stream, end in ends.items():
            low, high = consumer.get_watermark_offsets(TopicPartition(topics.of(stream), number), _PATIENCE)
            if high < end:
                got = f"{high:,} records"
                raise _lacks(cluster, f"{end:,} records in {topics.of(stream)}, partition {number}", got)
            cut += [topics.of(stream)] * (low > 0)
        for stream, records in _records(cluster, consumer, topics, number, ends):
            state.take(stream, records, quiet=True)
    finally:
        consumer.close()
    return {stream: _joined(batches) for stream, batches in kept.items()}, cut


def _records(
    cluster: Cluster, consumer: Consumer, topics: Topics, number: int, ends: Mapping[str, int]
) -> Iterator[tuple[str, list[Record]]]:
    """The records of a partition, stream by stream, up to their ends."""
    for stream, end in ends.items():
        if not end:
            continue
        topic, done, waited = topics.of(stream), False, 0.0
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING)])
        while not done:
            messages = consumer.consume(_SOME, _AT_ONCE)
            waited = 0.0 if messages else waited + _AT_ONCE
            if waited > _PATIENCE:
                raise _lacks(cluster, f"{end:,} records in {topic}, partition {number}", "nothing for 30 s")
            records = []
            for message in messages:
                if message.error() is not None:
                    done = _is_end(cluster, message, end)
                elif (message.offset() or 0) < end:
                    records.append(record_of(message))
            done = done or (bool(messages) and (messages[-1].offset() or 0) >= end - 1)
            if records:
                yield stream, records


def _is_end(cluster: Cluster, message: Message, end: int) -> bool:
    """Whether all was read that is wanted, where something other than a record came."""
    error = message.error()
    if error is None or error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
        raise KafkaException(error)
    read = message.offset() or 0
    if read < end:  # what is behind is of a transaction that is open
        where = f"{message.topic()}, partition {message.partition()}"
        raise _lacks(cluster, f"{end:,} records in {where}", f"{read:,} that are whole")
    return True


def _joined(batches: Sequence[Batch]) -> Batch:
    offset = np.concatenate([one.offset for one in batches])
    time = np.concatenate([one.time for one in batches])
    return Batch(batches[0].stream, offset, offset, time, pl.concat([one.frame for one in batches]))


def _lacks(cluster: Cluster, expected: str, got: str) -> LogError:
    return LogError.of(
        "Kafka does not hold what the decision rested on",
        expected=expected,
        got=got,
        where=cluster.brokers,
        do="name the brokers and the project that the decision was made with",
    )
