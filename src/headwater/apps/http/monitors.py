"""The server's side of its monitors: a share of what is served goes to them, their figures come back.

They live in a process of their own (``apps.monitors``), so that no decision waits for them. What is served
costs an addition here, and every hundredth time some microseconds; what finds no room is left out. If the
monitors are down the service goes on, and the metrics say so. Made by ``cli.serving`` and by tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self

from headwater.apps.http.metrics import Metrics
from headwater.apps.monitors.rounds import RATE, Figures
from headwater.apps.monitors.served import FAULT, FIGURES, SHADOW, fresh_message, serve_message
from headwater.apps.settings import Settings
from headwater.apps.workers.message import Message
from headwater.apps.workers.worker import ALONE, Job, Worker
from headwater.monitoring.parity import Share
from headwater.serving.rescored import Rescored
from headwater.serving.served import Serving
from headwater.serving.service import Service
from headwater.store.late import LateLedger

Send = Callable[[Message], bool]


def job(settings: Settings, log_level: str = "warning") -> Job:
    """How the monitors of a project are run."""
    where = str(settings.project.absolute()), str(settings.data.absolute())
    how = str(settings.parity_share), str(settings.shadow_share), log_level
    around = {**ALONE, **settings.handed_down()}
    return Job("monitors", "headwater.apps.monitors.process", (*where, *how), environment=around)


class Monitors:
    """The monitors of a service, as the service sees them.

    Args:
        service: open.
        metrics: what is counted.
        rate: which share of what is served is derived again.

    Attributes:
        ledger: late events, and the decisions that they would have changed.
        figures: what the monitors told last; None before they spoke.
        up: whether they are there.
        challengers: which version of a model is challenger, by its number.
    """

    def __init__(self, service: Service, metrics: Metrics, rate: float = RATE) -> None:
        self._service = service
        self._metrics = metrics
        self._share = Share(rate)
        self._send: Send = _nobody
        self._said: tuple[Serving, Mapping[str, int], Message] | None = None
        self._shadowed: dict[str, dict[str, int]] = {}
        self.challengers: Callable[[], Mapping[str, int]] = dict
        self.ledger = LateLedger.open(service.folder.late)
        self.figures: Figures | None = None
        self.up: Callable[[], bool] = lambda: False
        metrics.late_backlog.set_function(self.behind)
        metrics.parity_waiting.set_function(lambda: 0 if self.figures is None else self.figures.waiting)
        metrics.monitors_up.set_function(lambda: int(self.up()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.ledger.close()

    def worker(self, job: Job) -> Worker:
        """The process that does the work; not yet started."""
        worker = Worker(job, greeting=self.greeting, on_message=self.told)
        self.attach(worker.send, lambda: worker.up)
        return worker

    def attach(self, send: Send, up: Callable[[], bool]) -> None:
        """Say where the monitors are."""
        self._send, self.up = send, up

    # --- To them --------------------------------------------------------------------------------------

    def greeting(self) -> Iterable[Message]:
        """What they are told first."""
        return (self._serving(),)

    def fresh(self, rescored: Sequence[Rescored]) -> None:
        """Scores were made fresh: some of them are to be derived again."""
        for one in rescored:
            if self._share.takes():
                self._send(fresh_message(one[len(one) - 1].scored, one.scoring.digest))

    # --- From them ------------------------------------------------------------------------------------

    def told(self, message: Message) -> None:
        """They said something."""
        if message["kind"] == FAULT:
            self._metrics.faults.labels("monitors").inc()
        elif message["kind"] == SHADOW:
            self._count_shadow(message["models"], message["waiting"])
        elif message["kind"] == FIGURES:
            self._count(Figures.of(message))
            serving = self._serving()
            if message["serving"] != serving:  # something else is served since
                self._send(serving)

    def behind(self) -> int:
        """Events of the log that the late ledger did not look through yet."""
        reached = self.ledger.reached().offset if self.figures is None else self.figures.reached
        return max(0, self._service.log.end() - reached)

    def _count(self, now: Figures) -> None:
        was, metrics = self.figures, self._metrics
        self.figures = now
        for name, counter in (
            ("late_events", metrics.late_events),
            ("late_decisions", metrics.late_decisions),
            ("compared", metrics.parity_compared),
            ("mismatches", metrics.parity_mismatches),
            ("gone", metrics.parity_gone),
        ):
            more = getattr(now, name) - (0 if was is None else getattr(was, name))
            counter.inc(max(0, more))  # less than before: they were started anew, and count from there

    def _count_shadow(self, models: Mapping[str, Mapping[str, int]], waiting: int) -> None:
        metrics = self._metrics
        for model, facts in models.items():
            was = self._shadowed.get(model, {})
            for name, counter in (
                ("compared", metrics.shadow_compared),
                ("failed", metrics.shadow_failed),
                ("flips", metrics.shadow_flips),
                ("reasons", metrics.shadow_reasons),
            ):
                counter.labels(model).inc(max(0, int(facts[name]) - was.get(name, 0)))
        self._shadowed = {model: dict(facts) for model, facts in models.items()}
        metrics.shadow_waiting.set(waiting)

    def _serving(self) -> Message:
        """What is served now."""
        serving, challengers = self._service.serving, self.challengers()
        if self._said is None or self._said[0] is not serving or self._said[1] != challengers:
            self._said = serving, dict(challengers), serve_message(serving, challengers)
        return self._said[2]


def _nobody(_message: Message) -> bool:
    return False
