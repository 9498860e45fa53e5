"""The board: a small HTTP server beside a process that serves nothing else, to be read and nothing more.

::

    GET /livez, /readyz    anybody: 200, or 503 with a letter that says why
    GET /metrics           this machine alone; on another address whoever has the token

One thread a reader, a few at most, each with some seconds: whoever asks slowly holds up nobody. Opened by
``headwater stream --metrics``; what it shows is in ``streaming`` and ``pulse``.
"""

from __future__ import annotations

import hmac
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import BoundedSemaphore, Thread, Timer
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from headwater.apps.access.bind import Bind
from headwater.apps.access.door import is_loopback
from headwater.apps.http.page import CONTENT_TYPE
from headwater.apps.http.problems import MEDIA_TYPE, NotFoundError, bug, document, status_of
from headwater.core.closing import Closing
from headwater.core.errors import (
    CredentialInvalidError,
    CredentialMissingError,
    DataError,
    ForbiddenError,
    HeadwaterError,
    MisdirectedError,
)
from headwater.core.secret import Secret

METRICS = "/metrics"
_READERS = 8  # at once
_SECONDS = 5.0  # for one of them
_LOOK = 0.2  # seconds until it is seen that it is to be closed

Probe = Callable[[], Mapping[str, Any]]
"""What a probe is told, or raises."""


class Board(Closing):
    """Shows metrics and answers probes, in threads of its own, until it is closed.

    Args:
        bind: where.
        page: the metrics.
        probes: path to what is told there.
        token: whoever has it may read the metrics; None: whoever is at this machine may, if it listens there
            alone, and else nobody.
        tls: how it proves itself; None for plain HTTP.
        on_fault: told of what nobody foresaw, as ``metrics``.

    Raises:
        DataError: it cannot listen there.
    """

    def __init__(
        self,
        bind: Bind,
        page: Callable[[], bytes],
        probes: Mapping[str, Probe],
        token: Secret | None = None,
        tls: ssl.SSLContext | None = None,
        on_fault: Callable[[str, BaseException], None] = lambda _where, _error: None,
    ) -> None:
        self._bind, self._page, self._probes, self._token = bind, page, dict(probes), token
        self._on_fault = on_fault
        try:
            self._server = _Server(bind, self._answer, tls)
        except OSError as error:
            raise DataError.of(
                f"the metrics cannot be shown at {bind}",
                expected="an address of this machine, and a port that is free",
                got=error.strerror or type(error).__name__,
                where="--metrics",
                do="end who listens there, or name another port; 0 takes a free one",
            ) from None
        self.url = f"{'http' if tls is None else 'https'}://{Bind(bind.host, self._server.server_port)}"
        serve = partial(self._server.serve_forever, poll_interval=_LOOK)
        self._thread = Thread(target=serve, name="headwater-board", daemon=True)
        self._thread.start()

    @property
    def shows_metrics(self) -> bool:
        """Whether anybody may read the metrics."""
        return self._token is not None or is_loopback(self._bind.host)

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, path: str, header: Callable[[str], str | None]) -> tuple[int, str, bytes]:
        """Status, media type and body of an answer."""
        try:
            if path == METRICS:
                self._see_who_asks(header)
                return 200, CONTENT_TYPE, self._page()
            return 200, "application/json", msgspec.json.encode(self._probe(path)())
        except HeadwaterError as error:
            found = error
        except Exception as error:  # noqa: BLE001 - whoever reads gets a letter, and the host goes on
            self._on_fault("metrics", error)
            found = bug(error)
        return int(status_of(found)), MEDIA_TYPE, msgspec.json.encode(document(found, ""))

    def _probe(self, path: str) -> Probe:
        found = self._probes.get(path)
        if found is None:
            raise NotFoundError.of(
                "nothing is there", expected=", ".join([METRICS, *self._probes]), do="ask for one of these"
            )
        return found

    def _see_who_asks(self, header: Callable[[str], str | None]) -> None:
        if self._token is None:
            self._see_that_it_is_near(header("Host") or "")
            return
        kind, _, given = (header("Authorization") or "").partition(" ")
        if kind.lower() != "bearer":
            raise CredentialMissingError.of(
                "a credential is needed",
                expected="the header `Authorization: Bearer <token>`",
                do="send what HEADWATER_METRICS_TOKEN holds",
            )
        if not hmac.compare_digest(given.strip().encode(), self._token.reveal().encode()):
            raise CredentialInvalidError.of(
                "the token is not the one that is set",
                expected="what HEADWATER_METRICS_TOKEN holds",
                do="send that",
            )

    def _see_that_it_is_near(self, asked: str) -> None:
        """Nobody from elsewhere, and no page in a browser here under a name that leads here."""
        if not is_loopback(self._bind.host):
            raise ForbiddenError.of(
                "the metrics are shown to nobody on this address",
                expected="a token, or an address of this machine alone",
                got=f"the address {self._bind.host}, and no token",
                do="set HEADWATER_METRICS_TOKEN_FILE, or listen on 127.0.0.1; probes are answered",
            )
        if not is_loopback(_name(asked)):
            raise MisdirectedError.of(
                "the request names another host", expected="localhost, or 127.0.0.1", do="ask by that name"
            )


def _name(asked: str) -> str:
    """The host that a request names; this machine if it names none."""
    try:
        return urlsplit(f"//{asked}").hostname or "localhost"
    except ValueError:
        return ""


class _Server(ThreadingHTTPServer):
    """Listens; each reader gets a thread, as long as they are few."""

    daemon_threads = True

    def __init__(
        self,
        bind: Bind,
        answer: Callable[[str, Callable[[str], str | None]], tuple[int, str, bytes]],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
        self.answer = answer
        self._tls = tls
        self._room = BoundedSemaphore(_READERS)
        super().__init__((bind.host, bind.port), _Reader)

    def server_bind(self) -> None:
        """As it is, without asking for the machine's name, which may wait for a name server."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "", self.socket.getsockname()[1]

    def get_request(self) -> tuple[Any, Any]:
        """A connection; TLS begins when it is read, in its own thread."""
        connection, place = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, place

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread, if there is room."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread; a byte now and then does not keep its room."""
        end = Timer(_SECONDS, _hang_up, [request])
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader who went away, or does not speak as we do: nobody's trouble."""


def _hang_up(connection: Any) -> None:
    with suppress(OSError):  # it is gone already
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Reader(BaseHTTPRequestHandler):
    """One reader's connection."""

    server: _Server
    timeout: ClassVar[float] = _SECONDS

    def do_GET(self) -> None:
        """Answer."""
        status, kind, body = self.server.answer(self.path.partition("?")[0], self.headers.get)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def version_string(self) -> str:
        """Nothing of what we are made of."""
        return "headwater"

    def log_message(self, format: str, *_args: Any) -> None:  # noqa: A002 - the library's shape
        """Probes ask every few seconds; nobody wants to read that."""
