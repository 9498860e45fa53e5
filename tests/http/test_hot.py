"""The short way of hot routes: which requests take it, and that all middleware stays around them."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.apps.http.hot import Api, Hot, HotRoute


class Named:
    """Middleware that writes down that it was asked."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app, self._name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("seen", []).append(self._name)
        await self._app(scope, receive, send)


def asked(app: Api, path: str, method: str = "POST") -> tuple[int, list[str], Any]:
    """Status, who was asked on the way, and the app that the route saw."""
    scope: Scope = {"type": "http", "path": path, "method": method, "headers": [], "query_string": b""}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], scope.get("seen", []), scope.get("app")


def house(*, short: bool) -> Api:
    async def hot(request: Request) -> Response:
        request.scope["seen"].append("hot")
        return Response(status_code=202)

    app = Api()
    app.add_api_route("/hot", hot, methods=["POST"])
    app.add_api_route("/cold", hot, methods=["POST"])
    app.add_middleware(Hot, routes={("/hot", "POST"): HotRoute(hot, None, app.router.routes[-2])})
    app.add_middleware(Named, name="inner")
    app.add_middleware(Named, name="outer")
    if short:
        app.shortcut()
    return app


def test_a_hot_route_is_answered_within_all_middleware_and_without_the_apps_own() -> None:
    app = house(short=True)
    assert asked(app, "/hot") == (202, ["outer", "inner", "hot"], app)
    assert app.middleware_stack is None


def test_everything_else_goes_the_long_way() -> None:
    app = house(short=True)
    assert asked(app, "/cold")[:2] == (202, ["outer", "inner", "hot"])
    assert app.middleware_stack is not None
    assert asked(app, "/hot", "GET")[0] == 405
    assert asked(app, "/hot/")[0] in (307, 404)


def test_without_a_shortcut_nothing_changes() -> None:
    app = house(short=False)
    assert asked(app, "/hot") == (202, ["outer", "inner", "hot"], app)
    assert app.middleware_stack is not None
