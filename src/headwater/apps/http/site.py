"""What the routes share: the service, the bounds of a request, the metrics. Put into the app by ``app``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import Request

from headwater.apps.http.metrics import Metrics
from headwater.apps.http.problems import NotReadyError
from headwater.serving.service import Service


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a single request may bring.

    Attributes:
        body: bytes.
        events: events.
    """

    body: int = 16 << 20
    events: int = 50_000


@dataclass
class Site:
    """What the routes work with.

    Attributes:
        service: the live service.
        bounds: of a request.
        metrics: of the service.
        reload: reads project and registry again, and swaps what is newer in.
        streams: the streams that are open, by what wakes them.
        ending: whether the server goes down.
    """

    service: Service
    bounds: Bounds
    metrics: Metrics
    reload: Callable[[], None]
    streams: set[asyncio.Event] = field(default_factory=set)
    ending: bool = False

    def end(self) -> None:
        """Let streams end."""
        self.ending = True
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
