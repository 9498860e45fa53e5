"""The trace of the request that is being worked on, for whoever has a step to tell of; nobody by default.

A step is told after it was done, with its two moments, so that the threads behind a request (which work for
many at once) need no context of their own: they keep the :class:`Trace` that came with what they were given.
While nobody traces, ``current()`` is None, and that is all it costs. Knows no tracing library:
``apps.http.traces`` brings one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol

Fact = str | int | float | bool  # never a personal value, never a secret
Stopwatch = Callable[[], int]  # nanoseconds from some start, never back


class Trace(Protocol):
    """One request's trace. Safe to call from any thread, also after the request was answered."""

    @property
    def id(self) -> str:
        """32 hex digits, as they stand in ``traceparent``."""
        ...

    def add(self, name: str, start: int, end: int, **facts: Fact) -> None:
        """Tell of a step.

        Args:
            name: what was done: ``validate``, ``commit``, ``apply``, ``score``, ``record`` ...
            start: stopwatch, nanoseconds.
            end: stopwatch, nanoseconds.
            facts: names, counts and places; no values of events.
        """
        ...


_CURRENT: ContextVar[Trace | None] = ContextVar("headwater.trace", default=None)
_NOTHING = nullcontext()

current: Callable[[], Trace | None] = _CURRENT.get


@contextmanager
def tracing(trace: Trace) -> Iterator[None]:
    """Let a trace be the current one."""
    token = _CURRENT.set(trace)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def span(name: str, stopwatch: Stopwatch, **facts: Fact) -> AbstractContextManager[None]:
    """A block as a step of the current trace; nothing at all if there is none.

    Example:
        >>> with span("replay", lambda: 0, decision="d1"):
        ...     pass
    """
    trace = _CURRENT.get()
    return _NOTHING if trace is None else _timed(trace, name, stopwatch, facts)


@contextmanager
def _timed(trace: Trace, name: str, stopwatch: Stopwatch, facts: dict[str, Fact]) -> Iterator[None]:
    start = stopwatch()
    try:
        yield
    finally:
        trace.add(name, start, stopwatch(), **facts)
