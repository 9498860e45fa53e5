"""A service that decides and owns no log: the states of its keys come from an online store.

::

    decide ──► record (recorder) ◄── features as of now ◄── states ◄── online store ◄── the log's owner

It takes no events and has no engine of its own; its decisions go into its own records, and each names the
offset that it rests on, so that it can be made again wherever the log is. Opened by the edges, which bring
what reads the store; read ``deciding`` for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from headwater.definitions.project import Project
from headwater.serving.books import Books
from headwater.serving.deciding import Deciding
from headwater.serving.edges import Clock, Edge, Hooks, Limits
from headwater.serving.live import Stopwatch
from headwater.serving.scoring import Scoring
from headwater.serving.served import Serving, Trial
from headwater.serving.swap import same_views
from headwater.serving.vectors import Vectors
from headwater.store.folder import DataFolder
from headwater.store.protocol import Decisions


class Replica(Deciding):
    """One of many that decide. Open it with :meth:`open`; safe to share between threads."""

    def __init__(
        self,
        serving: Serving,
        books: Books,
        folder: DataFolder,
        edge: Edge,
        vectors: Callable[[Project], Vectors],
    ) -> None:
        """Use :meth:`open`."""
        super().__init__(serving, books, folder, edge)
        self._vectors = vectors

    @classmethod
    def open(
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
    ) -> Replica:
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
        with ExitStack() as opened:
            books = Books.open(folder, project, clock(), decisions)
            opened.callback(books.close)
            serving = Serving.of(project, scorings, vectors(project))
            edge = Edge.of(clock, stopwatch, limits, hooks)
            replica = cls(serving, books, folder, edge, vectors)
            replica._recorder.start()
            opened.pop_all()
        return replica

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
        self.definitions.keep(project, now=self.now())
        vectors = old.vectors if same_views(project, old.project) else self._vectors(project)
        self.serving = Serving.of(project, scorings, vectors, canaries)
