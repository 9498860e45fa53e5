"""The half that takes events: the log, the writer and its engine, the score stream, snapshots.

::

    submit ──► commit (writer) ──► log, engine, fresh scores ──► feed
                                     └──► snapshots (keeper)

Made by ``service``, which decides from the same engine. Read ``commit`` for the thread that writes, ``fresh``
for what an event does, ``swap`` for how something else is served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from headwater.core.errors import StoreError
from headwater.core.schema import check_frame
from headwater.core.tracing import current, span
from headwater.definitions.project import Project
from headwater.log.embedded import EmbeddedLog
from headwater.log.protocol import DeadLetters
from headwater.serving.commit import Ears, Writer
from headwater.serving.edges import Edge
from headwater.serving.feed import Feed
from headwater.serving.fresh import Fresh
from headwater.serving.group import Offer, Taken
from headwater.serving.keeping import Keeper
from headwater.serving.rescored import Rescored
from headwater.serving.rising import Risen, catch_up
from headwater.serving.rows import Refused, RowReader
from headwater.serving.scoring import Scoring
from headwater.serving.served import Serving, Trial, unknown
from headwater.serving.swap import beside, close_up
from headwater.serving.waiting import Waiting


class Taking:
    """What takes events. Safe to share between threads.

    Args:
        serving: what is served now, on the engine that it writes to.
        log: the events; closed with it.
        keeper: of the snapshots.
        edge: what the edges bring.
        max_log_bytes: the size that the log may reach.

    Attributes:
        serving: the same.
        log: the same.
        feed: the score stream.
        shared_letters: dead letters in a database that servers share; None where they are in the log.
    """

    def __init__(
        self, serving: Serving, log: EmbeddedLog, keeper: Keeper, edge: Edge, max_log_bytes: int | None
    ) -> None:
        self.serving = serving
        self.log = log
        self.feed = Feed()
        self.shared_letters: DeadLetters | None = None
        self._keeper = keeper
        self._watch, self._hooks, self._ahead = edge.stopwatch, edge.hooks, edge.limits.ahead
        self._max_log_bytes = max_log_bytes
        limits, hooks = edge.limits, edge.hooks
        self._offers: Waiting[Any] = Waiting(
            "events",
            limits.queue_events,
            limits.queue_bytes,
            limits.group_events,
            gap=limits.gap,
            stopwatch=edge.stopwatch,
        )
        fresh = Fresh(serving.vectors, list(serving.scorings.values()))
        ears = Ears(hooks.on_turn, self._tell, hooks.on_fault, hooks.on_applied)
        bounds = serving.project.lateness, limits.ahead
        self._writer = Writer(log, self._offers, fresh, edge.clock, edge.stopwatch, bounds, ears)

    def start(self, risen: Risen) -> None:
        """Begin, from what rose of the newest snapshot and the log."""
        self._alarm(risen.damaged)
        if risen.from_offset < 0 <= self._offset:
            self._keep(self.serving)  # or else the first snapshot would have to read all of the log again
        self._writer.start()

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

    def checkpoint(self) -> None:
        """Tidy up behind the writer, from a thread in the background: see ``EmbeddedLog.checkpoint``."""
        self.log.checkpoint()

    @property
    def letters(self) -> DeadLetters:
        """The dead letters."""
        return self.log if self.shared_letters is None else self.shared_letters

    @property
    def broken(self) -> BaseException | None:
        """What made the writer stop, if it has."""
        return self._writer.broken

    @property
    def waiting(self) -> tuple[int, int]:
        """Events and bytes that wait to be committed."""
        return self._offers.count, self._offers.bytes

    # --- What it keeps, and what comes next ----------------------------------------------------------

    def snapshot(self) -> bool:
        """Keep the state, unless nothing came since it was last kept; whether it was kept.

        It is made of the snapshot before and of the log: neither reads nor events wait for it.

        Raises:
            StoreError: the disk will not have it. The log alone is enough to go on.
        """
        views = self.serving.project.views
        if self._keeper.has(views, self._offset):
            return False
        self._alarm(self._keeper.renew(views, self.log))
        return True

    def exchange(
        self,
        project: Project,
        scorings: Mapping[str, Scoring],
        canaries: Mapping[str, Trial] | None,
        switched: Callable[[Serving], None],
    ) -> None:
        """Take events in for something else from now on, built beside what is served; see ``Service.swap``.

        Args:
            project: the definitions.
            scorings: model to its version.
            canaries: model to the canary beside its champion.
            switched: told of it between two commits.
        """
        old = self.serving
        if {stream.name for stream in project.streams} - set(self.log.streams):
            self._writer.between(lambda: self._reopen(project)).result()
        new = beside(old, project, scorings, self.log, canaries)
        if new.vectors is not old.vectors:
            self._keep(new)
            catch_up(new.vectors.engine, self.log)

        def switch() -> None:
            close_up(new, self.serving, self.log)
            self._writer.fresh = Fresh(new.vectors, list(new.scorings.values()))
            self._writer.bounds = new.project.lateness, self._ahead
            self.serving = new
            switched(new)

        self._writer.between(switch).result()

    def stop(self) -> None:
        """Commit everything that was taken, and take no more."""
        self._offers.close()
        self._writer.join()

    def close(self, *, snapshot: bool) -> None:
        """Keep the state, and let go of the log; when it has stopped and nobody reads any more."""
        views = self.serving.project.views
        if snapshot and self.broken is None and not self._keeper.has(views, self._offset):
            self._keep(self.serving)
        self.log.close()

    @property
    def _offset(self) -> int:
        return self.serving.vectors.offset

    def _reopen(self, project: Project) -> None:
        """Open the log with new streams beside the known ones."""
        known = list(self.serving.project.streams)
        streams = [*known, *(one for one in project.streams if one not in known)]
        path = self.log.path
        self.log.close()
        self.log = EmbeddedLog.open(path, streams, max_bytes=self._max_log_bytes)
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


def _damaged(name: str, reason: str) -> StoreError:
    return StoreError.of(
        "a snapshot was passed over",
        got=reason,
        where=name,
        do="look at the disk; an older snapshot, or none, and the log give the same state",
    )
