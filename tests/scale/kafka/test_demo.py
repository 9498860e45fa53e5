"""The demo's log, three streams and late events, on Kafka and embedded; the whole of it is a benchmark."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.kafka_demo import compared


def test_the_demos_log_gives_the_same_bits(services: Mapping[str, str]) -> None:
    found = compared(services["HEADWATER_KAFKA"], accounts=40, years=1)
    assert found["events"] > 3_000
    assert found["values"] > 5_000
    assert (found["differing"], found["unowned"]) == (0, 0)
