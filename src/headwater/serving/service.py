"""The live service: log, engine, models and records under one roof, for many callers at once.

::

    submit ──► taking ──► log, engine, fresh scores ──► feed
                            │
    decide ──► deciding ◄───┘ ──► records

Of two halves: it is what decides (``deciding``), and has what takes events (``taking``), on one engine.
Opened by the edges, which bring the clock; knows nothing of HTTP. Read ``replica`` for the server that has
the first half alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from headwater.core.errors import DataError
from headwater.definitions.project import Project
from headwater.log.embedded import EmbeddedLog
from headwater.log.protocol import DeadLetters
from headwater.serving.books import Books
from headwater.serving.deciding import Deciding
from headwater.serving.edges import Clock, Edge, Hooks, Limits
from headwater.serving.keeping import Keeper
from headwater.serving.live import Stopwatch
from headwater.serving.rising import Risen
from headwater.serving.scoring import Scoring
from headwater.serving.served import Serving, Trial
from headwater.serving.swap import changed_streams
from headwater.serving.taking import Taking
from headwater.serving.vectors import Vectors
from headwater.store.ahead import Ahead
from headwater.store.folder import DataFolder
from headwater.store.protocol import Decisions

__all__ = ["Clock", "Hooks", "Limits", "Service"]


class Service(Deciding):
    """A project, live. Open it with :meth:`open`; safe to share between threads.

    Attributes:
        taking: the half that takes events.
        feed: the score stream.
        reader, submit_rows, submit_frame, snapshot: of that half.
        passed_over: snapshots that could not be used at the start, with the reason.
    """

    def __init__(
        self,
        serving: Serving,
        books: Books,
        folder: DataFolder,
        edge: Edge,
        taking: Taking,
        passed_over: tuple[str, ...],
    ) -> None:
        """Use :meth:`open`."""
        super().__init__(serving, books, folder, edge)
        self.taking = taking
        self.feed = taking.feed
        self.reader = taking.reader
        self.submit_rows, self.submit_frame = taking.submit_rows, taking.submit_frame
        self.snapshot = taking.snapshot
        self.passed_over = passed_over

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
        edge = Edge.of(clock, stopwatch, limits, hooks)
        with ExitStack() as opened:
            log = EmbeddedLog.open(folder.log, project.streams, max_bytes=max_log_bytes)
            opened.callback(log.close)
            books = Books.open(folder, project, clock(), decisions)
            opened.callback(books.close)
            keeper = Keeper(folder.snapshots)
            risen = keeper.rise(project.views, log, ahead)
            serving = Serving.of(project, scorings, Vectors(risen.engine))
            taking = Taking(serving, log, keeper, edge, max_log_bytes)
            service = cls(serving, books, folder, edge, taking, risen.passed_over)
            service._start(risen)
            opened.pop_all()
        return service

    @property
    def log(self) -> EmbeddedLog:
        """The events."""
        return self.taking.log

    @property
    def letters(self) -> DeadLetters:
        """The dead letters."""
        return self.taking.letters

    @property
    def broken(self) -> BaseException | None:
        """What made the writer stop, if it has."""
        return self.taking.broken

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
        project = project or self.serving.project
        DataError.raise_if(changed_streams(project, self.serving.project))
        self.definitions.keep(project, now=self.now())
        self.taking.exchange(project, scorings, canaries, self._serve)

    def close(self, *, snapshot: bool = True) -> None:
        """Finish everything that was taken, keep the state, and let go of the files. Again: nothing."""
        if self._closed:
            return
        self._closed = True
        self.taking.stop()
        self._finish()
        self.taking.close(snapshot=snapshot)
        self._books.close()

    def _start(self, risen: Risen) -> None:
        self.taking.start(risen)
        self._recorder.start()

    def _serve(self, new: Serving) -> None:
        self.serving = new
