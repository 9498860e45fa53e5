"""What the routes share: the service, the bounds of a request, the metrics. Put into the app by ``app``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from fastapi import Request

from headwater.apps.http.bell import Bell
from headwater.apps.http.jobs import Jobs
from headwater.apps.http.metrics import Metrics
from headwater.apps.http.problems import NotReadyError
from headwater.core.errors import DataError
from headwater.serving.decide import Decider
from headwater.serving.service import Service, unknown
from headwater.store.decision import Decision
from headwater.store.late import LateLedger


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a single request may bring.

    Attributes:
        body: bytes.
        events: events.
    """

    body: int = 16 << 20
    events: int = 50_000


class Past(Protocol):
    """The models and policies of a project's past: ``apps.archive``, or what is served now."""

    def own(self, decision: Decision) -> Decider | None:
        """Those that made a decision; None where one of them is not at hand."""
        ...

    def decider(self, decision: Decision, model: str | None, policy: str | None) -> Decider:
        """Those that made it, with a model's version or a policy in place of its own."""
        ...

    def other(self, name: str | None, model: str | None, policy: str | None) -> Decider:
        """For decisions at large: a model's version, the champion if none is named, and a policy."""
        ...


class Present:
    """What is served now as the only past there is: for a service without a registry.

    Args:
        service: whose.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def own(self, decision: Decision) -> Decider | None:
        """The served model and policy, if the decision was made with them."""
        found = self._service.serving.deciders.get(decision.policy)
        same = found is not None and found.scoring.digest == decision.model_digest
        return found if same else None

    def decider(self, decision: Decision, model: str | None, policy: str | None) -> Decider:
        """The served model and a policy.

        Raises:
            UnknownError: there is no such policy.
            DataError: another version of the model is asked for.
        """
        if model is not None:
            raise _no_registry(model)
        return self._service.serving.policy(policy or decision.policy)

    def other(self, name: str | None, model: str | None, policy: str | None) -> Decider:
        """The served model and a policy.

        Raises:
            UnknownError: there is no such model or policy.
            DataError: another version of the model is asked for.
        """
        serving = self._service.serving
        if model is not None:
            raise _no_registry(model)
        found = serving.policy(policy)
        if name is not None and found.scoring.model.name != name:
            raise unknown("model", name, serving.scorings)
        return found


def _no_registry(model: str) -> DataError:
    return DataError.of(
        "there is no registry to find a version in", got=repr(model[:60]), do="leave the model out"
    )


@dataclass
class Site:
    """What the routes work with.

    Attributes:
        service: the live service.
        bounds: of a request.
        metrics: of the service.
        reload: reads project and registry again, and swaps what is newer in.
        past: the models and policies that past decisions were made with.
        ledger: late events; None if nobody keeps one.
        holds: whether whoever was let in with a request still would be.
        jobs: backtests.
        streams: the streams that are open, by what wakes them.
        ending: whether the server goes down.
    """

    service: Service
    bounds: Bounds
    metrics: Metrics
    reload: Callable[[], None]
    past: Past
    ledger: LateLedger | None = None
    holds: Callable[[Request], bool] = lambda _: True
    jobs: Jobs = field(default_factory=Jobs)
    streams: set[asyncio.Event] = field(default_factory=set)
    ending: bool = False
    _bell: Bell | None = None

    @property
    def bell(self) -> Bell:
        """Where requests of this event loop wait for the service."""
        loop = asyncio.get_running_loop()
        if self._bell is None or self._bell.loop is not loop:
            self._bell = Bell(loop)
        return self._bell

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


def ready(site: Site) -> Service:
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
