"""What every page of metrics has: a registry of its own, the failures, and the process.

All names begin with ``headwater_``. Filled in by ``metrics`` for a server, by ``streaming`` for a host.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Page:
    """Metrics in a registry of their own.

    Attributes:
        registry: of all of them.
        faults: failures by the part that failed.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.faults = Counter(
            "headwater_faults", "Failures by the part that failed.", ["where"], registry=self.registry
        )
        ProcessCollector(namespace="headwater", registry=self.registry)

    def page(self) -> bytes:
        """The page, in Prometheus' text format."""
        return generate_latest(self.registry)
