"""The FastAPI app over a live service: routes, errors, documentation.

Made by ``server`` and by tests. Read ``routes`` for what it can do, ``middleware`` for what is around every
request.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from headwater.apps.access.door import Access
from headwater.apps.access.principal import Role
from headwater.apps.http import problems, reference
from headwater.apps.http.hot import Api, Begin, Hot, HotRoute
from headwater.apps.http.lane import Lane
from headwater.apps.http.metrics import Metrics
from headwater.apps.http.middleware import Around
from headwater.apps.http.monitors import Monitors
from headwater.apps.http.openapi import complete
from headwater.apps.http.parts import Part, Parts, answers
from headwater.apps.http.routes import (
    backtests,
    catalog,
    dead_letters,
    decisions,
    events,
    features,
    health,
    jobs,
    late,
    loop,
    scores,
)
from headwater.apps.http.scheduler import Scheduler
from headwater.apps.http.security import PUBLIC, Guard, guard, principal_of, protect
from headwater.apps.http.site import Bounds, Loop, Past, Present, Site
from headwater.apps.stores import Records
from headwater.core.errors import DataError, HeadwaterError, Problem
from headwater.serving.deciding import Deciding
from headwater.serving.live import Stopwatch

DOCUMENTATION = reference.PATHS | {"/openapi.json"}

# Who may do what: a role for each router, None for anybody.
ROLES: tuple[tuple[APIRouter, str | None], ...] = (
    (events.router, "ingest"),
    (decisions.deciding, "decide"),
    (decisions.reading, "analyst"),
    (features.router, "decide"),
    (scores.router, "analyst"),
    (late.router, "analyst"),
    (backtests.router, "analyst"),
    (dead_letters.reading, "analyst"),
    (dead_letters.mending, "admin"),
    (jobs.reading, "analyst"),
    (jobs.running, "admin"),
    (catalog.reading, "decide"),
    (catalog.reloading, "admin"),
    (loop.reading, "analyst"),
    (loop.changing, "admin"),
    (health.measuring, "analyst"),
    (health.router, None),
)

# FastAPI's own telemetry, where it has one, asks its environment for each request whether it is wanted.
_QUIET: dict[str, Any] = (
    {"telemetry": {"tracing": False, "metrics": False, "logs": False}}
    if "telemetry" in signature(FastAPI).parameters
    else {}
)

HOT: dict[Callable[..., Any], Begin] = {
    events.post_events: events.begin,
    decisions.post_decision: decisions.begin,
}


def create_app(
    service: Deciding,
    stopwatch: Stopwatch,
    *,
    metrics: Metrics | None = None,
    bounds: Bounds | None = None,
    reload: Callable[[], None] = lambda: None,
    past: Past | None = None,
    monitors: Monitors | None = None,
    desk: Loop | None = None,
    scheduler: Scheduler | None = None,
    records: Records | None = None,
    access: Access | None = None,
    tls: bool = False,
    lifespan: Callable[[FastAPI], Any] | None = None,
    traced: Callable[[ASGIApp], ASGIApp] | None = None,
    part: Part = Part.ALL,
) -> FastAPI:
    """The API of a service.

    Args:
        service: open.
        stopwatch: nanoseconds.
        metrics: those that the service's hooks fill.
        bounds: what a request may bring.
        reload: reads project and registry again, and swaps in what is newer.
        past: the models and policies that past decisions were made with; those served now without one.
        monitors: who keeps the late ledger, if anybody does.
        desk: who changes which version decides, if there is a registry.
        scheduler: who plans and runs jobs, if anybody does.
        records: where decisions, acts and jobs are kept, if not only in the data folder.
        access: the door; without one, nobody is asked who they are (for tests).
        tls: whether the server speaks TLS.
        lifespan: what runs beside it.
        traced: puts traces around everything (``traces``), if they are configured.
        part: what this server does of the work.
    """
    app = bare(service.serving.project.name, guarded=access is not None, lifespan=lifespan)
    metrics = metrics or Metrics()
    metrics.watch(service)
    app.state.site = Site(
        service,
        bounds or Bounds(),
        metrics,
        reload,
        past or Present(service),
        monitors,
        desk,
        scheduler,
        records,
    )
    app.add_exception_handler(HeadwaterError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    hot = _hot(guarded=access is not None)
    app.add_middleware(Hot, routes=hot)
    if access is not None:
        protect(app, access, tls=tls, public=PUBLIC | DOCUMENTATION, answer=_refused)
        metrics.caches["credentials"] = access.credentials.lookups
        app.state.site.holds = lambda request: _holds(access, request)
    if part is not Part.ALL:
        app.add_middleware(Parts, part=part)
    app.add_middleware(Around, stopwatch=stopwatch, observe=metrics.request)
    if traced is not None:
        app.add_middleware(traced)
    own = {(path, method): one for (path, method), one in hot.items() if answers(part, method, path)}
    app.state.lane = None if traced is not None else Lane(app.state.site, own, access, stopwatch, tls=tls)
    app.shortcut()
    return app


def bare(name: str, *, guarded: bool = True, lifespan: Callable[[FastAPI], Any] | None = None) -> Api:
    """The routes and their documentation, without a service behind them."""
    app = Api(
        title=f"Headwater: {name}",
        description="Events in, decisions out: always fresh, always explained, replayable bit for bit.",
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
        **_QUIET,
    )
    for router, role in ROLES:
        needed = [] if role is None or not guarded else [Depends(guard(Role(role)))]
        app.include_router(router, dependencies=needed)
    app.include_router(reference.router)
    complete(app)
    return app


def _hot(*, guarded: bool) -> dict[tuple[str, str], HotRoute]:
    """The routes of :data:`HOT` by path and method, each with the guard of its router."""
    hot: dict[tuple[str, str], HotRoute] = {}
    for router, role in ROLES:
        watch: Guard | None = None if role is None or not guarded else guard(Role(role))
        for route in router.routes:
            if isinstance(route, APIRoute) and route.endpoint in HOT:
                made = HotRoute(route.endpoint, watch, route, HOT[route.endpoint])
                hot |= {(route.path, method): made for method in route.methods or ()}
    return hot


def _refused(error: HeadwaterError, _status: int, headers: dict[str, str]) -> Response:
    return problems.response(error, "", headers)


def _holds(access: Access, request: Request) -> bool:
    principal = principal_of(request.scope)
    return principal is not None and access.holds(principal)


def _name(request: Request) -> str:
    return str(request.scope.get("headwater.request_id", ""))


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HeadwaterError)  # noqa: S101 - what it is registered for
    return problems.response(error, _name(request))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    found = [
        Problem(
            f"{'.'.join(map(str, one['loc']))} is not as expected",
            expected=one["msg"],
            where=".".join(map(str, one["loc"])),
            do="see the API's reference at /docs",
        )
        for one in error.errors()
    ]
    return problems.response(DataError(*found), _name(request))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    if error.status_code == 405:
        found: HeadwaterError = problems.MethodError.of(
            "the address takes another method", got=request.method[:20], do="see the API's reference at /docs"
        )
    else:
        found = problems.NotFoundError.of(
            "nothing is under this address", do="see the API's reference at /docs"
        )
    return problems.response(found, _name(request))
