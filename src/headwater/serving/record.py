"""The recorder: features as of now, score, band and reasons for each decision that is asked for.

::

    requests ──► bounded queue ──► features as of now ──► score, band, reasons ──► filing ──► answers

A decision is answered once its record is on disk, which ``filing`` sees to. One thread makes all of them; it
shares nothing with the writer but the lock on the engine, which it holds while it reads a vector. Called by
``deciding``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread

from headwater.core.errors import HeadwaterError
from headwater.core.tracing import Trace
from headwater.serving.commit import failed
from headwater.serving.filing import Filing, Made, Recorded
from headwater.serving.live import Scored, Stopwatch
from headwater.serving.making import Pair, Wanted
from headwater.serving.waiting import Waiting
from headwater.store.decision import Decision
from headwater.store.decisions import Idempotency, Record
from headwater.store.protocol import Decisions


@dataclass(frozen=True)
class Asked:
    """A decision that was asked for.

    Attributes:
        wanted: what is to be decided.
        came: when it was asked: stopwatch, nanoseconds.
        name: the sender's name for the request, if it has one: sent again, it decides nothing anew.
        trace: of the request that asked, if it is traced.
        future: gets the record.
    """

    wanted: Wanted
    came: int = 0
    name: Idempotency | None = None
    trace: Trace | None = None
    future: Future[Record] = field(default_factory=Future)


class Recorder:
    """The one thread that decides.

    Args:
        store: of the decision records; nobody else appends.
        waiting: what was asked for.
        make: makes decisions, several at once.
        stopwatch: nanoseconds.
        on_turn: told of each turn; must not raise.
        on_decided: told of what was served.
        on_fault: told of what went wrong.
    """

    def __init__(
        self,
        store: Decisions,
        waiting: Waiting[Asked],
        make: Callable[[Sequence[Wanted]], Sequence[Pair | Exception]],
        stopwatch: Stopwatch,
        on_turn: Callable[[Recorded], None],
        on_decided: Callable[[Sequence[Scored]], None],
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self._waiting = waiting
        self._make = make
        self._watch = stopwatch
        self._on_fault = on_fault
        self._filing = Filing(store, stopwatch, on_turn, on_decided, on_fault)
        self._thread = Thread(target=self._run, name="headwater-recorder", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._filing.start()
        self._thread.start()

    def join(self) -> None:
        """Wait until everything that was taken is done; close the queue first."""
        self._thread.join()
        self._filing.close()

    def _run(self) -> None:
        while group := self._waiting.take():
            self._turn(group)

    def _turn(self, group: Sequence[Asked]) -> None:
        started = self._watch()
        made = self._make([one.wanted for one in group])
        self.record(group, made, started, more=self._waiting.count > 0)

    @property
    def room(self) -> int:
        """How many decisions may be made before somebody waits for the disk."""
        return self._filing.room

    def record(
        self,
        group: Sequence[Asked],
        found: Sequence[Pair | Exception],
        started: int,
        *,
        more: bool,
        waits: bool = True,
    ) -> None:
        """Put decisions on disk, and answer.

        Args:
            group: what was asked for.
            found: what was decided, or why it could not be.
            started: when it was begun: stopwatch, nanoseconds.
            more: whether the caller has something else to do than to wait for the disk.
            waits: whether it may be held up while too many are on their way there.
        """
        ended = self._watch()
        made = []
        for one, pair in zip(group, found, strict=True):
            if not one.future.set_running_or_notify_cancel():
                continue
            if isinstance(pair, Exception):
                self._refuse(one, pair)
                continue
            made.append(Made(*pair, one.came, started, one.name, one.trace, one.future))
            if one.trace is not None:
                _trace(one.trace, one.came, started, ended, *pair)
        if made:
            self._filing.file(made, more=more, waits=waits)

    def _refuse(self, asked: Asked, error: Exception) -> None:
        if isinstance(error, HeadwaterError):
            asked.future.set_exception(error)
        else:  # an estimator is the user's code
            self._on_fault("decide", error)
            asked.future.set_exception(failed(error))


def _trace(trace: Trace, came: int, started: int, ended: int, scored: Scored, decision: Decision) -> None:
    trace.add("wait", came, started)
    trace.add("score", started, ended, model=scored.model, policy=decision.policy, offset=scored.offset)
