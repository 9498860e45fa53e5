"""Events into a stream's topic by the stream's schema, as JSON, Avro or Arrow, keyed by the entity.

The same partitioner as Kafka's Java clients, so that whoever else produces puts an entity where we look for
it. Called by tests, and by anybody with a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import msgspec
import polars as pl
from confluent_kafka import KafkaException

from headwater.core.errors import LogError
from headwater.core.schema import check_frame
from headwater.definitions.stream import Stream
from headwater.scale.kafka.cluster import Cluster, Topics, unreachable
from headwater.scale.kafka.payloads import arrow, avro
from headwater.scale.kafka.payloads.reading import ARROW, AVRO, CONTENT_TYPE
from headwater.scale.kafka.payloads.registry import MAGIC, Registry
from headwater.scale.kafka.sending import EVENTS, Sending

Payload = Literal["json", "avro", "arrow"]

_PATIENCE = 60.0  # seconds for the brokers to take what is left at the end
_SOME = 10_000  # rows that are made Python values at once


def publish(
    cluster: Cluster,
    topics: Topics,
    stream: Stream,
    frame: Any,
    *,
    parse: bool = False,
    payload: Payload = "json",
) -> int:
    """Send events, and wait until the brokers have all of them; how many.

    Args:
        cluster: where.
        topics: the project's, which must be there.
        stream: whose events they are.
        frame: a Polars, pandas or Arrow frame.
        parse: read texts as numbers, Booleans and dates, as for a CSV file.
        payload: what the records' values are. Where the cluster has a schema registry, the stream's schema is
            registered for Avro and JSON, and named by each record.

    Raises:
        DataError: the frame is not what the stream takes; nothing was sent.
        LogError: the brokers did not take all of it, or the registry not the schema.
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
    write = writer(stream, payload, cluster.registry, topic)
    try:
        with Sending(cluster, linger_ms=5, **EVENTS) as records:
            for name, value in messages(checked.accepted, key, write):
                records.offer(topic, value, name, headers=write.headers)
            left = len(records.end(_PATIENCE))
    except KafkaException as error:
        raise unreachable(cluster, error) from error
    if left:
        raise LogError.of(
            "not all events were taken",
            expected=f"{checked.accepted.height} events on the brokers",
            got=f"{left} that were not: {records.why}",
            where=f"{topic} at {cluster.brokers}",
            do="see that the brokers run, and send the same again: events with an id count once",
        )
    return checked.accepted.height


@dataclass(frozen=True, slots=True)
class Writer:
    """How events become values: what makes some of a frame's rows bytes, and what goes before and beside."""

    values: Callable[[pl.DataFrame], Iterator[bytes]]
    head: bytes = b""
    headers: list[tuple[str, str | bytes | None]] | None = None


def writer(stream: Stream, payload: Payload, registry: Registry | None, topic: str) -> Writer:
    """The writer of a stream's events.

    Raises:
        LogError: the registry does not take the schema.
    """
    if payload == "arrow":
        return Writer(_arrow, headers=[(CONTENT_TYPE, ARROW)])
    schema = avro.parsed(avro.schema_of(stream))
    values = _json if payload == "json" else partial(_avro, schema)
    if registry is not None:
        number = registry.register(f"{topic}-value", stream, as_json=payload == "json")
        return Writer(values, MAGIC + number.to_bytes(4, "big"))
    return Writer(values, headers=None if payload == "json" else [(CONTENT_TYPE, AVRO)])


def messages(frame: pl.DataFrame, key: str, write: Writer | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each row of a frame that has passed the door; JSON if no writer is given."""
    write = write or Writer(_json)
    for part in frame.iter_slices(_SOME):
        for name, value in zip(part.get_column(key).to_list(), write.values(part), strict=True):
            yield str(name).encode(), write.head + value if write.head else value


def _json(part: pl.DataFrame) -> Iterator[bytes]:
    return map(_encode, part.iter_rows(named=True))


def _avro(schema: avro.Schema, part: pl.DataFrame) -> Iterator[bytes]:
    return (avro.write(event, schema) for event in part.iter_rows(named=True))


def _arrow(part: pl.DataFrame) -> Iterator[bytes]:
    return map(arrow.write, part.iter_slices(1))


_encode = msgspec.json.Encoder().encode
