"""A second step beside the first: while one group is on its way to the disk, the one before is worked on.

::

    first step     group a │ group b │ group c        something is waiting: it goes on, and
    second step            │ a       │ b        │ c

    first step     group a, worked on at once         nothing is waiting: no thread is woken for it

One thing is worked on at a time, in the order in which it was given. Bounded: whoever gives waits while one
is worked on and the next is there. Called by ``commit``.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Stage(Generic[T]):
    """The second step.

    Args:
        name: of its thread.
        work: what it does; must not raise.

    Example:
        >>> done = []
        >>> stage = Stage("beside", done.append)
        >>> stage.start()
        >>> stage.give(1, more=True)
        >>> stage.give(2, more=False)
        >>> stage.drain()
        >>> done
        [1, 2]
        >>> stage.close()
    """

    def __init__(self, name: str, work: Callable[[T], None]) -> None:
        self._work = work
        self._changed = Condition()
        self._next: list[T] = []  # one at most
        self._busy = self._closed = False
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def give(self, one: T, *, more: bool) -> None:
        """Have something worked on: beside the caller, or by the caller itself.

        Args:
            one: it.
            more: whether the caller has something else to do meanwhile.
        """
        with self._changed:
            if more or self._busy or self._next:
                while self._next:
                    self._changed.wait()
                self._next.append(one)
                self._changed.notify_all()
                return
            self._busy = True
        self._do(one)

    def drain(self) -> None:
        """Wait until nothing is worked on."""
        with self._changed:
            while self._busy or self._next:
                self._changed.wait()

    def close(self) -> None:
        """Wait until everything that was given is done, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._busy or not (self._next or self._closed):
                    self._changed.wait()
                if not self._next:
                    return
                one = self._next.pop()
                self._busy = True
                self._changed.notify_all()
            self._do(one)

    def _do(self, one: T) -> None:
        try:
            self._work(one)
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
