"""Decisions onto the disk while the next ones are made: one wait for all that were made meanwhile.

::

    recorder   make a b │ make c d │ make e          more is waiting: it goes on, and
    filing              │ a b on disk, answered │ c d e on disk, answered

    recorder   make a, a on disk, answered           nothing else is waiting: no thread is woken for it

Bounded: whoever makes waits while too many are made and not on disk. Called by ``record``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread

from headwater.core.tracing import Trace
from headwater.serving.live import Scored, Stopwatch
from headwater.store.decision import Decision
from headwater.store.decisions import Idempotency, Record
from headwater.store.protocol import Decisions

MOST = 64  # decisions that are made and not on disk


@dataclass(frozen=True)
class Made:
    """A decision that is made and waits for the disk.

    Attributes:
        scored, decision: what was made.
        came, started: when it was asked for, and begun: stopwatch, nanoseconds.
        name: the sender's name for the request, if it has one.
        trace: of the request that asked, if it is traced.
        future: gets the record.
    """

    scored: Scored
    decision: Decision
    came: int
    started: int
    name: Idempotency | None = None
    trace: Trace | None = None
    future: Future[Record] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What shared one wait for the disk, for whoever measures.

    Attributes:
        records: the decisions.
        waited: nanoseconds that the first of them waited to be made.
        took: nanoseconds from then until all were on disk.
        commit: nanoseconds of the wait for the disk alone.
    """

    records: tuple[Record, ...]
    waited: int
    took: int
    commit: int


class Filing:
    """Appends decisions to the records and answers who asked.

    Args:
        store: of the decision records; nobody else appends.
        stopwatch: nanoseconds.
        on_turn: told of each wait for the disk; must not raise.
        on_decided: told of what was served.
        on_fault: told of what went wrong.
    """

    def __init__(
        self,
        store: Decisions,
        stopwatch: Stopwatch,
        on_turn: Callable[[Recorded], None],
        on_decided: Callable[[Sequence[Scored]], None],
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self._store = store
        self._watch = stopwatch
        self._on_turn, self._on_decided, self._on_fault = on_turn, on_decided, on_fault
        self._changed = Condition()
        self._made: list[Made] = []
        self._busy = self._closed = False
        self._thread = Thread(target=self._run, name="headwater-filing", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Take nothing more, and wait until what was taken is on disk."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def room(self) -> int:
        """How many decisions may be filed before whoever files them has to wait."""
        return MOST - len(self._made)

    def file(self, made: Sequence[Made], *, more: bool, waits: bool = True) -> None:
        """Put decisions on disk: now, or soon where there is more to be made.

        Args:
            made: one or several.
            more: whether the caller has better things to do than to wait for the disk.
            waits: whether it may be held up while too many are made; one that may not looks for :attr:`room`.
        """
        with self._changed:
            if more or self._busy or self._made:
                while waits and len(self._made) >= MOST:
                    self._changed.wait()
                self._made += made
                self._changed.notify_all()
                return
            self._busy = True
        try:
            self._write(made)
        finally:
            self._free()

    def _run(self) -> None:
        while group := self._next():
            try:
                self._write(group)
            finally:
                self._free()

    def _next(self) -> list[Made]:
        with self._changed:
            while self._busy or not (self._made or self._closed):
                self._changed.wait()
            group, self._made = self._made, []
            self._busy = bool(group)
            self._changed.notify_all()
            return group

    def _free(self) -> None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()

    def _write(self, group: Sequence[Made]) -> None:
        before = self._watch()
        try:
            answers = self._store.append_each([one.decision for one in group], [one.name for one in group])
        except Exception as error:  # noqa: BLE001 - nothing was recorded; whoever waits is told
            self._on_fault("record", error)
            for one in group:
                one.future.set_exception(error)
            return
        done = self._watch()
        records = tuple(one for one in answers if isinstance(one, Record))
        started = min(one.started for one in group)
        waited = started - min(one.came for one in group)
        self._on_turn(Recorded(records, waited, done - started, done - before))
        for one, answer in zip(group, answers, strict=True):
            if isinstance(answer, Record):
                one.future.set_result(answer)
            else:
                one.future.set_exception(answer)
        self._on_decided([one.scored for one in group])
        for one, answer in zip(group, answers, strict=True):
            if one.trace is not None and isinstance(answer, Record):
                one.trace.add("record", before, done, decision=answer.id, shared=len(group))
