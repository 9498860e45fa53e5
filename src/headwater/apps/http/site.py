"""What the routes share: the service, the bounds of a request, the metrics. Put into the app by ``app``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from fastapi import Request

from headwater.apps.http.bell import Bell
from headwater.apps.http.jobs import Jobs
from headwater.apps.http.metrics import Metrics
from headwater.apps.http.monitors import Monitors
from headwater.apps.http.problems import NotReadyError
from headwater.apps.http.scheduler import Scheduler
from headwater.apps.masking import Mask, Masks
from headwater.apps.stores import Records
from headwater.core.errors import DataError, MisdirectedError
from headwater.serving.decide import Decider
from headwater.serving.deciding import Deciding
from headwater.serving.served import unknown
from headwater.serving.service import Service
from headwater.store.decision import Decision

T = TypeVar("T")

Begun = tuple[Future[T], Callable[[T], Any]]  # what is waited for, and how it is told, as plain values


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a single request may bring.

    Attributes:
        body: bytes.
        events: events.
    """

    body: int = 16 << 20
    events: int = 50_000


@dataclass(frozen=True, slots=True)
class Others:
    """What to replay with in place of a decision's own; None for its own.

    Attributes:
        definitions: the hash of kept ones, or ``current``.
        model: a version's number or alias.
        policy: the name of one, or the hash of a kept one.
    """

    definitions: str | None = None
    model: str | None = None
    policy: str | None = None


class Past(Protocol):
    """The models and policies of a project's past: ``apps.archive``, or what is served now."""

    def own(self, decision: Decision) -> Decider | None:
        """Those that made a decision; None where one of them is not at hand."""
        ...

    def decider(self, decision: Decision, others: Others) -> Decider:
        """Those that made it, with others in place of its own."""
        ...

    def other(self, name: str | None, others: Others) -> Decider:
        """For decisions at large: a model's version, the champion if none is named, and a policy."""
        ...


class Loop(Protocol):
    """Which version decides, and why it may: ``apps.http.desk``. Answers are plain values."""

    def promote(
        self, model: str, version: str | int | None, *, force: bool, why: str | None, actor: str
    ) -> Any:
        """Make a version the champion, and serve it."""
        ...

    def rollback(self, model: str, *, why: str | None, actor: str) -> Any:
        """Bring the earlier champion back, and serve it."""
        ...

    def canary(self, model: str) -> Any:
        """The canary of a model, and what it decided beside the champion."""
        ...

    def declare(self, model: str, share: float, *, why: str | None, actor: str) -> Any:
        """Let the challenger answer a share of the decisions."""
        ...

    def stop(self, model: str, *, why: str | None, actor: str) -> Any:
        """Let the champion decide alone again."""
        ...

    def settle(self, model: str) -> bool:
        """Write down what became of a canary that ended by itself."""
        ...

    def gate(self, model: str, version: str | int | None) -> Any:
        """The newest report of a gate; None if there is none."""
        ...


class Present:
    """What is served now as the only past there is: for a service without a registry.

    Args:
        service: whose.
    """

    def __init__(self, service: Deciding) -> None:
        self._service = service

    def own(self, decision: Decision) -> Decider | None:
        """The served model and policy, if the decision was made with them."""
        serving = self._service.serving
        chance = serving.chances.get(decision.policy)
        found = serving.deciders.get(decision.policy), None if chance is None else chance.decider
        same = (one for one in found if one is not None and one.scoring.digest == decision.model_digest)
        return next(same, None)

    def decider(self, decision: Decision, others: Others) -> Decider:
        """The served model and a policy.

        Raises:
            UnknownError: there is no such policy.
            DataError: another version of the model, or other definitions, are asked for.
        """
        _served(others)
        return self._service.serving.policy(others.policy or decision.policy)

    def other(self, name: str | None, others: Others) -> Decider:
        """The served model and a policy.

        Raises:
            UnknownError: there is no such model or policy.
            DataError: another version of the model, or other definitions, are asked for.
        """
        serving = self._service.serving
        _served(others)
        found = serving.policy(others.policy)
        if name is not None and found.scoring.model.name != name:
            raise unknown("model", name, serving.scorings)
        return found


def _served(others: Others) -> None:
    """Raises DataError for what only a registry could find."""
    for noun, named in (("model", others.model), ("definitions", others.definitions)):
        if named is not None and (noun, named) != ("definitions", "current"):
            raise DataError.of(
                "there is no registry to find a version in", got=repr(named[:60]), do=f"leave the {noun} out"
            )


@dataclass
class Site:
    """What the routes work with.

    Attributes:
        service: what decides; with the log, or without.
        bounds: of a request.
        metrics: of the service.
        reload: reads project and registry again, and swaps what is newer in.
        past: the models and policies that past decisions were made with.
        monitors: who keeps the late ledger; None if nobody does.
        loop: who changes which version decides; None where there is no registry.
        scheduler: who plans and runs jobs; None if nobody does.
        records: where decisions, acts and jobs are kept; None for the data folder.
        holds: whether whoever was let in with a request still would be.
        jobs: backtests.
        masks: what is personal, by the project that is served.
        streams: the streams that are open, by what wakes them.
        ending: whether the server goes down.
    """

    service: Deciding
    bounds: Bounds
    metrics: Metrics
    reload: Callable[[], None]
    past: Past
    monitors: Monitors | None = None
    loop: Loop | None = None
    scheduler: Scheduler | None = None
    records: Records | None = None
    holds: Callable[[Request], bool] = lambda _: True
    jobs: Jobs = field(default_factory=Jobs)
    masks: Masks = field(default_factory=Masks)
    streams: set[asyncio.Event] = field(default_factory=set)
    ending: bool = False
    _bell: Bell | None = None
    _decoder: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "headwater-decoder"))

    @property
    def owner(self) -> Service:
        """The service, where it is the one that owns the log.

        Raises:
            MisdirectedError: it only decides.
        """
        if isinstance(self.service, Service):
            return self.service
        raise MisdirectedError.of(
            "the log is with another server",
            expected="a server with the role ingest or all",
            got="one with the role decide",
            do="send it to the server that owns the log",
        )

    @property
    def bell(self) -> Bell:
        """Where requests of this event loop wait for the service."""
        loop = asyncio.get_running_loop()
        if self._bell is None or self._bell.loop is not loop:
            self._bell = Bell(loop)
            self.service.lend(loop.call_soon)
        return self._bell

    async def decoded(self, work: Callable[[], T]) -> T:
        """Do what takes some milliseconds beside the event loop, one after the other: in the order in which
        requests came, so that their events are not late for having been sent over several connections."""  # noqa: D205, D209
        context = copy_context()  # which knows the request's trace
        return await asyncio.get_running_loop().run_in_executor(self._decoder, lambda: context.run(work))

    @property
    def mask(self) -> Mask:
        """What is personal in the project that is served."""
        return self.masks.of(self.service.serving.project)

    def end(self) -> None:
        """Let streams end."""
        self.ending = True
        self.jobs.close()
        for woken in self.streams:
            woken.set()


def site_of(request: Request) -> Site:
    """The site of a request's app."""
    site: Site = request.app.state.site
    return site


def ready(site: Site) -> Deciding:
    """The service, if it serves.

    Raises:
        NotReadyError: it has stopped.
    """
    if site.service.broken is not None:
        raise NotReadyError.of(
            "the service has stopped taking events",
            got=type(site.service.broken).__name__,
            do="look at its log, then start it again",
        )
    return site.service
