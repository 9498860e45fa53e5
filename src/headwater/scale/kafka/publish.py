"""Events into a stream's topic: JSON values by the stream's schema, keyed by the entity.

The same partitioner as Kafka's Java clients, so that whoever else produces puts an entity where we look for
it. Called by tests, and by anybody with a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import polars as pl
from confluent_kafka import KafkaException, Producer

from headwater.core.errors import LogError
from headwater.core.schema import check_frame
from headwater.definitions.stream import Stream
from headwater.scale.kafka.cluster import Cluster, Topics, unreachable

_SOME = 10_000  # rows that are made Python values at once


def publish(cluster: Cluster, topics: Topics, stream: Stream, frame: Any, *, parse: bool = False) -> int:
    """Send events, and wait until the brokers have all of them; how many.

    Args:
        cluster: where.
        topics: the project's, which must be there.
        stream: whose events they are.
        frame: a Polars, pandas or Arrow frame.
        parse: read texts as numbers, Booleans and dates, as for a CSV file.

    Raises:
        DataError: the frame is not what the stream takes; nothing was sent.
        LogError: the brokers did not take all of it.
    """
    key = topics.key(stream.name)
    checked = check_frame(
        frame,
        stream.schema,
        time=stream.time,
        id=stream.id,
        keys=[key],
        personal=stream.personal,
        parse=parse,
        strict=True,
        name=stream.name,
    )
    topic = topics.of(stream.name)
    producer = Producer(
        cluster.settings(
            enable_idempotence=True, linger_ms=5, compression_type="lz4", partitioner="murmur2_random"
        )
    )
    try:
        for name, value in messages(checked.accepted, key):
            while True:
                try:
                    producer.produce(topic, value, name)
                except BufferError:  # the brokers are slower than we are
                    producer.poll(0.1)
                else:
                    break
        left = producer.flush(60)
    except KafkaException as error:
        raise unreachable(cluster, error) from error
    if left:
        raise LogError.of(
            "not all events were taken",
            expected=f"{checked.accepted.height} events on the brokers",
            got=f"{left} unconfirmed after 60 s",
            where=f"{topic} at {cluster.brokers}",
            do="see that the brokers run, and send the same again: events with an id count once",
        )
    return checked.accepted.height


def messages(frame: pl.DataFrame, key: str) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each row of a frame that has passed the door."""
    encode = msgspec.json.Encoder().encode
    for part in frame.iter_slices(_SOME):
        for event in part.iter_rows(named=True):
            yield str(event[key]).encode(), encode(event)
