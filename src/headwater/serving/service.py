"""The live service: log, engine, models and records under one roof, for many callers at once.

::

    submit ──► commit (writer) ──► log, engine, fresh scores ──► feed
    decide ──► record (recorder) ◄── features as of now ◄── engine
    features ◄── engine

Opened by the edges, which bring the clock; knows nothing of HTTP. Read ``commit`` and ``record`` for the two
threads, ``fresh`` for what an event does, ``swap`` for how something else is served.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from headwater.core.batch import Batch
from headwater.core.errors import DataError, StoreError
from headwater.core.handful import Handful
from headwater.core.instant import MINUTE
from headwater.core.schema import check_frame
from headwater.core.tracing import current, span
from headwater.definitions.project import Project
from headwater.log.embedded import EmbeddedLog
from headwater.log.protocol import DeadLetters
from headwater.serving.commit import Ears, Turn, Writer
from headwater.serving.decide import Decider, sound
from headwater.serving.feed import Feed
from headwater.serving.filing import Recorded
from headwater.serving.fresh import Fresh
from headwater.serving.group import Offer, Taken
from headwater.serving.keeping import Keeper
from headwater.serving.live import Scored, Stopwatch
from headwater.serving.record import Asked, Recorder
from headwater.serving.rescored import Rescored
from headwater.serving.rising import Risen, catch_up
from headwater.serving.rows import Refused, RowReader, exact
from headwater.serving.scoring import Scoring
from headwater.serving.served import Serving, Trial, UnknownError, unknown
from headwater.serving.swap import beside, changed_streams, close_up
from headwater.serving.vectors import Moment, Read, Vectors, need
from headwater.serving.waiting import Waiting
from headwater.store.ahead import Ahead
from headwater.store.decision import Decision
from headwater.store.decisions import DecisionStore, Idempotency, Record
from headwater.store.definitions import DefinitionStore
from headwater.store.folder import DataFolder
from headwater.store.protocol import Decisions

__all__ = ["Clock", "Hooks", "Limits", "Service", "Serving", "UnknownError", "unknown"]

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the service takes at most.

    Attributes:
        queue_events, queue_bytes: what may wait to be committed.
        group_events: what is committed at once.
        queue_decisions: decisions that may wait.
        group_decisions: decisions that are made before one of them goes to the disk.
        ahead: how far in the future an event, or the moment of a decision, may lie, in microseconds.
    """

    queue_events: int = 100_000
    queue_bytes: int = 64 << 20
    group_events: int = 20_000
    queue_decisions: int = 2_000
    group_decisions: int = 4
    ahead: int | None = 5 * MINUTE


class Hooks:
    """Who is told of what happens, in the service's threads. Override what you need; nothing may raise."""

    def on_turn(self, turn: Turn) -> None:
        """Events were committed and scored."""

    def on_applied(self, events: Batch | Handful) -> None:
        """The engine has just taken these in; they are on disk."""

    def on_recorded(self, turn: Recorded) -> None:
        """Decisions were recorded."""

    def on_fresh(self, rescored: Sequence[Rescored]) -> None:
        """Scores were made fresh; late events and what they moved are in ``late``."""

    def on_served(self, scored: Sequence[Scored]) -> None:
        """Decisions were made on these."""

    def on_fault(self, where: str, error: BaseException) -> None:
        """Something failed: ``commit``, ``apply``, ``score``, ``decide``, ``record`` or ``snapshot``; or a
        canary (``canary``), and the champion answered in its place."""  # noqa: D205, D209


class Service:
    """A project, live. Open it with :meth:`open`; safe to share between threads.

    Attributes:
        log: the events.
        decisions: what was decided.
        definitions: all that were ever in force.
        folder: where everything lies.
        serving: what is served now.
        feed: the score stream.
        passed_over: snapshots that could not be used at the start, with the reason.
        shared_letters: dead letters in a database that servers share; None where they are in the log.
    """

    def __init__(
        self,
        serving: Serving,
        log: EmbeddedLog,
        decisions: Decisions,
        definitions: DefinitionStore,
        folder: DataFolder,
        clock: Clock,
        stopwatch: Stopwatch,
        limits: Limits,
        hooks: Hooks,
        keeper: Keeper,
        passed_over: tuple[str, ...],
        max_log_bytes: int | None,
    ) -> None:
        """Use :meth:`open`."""
        self.serving = serving
        self.log = log
        self.decisions = decisions
        self.definitions = definitions
        self.folder = folder
        self.limits = limits
        self.feed = Feed()
        self.passed_over = passed_over
        self.shared_letters: DeadLetters | None = None
        self._clock = clock
        self._watch = stopwatch
        self._hooks = hooks
        self._keeper = keeper
        self._closed = False
        self._max_log_bytes = max_log_bytes
        self._offers: Waiting[Any] = Waiting(
            "events", limits.queue_events, limits.queue_bytes, limits.group_events
        )
        self._asked: Waiting[Asked] = Waiting(
            "decisions", limits.queue_decisions, limits.queue_bytes, limits.group_decisions
        )
        fresh = Fresh(serving.vectors, list(serving.scorings.values()))
        ears = Ears(hooks.on_turn, self._tell, hooks.on_fault, hooks.on_applied)
        bounds = serving.project.lateness, limits.ahead
        self._writer = Writer(log, self._offers, fresh, clock, stopwatch, bounds, ears)
        self._recorder = Recorder(
            decisions, self._asked, stopwatch, hooks.on_recorded, hooks.on_served, hooks.on_fault
        )

    @classmethod
    def open(
        cls,
        project: Project,
        folder: DataFolder,
        scorings: Mapping[str, Scoring],
        *,
        clock: Clock,
        stopwatch: Stopwatch,
        limits: Limits | None = None,
        hooks: Hooks | None = None,
        max_log_bytes: int | None = None,
        ahead: Ahead | None = None,
        decisions: Decisions | None = None,
    ) -> Service:
        """Rise from the newest whole snapshot and the tail of the log, and begin to serve.

        Args:
            project: the definitions.
            folder: the data folder; log and records are made if they are missing.
            scorings: model to its version; models without one are not served.
            clock: now, microseconds UTC.
            stopwatch: nanoseconds from some start, never back.
            limits: what is taken at most.
            hooks: who is told.
            max_log_bytes: the size that the log may reach.
            ahead: the newest snapshot, already being read.
            decisions: the records, closed with the service; those of the data folder if none are given.

        Raises:
            LogError: the log is in use, damaged, or of other definitions.
            StoreError: the decision records or the kept definitions cannot be opened.
        """
        folder.make()
        log = EmbeddedLog.open(folder.log, project.streams, max_bytes=max_log_bytes)
        opened: list[Decisions | DefinitionStore] = []
        try:
            decisions = DecisionStore.open(folder.decisions) if decisions is None else decisions
            opened.append(decisions)
            opened.append(definitions := DefinitionStore.open(folder.definitions))
            definitions.keep(project, now=clock())
            keeper = Keeper(folder.snapshots)
            risen = keeper.rise(project.views, log, ahead)
            serving = Serving.of(project, scorings, Vectors(risen.engine))
            service = cls(
                serving,
                log,
                decisions,
                definitions,
                folder,
                clock,
                stopwatch,
                limits or Limits(),
                hooks or Hooks(),
                keeper,
                risen.passed_over,
                max_log_bytes,
            )
            service._start(risen)
        except BaseException:
            for store in opened:
                store.close()
            log.close()
            raise
        return service

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # --- Events ------------------------------------------------------------------------------------

    def reader(self, stream: str) -> RowReader:
        """What reads a stream's events.

        Raises:
            UnknownError: the project has no such stream.
        """
        if stream not in self.serving.readers:
            raise unknown("stream", stream, self.serving.readers)
        return self.serving.readers[stream]

    def submit_rows(
        self,
        stream: str,
        events: Sequence[Any],
        *,
        size: int,
        refresh: bool = False,
        refused: tuple[Refused, ...] = (),
        source: str | None = None,
    ) -> Future[Taken]:
        """Offer events as a JSON parser gives them.

        Args:
            stream: whose.
            events: JSON objects.
            size: how many bytes they took.
            refresh: answer with fresh scores.
            refused: what was refused before, with its place in the request; the others fill the other places.
            source: where they come from, for dead letters.

        Raises:
            UnknownError: no such stream.
            OverloadedError: too much is waiting; nothing was taken.
            ClosingError: the service is going down.
        """
        reader = self.reader(stream)
        with span("validate", self._watch, stream=stream, events=len(events)):
            rows = reader.read(events)
        offer = Offer(
            reader,
            self.serving.keys[stream],
            len(events),
            rows=rows,
            refused=refused,
            refresh=refresh,
            source=source,
            came=self._watch(),
            trace=current(),
        )
        self._offers.put(offer, max(1, len(events)), size)
        return offer.future

    def submit_frame(
        self, stream: str, frame: Any, *, size: int, refresh: bool = False, source: str | None = None
    ) -> Future[Taken]:
        """Offer events as a frame (Polars, pandas or Arrow); see :meth:`submit_rows`.

        Raises:
            DataError: the frame's columns are not the stream's.
        """
        reader = self.reader(stream)
        declared = reader.stream
        keys = self.serving.keys[stream]
        with span("validate", self._watch, stream=stream):
            checked = check_frame(
                frame,
                declared.schema,
                time=declared.time,
                id=declared.id,
                keys=keys,
                personal=declared.personal,
                name=stream,
            )
        offer = Offer(
            reader,
            keys,
            len(checked.row) + checked.rejected.height,
            frame=checked.accepted,
            row=checked.row.tolist(),
            refused=tuple(Refused(*one) for one in checked.rejected.iter_rows()),
            refresh=refresh,
            source=source,
            came=self._watch(),
            trace=current(),
        )
        self._offers.put(offer, max(1, offer.events), size)
        return offer.future

    # --- Decisions and readings ----------------------------------------------------------------------

    def ask(
        self,
        policy: str | None,
        keys: Mapping[str, Any],
        request: Mapping[str, Any] | None = None,
        at: int | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Future[Record]:
        """Ask for a decision; the future gets its record once that is on disk.

        Args:
            policy: which; None where there is only one.
            keys: key column to the entity's key, for each key of the policy's model.
            request: the model's request columns.
            at: as of when, microseconds UTC; now if it is None.
            idempotency_key: the sender's name for this request: sent again, it gives the same record; the
                future gets a ``ConflictError`` if the name came with another request.

        Raises:
            UnknownError: no such policy, or its model is not trained.
            DataError: the request does not say exactly what the model asks for, or lies in the future.
            OverloadedError, ClosingError: nothing was taken.
        """
        decider = self.serving.policy(policy)
        with span("validate", self._watch, policy=decider.policy.name):
            exact_keys, given = _exactly(decider, keys, request or {})
            self._not_ahead(at)

        def make() -> tuple[Scored, Decision]:
            return self._decide(decider.policy.name, exact_keys, given, at)

        name = None
        if idempotency_key is not None:
            told = {"policy": decider.policy.name, "keys": exact_keys, "request": given, "at": at}
            name = Idempotency(
                idempotency_key, sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
            )
        asked = Asked(make, self._watch(), name, current())
        self._asked.put(asked, 1, 1_000)
        return asked.future

    def decide(
        self,
        policy: str | None,
        keys: Mapping[str, Any],
        request: Mapping[str, Any] | None = None,
        at: int | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Record:
        """Ask for a decision and wait until its record is on disk; see :meth:`ask`."""
        return self.ask(policy, keys, request, at, idempotency_key=idempotency_key).result()

    def features(self, view: str, key: Any, at: int | None = None) -> Read:
        """One view's features of one key.

        Args:
            view: its name.
            key: of the view's key column.
            at: as of when, microseconds UTC; now if it is None.

        Raises:
            UnknownError: no such view.
            DataError: the key is of another type; the time is in the future, or behind what the state keeps.
        """
        serving = self.serving
        views = {one.name: one for one in serving.project.views}
        if view not in views:
            raise unknown("feature view", view, views)
        found = views[view]
        self._not_ahead(at)
        exact_key = exact(key, found.stream.schema[found.key], found.key)
        with span("read", self._watch, view=view):
            return serving.vectors.read_view(found, exact_key, self._moment(at))

    # --- Its own life ------------------------------------------------------------------------------

    @property
    def offset(self) -> int:
        """The last place in the log that scores rest on."""
        return self.serving.vectors.offset

    @property
    def letters(self) -> DeadLetters:
        """The dead letters."""
        return self.log if self.shared_letters is None else self.shared_letters

    @property
    def broken(self) -> BaseException | None:
        """What made the writer stop, if it has."""
        return self._writer.broken

    @property
    def waiting(self) -> tuple[int, int, int]:
        """Events and bytes that wait to be committed, and decisions that wait."""
        return self._offers.count, self._offers.bytes, self._asked.count

    def now(self) -> int:
        """The service's present instant, microseconds UTC."""
        return self._clock()

    def snapshot(self) -> bool:
        """Keep the state, unless nothing came since it was last kept; whether it was kept.

        It is made of the snapshot before and of the log: neither reads nor events wait for it.

        Raises:
            StoreError: the disk will not have it. The log alone is enough to go on.
        """
        views = self.serving.project.views
        if self._keeper.has(views, self.offset):
            return False
        self._alarm(self._keeper.renew(views, self.log))
        return True

    def swap(
        self,
        scorings: Mapping[str, Scoring],
        project: Project | None = None,
        canaries: Mapping[str, Trial] | None = None,
    ) -> None:
        """Serve other versions of models, other policies, or other definitions, without a pause.

        Requests before the switch are answered by the old ones, those after it by the new ones. Changed
        views are built by replay beside the old ones; events go on being taken meanwhile.

        Args:
            scorings: model to its version.
            project: the definitions, if they changed.
            canaries: model to the canary beside its champion; none any more if they are left out.

        Raises:
            DataError: a stream that is being filled is declared otherwise; nothing is exchanged then.
            StoreError: the definitions cannot be kept; nothing is exchanged then.
        """
        old = self.serving
        project = project or old.project
        DataError.raise_if(changed_streams(project, old.project))
        self.definitions.keep(project, now=self._clock())
        if {stream.name for stream in project.streams} - set(self.log.streams):
            self._writer.between(lambda: self._reopen(project)).result()
        new = beside(old, project, scorings, self.log, canaries)
        if new.vectors is not old.vectors:
            self._keep(new)
            catch_up(new.vectors.engine, self.log)
        self._writer.between(lambda: self._switch(new)).result()

    def close(self, *, snapshot: bool = True) -> None:
        """Finish everything that was taken, keep the state, and let go of the files. Again: nothing."""
        if self._closed:
            return
        self._closed = True
        self._offers.close()
        self._asked.close()
        self._writer.join()
        self._recorder.join()
        if snapshot and self.broken is None and not self._keeper.has(self.serving.project.views, self.offset):
            self._keep(self.serving)
        self.decisions.close()
        self.definitions.close()
        self.log.close()

    def _start(self, risen: Risen) -> None:
        self._alarm(risen.damaged)
        if risen.from_offset < 0 <= self.offset:
            self._keep(self.serving)  # or else the first snapshot would have to read all of the log again
        self._recorder.start()
        self._writer.start()

    def _switch(self, new: Serving) -> None:
        close_up(new, self.serving, self.log)
        self._writer.fresh = Fresh(new.vectors, list(new.scorings.values()))
        self._writer.bounds = new.project.lateness, self.limits.ahead
        self.serving = new

    def _reopen(self, project: Project) -> None:
        """Open the log with new streams beside the known ones."""
        known = list(self.serving.project.streams)
        streams = [*known, *(one for one in project.streams if one not in known)]
        self.log.close()
        self.log = EmbeddedLog.open(self.folder.log, streams, max_bytes=self._max_log_bytes)
        self._writer.log = self.log

    def _keep(self, serving: Serving) -> None:
        """Keep the state of an engine that takes in nothing meanwhile; without one, the log is enough."""
        try:
            with serving.vectors.shut():
                self._keeper.keep(serving.project.views, serving.vectors.engine)
        except StoreError as error:
            self._hooks.on_fault("snapshot", error)

    def _alarm(self, damaged: Sequence[str]) -> None:
        for found in damaged:
            self._hooks.on_fault("snapshot", _damaged(*found.split(": ", 1)))

    def _tell(self, rescored: Sequence[Rescored]) -> None:
        self.feed.tell(rescored)
        self._hooks.on_fresh(rescored)

    def _moment(self, at: int | None) -> Moment:
        return Moment(self._clock(), exact=False) if at is None else Moment(at)

    def _not_ahead(self, at: int | None) -> None:
        ahead = self.limits.ahead
        if at is not None and ahead is not None and at > self._clock() + ahead:
            raise DataError.of(
                "the moment lies in the future",
                expected="a moment that has been",
                where="at",
                do="leave it out for now",
            )

    def _decide(
        self, policy: str, keys: Mapping[str, Any], request: Mapping[str, Any], at: int | None
    ) -> tuple[Scored, Decision]:
        serving, moment = self.serving, self._moment(at)
        decider, chance = serving.policy(policy), serving.chances.get(policy)
        if chance is None or not chance.canary.takes(keys):
            return self._made(serving, decider, keys, request, moment)
        try:
            return sound(*self._made(serving, chance.decider, keys, request, moment))
        except Exception as error:  # noqa: BLE001 - an estimator is the user's code; the champion answers
            failure = error
        made = self._made(serving, decider, keys, request, moment)  # or else the request is at fault
        self._hooks.on_fault("canary", failure)
        return made

    def _made(
        self,
        serving: Serving,
        decider: Decider,
        keys: Mapping[str, Any],
        request: Mapping[str, Any],
        moment: Moment,
    ) -> tuple[Scored, Decision]:
        scoring = decider.scoring
        read = serving.vectors.vector(scoring, keys, moment, request)
        scored = Scored(
            scoring.model.name, keys, read.time, read.offset, request, read.x, scoring.score(read.x)
        )
        return scored, decider.decide(scored, self._clock())


def _damaged(name: str, reason: str) -> StoreError:
    return StoreError.of(
        "a snapshot was passed over",
        got=reason,
        where=name,
        do="look at the disk; an older snapshot, or none, and the log give the same state",
    )


def _exactly(
    decider: Decider, keys: Mapping[str, Any], request: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keys and request columns in their declared types."""
    model = decider.scoring.model
    need(model, keys, request)
    types = decider.keys
    return (
        {name: exact(keys[name], types[name], f"$.keys.{name}") for name in model.keys},
        {name: exact(request[name], model.columns[name], f"$.request.{name}") for name in model.request},
    )
