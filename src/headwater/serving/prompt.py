"""Decisions made where they are asked for: in the event loop's own thread, if that takes microseconds.

::

    ask a, ask b ──► end of the loop's turn: made together ──► filing ──► answers
                          │ not a forest, a canary, the state in use, too much on its way to the disk
                          └──► recorder's queue, as without a loop

To hand a request to another thread and to get the GIL back afterwards costs as much as the decision itself.
Whatever may take longer, or wait for something, is not done here: the loop answers others meanwhile. Until
a loop lends its thread (:meth:`Prompt.lend`) everything goes to the recorder. Called by ``deciding``; read
``making`` for what is made, ``record`` for what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import RLock, get_ident

from headwater.core.errors import HeadwaterError
from headwater.serving.live import Stopwatch
from headwater.serving.making import Pair, Wanted
from headwater.serving.record import Asked, Recorder
from headwater.serving.waiting import Waiting

AT_ONCE = 8  # decisions that a loop makes before it looks at other requests

Soon = Callable[[Callable[[], None]], object]


@dataclass(frozen=True, slots=True)
class _Lent:
    """A thread that makes decisions, and what calls something in it."""

    thread: int
    soon: Soon


class Prompt:
    """Where decisions are asked for.

    Args:
        recorder: takes what was made, and makes the rest.
        waiting: the recorder's queue.
        quickly: makes decisions at once; None where that cannot be.
        stopwatch: nanoseconds.
    """

    def __init__(
        self,
        recorder: Recorder,
        waiting: Waiting[Asked],
        quickly: Callable[[Sequence[Wanted]], Sequence[Pair] | None],
        stopwatch: Stopwatch,
    ) -> None:
        self._recorder = recorder
        self._waiting = waiting
        self._quickly = quickly
        self._watch = stopwatch
        self._lent: _Lent | None = None
        self._lock = RLock()  # between the loop and whoever closes; a callback may ask again
        self._taken: list[Asked] = []
        self._closed = False

    @property
    def count(self) -> int:
        """Decisions that wait to be made."""
        return len(self._taken) + self._waiting.count

    def lend(self, soon: Soon) -> None:
        """Make decisions in this thread from now on, where that is quick.

        Args:
            soon: calls something in this thread, once what the thread does now is done; raises RuntimeError
                where it does nothing any more.
        """
        self._lent = _Lent(get_ident(), soon)

    def ask(self, asked: Asked) -> None:
        """Ask for a decision; its future gets the record. The thread that is lent does not wait for it.

        Raises:
            OverloadedError, ClosingError: nothing was taken.
        """
        lent = self._lent
        if lent is None or get_ident() != lent.thread or not self._takes(lent, asked):
            self._waiting.put(asked, 1, 1_000)

    def close(self) -> None:
        """Make nothing more here: what was taken goes to the recorder, whose queue is closed after this."""
        with self._lock:
            self._closed = True
            rest, self._taken = self._taken, []
            for one in rest:
                self._pass_on(one)

    def _takes(self, lent: _Lent, asked: Asked) -> bool:
        with self._lock:
            if self._closed or len(self._taken) >= self._recorder.room:
                return False
            if not self._taken:
                try:
                    lent.soon(self._turn)
                except RuntimeError:  # the loop has ended
                    return False
            self._taken.append(asked)
            return True

    def _turn(self) -> None:
        with self._lock:
            group, self._taken = self._taken[:AT_ONCE], self._taken[AT_ONCE:]
            if self._taken and self._lent is not None:
                self._lent.soon(self._turn)
            if group:
                self._make(group)

    def _make(self, group: Sequence[Asked]) -> None:
        started = self._watch()
        made = self._quickly([one.wanted for one in group]) if len(group) <= self._recorder.room else None
        if made is not None:
            self._recorder.record(group, made, started, more=True, waits=False)
            return
        for one in group:
            self._pass_on(one)

    def _pass_on(self, asked: Asked) -> None:
        try:
            self._waiting.put(asked, 1, 1_000)
        except HeadwaterError as error:
            if asked.future.set_running_or_notify_cancel():
                asked.future.set_exception(error)
