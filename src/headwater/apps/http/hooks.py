"""What the service tells, as metrics and log lines. Made by ``cli.serving``, see ``service.Hooks``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from headwater.apps.http.metrics import Metrics
from headwater.apps.http.monitors import Monitors
from headwater.core.batch import Batch
from headwater.core.handful import Handful
from headwater.serving.commit import Turn
from headwater.serving.edges import Hooks
from headwater.serving.filing import Recorded
from headwater.serving.rescored import Rescored

LOG = logging.getLogger("headwater.service")


class Watching(Hooks):
    """Counts and writes down.

    Args:
        metrics: what is counted.

    Attributes:
        monitors: those who derive some of it again, once there are some.
        applied: told of what the engine has taken in: who publishes it, if anybody does.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.monitors: Monitors | None = None
        self.applied: Callable[[Batch | Handful], None] = lambda _events: None

    def on_applied(self, events: Batch | Handful) -> None:
        """The engine has taken events in."""
        self.applied(events)

    def on_turn(self, turn: Turn) -> None:
        """Events were committed."""
        self.metrics.turn(turn)

    def on_recorded(self, turn: Recorded) -> None:
        """Decisions were recorded."""
        self.metrics.recorded(turn)

    def on_fresh(self, rescored: Sequence[Rescored]) -> None:
        """Scores were made fresh."""
        if self.monitors is not None:
            self.monitors.fresh(rescored)

    def on_fault(self, where: str, error: BaseException) -> None:
        """Something failed: told by its type and place, never by its text."""
        self.metrics.faults.labels(where).inc()
        LOG.error("fault", extra={"part": where}, exc_info=error)
