"""A schema registry: which schema a value was written by, and the stream's own registered.

::

    0 | id, four bytes, big-endian | Avro's or JSON's bytes        the form of Confluent's serializers

Schemas never change under their id, so each is asked for once. Called by ``reading`` and ``publish``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlsplit
from weakref import finalize

import polars as pl
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from headwater.core.errors import LogError
from headwater.definitions.stream import Stream
from headwater.scale.kafka.payloads import avro
from headwater.scale.kafka.payloads.unread import UnreadError

MAGIC = b"\0"
UNKNOWN_SCHEMA = "unknown-schema"
_UNKNOWN = 404
_PATIENCE = 10.0  # seconds for an answer


@dataclass(frozen=True, slots=True)
class Registered:
    """A schema of the registry: JSON's, or Avro's ready to read with."""

    is_json: bool
    avro: avro.Schema = None


class Registry:
    """A schema registry, as Confluent, Karapace and Apicurio speak. Safe to share between threads.

    Args:
        url: where.
        security: the client's properties for a user and TLS; never shown.
    """

    def __init__(self, url: str, security: Mapping[str, Any] | None = None) -> None:
        self.url = url
        self._client = SchemaRegistryClient({"url": url, "timeout": _PATIENCE, **(security or {})})
        finalize(self, self._client.close)  # its connection ends with it
        self._known: dict[int, Registered | UnreadError] = {}
        self._lock = Lock()

    def schema(self, value: bytes) -> Registered:
        """The schema that a value names.

        Raises:
            UnreadError: there is none of that id, or of a kind that is not read here.
            LogError: the registry does not answer.
        """
        if len(value) < 5:
            raise UnreadError(UNKNOWN_SCHEMA, "the value ends before the number of its schema")
        number = int.from_bytes(value[1:5], "big")
        with self._lock:
            found = self._known.get(number)
            if found is None:
                found = self._known[number] = self._ask(number)
        if isinstance(found, UnreadError):
            raise found
        return found

    def register(self, subject: str, stream: Stream, *, as_json: bool) -> int:
        """The id of a stream's schema, registered under a subject if it is not yet.

        Raises:
            LogError: the registry refuses it, or does not answer.
        """
        kind, schema = ("JSON", json_schema(stream)) if as_json else ("AVRO", avro.schema_of(stream))
        try:
            return int(self._client.register_schema(subject, Schema(json.dumps(schema), kind)))
        except Exception as error:  # the library lets through whatever its HTTP client raises
            raise self._silent(error) from error

    def _ask(self, number: int) -> Registered | UnreadError:
        try:
            found: Any = self._client.get_schema(number)
        except SchemaRegistryError as error:
            if error.http_status_code != _UNKNOWN:
                raise self._silent(error) from error
            return UnreadError(UNKNOWN_SCHEMA, f"the schema registry knows no schema {number}")
        except Exception as error:  # the library lets through whatever its HTTP client raises
            raise self._silent(error) from error
        kind = found.schema_type
        if kind == "JSON" and _is_record(found.schema_str):
            kind = "AVRO"  # Apicurio calls equal contents by the kind of whoever registered first
        if kind == "JSON":
            return Registered(is_json=True)
        if kind != "AVRO" or found.references:
            return UnreadError(UNKNOWN_SCHEMA, f"schema {number} is neither JSON nor Avro in one piece")
        return Registered(is_json=False, avro=avro.parsed(found.schema_str))

    def _silent(self, error: Exception) -> LogError:
        told = isinstance(error, SchemaRegistryError)
        got = str(error).partition("\n")[0][:200] if told else type(error).__name__
        return LogError.of(
            "the schema registry does not answer as it should",
            expected="a registry that takes this client",
            got=got,
            where=urlsplit(self.url).hostname or "no host",
            do="see that it runs, and that HEADWATER_SCHEMA_REGISTRY settings name the right credentials",
        )


def _is_record(schema: str) -> bool:
    """Whether a schema is Avro's of a record, which no JSON Schema is."""
    found = json.loads(schema)
    return isinstance(found, dict) and found.get("type") == "record"


def json_schema(stream: Stream) -> dict[str, Any]:
    """The JSON Schema of a stream's events."""
    fields = {name: {"type": [_kind(dtype), "null"]} for name, dtype in stream.schema.items()}
    draft = "http://json-schema.org/draft-07/schema#"
    return {
        "$schema": draft,
        "title": stream.name,
        "type": "object",
        "properties": fields,
        "additionalProperties": False,
    }


def _kind(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "number"
    return "boolean" if isinstance(dtype, pl.Boolean) else "string"
