"""The metrics of the online store: what an owner publishes, how fresh is what a replica decides from.

Looked up when the page is read, from what ``scale.redis`` counts. Registered by ``cli``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Seen(Protocol):
    """What both halves know."""

    up: bool
    whole: bool
    offset: int
    at: int


class Published(Seen, Protocol):
    """What an owner did."""

    epoch: int
    writes: int
    keys: int
    bytes: int
    nanoseconds: int
    fillings: int


class Fetched(Seen, Protocol):
    """What a replica did."""

    fetches: int
    nanoseconds: int
    refused: int


class _Online(Collector):
    """What both halves tell."""

    def __init__(self, seen: Callable[[], Seen], now: Callable[[], int]) -> None:
        self._seen = seen
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """One gauge each."""
        seen = self._seen()
        age = max(0.0, (self._now() - seen.at) / 1e6) if seen.at else float("nan")
        for name, text, value in (
            ("headwater_online_up", "Whether the online store answered last time.", float(seen.up)),
            ("headwater_online_whole", "Whether it holds the whole state.", float(seen.whole)),
            ("headwater_online_offset", "The last place in the log that is published.", float(seen.offset)),
            ("headwater_online_age_seconds", "Since the owner of the log last said so.", age),
        ):
            yield GaugeMetricFamily(name, text, value)


class OwnerMetrics(_Online):
    """Of a server, or a Kafka host, that publishes."""

    def __init__(
        self, published: Callable[[], Published], now: Callable[[], int], offset: Callable[[], int]
    ) -> None:
        super().__init__(published, now)
        self._published = published
        self._offset = offset

    def collect(self) -> Iterator[Metric]:
        """What both tell, and what was published."""
        yield from super().collect()
        done = self._published()
        yield GaugeMetricFamily(
            "headwater_online_lag_events",
            "Events that scores rest on here and that are not published yet.",
            max(0, self._offset() - done.offset),
        )
        yield GaugeMetricFamily("headwater_online_epoch", "Of this owner; the greatest one owns.", done.epoch)
        for name, text, value in (
            ("headwater_online_publications", "Writes that published states.", float(done.writes)),
            ("headwater_online_published_keys", "States that they held.", float(done.keys)),
            ("headwater_online_published_bytes", "Bytes of those.", float(done.bytes)),
            ("headwater_online_publish_seconds", "Time that they took.", done.nanoseconds / 1e9),
            ("headwater_online_fillings", "How often everything was published.", float(done.fillings)),
        ):
            yield CounterMetricFamily(name, text, value)


class ReplicaMetrics(_Online):
    """Of a server that only decides."""

    def __init__(self, fetched: Callable[[], Fetched], now: Callable[[], int]) -> None:
        super().__init__(fetched, now)
        self._fetched = fetched

    def collect(self) -> Iterator[Metric]:
        """What both tell, and what was fetched."""
        yield from super().collect()
        done = self._fetched()
        for name, text, value in (
            ("headwater_online_fetches", "Round trips for decisions and readings.", float(done.fetches)),
            ("headwater_online_fetch_seconds", "Time that they took.", done.nanoseconds / 1e9),
            (
                "headwater_online_refused",
                "Decisions and readings that the store could not serve.",
                float(done.refused),
            ),
        ):
            yield CounterMetricFamily(name, text, value)
