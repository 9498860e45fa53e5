"""The writer: everything that waits is committed together, taken into the engine, and scored.

::

    offers ──► bounded queue ──► one append (on disk) ══► engine ──► answers ──► scores ──► feed
                 full: Overloaded                     beside the next append, if there is one (stage)

While one group is on its way to the disk the next one gathers, so that the wait for the disk is shared by
as many events as arrive in it; and the one before is taken in and scored. An offer is answered once its
events are on disk and in the engine, so that whoever has the answer reads their effect; with ``refresh``,
once the scores are there too. Called by ``taking``; read ``group`` next for how offers become one append.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any

from headwater.core.batch import Batch
from headwater.core.errors import HeadwaterError, Problem
from headwater.core.handful import Handful
from headwater.log.protocol import EventLog
from headwater.serving.fresh import Applied, Fresh
from headwater.serving.group import Committed, Offer, commit
from headwater.serving.live import Stopwatch
from headwater.serving.rescored import Refreshes, Rescored, Timings
from headwater.serving.stage import Stage
from headwater.serving.waiting import Waiting

Task = Callable[[], Any]
_Scores = tuple[list[list[Rescored]], HeadwaterError | None]  # of each batch; what a model raised


class StoppedError(HeadwaterError):
    """The writer has stopped: what the engine holds is not known to be what the log says."""

    code = "stopped"


class ScoringError(HeadwaterError):
    """The model failed to score; what was asked for is not decided, what was sent is kept."""

    code = "scoring"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn of the writer did, for whoever measures.

    Attributes:
        events: new events.
        duplicates, refused: events that were no news, or were not taken.
        offers: how many shared the turn.
        waited: nanoseconds that the first of them waited for the turn.
        commit: nanoseconds from the first look to the disk.
        refresh: nanoseconds from the disk to the last fresh score; 0 if none was refreshed.
        scores: how many were refreshed.
        late: how many of the entities had late events.
        offset: the last offset.
    """

    events: int
    duplicates: int
    refused: int
    offers: int
    waited: int
    commit: int
    refresh: int
    scores: int
    late: int
    offset: int


@dataclass(frozen=True, slots=True)
class Steps:
    """From when to when each batch of a turn was applied, and scored: stopwatch, nanoseconds."""

    apply: list[tuple[int, int]] = field(default_factory=list)
    score: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ears:
    """Who is told of what the writer does; one at a time, outside of locks, and must not raise."""

    on_turn: Callable[[Turn], None]
    on_fresh: Callable[[Sequence[Rescored]], None]
    on_fault: Callable[[str, BaseException], None]
    on_applied: Callable[[Batch | Handful], None]


@dataclass(frozen=True, slots=True)
class _Group:
    """Offers that are on disk, and not yet in the engine."""

    offers: tuple[Offer, ...]
    committed: Committed
    timings: Timings


class Writer:
    """Appends and applies: each in one thread at a time, one group after the other.

    Args:
        log: open for writing.
        waiting: what is to be committed: offers, and tasks that run between two groups.
        fresh: the engine and the models.
        clock: now, microseconds UTC.
        stopwatch: nanoseconds.
        bounds: how old and how far in the future events may be, microseconds; None for no bound.
        ears: who is told.

    Attributes:
        log, fresh, bounds: may be exchanged in a task (:meth:`between`).
        broken: what made it stop, if it has.
    """

    def __init__(
        self,
        log: EventLog,
        waiting: Waiting[Offer | Task],
        fresh: Fresh,
        clock: Callable[[], int],
        stopwatch: Stopwatch,
        bounds: tuple[int | None, int | None],
        ears: Ears,
    ) -> None:
        self.log = log
        self._waiting = waiting
        self.fresh = fresh
        self._clock = clock
        self._watch = stopwatch
        self.bounds = bounds
        self._ears = ears
        self.broken: BaseException | None = None
        self._stage: Stage[_Group] = Stage("headwater-applier", self._apply)
        self._thread = Thread(target=self._run, name="headwater-writer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._stage.start()
        self._thread.start()

    def join(self) -> None:
        """Wait until everything that was taken is done; close the queue first."""
        self._thread.join()
        self._stage.close()

    def between(self, task: Callable[[], Any]) -> Future[Any]:
        """Run something in the writer's thread, between two groups: nothing is appended or applied then."""
        done: Future[Any] = Future()

        def run() -> None:
            try:
                done.set_result(task())
            except BaseException as error:  # noqa: BLE001 - whoever waits for the future is told
                done.set_exception(error)

        self._waiting.put(run, 0, 0)
        return done

    def _run(self) -> None:
        while group := self._waiting.take():
            offers: list[Offer] = []
            for item in group:
                if isinstance(item, Offer):
                    offers.append(item)
                    continue
                self._turn(offers)
                offers = []
                self._stage.drain()
                item()
            self._turn(offers)

    def _turn(self, offers: list[Offer]) -> None:
        if not offers:
            return
        if self.broken is not None:
            _fail(offers, stopped(self.broken))
            return
        started = self._watch()
        try:
            committed = commit(self.log, offers, self._clock(), self.bounds, self.fresh.takes)
        except HeadwaterError as error:
            self._ears.on_fault("commit", error)
            _fail(offers, error)
            return
        except Exception as error:  # noqa: BLE001 - nothing was appended; whoever waits is told of the bug
            self._ears.on_fault("commit", error)
            _fail(offers, error)
            return
        group = _Group(tuple(offers), committed, Timings(started, self._watch()))
        more = self._waiting.count > 0 and committed.is_small  # many are worth more together than beside
        self._stage.give(group, more=more)

    def _apply(self, group: _Group) -> None:
        """The second half of a turn; beside the next append, but never beside another of its kind."""
        if self.broken is not None:
            _fail(group.offers, stopped(self.broken))
            return
        committed, timings, steps = group.committed, group.timings, Steps()
        try:
            applied, early = self._take_in(committed, timings, steps)
        except Exception as error:  # noqa: BLE001 - the log has the events, the engine maybe not: stop
            self.broken = error
            self._ears.on_fault("apply", error)
            _fail(group.offers, stopped(error))
            return
        try:
            self._answer(committed, applied, early, timings, steps)
        except Exception as error:  # noqa: BLE001 - a bug of ours: the events are kept, and the next go on
            self._ears.on_fault("answer", error)
            _fail([offer for offer in group.offers if not offer.future.done()], error)

    def _take_in(
        self, committed: Committed, timings: Timings, steps: Steps
    ) -> tuple[list[Applied], list[_Scores]]:
        """Take in the batches. Of several, each is scored before what lies behind it is taken in."""
        applied: list[Applied] = []
        early: list[_Scores] = []
        for batch in committed.batches:
            started = self._watch()
            applied.append(self.fresh.apply(batch))
            self._ears.on_applied(batch)
            steps.apply.append((started, self._watch()))
            if len(committed.batches) > 1:
                early.append(self._score(committed, applied[-1:], timings, steps))
        return applied, early

    def _answer(
        self,
        committed: Committed,
        applied: Sequence[Applied],
        early: Sequence[_Scores],
        timings: Timings,
        steps: Steps,
    ) -> None:
        for offer, taken in zip(committed.offers, committed.taken, strict=True):
            if not offer.refresh:
                offer.answer(taken)
        parts = early or [self._score(committed, applied, timings, steps)]
        rescored = [found for part, _ in parts for found in part]
        failure = next((raised for _, raised in parts if raised is not None), None)
        flat = [one for batch in rescored for one in batch]
        self._ears.on_turn(_turned(committed, flat, timings, self._watch()))
        for offer, taken, events in zip(committed.offers, committed.taken, committed.events, strict=True):
            if offer.refresh:
                offer.answer(taken.with_scores(_about(rescored, events), failure))
        if flat:
            self._ears.on_fresh(flat)
        _trace(committed, timings, steps)

    def _score(
        self, committed: Committed, applied: Sequence[Applied], timings: Timings, steps: Steps
    ) -> _Scores:
        """The fresh scores of each batch; a model that raises leaves its own out and no event undone."""
        failure: HeadwaterError | None = None
        rescored: list[list[Rescored]] = []
        for one in applied:
            found = []
            started = self._watch()
            for touched in one.touched:
                try:
                    found.append(self.fresh.score(touched, committed.arrival, timings))
                except Exception as error:  # noqa: BLE001 - an estimator is the user's code
                    self._ears.on_fault("score", error)
                    failure = error if isinstance(error, HeadwaterError) else failed(error)
            rescored.append(found)
            steps.score.append((started, self._watch()))
        now = self._watch()
        return [[replace(one, fresh=now) for one in found] for found in rescored], failure


def stopped(error: BaseException) -> StoppedError:
    """Why nothing more is taken."""
    return StoppedError.of(
        "the service has stopped taking events: the engine failed on one that is in the log",
        got=type(error).__name__,
        do="start it again: the state is built anew from the log; then report the failure",
    )


def failed(error: Exception) -> HeadwaterError:
    """A model's own exception, without its text, which may quote values."""
    return ScoringError(
        Problem(
            "the model failed to score",
            got=type(error).__name__,
            do="look at the service's log; the events are taken in and lose nothing",
        )
    )


def _fail(offers: Sequence[Offer], error: BaseException) -> None:
    for offer in offers:
        offer.fail(error)


def _trace(committed: Committed, timings: Timings, steps: Steps) -> None:
    """Tell the traced requests what was done for them, together with others."""
    shared = len(committed.offers)
    for offer, (batch, rows) in zip(committed.offers, committed.events, strict=True):
        trace, stream = offer.trace, offer.reader.stream.name
        if trace is None:
            continue
        trace.add("wait", offer.came, timings.sent, stream=stream)
        trace.add("commit", timings.sent, timings.accepted, stream=stream, events=offer.events, shared=shared)
        if batch >= 0:
            offset = committed.batches[batch].offset
            first, last = int(offset[rows.start]), int(offset[rows.stop - 1])
            trace.add("apply", *steps.apply[batch], stream=stream, first_offset=first, last_offset=last)
            trace.add("score", *steps.score[batch], stream=stream)


def _about(rescored: Sequence[Sequence[Rescored]], events: tuple[int, slice]) -> Refreshes:
    batch, rows = events
    return Refreshes(() if batch < 0 else tuple((one, one.about(rows)) for one in rescored[batch]))


def _turned(committed: Committed, flat: Sequence[Rescored], timings: Timings, now: int) -> Turn:
    return Turn(
        events=sum(len(batch) for batch in committed.batches),
        duplicates=committed.duplicates,
        refused=committed.refused,
        offers=len(committed.offers),
        waited=timings.sent - min(offer.came for offer in committed.offers),
        commit=timings.accepted - timings.sent,
        refresh=now - timings.accepted if flat else 0,
        scores=sum(len(one) for one in flat),
        late=sum(len(one.late) for one in flat),
        offset=committed.last,
    )
