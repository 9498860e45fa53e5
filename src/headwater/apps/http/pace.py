"""Work in the background that leaves the processor to others: short slices, and long rests between them.

Used by ``monitors``. A slice ends at the first call of the step after ``SLICE``; the rest is nine times as
long as the slice took, however long that was, so that a tenth of one processor is taken at most.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from time import perf_counter

SLICE = 0.002  # seconds
REST = 9.0  # rests so many times as long as it worked


class StoppedPaceError(Exception):
    """The work is to end: see :meth:`Pace.stop`. Whoever began the work catches it."""


class Pace:
    """The pace of one worker. :meth:`stop` is for any thread, the rest for the worker.

    Args:
        stopwatch: seconds.

    Example:
        >>> pace = Pace()
        >>> step = pace.begin()
        >>> for _ in range(3):
        ...     step()
        >>> pace.stop()
    """

    def __init__(self, stopwatch: Callable[[], float] = perf_counter) -> None:
        self._watch = stopwatch
        self._ended = Event()
        self._since = 0.0

    def begin(self) -> Callable[[], None]:
        """Begin a slice; what is given is to be called after every little piece of work.

        Raises:
            StoppedPaceError: it was stopped; also by what is given.
        """
        self._since = self._watch()
        self._rest(0.0)
        return self._step

    def stop(self) -> None:
        """The worker's next step raises; one that rests is woken."""
        self._ended.set()

    def _step(self) -> None:
        took = self._watch() - self._since
        if took >= SLICE:
            self._rest(REST * took)
            self._since = self._watch()

    def _rest(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            raise StoppedPaceError
