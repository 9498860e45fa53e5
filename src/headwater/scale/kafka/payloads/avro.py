"""Avro: the schema that a stream's definition says, values read and written by it (fastavro).

Every column may be null. Times are ``timestamp-micros``, days ``date``; an Enum is a text, whose categories
the stream checks by itself. What was written by another schema is read by Avro's own rules for two schemas.
Called by ``reading``, ``registry`` and ``publish``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import fastavro
import polars as pl

from headwater.definitions.stream import Stream
from headwater.scale.kafka.payloads.unread import UnreadError

NOT_AVRO = "not-avro"

Schema = Any  # fastavro's own form


def schema_of(stream: Stream) -> dict[str, Any]:
    """The Avro schema of a stream's events.

    Example:
        >>> visits = Stream("visits", {"who": pl.Int64, "at": pl.Datetime("us", "UTC")}, time="at")
        >>> [field["type"][1] for field in schema_of(visits)["fields"]]
        ['long', {'type': 'long', 'logicalType': 'timestamp-micros'}]
    """
    fields = [
        {"name": name, "type": ["null", _type(dtype)], "default": None}
        for name, dtype in stream.schema.items()
    ]
    return {"type": "record", "name": stream.name, "namespace": "headwater", "fields": fields}


def parsed(schema: Mapping[str, Any] | str) -> Schema:
    """A schema ready to read and write with."""
    return fastavro.parse_schema(json.loads(schema) if isinstance(schema, str) else dict(schema))


def read(value: bytes, written: Schema, wanted: Schema | None = None) -> Any:
    """The event that a value holds.

    Args:
        value: Avro's binary form of one record, without a header.
        written: the schema that it was written by.
        wanted: the stream's own, if that is another.

    Raises:
        UnreadError: it is not of the schema, or does not resolve to the stream's.
    """
    source = io.BytesIO(value)
    try:
        event = fastavro.schemaless_reader(source, written, wanted)
    except Exception as error:  # noqa: BLE001 - whatever its reading trips over: poison is no reason to end
        raise UnreadError(
            NOT_AVRO, f"the record's value is not Avro of the schema: {type(error).__name__}"
        ) from None
    if source.read(1):
        raise UnreadError(NOT_AVRO, "the record's value is longer than Avro of the schema")
    return {name: plain(one) for name, one in event.items()} if isinstance(event, dict) else event


def write(event: Mapping[str, Any], schema: Schema) -> bytes:
    """An event in Avro's binary form."""
    target = io.BytesIO()
    fastavro.schemaless_writer(target, schema, event)
    return target.getvalue()


def plain(value: Any) -> Any:
    """A value as JSON would have it: times and days as text."""
    return value.isoformat() if isinstance(value, datetime | date) else value


def _type(dtype: pl.DataType) -> Any:
    if dtype.is_integer():
        return "int" if dtype in (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16) else "long"
    if dtype.is_float():
        return "float" if dtype == pl.Float32 else "double"
    if isinstance(dtype, pl.Boolean):
        return "boolean"
    if isinstance(dtype, pl.Datetime):
        return {"type": "long", "logicalType": "timestamp-micros"}
    if isinstance(dtype, pl.Date):
        return {"type": "int", "logicalType": "date"}
    return "string"
