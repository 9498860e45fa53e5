"""The events of a project's topics copied to another's, whose number of partitions is another.

::

    partition 0  ──┐                          ┌──► partition 0
    partition 1  ──┼─ by when the broker took ┼──►     ...
       ...       ──┘  each in; keyed anew     └──► partition n

For topics whose number of partitions was changed, or is to be: an entity's new events then lie apart from its
history, and here they come together again in the order in which they were taken in. Values and headers are
copied as they are, and so is when each was taken in, by which lateness is judged. Run while nobody produces.
Called by whoever runs the topics; see the how-to on Kafka.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from headwater.core.errors import LogError
from headwater.scale.kafka.cluster import Cluster, Topics, make_topics, unreachable
from headwater.scale.kafka.producer import through
from headwater.scale.kafka.sending import EVENTS, Sending

_PATIENCE = 30.0
_FLUSH = 60.0  # seconds for the brokers to take what is left at the end
_SOME = 5_000  # records that are taken at once
_AHEAD = 20_000  # records of a partition that are read before the others have caught up
_STAMPED = "message.timestamp.type"


def copy_events(cluster: Cluster, source: Topics, target: Topics, partitions: int) -> dict[str, int]:
    """Copy all events of a project's streams; stream to how many.

    Args:
        cluster: where both are.
        source: the project that has them.
        target: the same project under another name; its topics are made, and hold nothing yet.
        partitions: of the target's topics.

    Raises:
        LogError: the target's topics hold events already, or the brokers did not take all of it.
    """
    try:
        make_topics(cluster, target, partitions=partitions)
        _stamp(cluster, list(target.streams), "CreateTime")
        counts = {}
        for name, stream in source.streams.items():
            counts[stream.name] = _copy(cluster, name, target.of(stream.name))
        _stamp(cluster, list(target.streams), "LogAppendTime")
    except KafkaException as error:
        raise unreachable(cluster, error) from error
    return counts


def _copy(cluster: Cluster, source: str, target: str) -> int:
    _empty(cluster, target)
    count = 0
    with Sending(cluster, linger_ms=20, **EVENTS) as records:
        for message in _in_order(cluster, source):
            more = {"timestamp": message.timestamp()[1], "headers": message.headers()}
            records.offer(target, message.value(), message.key(), **more)
            count += 1
        left = len(records.end(_FLUSH))
    if left:
        raise _not_so(
            "not all events were copied",
            f"{count} events",
            f"{left} that were not: {records.why}",
            target,
        )
    return count


def _in_order(cluster: Cluster, topic: str) -> Iterator[Any]:
    """The records of all partitions up to their ends, by when they were taken in."""
    consumer = Consumer(cluster.settings(group_id=uuid4().hex, enable_auto_commit=False))
    try:
        ends = _ends(consumer, topic)
        places = [TopicPartition(topic, number, low) for number, (low, high) in ends.items() if low < high]
        if not places:
            return
        consumer.assign(places)
        buffers = {place.partition: _Buffer(consumer, place, ends[place.partition][1]) for place in places}
        heap = [(*buffer.head(buffers), number) for number, buffer in buffers.items()]
        heapq.heapify(heap)
        while heap:
            _, _, number = heap[0]
            buffer = buffers[number]
            yield buffer.records.popleft()
            if buffer.done:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (*buffer.head(buffers), number))
    finally:
        consumer.close()


class _Buffer:
    """The records of one partition that were read and not copied yet."""

    def __init__(self, consumer: Consumer, place: TopicPartition, end: int) -> None:
        self.records: deque[Any] = deque()
        self.paused = False
        self._consumer = consumer
        self._place = [TopicPartition(place.topic, place.partition)]
        self._end = end
        self._next = place.offset

    @property
    def done(self) -> bool:
        """Whether all was read and copied."""
        return not self.records and self._next >= self._end

    def head(self, buffers: dict[int, _Buffer]) -> tuple[int, int]:
        """When the next record was taken in, and where it lies."""
        while not self.records:
            if self.paused:
                self._consumer.resume(self._place)
                self.paused = False
            found = self._consumer.consume(1, _PATIENCE)  # the first, and then what is there
            found += self._consumer.consume(_SOME, 0) if found else []
            if not found:
                raise _not_so(
                    "records do not come", "all up to the end", "nothing for 30 s", str(self._place[0])
                )
            for message in found:
                if message.error() is not None:
                    raise KafkaException(message.error())
                buffers[int(message.partition() or 0)].take(message)
        first = self.records[0]
        return first.timestamp()[1], first.offset()

    def take(self, message: Any) -> None:
        """A record of the partition."""
        if message.offset() >= self._end:
            return
        self.records.append(message)
        self._next = message.offset() + 1
        if len(self.records) > _AHEAD and not self.paused:
            self._consumer.pause(self._place)
            self.paused = True


def _ends(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    known = consumer.list_topics(topic, _PATIENCE).topics[topic].partitions
    return {number: _watermarks(consumer, TopicPartition(topic, number)) for number in known}


def _watermarks(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    low, high = through(
        lambda: consumer.get_watermark_offsets(place, _PATIENCE), lambda: consumer.consume(1, 0.5)
    )
    return low, high


def _empty(cluster: Cluster, topic: str) -> None:
    consumer = Consumer(cluster.settings(group_id=uuid4().hex))
    try:
        held = sum(high - low for low, high in _ends(consumer, topic).values())
    finally:
        consumer.close()
    if held:
        raise _not_so("the topic to copy to holds events already", "an empty topic", f"{held} records", topic)


def _stamp(cluster: Cluster, topics: Sequence[str], by: str) -> None:
    entry = ConfigEntry(_STAMPED, by, incremental_operation=AlterConfigOpType.SET)
    wanted = [ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry]) for name in topics]
    admin = AdminClient(cluster.settings())  # held until it has answered
    for set_ in admin.incremental_alter_configs(wanted).values():
        set_.result(_PATIENCE)


def _not_so(what: str, expected: str, got: str, where: str) -> LogError:
    return LogError.of(
        what,
        expected=expected,
        got=got,
        where=where,
        do="copy to topics under a new project name, from the start",
    )
