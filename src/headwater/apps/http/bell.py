"""From the service's threads to the event loop: one call wakes it for all answers that came meanwhile.

::

    writer     answer, answer, answer            each rings; only the first wakes the loop
                   └──────┴──────┴──► bell
    event loop                         └──► request, request, request go on

``asyncio.wrap_future`` wakes the loop once for each answer, which at thousands a second costs more than the
answers. Called by ``routes``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Bell:
    """Where requests of one event loop wait for the service's threads.

    Args:
        loop: the event loop; :meth:`wait` and :meth:`call` are called in its thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._done: deque[tuple[Callable[[Future[Any]], None], Future[Any]]] = deque()
        self._rung = False

    def wait(self, future: Future[T]) -> asyncio.Future[T]:
        """What ``await`` waits for."""
        waiter: asyncio.Future[T] = self.loop.create_future()
        self.call(future, lambda done: _hand_over(waiter, done))
        return waiter

    def call(self, future: Future[T], told: Callable[[Future[T]], None]) -> None:
        """Call something in the event loop's thread once the answer is there; it must not raise."""
        future.add_done_callback(lambda done: self._ring(told, done))

    def _ring(self, told: Callable[[Future[Any]], None], done: Future[Any]) -> None:
        """In whatever thread the answer comes from."""
        self._done.append((told, done))
        if not self._rung:
            self._rung = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._rung = False  # first: who comes from now on rings again
        while self._done:
            told, done = self._done.popleft()
            told(done)


def _hand_over(waiter: asyncio.Future[Any], done: Future[Any]) -> None:
    if waiter.done():  # given up
        return
    if done.cancelled():
        waiter.cancel()
    elif (error := done.exception()) is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(done.result())
