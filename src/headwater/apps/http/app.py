"""The FastAPI app over a live service: routes, errors, documentation.

Made by ``server`` and by tests. Read ``routes`` for what it can do, ``middleware`` for what is around every
request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from headwater.apps.http import problems
from headwater.apps.http.middleware import Around
from headwater.apps.http.routes import decisions, events, features, health
from headwater.apps.http.site import Bounds, Site
from headwater.core.errors import DataError, HeadwaterError, Problem
from headwater.serving.live import Stopwatch
from headwater.serving.service import Service


def create_app(
    service: Service,
    stopwatch: Stopwatch,
    bounds: Bounds | None = None,
    lifespan: Callable[[FastAPI], Any] | None = None,
) -> FastAPI:
    """The API of a service.

    Args:
        service: open.
        stopwatch: nanoseconds.
        bounds: what a request may bring.
        lifespan: what runs beside it.
    """
    app = FastAPI(
        title=f"Headwater: {service.serving.project.name}",
        description="Events in, decisions out: always fresh, always explained, replayable bit for bit.",
        version="1",
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.site = Site(service, bounds or Bounds())
    app.add_exception_handler(HeadwaterError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for router in (events.router, decisions.deciding, decisions.reading, features.router, health.router):
        app.include_router(router)
    app.add_middleware(Around, stopwatch=stopwatch, observe=lambda *_: None)
    return app


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
