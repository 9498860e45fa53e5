"""``/healthz``, ``/readyz``, ``/metrics``: for whoever restarts processes, sends requests and watches."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from headwater.apps.http.answers import answer
from headwater.apps.http.monitors import Monitors
from headwater.apps.http.openapi import documented
from headwater.apps.http.page import CONTENT_TYPE
from headwater.apps.http.payloads import Health, Readiness
from headwater.apps.http.problems import NotReadyError
from headwater.apps.http.site import ready, site_of
from headwater.serving.replica import Replica
from headwater.serving.service import Service

router = APIRouter(tags=["health"])
measuring = APIRouter(tags=["health"])


@router.get("/healthz", summary="Does it live?", **documented(Health))
async def healthz(request: Request) -> Response:
    """The process answers. What works beside it is told too, and changes nothing in the status."""
    site = site_of(request)
    monitors, records = site.monitors, site.records
    database = None if records is None or not records.shared else "away" if records.away else "up"
    told = None if monitors is None else _monitors(monitors)
    return answer({"status": "ok", "monitors": told, "database": database})


def _monitors(monitors: Monitors) -> dict[str, Any]:
    figures = monitors.figures
    return {
        "up": monitors.up(),
        "late_backlog": monitors.behind(),
        "parity_mismatches": None if figures is None else figures.mismatches,
    }


@router.get("/readyz", summary="Does it serve?", **documented(Readiness, "not-ready", "online"))
async def readyz(request: Request) -> Response:
    """State, models and records are there, and the writer runs; of a server that only decides, the online
    store holds the whole state."""  # noqa: D205, D209 - shown as it is
    site = site_of(request)
    service = ready(site)
    if site.records is not None and site.records.away is not None:
        raise NotReadyError.of(
            "the database of the records is away, so nothing can be decided",
            got=site.records.away,
            do="look at the database; the service goes on by itself once that is back",
        )
    if isinstance(service, Replica):
        await asyncio.to_thread(service.serving.vectors.look)
    waiting = service.taking.waiting[0] if isinstance(service, Service) else 0
    return answer({"status": "ready", "offset": service.offset, "waiting": waiting})


@measuring.get(
    "/metrics",
    summary="Metrics",
    response_class=PlainTextResponse,
    responses={200: {"description": "Prometheus' text format."}},
)
async def get_metrics(request: Request) -> Response:
    """For Prometheus."""
    page = await asyncio.to_thread(site_of(request).metrics.page)
    return Response(page, media_type=CONTENT_TYPE)
