"""Whether a stream host lives, and is ready: for an orchestrator's probes, and for ``streaming``.

Its loop beats once a turn. Ready is a host that has been given its partitions and has read them up to their
ends as they were then; it stays so while it falls behind under load, which the lag tells. Asked by ``board``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headwater.apps.http.problems import NotReadyError

READY = 30.0  # seconds without a turn after which a host is not ready
LIVE = 300.0  # and after which it is to be started again: longer than it waits for brokers by itself


class Pulse:
    """The beats of a loop, and what keeps its host from being ready.

    Args:
        stopwatch: nanoseconds since anything.

    Attributes:
        missing: what keeps it from being ready; None if nothing does.
        told: what is told beside, once it is ready.
    """

    def __init__(self, stopwatch: Callable[[], int]) -> None:
        self._stopwatch = stopwatch
        self._last = stopwatch()
        self.missing: str | None = "nothing was taken over yet"
        self.told: dict[str, Any] = {}

    def beat(self) -> None:
        """The loop has turned."""
        self._last = self._stopwatch()

    def age(self) -> float:
        """Seconds since it has turned."""
        return (self._stopwatch() - self._last) / 1e9

    def is_ready(self) -> bool:
        """Whether it is."""
        return self.missing is None and self.age() <= READY

    def ready(self) -> dict[str, Any]:
        """What is told of a host that is ready.

        Raises:
            NotReadyError: it is not; with the reason.
        """
        if self.missing is not None:
            raise NotReadyError.of(
                "the host is not ready",
                expected="its partitions, read up to their ends as they were when they came",
                got=self.missing,
                do="wait; the log of the command says if something is in the way",
            )
        self._see_that_it_turns(READY)
        return {"status": "ready", **self.told}

    def alive(self) -> dict[str, Any]:
        """What is told of a host that lives.

        Raises:
            NotReadyError: it has not turned for too long.
        """
        self._see_that_it_turns(LIVE)
        return {"status": "ok"}

    def _see_that_it_turns(self, most: float) -> None:
        age = self.age()
        if age > most:
            raise NotReadyError.of(
                "the host's loop does not turn",
                expected=f"a turn at least every {most:g} s",
                got=f"none for {age:.0f} s",
                do="see that the brokers answer; end the host if they do, and start it again",
            )
