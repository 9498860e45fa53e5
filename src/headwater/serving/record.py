"""The recorder: decisions that are asked for together are put on disk together.

::

    requests ──► bounded queue ──► features as of now ──► score, band, reasons ──► one append ──► answers

A decision is answered once its record is on disk. One thread does all of this; it shares nothing with the
writer but the lock on the engine, which it holds while it reads a vector. Called by ``service``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread

from headwater.core.errors import HeadwaterError
from headwater.core.tracing import Trace
from headwater.serving.commit import failed
from headwater.serving.live import Scored, Stopwatch
from headwater.serving.waiting import Waiting
from headwater.store.decision import Decision
from headwater.store.decisions import Idempotency, Record
from headwater.store.protocol import Decisions


@dataclass(frozen=True)
class Asked:
    """A decision that was asked for.

    Attributes:
        make: scores and decides; called in the recorder's thread.
        came: when it was asked: stopwatch, nanoseconds.
        name: the sender's name for the request, if it has one: sent again, it decides nothing anew.
        trace: of the request that asked, if it is traced.
        future: gets the record.
    """

    make: Callable[[], tuple[Scored, Decision]]
    came: int = 0
    name: Idempotency | None = None
    trace: Trace | None = None
    future: Future[Record] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one turn of the recorder did, for whoever measures.

    Attributes:
        records: the decisions.
        waited: nanoseconds that the first of them waited for the turn.
        took: nanoseconds of the whole turn.
        commit: nanoseconds of the wait for the disk alone.
    """

    records: tuple[Record, ...]
    waited: int
    took: int
    commit: int


class Recorder:
    """The one thread that decides and appends records.

    Args:
        store: of the decision records; this thread is the one that appends.
        waiting: what was asked for.
        stopwatch: nanoseconds.
        on_turn: told of each turn; must not raise.
        on_decided: told of what was served.
        on_fault: told of what went wrong.
    """

    def __init__(
        self,
        store: Decisions,
        waiting: Waiting[Asked],
        stopwatch: Stopwatch,
        on_turn: Callable[[Recorded], None],
        on_decided: Callable[[Sequence[Scored]], None],
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self._store = store
        self._waiting = waiting
        self._watch = stopwatch
        self._on_turn, self._on_decided, self._on_fault = on_turn, on_decided, on_fault
        self._thread = Thread(target=self._run, name="headwater-recorder", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait until everything that was taken is done; close the queue first."""
        self._thread.join()

    def _run(self) -> None:
        while group := self._waiting.take():
            self._turn(group)

    def _turn(self, group: Sequence[Asked]) -> None:
        started = self._watch()
        made = [(asked, *found) for asked in group if (found := self._made(asked)) is not None]
        before = self._watch()
        try:
            answers = self._store.append_each(
                [decision for _, _, decision in made], [asked.name for asked, _, _ in made]
            )
        except Exception as error:  # noqa: BLE001 - nothing was recorded; whoever waits is told
            self._on_fault("record", error)
            for asked, _, _ in made:
                asked.future.set_exception(error)
            return
        done = self._watch()
        records = tuple(one for one in answers if isinstance(one, Record))
        waited = started - min(asked.came for asked in group)
        self._on_turn(Recorded(records, waited, done - started, done - before))
        for (asked, _, _), answer in zip(made, answers, strict=True):
            if isinstance(answer, Record):
                asked.future.set_result(answer)
            else:
                asked.future.set_exception(answer)
        self._on_decided([scored for _, scored, _ in made])
        for asked, answer in zip((asked for asked, _, _ in made), answers, strict=True):
            if asked.trace is not None and isinstance(answer, Record):
                asked.trace.add("record", before, done, decision=answer.id, shared=len(made))

    def _made(self, asked: Asked) -> tuple[Scored, Decision] | None:
        if not asked.future.set_running_or_notify_cancel():
            return None
        started = self._watch() if asked.trace is not None else 0
        try:
            scored, decision = asked.make()
            if asked.trace is not None:
                asked.trace.add("wait", asked.came, started)
                asked.trace.add(
                    "score",
                    started,
                    self._watch(),
                    model=scored.model,
                    policy=decision.policy,
                    offset=scored.offset,
                )
        except HeadwaterError as error:
            asked.future.set_exception(error)
        except Exception as error:  # noqa: BLE001 - an estimator is the user's code
            self._on_fault("decide", error)
            asked.future.set_exception(failed(error))
        else:
            return scored, decision
        return None
