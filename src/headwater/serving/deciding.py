"""The half that decides: models, policies and records; all of a server that owns no log.

::

    ask ──► prompt, record (recorder) ◄── features as of now ◄── states
    features ◄── states

Where the states are is the affair of ``vectors``: an engine beside the log (``service``), or an online store
(``replica``). Read ``record`` for the thread that decides, ``served`` for what it decides by.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import Future
from hashlib import sha256
from typing import Any, Self

from headwater.core.errors import DataError
from headwater.core.tracing import current, span
from headwater.definitions.project import Project
from headwater.serving.books import Books
from headwater.serving.decide import Decider
from headwater.serving.edges import Edge
from headwater.serving.making import Making, Wanted
from headwater.serving.prompt import Prompt, Soon
from headwater.serving.record import Asked, Recorder
from headwater.serving.rows import exact
from headwater.serving.scoring import Scoring
from headwater.serving.served import Serving, Trial, unknown
from headwater.serving.vectors import Moment, Read, need
from headwater.serving.waiting import Waiting
from headwater.store.decisions import Idempotency, Record
from headwater.store.folder import DataFolder


class Deciding(ABC):
    """What decides. Safe to share between threads.

    Attributes:
        serving: what is served now.
        decisions: what was decided.
        definitions: all that were ever in force.
        folder: where everything lies.
        limits: what is taken at most.
    """

    def __init__(self, serving: Serving, books: Books, folder: DataFolder, edge: Edge) -> None:
        """Use ``open`` of what is opened."""
        self.serving = serving
        self.decisions, self.definitions = books.decisions, books.definitions
        self.folder = folder
        self.limits = limits = edge.limits
        self._books = books
        self._clock, self._watch, self._hooks = edge.clock, edge.stopwatch, edge.hooks
        self._closed = False
        self._asked: Waiting[Asked] = Waiting(
            "decisions", limits.queue_decisions, limits.queue_bytes, limits.group_decisions
        )
        hooks = edge.hooks
        making = Making(lambda: self.serving, edge.clock, hooks.on_fault)
        self._recorder = Recorder(
            books.decisions,
            self._asked,
            making,
            edge.stopwatch,
            hooks.on_recorded,
            hooks.on_served,
            hooks.on_fault,
        )
        self._prompt = Prompt(self._recorder, self._asked, making.quickly, edge.stopwatch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

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
        asked = self._made_ready(policy, keys, request or {}, at, idempotency_key)
        self._prompt.ask(asked)
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
        asked = self._made_ready(policy, keys, request or {}, at, idempotency_key)
        self._asked.put(asked, 1, 1_000)  # not to a thread that may be this one
        return asked.future.result()

    def lend(self, soon: Soon) -> None:
        """Decide in this thread, an event loop's, where that is quick; see :class:`Prompt`."""
        self._prompt.lend(soon)

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
    def asked(self) -> int:
        """Decisions that wait."""
        return self._prompt.count

    @property
    def broken(self) -> BaseException | None:
        """What made it stop, if anything has: a decision that fails stops nothing."""
        return None

    def now(self) -> int:
        """The service's present instant, microseconds UTC."""
        return self._clock()

    @abstractmethod
    def swap(
        self,
        scorings: Mapping[str, Scoring],
        project: Project | None = None,
        canaries: Mapping[str, Trial] | None = None,
    ) -> None:
        """Serve other versions of models, other policies, or other definitions, without a pause.

        Args:
            scorings: model to its version.
            project: the definitions, if they changed.
            canaries: model to the canary beside its champion; none any more if they are left out.

        Raises:
            StoreError: the definitions cannot be kept; nothing is exchanged then.
        """

    def close(self) -> None:
        """Finish everything that was taken, and let go of the files. Again: nothing."""
        if not self._closed:
            self._closed = True
            self._finish()
            self._books.close()

    def _finish(self) -> None:
        """Make the decisions that were taken, and take no more."""
        self._prompt.close()
        self._asked.close()
        self._recorder.join()

    def _made_ready(
        self,
        policy: str | None,
        keys: Mapping[str, Any],
        request: Mapping[str, Any],
        at: int | None,
        idempotency_key: str | None,
    ) -> Asked:
        decider = self.serving.policy(policy)
        with span("validate", self._watch, policy=decider.policy.name):
            exact_keys, given = _exactly(decider, keys, request)
            self._not_ahead(at)

        wanted = Wanted(decider.policy.name, exact_keys, given, at)
        name = None
        if idempotency_key is not None:
            told = {"policy": decider.policy.name, "keys": exact_keys, "request": given, "at": at}
            name = Idempotency(
                idempotency_key, sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
            )
        return Asked(wanted, self._watch(), name, current())

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
