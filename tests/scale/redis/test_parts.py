"""A Kafka host owns a part of the store for each of its partitions; what is read is the embedded engine's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.scale.redis.cases import address
from tests.scale.redis.lender import Lender, cut, markers, past


def test_a_host_publishes_and_readings_are_the_embedded_engines(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    lender = Lender(services["HEADWATER_KAFKA"], address(services), tmp_path)
    lender.send(cut(past(), 0, 0.5))
    with lender.host() as running:
        lender.settle(running)
        lender.agree()
        for first in range(50, 100, 10):
            lender.send(cut(past(), first / 100, first / 100 + 0.1))
            lender.settle(running)
        lender.agree()
        _, owners, faults = running
        assert faults.faults == []
        assert owners.published.fillings == lender.partitions
        assert owners.published.writes >= lender.partitions
    assert len({marker[b"epoch"] for marker in markers(lender)}) == lender.partitions
