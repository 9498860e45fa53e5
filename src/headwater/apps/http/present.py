"""What is true at the moment that the metrics are read: queues, models, and of the log's owner its log.

Registered by ``metrics``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headwater.core.errors import StoreError
from headwater.serving.deciding import Deciding
from headwater.serving.service import Service

Cache = Callable[[], tuple[int, int]]  # how often something was found in it, and how often it was not


class OfDeciding(Collector):
    """Of whoever decides."""

    def __init__(self, service: Deciding, caches: Mapping[str, Cache]) -> None:
        self._service = service
        self._caches = caches

    def collect(self) -> Iterator[Metric]:
        """One gauge each."""
        service = self._service
        for name, text, value in (
            ("headwater_waiting_decisions", "Decisions that wait to be made.", service.asked),
            ("headwater_ready", "Whether the service takes what it is there for.", service.broken is None),
        ):
            yield GaugeMetricFamily(name, text, int(value))
        models = GaugeMetricFamily(
            "headwater_model_info", "The version that is served.", labels=["model", "digest", "definition"]
        )
        for model, scoring in service.serving.scorings.items():
            models.add_metric([model, scoring.digest, scoring.definition_hash], 1)
        yield models
        shares = GaugeMetricFamily(
            "headwater_canary_share", "Of the decisions, what a canary answers.", labels=["model", "digest"]
        )
        for model, trial in service.serving.canaries.items():
            shares.add_metric([model, trial.canary.digest], trial.canary.share)
        yield shares
        lookups = CounterMetricFamily(
            "headwater_cache_lookups",
            "How often a cache had what was asked for, and how often it had not.",
            labels=["cache", "outcome"],
        )
        for name, cache in self._caches.items():
            for outcome, count in zip(("hit", "miss"), cache(), strict=True):
                lookups.add_metric([name, outcome], count)
        yield lookups


class OfLog(Collector):
    """Of the log's owner."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """One gauge each."""
        service = self._service
        events, size = service.taking.waiting
        end, offset = service.log.end(), service.offset
        for name, text, value in (
            ("headwater_waiting_events", "Events that wait to be committed.", events),
            ("headwater_waiting_bytes", "Bytes of them.", size),
            ("headwater_log_events", "Events in the log.", end),
            ("headwater_lag_events", "Events in the log that no score rests on yet.", end - 1 - offset),
            ("headwater_listeners", "Listeners of the score stream.", len(service.feed)),
        ):
            yield GaugeMetricFamily(name, text, value)
        letters = GaugeMetricFamily(
            "headwater_dead_letters", "Refused events that nobody settled yet.", labels=["reason"]
        )
        with suppress(StoreError):  # a database that is away: `headwater_database_up` tells it
            for reason, count in service.letters.dead_letter_counts().items():
                letters.add_metric([reason], count)
        yield letters
