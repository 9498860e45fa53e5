"""Around every request: an id, errors as problems, one line in the log, and the metrics.

Plain ASGI, since it is on the way of every decision. No body, query or key ever gets into the log.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.apps.http import problems
from headwater.core.errors import HeadwaterError
from headwater.serving.live import Stopwatch

LOG = logging.getLogger("headwater.http")
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

_NUMBERS = random.Random()

Observe = Callable[[str, str, int, int], None]


class Around:
    """The outermost layer of the app.

    Args:
        app: the rest.
        stopwatch: nanoseconds.
        observe: told of each request: method, route, status, nanoseconds.
    """

    def __init__(self, app: ASGIApp, stopwatch: Stopwatch, observe: Observe) -> None:
        self._app = app
        self._watch = stopwatch
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._watch()
        name = request_id(scope)
        scope["headwater.request_id"] = name
        status = 500
        begun = False

        async def sending(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message["headers"], (b"x-request-id", name.encode())]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:  # the edge: what is no error of ours is a bug, and is told as one
            answer = failed(error, name)
            if begun:
                raise
            await answer(scope, receive, sending)
        note(scope, status, self._watch() - started, self._observe)


def note(scope: Scope, status: int, took: int, observe: Observe) -> None:
    """Count a request that was answered, after so many nanoseconds, and give it its line in the log."""
    method, route = scope["method"], getattr(scope.get("route"), "path", "(none)")
    observe(method, route, status, took)
    if LOG.isEnabledFor(logging.INFO):
        facts = {"method": method, "route": route, "status": status, "ms": round(took / 1e6, 3)}
        LOG.info("request", extra={"request_id": scope["headwater.request_id"], **facts})


def failed(error: Exception, name: str) -> Response:
    """An error that ended a request, as its answer; one that nobody foresaw is a bug, and told as one."""
    if isinstance(error, HeadwaterError):
        return problems.response(error, name)
    LOG.error("bug", extra={"request_id": name}, exc_info=error)
    return problems.response(problems.bug(error), name)


def request_id(scope: Scope) -> str:
    """The caller's own X-Request-Id if it is a plain one, or a new one."""
    for header, value in scope["headers"]:
        if header == b"x-request-id":
            text: str = value.decode("latin-1")
            if REQUEST_ID.fullmatch(text):
                return text
    return f"{_NUMBERS.getrandbits(64):016x}"  # no secret; asking the system for each would cost a request
