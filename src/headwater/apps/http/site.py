"""What the routes share: the service, its limits and the models' shelf. Put into the app by ``app``."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

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
    """

    service: Service
    bounds: Bounds


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
