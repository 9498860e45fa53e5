"""What a record's value says, as an event: read by its payload, which each record names by itself.

::

    header content-type  ─┐            none, application/json          JSON
    magic byte 0 and id  ─┤ payload:   avro/binary                     Avro by the definition's schema
                          │            application/vnd.apache.arrow…   an Arrow stream of one row
                          └            0, four bytes of id             as the schema registry says

An event is what a JSON parser would give, whatever it came as; so that one judge, ``serving.rows``, sees them
all. Called by ``partition``; read ``quick`` for the short way of many JSON values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import polars as pl

from headwater.definitions.stream import Stream
from headwater.scale.kafka.payloads import arrow, avro
from headwater.scale.kafka.payloads.quick import LEAST, QuickJson
from headwater.scale.kafka.payloads.registry import MAGIC, Registry
from headwater.scale.kafka.payloads.unread import UnreadError

CONTENT_TYPE = "content-type"  # the header's name
JSON, AVRO, ARROW = "application/json", "avro/binary", "application/vnd.apache.arrow.stream"
NOT_JSON, UNKNOWN = "not-json", "unknown-payload"


class Record(NamedTuple):
    """A record of a topic.

    Attributes:
        offset: in its partition.
        arrival: when the broker took it in, microseconds UTC.
        value: its bytes.
        payload: the content type that its header names; empty if there is none.
    """

    offset: int
    arrival: int
    value: bytes
    payload: str = ""


class Unread(NamedTuple):
    """A record that holds no event: its place among those asked for, a reason code, words."""

    place: int
    reason: str
    message: str


class Reading:
    """Reads the records of one stream. Safe to share between threads.

    Args:
        stream: whose events they hold.
        registry: where schemas are registered, if there is one.
    """

    def __init__(self, stream: Stream, registry: Registry | None = None) -> None:
        self._registry = registry
        self._quick = QuickJson.of(stream)
        self._avro = avro.parsed(avro.schema_of(stream))

    def columns(self, records: Sequence[Record]) -> pl.DataFrame | None:
        """The events as columns of the stream's types, where all are JSON and nothing is odd; else None."""
        if self._quick is None or len(records) < LEAST or any(record.payload for record in records):
            return None
        return self._quick.read([record.value for record in records])

    def events(self, records: Sequence[Record]) -> tuple[list[Any], list[Unread]]:
        """The events, as a JSON parser gives them, and the records that hold none.

        Raises:
            LogError: the schema registry does not answer.
        """
        events: list[Any] = []
        unread: list[Unread] = []
        for place, record in enumerate(records):
            try:
                events.append(self.event(record))
            except UnreadError as error:
                unread.append(Unread(place, error.reason, error.message))
        return events, unread

    def event(self, record: Record) -> Any:
        """One record's event.

        Raises:
            UnreadError: it holds none.
            LogError: the schema registry does not answer.
        """
        value, payload = record.value, record.payload.partition(";")[0].strip().lower()
        if value[:1] == MAGIC:
            return self._registered(value)
        if payload in ("", JSON):
            return _json(value)
        if payload in (AVRO, "application/avro"):
            return avro.read(value, self._avro)
        if payload in (ARROW, "application/vnd.apache.arrow"):
            return arrow.read(value)
        raise UnreadError(UNKNOWN, "the header content-type names a payload that is not read here")

    def _registered(self, value: bytes) -> Any:
        if self._registry is None:
            raise UnreadError(UNKNOWN, "the value names a registered schema, and no registry is configured")
        schema = self._registry.schema(value)
        body = value[5:]
        return _json(body) if schema.is_json else avro.read(body, schema.avro, self._avro)


def _json(value: bytes) -> Any:
    try:
        return _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UnreadError(NOT_JSON, "the record's value is not JSON") from None


_decode = msgspec.json.Decoder().decode
