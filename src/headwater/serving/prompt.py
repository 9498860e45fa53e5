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
from threading import get_ident

from headwater.core.errors import HeadwaterError
from headwater.serving.live import Stopwatch
from headwater.serving.making import Pair, Wanted
from headwater.serving.record import Asked, Recorder
from headwater.serving.waiting import Waiting

AT_ONCE = 8  # decisions that a loop makes before it looks at other requests

Soon = Callable[[Callable[[], None]], object]


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
        self._soon: Soon | None = None
        self._thread = -1
        self._asked: list[Asked] = []

    @property
    def count(self) -> int:
        """Decisions that wait to be made."""
        return len(self._asked) + self._waiting.count

    def lend(self, soon: Soon) -> None:
        """Make decisions in this thread from now on, where that is quick.

        Args:
            soon: calls something in this thread, once what the thread does now is done.
        """
        self._soon, self._thread = soon, get_ident()

    def ask(self, asked: Asked) -> None:
        """Ask for a decision; its future gets the record.

        Raises:
            OverloadedError, ClosingError: nothing was taken.
        """
        soon = self._soon
        if (
            soon is None
            or get_ident() != self._thread
            or self._waiting.closed
            or len(self._asked) >= self._recorder.room
        ):
            self._waiting.put(asked, 1, 1_000)
            return
        self._asked.append(asked)
        if len(self._asked) == 1:
            soon(self._turn)

    def drain(self) -> None:
        """Make what was taken: the loop that lent its thread has ended."""
        while self._asked:
            self._turn()

    def _turn(self) -> None:
        group, self._asked = self._asked[:AT_ONCE], self._asked[AT_ONCE:]
        if self._asked and self._soon is not None:
            self._soon(self._turn)
        started = self._watch()
        made = self._quickly([one.wanted for one in group]) if len(group) <= self._recorder.room else None
        if made is not None:
            self._recorder.record(group, made, started, more=True)
            return
        for one in group:
            try:
                self._waiting.put(one, 1, 1_000)
            except HeadwaterError as error:
                one.future.set_exception(error)
