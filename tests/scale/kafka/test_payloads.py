"""JSON, Avro and Arrow: the same events, the same bits, whatever they came as, and poison of each kind."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import fastavro
import polars as pl
import pyarrow as pa
import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from headwater.core.errors import LogError
from headwater.scale.kafka.payloads import arrow, avro
from headwater.scale.kafka.payloads.reading import ARROW, AVRO, CONTENT_TYPE, Reading, Record
from headwater.scale.kafka.payloads.registry import Registry
from headwater.scale.kafka.payloads.unread import UnreadError
from headwater.scale.kafka.publish import Payload, publish
from tests.scale.kafka.cases import Bank, Counted, Twin, agree, payments, run
from tests.serving import bank as small

AT = small.micros(400)


@pytest.mark.parametrize("mixed", [("avro",), ("arrow",), ("json", "avro", "arrow")])
def test_any_payload_gives_the_bits_of_the_embedded_log(
    mixed: tuple[Payload, ...], services: Mapping[str, str], tmp_path: Path
) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments(240)
    size = len(frame) // len(mixed)
    for place, payload in enumerate(mixed):
        part = frame[place * size : (place + 1) * size]
        publish(bank.cluster, bank.topics, small.PAYMENTS, part, payload=payload)
    counted = Counted()
    with bank.host(hooks=counted.hooks) as host:
        run([host], lambda: counted.seen == len(frame))
        agree(bank, Twin(bank, frame, tmp_path), [host], AT)
    assert (counted.events, counted.refused) == (len(frame), 0)


def test_poison_of_each_payload_is_a_dead_letter(services: Mapping[str, str], tmp_path: Path) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments(40)
    bank.publish(frame)
    two = arrow.write(frame[:1]), arrow.write(frame[1:2])
    values: list[tuple[bytes, str]] = [
        (b"\x02", AVRO),
        (b"\xff" * 9, ARROW),
        (two[0][: len(two[0]) // 2], ARROW),
        (b"{}", "text/plain; charset=utf-8"),
        (b"\0\0\0\0\x07{}", ""),
        (_of_two(frame[:2]), ARROW),
    ]
    producer = Producer({"bootstrap.servers": bank.cluster.brokers, "partitioner": "murmur2_random"})
    for value, payload in values:
        headers: list[tuple[str, str | bytes | None]] = [(CONTENT_TYPE, payload)] if payload else []
        producer.produce(bank.topics.of("payments"), value, b"7", headers=headers)
    assert producer.flush(10) == 0
    counted = Counted()
    with bank.host(hooks=counted.hooks) as host:
        run([host], lambda: counted.seen == len(frame) + len(values))
        agree(bank, Twin(bank, frame, tmp_path), [host], AT)
    letters = sorted(bank.letters(), key=lambda letter: int(letter["offset"]))
    assert [letter["reason"] for letter in letters] == [
        "not-avro",
        "not-arrow",
        "not-arrow",
        "unknown-payload",
        "unknown-payload",
        "not-one-event",
    ]
    assert letters[-1]["message"] == "an Arrow record holds one event, not 2"
    assert letters[4]["message"] == "the value names a registered schema, and no registry is configured"


def _of_two(frame: pl.DataFrame) -> bytes:
    table = frame.with_columns(pl.col("way").cast(pl.String)).to_arrow()
    target = pa.BufferOutputStream()
    with pa.ipc.new_stream(target, table.schema) as stream:
        stream.write_table(table)
    return bytes(target.getvalue())


def test_the_schema_of_a_stream_is_pinned() -> None:
    """Others' producers are made from it."""
    assert avro.schema_of(small.PAYMENTS) == {
        "type": "record",
        "name": "payments",
        "namespace": "headwater",
        "fields": [
            {"name": "id", "type": ["null", "long"], "default": None},
            {"name": "who", "type": ["null", "long"], "default": None},
            {
                "name": "time",
                "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}],
                "default": None,
            },
            {"name": "amount", "type": ["null", "double"], "default": None},
            {"name": "way", "type": ["null", "string"], "default": None},
        ],
    }


# --- A schema registry -----------------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["avro", "json"])
def test_a_registered_schema_is_read_from_the_registry(
    payload: Payload, services: Mapping[str, str], registry: str, tmp_path: Path
) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path, registry=Registry(registry))
    frame = payments(120)
    publish(bank.cluster, bank.topics, small.PAYMENTS, frame, payload=payload)
    counted = Counted()
    with bank.host(hooks=counted.hooks) as host:
        run([host], lambda: counted.seen == len(frame))
        agree(bank, Twin(bank, frame, tmp_path), [host], AT)
    assert (counted.events, counted.refused) == (len(frame), 0)


def test_another_schema_is_read_by_avros_rules(registry: str) -> None:
    """A producer's own: its columns in another order, whole numbers, and one column less."""
    others = {
        "type": "record",
        "name": "payments",
        "namespace": "headwater",
        "fields": [
            {"name": "amount", "type": "int"},
            {"name": "who", "type": "int"},
            {"name": "id", "type": "long"},
            {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        ],
    }
    number = _register(registry, json.dumps(others))
    body = io.BytesIO()
    event = {"amount": 12, "who": 7, "id": 1, "time": 1_767_225_600_000_000}
    fastavro.schemaless_writer(body, fastavro.parse_schema(others), event)
    reading = Reading(small.PAYMENTS, Registry(registry))
    found = reading.event(Record(0, 0, b"\0" + number.to_bytes(4, "big") + body.getvalue()))
    assert found == {
        "id": 1,
        "who": 7,
        "time": "2026-01-01T00:00:00+00:00",
        "amount": 12.0,
        "way": None,
    }


def test_a_schema_that_nobody_registered_is_poison(registry: str) -> None:
    reading = Reading(small.PAYMENTS, Registry(registry))
    for value, message in (
        (b"\0\x7f\xff\xff\x00abc", "the schema registry knows no schema 2147483392"),
        (b"\0\0", "the value ends before the number of its schema"),
    ):
        with pytest.raises(UnreadError) as raised:
            reading.event(Record(0, 0, value))
        assert (raised.value.reason, raised.value.message) == ("unknown-schema", message)


def test_a_registry_that_is_away_is_no_poison() -> None:
    away = Registry("http://127.0.0.1:9", {"max.retries": 0})
    with pytest.raises(LogError) as raised:
        Reading(small.PAYMENTS, away).event(Record(0, 0, b"\0\0\0\0\x01abc"))
    assert str(raised.value) == (
        "the schema registry does not answer as it should\n"
        "  expected: a registry that takes this client\n"
        "  got:      ConnectError\n"
        "  where:    127.0.0.1\n"
        "  do:       see that it runs, and that HEADWATER_SCHEMA_REGISTRY settings name the right credentials"
    )


def _register(url: str, schema: str) -> int:
    """As another producer would."""
    with SchemaRegistryClient({"url": url}) as client:
        return int(client.register_schema("others-value", Schema(schema, "AVRO")))
