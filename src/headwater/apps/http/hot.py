"""The routes that every event and every decision goes through, without the machinery of the others.

FastAPI finds a route by trying all, solves its dependencies and opens two stacks for it, which costs several
times the work of reading an event. The routes named here are asked for by their address instead: the same
function, the same guard before it, the same answers and errors. They stay routes of the app, so the document
knows them. Put innermost by ``app``: whoever comes here has been through the door.

::

    request ─► Api ─┬─ hot ───► our own middleware ────────────────────────────► Hot ─► route
                    └─ other ─► FastAPI's machinery ─► our own middleware ─► its own ─► route

What FastAPI puts around all of it (telemetry, limits and errors of its own, each a call more on the way in
and on the way out) has nothing to do for a hot route: ours sees to these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.apps.http import problems
from headwater.apps.http.security import Guard
from headwater.apps.http.site import Begun, Site
from headwater.core.errors import HeadwaterError

Endpoint = Callable[[Request], Awaitable[Response]]
Begin = Callable[[Site, Scope, bytes], Begun[Any]]


@dataclass(frozen=True, slots=True)
class HotRoute:
    """A route that reads its request by itself.

    Attributes:
        endpoint: answers a request.
        guard: asked first; None where nobody is asked who they are.
        route: as the app knows it.
        begin: begins to answer a JSON body, without waiting; None where there is no such way (see ``lane``).
    """

    endpoint: Endpoint
    guard: Guard | None
    route: BaseRoute
    begin: Begin | None = None


class Hot:
    """ASGI middleware: answers the hot routes, and passes on everything else.

    Args:
        app: the rest.
        routes: by path and method.
    """

    def __init__(self, app: ASGIApp, routes: Mapping[tuple[str, str], HotRoute]) -> None:
        self._app = app
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        found = None
        if scope["type"] == "http":
            found = self.routes.get((scope["path"], scope["method"]))
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = found.route
        request = Request(scope, receive, send)
        try:
            if found.guard is not None:
                await found.guard(request)
            response = await found.endpoint(request)
        except HeadwaterError as error:
            response = problems.response(error, str(scope.get("headwater.request_id", "")))
        await response(scope, receive, send)


class Api(FastAPI):
    """FastAPI with a short way for hot routes, once there is one (:meth:`shortcut`)."""

    _short: ASGIApp | None = None
    _hot: Mapping[tuple[str, str], HotRoute] = {}

    def shortcut(self) -> None:
        """Take the short way from now on: through every middleware that was added, and nothing else.

        Call it once all of them are there; the innermost is :class:`Hot`.
        """
        app: ASGIApp = self.router
        for made in reversed(self.user_middleware):
            app = made.cls(app, *made.args, **made.kwargs)
            if isinstance(app, Hot):
                self._hot = app.routes
        self._short = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        short = self._short
        if short is not None and scope["type"] == "http" and (scope["path"], scope["method"]) in self._hot:
            scope["app"] = self
            await short(scope, receive, send)
            return
        await super().__call__(scope, receive, send)
