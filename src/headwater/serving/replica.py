"""A service that decides and owns no log: the states of its keys come from an online store.

::

    decide ──► record (recorder) ◄── features as of now ◄── states ◄── online store ◄── the log's owner

It takes no events and has no engine of its own; its decisions go into its own records, and each names the
offset that it rests on, so that it can be made again wherever the log is. Opened by the edges, which bring
what reads the store; see ``service`` for what is inherited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Self, cast

from headwater.core.errors import MisdirectedError
from headwater.definitions.project import Project
from headwater.log.embedded import EmbeddedLog
from headwater.serving.feed import Feed
from headwater.serving.group import Taken
from headwater.serving.live import Stopwatch
from headwater.serving.record import Asked, Recorder
from headwater.serving.rows import Refused
from headwater.serving.scoring import Scoring
from headwater.serving.served import Serving, Trial
from headwater.serving.service import Clock, Hooks, Limits, Service
from headwater.serving.swap import same_views
from headwater.serving.vectors import Vectors
from headwater.serving.waiting import Waiting
from headwater.store.decisions import DecisionStore
from headwater.store.definitions import DefinitionStore
from headwater.store.folder import DataFolder
from headwater.store.protocol import Decisions


class Replica(Service):
    """One of many that decide. Open it with :meth:`begin`; safe to share between threads."""

    def __init__(
        self,
        serving: Serving,
        stores: tuple[Decisions, DefinitionStore],
        folder: DataFolder,
        clock: Clock,
        stopwatch: Stopwatch,
        limits: Limits,
        hooks: Hooks,
        vectors: Callable[[Project], Vectors],
    ) -> None:
        """Use :meth:`begin`."""
        self.serving = serving
        self.log = cast(EmbeddedLog, _Elsewhere(self))
        self.shared_letters = None
        self.decisions, self.definitions = stores
        self.folder = folder
        self.limits = limits
        self.feed = Feed()
        self.passed_over = ()
        self._clock = clock
        self._watch = stopwatch
        self._hooks = hooks
        self._vectors = vectors
        self._closed = False
        self._asked: Waiting[Asked] = Waiting(
            "decisions", limits.queue_decisions, limits.queue_bytes, limits.group_decisions
        )
        self._recorder = Recorder(
            self.decisions, self._asked, stopwatch, hooks.on_recorded, hooks.on_served, hooks.on_fault
        )

    @classmethod
    def begin(
        cls,
        project: Project,
        folder: DataFolder,
        scorings: Mapping[str, Scoring],
        vectors: Callable[[Project], Vectors],
        *,
        clock: Clock,
        stopwatch: Stopwatch,
        limits: Limits | None = None,
        hooks: Hooks | None = None,
        decisions: Decisions | None = None,
    ) -> Self:
        """Begin to decide; whether the online store is whole shows with the first decision.

        Args:
            project: the definitions.
            folder: the data folder, of this replica alone; the records are made if they are missing.
            scorings: model to its version; models without one are not served.
            vectors: makes what reads a project's states.
            clock: now, microseconds UTC.
            stopwatch: nanoseconds from some start, never back.
            limits: what is taken at most.
            hooks: who is told.
            decisions: the records, closed with the replica; those of the data folder if none are given.

        Raises:
            StoreError: the decision records or the kept definitions cannot be opened.
        """
        folder.make()
        decisions = DecisionStore.open(folder.decisions) if decisions is None else decisions
        try:
            definitions = DefinitionStore.open(folder.definitions)
        except BaseException:
            decisions.close()
            raise
        stores = decisions, definitions
        try:
            definitions.keep(project, now=clock())
            serving = Serving.of(project, scorings, vectors(project))
            replica = cls(
                serving, stores, folder, clock, stopwatch, limits or Limits(), hooks or Hooks(), vectors
            )
            replica._recorder.start()
        except BaseException:
            for store in stores:
                store.close()
            raise
        return replica

    def submit_rows(
        self,
        stream: str,  # noqa: ARG002 - as the service's own
        events: Sequence[Any],  # noqa: ARG002
        *,
        size: int,  # noqa: ARG002
        refresh: bool = False,  # noqa: ARG002
        refused: tuple[Refused, ...] = (),  # noqa: ARG002
        source: str | None = None,  # noqa: ARG002
    ) -> Future[Taken]:
        """Raises MisdirectedError."""
        raise misdirected("events are taken by")

    def submit_frame(
        self,
        stream: str,  # noqa: ARG002
        frame: Any,  # noqa: ARG002
        *,
        size: int,  # noqa: ARG002
        refresh: bool = False,  # noqa: ARG002
        source: str | None = None,  # noqa: ARG002
    ) -> Future[Taken]:
        """Raises MisdirectedError."""
        raise misdirected("events are taken by")

    @property
    def broken(self) -> BaseException | None:
        """Nothing: there is no writer that could stop."""
        return None

    @property
    def waiting(self) -> tuple[int, int, int]:
        """No events, no bytes of them, and decisions that wait."""
        return 0, 0, self._asked.count

    def snapshot(self) -> bool:
        """Nothing is kept: the state is elsewhere."""
        return False

    def swap(
        self,
        scorings: Mapping[str, Scoring],
        project: Project | None = None,
        canaries: Mapping[str, Trial] | None = None,
    ) -> None:
        """Serve other versions of models, other policies, or other definitions; see ``Service.swap``.

        Of changed views nothing can be decided until the log's owner has published their states.
        """
        old = self.serving
        project = project or old.project
        self.definitions.keep(project, now=self._clock())
        vectors = old.vectors if same_views(project, old.project) else self._vectors(project)
        self.serving = Serving.of(project, scorings, vectors, canaries)

    def close(self, *, snapshot: bool = True) -> None:  # noqa: ARG002 - as the service's own
        """Finish everything that was taken, and let go of the files. Again: nothing."""
        if self._closed:
            return
        self._closed = True
        self._asked.close()
        self._recorder.join()
        self.decisions.close()
        self.definitions.close()


def misdirected(what: str) -> MisdirectedError:
    """The letter for what another server has."""
    return MisdirectedError.of(
        f"{what} another server",
        expected="a server with the role ingest or all",
        got="one with the role decide",
        do="send it to the server that owns the log",
    )


class _Elsewhere:
    """The log of a replica: what is known of it from here; whoever asks for more is sent on."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def end(self) -> int:
        """The next offset, as far as was published."""
        return self._replica.offset + 1

    def dead_letter_counts(self) -> Mapping[str, int]:
        """They are elsewhere."""
        return {}

    def __getattr__(self, _name: str) -> Any:
        raise misdirected("the log is with")
