"""What looks after a live service from behind: the late ledger kept up, and served vectors derived again.

Beside the serving threads, in a thread of its own, every few seconds: see ``server.beside``. What is served
is only taken note of (:meth:`Monitors.fresh`, :meth:`Monitors.served`), which costs next to nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Self

from headwater.apps.http.metrics import Metrics
from headwater.apps.http.site import Past
from headwater.monitoring.late import LateWatch
from headwater.monitoring.parity import ParitySampler
from headwater.serving.fresh import Rescored
from headwater.serving.live import Scored
from headwater.serving.service import Service, Serving
from headwater.store.late import LateLedger

LOG = logging.getLogger("headwater.monitors")
RATE = 0.01  # of what is served, how much is derived again


class Monitors:
    """The late ledger and the parity sampler of a service.

    Args:
        service: open.
        past: the models and policies of past decisions.
        metrics: what is counted.
        rate: which share of what is served is derived again.

    Attributes:
        ledger: late events, and the decisions that they would have changed.
        sampler: of what is served.
    """

    def __init__(self, service: Service, past: Past, metrics: Metrics, rate: float = RATE) -> None:
        self._service = service
        self._past = past
        self._metrics = metrics
        self.ledger = LateLedger.open(service.folder.late)
        self._serving = service.serving
        self.sampler = ParitySampler(service.log, self._serving.scorings.values(), rate=rate)
        self._watch = self._new_watch(self._serving)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.ledger.close()

    def fresh(self, rescored: Sequence[Rescored]) -> None:
        """Scores were made fresh: some are taken to be derived again, late ones are noted."""
        for one in rescored:
            for row in one.late:
                self._watch.observe(one[row])
            self.sampler.observe(one[len(one) - 1].scored, one.scoring)

    def served(self, scored: Sequence[Scored]) -> None:
        """Decisions were made."""
        for one in scored:
            self.sampler.observe(one)

    def round(self) -> None:
        """Bring the ledger up to the end of the log, and derive again what was sampled."""
        serving = self._service.serving
        if serving is not self._serving:
            self._serving = serving
            self.sampler.serve(serving.scorings.values())
            self._watch = self._new_watch(serving)
        report = self.sampler.check()
        self._metrics.parity_compared.inc(report.compared)
        self._metrics.parity_mismatches.inc(report.mismatches)
        for mismatch in report.causes:
            facts = {"model": mismatch.model, "offset": mismatch.offset, "features": mismatch.features}
            LOG.error("parity mismatch", extra=facts)
        settled = self._watch.settle()
        self._metrics.late_events.inc(settled.late)
        self._metrics.late_decisions.inc(settled.decisions)
        self._service.decisions.fold()

    def _new_watch(self, serving: Serving) -> LateWatch:
        service = self._service
        models, views = list(serving.scorings.values()), serving.project.views
        return LateWatch(service.log, service.decisions, self.ledger, models, views, self._past.own)
