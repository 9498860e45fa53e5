"""The same events through Kafka's host and the embedded log: the same bits of features and scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from tests.scale.kafka.cases import Bank, Counted, Twin, agree, payments, run
from tests.serving import bank as small

AT = small.micros(400)


def test_kafka_and_embedded_agree_to_the_bit(services: Mapping[str, str], tmp_path: Path) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments()
    again = pl.concat([frame, frame[100:140]])  # sent twice
    bank.publish(again)
    counted = Counted()
    with bank.host(hooks=counted.hooks) as host:
        run([host], lambda: counted.seen == len(again))
        agree(bank, Twin(bank, frame, tmp_path), [host], AT)
    assert (counted.events, counted.duplicates, counted.refused, counted.faults) == (600, 40, 0, [])


def test_a_restart_goes_on_from_the_snapshot(services: Mapping[str, str], tmp_path: Path) -> None:
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path)
    frame = payments()
    counted = Counted()
    for part in (frame[:250], frame[250:]):
        bank.publish(part)
        wanted = counted.seen + len(part)
        with bank.host(hooks=counted.hooks) as host:
            run([host], lambda wanted=wanted: counted.seen == wanted)  # type: ignore[misc]
            if wanted == len(frame):
                agree(bank, Twin(bank, frame, tmp_path), [host], AT)
    assert len({path.name[:5] for path in (tmp_path / "snapshots").iterdir()}) == bank.partitions
    assert counted.events == len(frame)
