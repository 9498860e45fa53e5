"""The lane: a small request to a hot route is answered by its connection, without a task of its own.

::

    head whole ──► enter: who is it? ──► body whole ──► begin ──► service ══► bell ──► one write
                     │ not for here: the app takes it, as everything else          (event loop's thread)

Between uvicorn's parser and a route stand a task, a queue of messages each way and one coroutine for each
middleware, which cost several times what it takes to read an event. A request that is as most of them are,
over HTTP/1.1 with a short JSON body and a credential that holds, goes this way; whatever is otherwise in any
way, a wrong credential too, goes the long one, whose answers are the same: ``tests/http/test_lane.py`` holds
the two side by side. What is the same in both is called by both: ``routes`` for the work, ``security`` for
the door, ``middleware`` for errors, log and metrics. Made by ``app``, entered by ``patience``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from headwater.apps.access.door import Access
from headwater.apps.http.hot import HotRoute
from headwater.apps.http.middleware import failed, note, request_id
from headwater.apps.http.security import careful_headers, named, presented
from headwater.apps.http.site import Site
from headwater.core.errors import HeadwaterError
from headwater.serving.live import Stopwatch

LARGEST = 16_384  # bytes of a body: a larger one is worth a task
_JSON = b"application/json"
_LONG = frozenset((b"content-encoding", b"transfer-encoding", b"expect", b"upgrade"))
_OK = 200


class Connection(Protocol):
    """What the lane needs of a connection: ``patience.Patient``."""

    parser: Any
    scope: Any
    url: bytes
    flow: FlowControl
    transport: Any
    cycle: Any
    server_state: ServerState

    def on_response_complete(self) -> None:
        """An answer was sent; what waits behind it goes on."""
        ...


class Passing:
    """A request on its way, with what uvicorn wants to know of one.

    Args:
        route: that it is for.
        scope: what is known of it.
        came: when: stopwatch, nanoseconds.

    Attributes:
        body: as much as came of it.
        keep_alive: whether the connection stays open.
        disconnected: whether nobody waits for the answer any more.
        response_started, response_complete: whether it was answered.
        message_event: itself: told of what nobody here waits for.
    """

    __slots__ = (
        "body",
        "came",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
        "route",
        "scope",
    )

    def __init__(self, route: HotRoute, scope: Scope, came: int) -> None:
        self.route, self.scope, self.came = route, scope, came
        self.body = bytearray()
        self.more_body = self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False

    @property
    def message_event(self) -> Passing:
        """Whoever is told that something came."""
        return self

    def set(self) -> None:
        """Something came."""


class Lane:
    """Answers small requests to hot routes.

    Args:
        site: what the routes work with.
        routes: by path and method; those with a way to begin.
        access: the door; None where nobody is asked who they are.
        stopwatch: nanoseconds.
        tls: whether the server speaks TLS.
    """

    def __init__(
        self,
        site: Site,
        routes: Mapping[tuple[str, str], HotRoute],
        access: Access | None,
        stopwatch: Stopwatch,
        *,
        tls: bool,
    ) -> None:
        self._site = site
        self._access = access
        self._watch = stopwatch
        self._routes = {
            (method.encode(), path.encode()): ({"method": method, "path": path, "route": route.route}, route)
            for (path, method), route in routes.items()
            if route.begin is not None
        }
        self._most = min(LARGEST, site.bounds.body)
        self._careful = b"" if access is None else _lines(careful_headers(tls=tls))
        self._dated: tuple[list[tuple[bytes, bytes]], bytes] = [], b""
        self._usual = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + self._careful

    def enter(self, connection: Connection) -> Passing | None:
        """Whether a request may take this way, as soon as its head is whole; None if it may not."""
        parser, scope = connection.parser, connection.scope
        path, _, query = connection.url.partition(b"?")
        found = self._routes.get((parser.get_method(), path))
        before = connection.cycle
        if (
            found is None
            or not self._is_small(scope["headers"])
            or not (before is None or before.response_complete)
            or connection.flow.write_paused
            or parser.get_http_version() != "1.1"
            or parser.should_upgrade()
            or not parser.should_keep_alive()
        ):
            return None
        facts, route = found
        if self._access is not None and not self._lets_in(self._access, route, scope):
            return None
        scope.update(facts, query_string=query)
        scope["headwater.request_id"] = request_id(scope)
        return Passing(route, scope, self._watch())

    def begin(self, connection: Connection, passing: Passing) -> None:
        """The body is whole."""
        assert passing.route.begin is not None  # noqa: S101 - those alone are let in
        try:
            future, told = passing.route.begin(self._site, passing.scope, bytes(passing.body))
        except Exception as error:  # noqa: BLE001 - the edge: whoever asked is told
            self._fail(connection, passing, error)
            return
        self._site.bell.call(future, lambda done: self._answer(connection, passing, done, told))

    # --- Inside ----------------------------------------------------------------------------------

    def _is_small(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether the body is a short JSON text that comes as it is."""
        length = b""
        for name, value in headers:
            if name == b"content-length":
                length = value
            elif name in _LONG or (name == b"content-type" and value != _JSON):
                return False
        return length.isdigit() and len(length) < len(str(LARGEST)) + 1 and int(length) <= self._most

    def _lets_in(self, access: Access, route: HotRoute, scope: Scope) -> bool:
        """Whether the caller may do that; whoever may not is told so on the long way."""
        try:
            credential = presented(access, scope)
            if access.due(credential):
                return False
            principal = access.proven(credential)
            if route.guard is None or not principal.may(route.guard.role):
                return False
            access.count(principal)
        except HeadwaterError:
            return False
        named(scope, principal)
        return True

    def _answer(
        self, connection: Connection, passing: Passing, done: Future[Any], told: Callable[[Any], Any]
    ) -> None:
        try:
            text = msgspec.json.encode(told(done.result()))
        except Exception as error:  # noqa: BLE001 - the edge: whoever asked is told
            self._fail(connection, passing, error)
            return
        self._send(connection, passing, _OK, b"%scontent-length: %d\r\n" % (self._usual, len(text)), text)

    def _fail(self, connection: Connection, passing: Passing, error: Exception) -> None:
        answer = failed(error, passing.scope["headwater.request_id"])
        status = HTTPStatus(answer.status_code)
        line = f"HTTP/1.1 {status} {status.phrase}\r\n".encode()
        head = line + _lines(answer.raw_headers) + self._careful
        self._send(connection, passing, int(status), head, bytes(answer.body))

    def _send(self, connection: Connection, passing: Passing, status: int, head: bytes, text: bytes) -> None:
        """One write for the whole answer, then whatever waits behind it."""
        name, dated = passing.scope["headwater.request_id"].encode(), connection.server_state.default_headers
        if dated is not self._dated[0]:  # uvicorn makes it anew each second
            self._dated = dated, _lines(dated)
        passing.response_started = passing.response_complete = True
        transport = connection.transport
        if not passing.disconnected and not transport.is_closing():
            end = b"\r\n\r\n" if passing.keep_alive else b"\r\nconnection: close\r\n\r\n"
            transport.write(b"".join((head, self._dated[1], b"x-request-id: ", name, end, text)))
            if not passing.keep_alive:
                transport.close()
        note(passing.scope, status, self._watch() - passing.came, self._site.metrics.request)
        connection.on_response_complete()


def _lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%s: %s\r\n" % header for header in headers)
