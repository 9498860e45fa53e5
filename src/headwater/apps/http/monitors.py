"""What looks after a live service from behind: the late ledger kept up, and served vectors derived again.

Beside the serving threads, in a thread of its own, every few seconds: see ``server.beside``. Gently, by
``pace``: after every few milliseconds of work it rests nine times as long, so that decisions do not wait for
it; how far behind it is, is a metric. What is served is only taken note of (:meth:`Monitors.fresh`,
:meth:`Monitors.served`), which costs next to nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Self

from headwater.apps.http.metrics import Metrics
from headwater.apps.http.pace import Pace, StoppedPaceError
from headwater.apps.http.site import Past
from headwater.monitoring.late import LateWatch
from headwater.monitoring.parity import ParitySampler
from headwater.serving.fresh import Rescored
from headwater.serving.live import Scored
from headwater.serving.service import Service, Serving
from headwater.store.late import LateLedger

LOG = logging.getLogger("headwater.monitors")
RATE = 0.01  # of what is served, how much is derived again
STRETCH = (64, 1_024)  # offsets that are settled, and kept, at a time: few where events are late
SAMPLES = 64  # vectors that are derived again in one pass over the log


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
        self._pace = Pace()
        self._turn = Lock()
        self._step: Callable[[], None] = _no_step
        self.ledger = LateLedger.open(service.folder.late)
        self._serving = service.serving
        self.sampler = ParitySampler(service.log, self._serving.scorings.values(), rate=rate)
        self._watch = self._new_watch(self._serving)
        metrics.late_backlog.set_function(self._behind)
        metrics.parity_waiting.set_function(lambda: self.sampler.waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
        self.ledger.close()

    def stop(self) -> None:
        """End the gentle round that runs, if any, at its next step; there is none afterwards."""
        self._pace.stop()
        with self._turn:
            pass

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

    def gentle_round(self) -> None:
        """A round that takes a tenth of one processor at most; it ends early when :meth:`stop` is called."""
        with self._turn:
            try:
                self._step = self._pace.begin()
                self._round()
            except StoppedPaceError:
                LOG.info("a round was stopped", extra={"behind": self._watch.behind()})
            finally:
                self._step = _no_step

    def round(self) -> None:
        """Bring the ledger up to the end of the log, and derive again what was sampled, without a rest."""
        with self._turn:
            self._round()

    def _round(self) -> None:
        serving = self._service.serving
        if serving is not self._serving:
            self._serving = serving
            self.sampler.serve(serving.scorings.values())
            self._watch = self._new_watch(serving)
        for _ in range(0, self.sampler.waiting, SAMPLES):
            self._check()
        self._settle()
        self._service.decisions.fold()

    def _check(self) -> None:
        report = self.sampler.check(SAMPLES, step=self._step)
        self._metrics.parity_compared.inc(report.compared)
        self._metrics.parity_mismatches.inc(report.mismatches)
        for mismatch in report.causes:
            facts = {"model": mismatch.model, "offset": mismatch.offset, "features": mismatch.features}
            LOG.error("parity mismatch", extra=facts)

    def _settle(self) -> None:
        """Stretch by stretch, as far as the log reaches now."""
        end = self._service.log.end()
        stretch = STRETCH[0]
        while True:
            stop = min(self.ledger.reached().offset + stretch, end)
            settled = self._watch.settle(stop=stop)
            self._metrics.late_events.inc(settled.late)
            self._metrics.late_decisions.inc(settled.decisions)
            if stop >= end or not settled.events:
                return
            stretch = STRETCH[0] if settled.late else min(2 * stretch, STRETCH[1])
            self._step()

    def _behind(self) -> int:
        return self._watch.behind()

    def _stepping(self) -> None:
        self._step()

    def _new_watch(self, serving: Serving) -> LateWatch:
        service = self._service
        models, views = list(serving.scorings.values()), serving.project.views
        return LateWatch(
            service.log,
            service.decisions,
            self.ledger,
            models,
            views,
            self._past.own,
            step=self._stepping,
        )


def _no_step() -> None:
    """Go on at once."""
