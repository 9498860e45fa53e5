"""The door in a real server: TLS, and requests that no client would send."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import uvicorn

from headwater.apps.access.door import Access
from headwater.apps.access.settings import AccessSettings
from headwater.apps.access.tls import context
from headwater.apps.http.security import protect
from headwater.store.credentials import CredentialStore, Role
from headwater.testing import ManualClock
from tests.apps.access.provider import NOW
from tests.apps.access.test_tls import made
from tests.http.test_security import app


class Told(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class Server:
    """A server on a free port of this machine, over TLS."""

    def __init__(self, folder: Path) -> None:
        self.tls = made(folder)
        file = folder / "access.db"
        with CredentialStore.open(file) as store:
            self.secret = store.create("k", [Role.DECIDE], now=NOW, actor="cli:ada")[1].reveal()
        clock = ManualClock(NOW)
        self.access = Access.open(AccessSettings(), file, host="127.0.0.1", clock=clock, stopwatch=clock.now)
        house = app()
        protect(house, self.access, tls=True)
        config = uvicorn.Config(
            house,
            port=0,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            ssl_context_factory=lambda _config, _default: context(self.tls),
        )
        self.server = Told(config)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()))
        self.thread.start()
        assert self.server.ready.wait(30)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.access.close()

    def send(self, request: bytes) -> bytes:
        """Raw bytes out, raw bytes back."""
        client = ssl.create_default_context(cafile=str(self.tls.certificate))
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as bare,
            client.wrap_socket(bare, server_hostname="localhost") as wrapped,
        ):
            wrapped.sendall(request)
            answer = b""
            with suppress(ConnectionResetError, ssl.SSLError):  # it hung up on us, which is an answer
                while part := wrapped.recv(65_536):
                    answer += part
            return answer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    running.close()


def get(path: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join(
        [b"GET " + path + b" HTTP/1.1", b"Host: localhost", b"Connection: close", *lines, b"", b""]
    )


def test_a_key_over_tls(server: Server) -> None:
    answer = server.send(get(b"/v1/stream", b"Authorization: Bearer " + server.secret.encode()))
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nstrict-transport-security: max-age=31536000" in head
    assert b"\r\nserver:" not in head


def test_plain_http_gets_nothing(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as bare:
        bare.sendall(get(b"/healthz"))
        with suppress(ConnectionResetError):
            assert b"200" not in bare.recv(65_536)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Authorization: Bearer " + b"x" * 60_000],
        [b"Authorization: Bearer x\x00y"],
        [b"Authorization: Bearer \xff\xfe"],
        [b"Authorization:\r\n Bearer x"],
        [b"authorization : Bearer x"],
        [b"X-Filler: " + b"y" * 500_000],
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
    ],
)
def test_requests_that_no_client_sends(server: Server, lines: list[bytes]) -> None:
    answer = server.send(get(b"/v1/stream", *lines))
    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 ", b"HTTP/1.1 431 "))


@pytest.mark.parametrize("echo", [b"a%0d%0aSet-Cookie:%20x=1", b"a%0aX-Evil:%201"])
def test_no_answer_is_split(server: Server, echo: bytes) -> None:
    credential = b"Authorization: Bearer " + server.secret.encode()
    head = server.send(get(b"/v1/split?echo=" + echo, credential)).partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 200 ")
    assert b"set-cookie" not in head
    assert b"x-evil" not in head


def test_a_second_request_in_one_connection_is_judged_by_itself(server: Server) -> None:
    first = get(b"/v1/stream", b"Authorization: Bearer " + server.secret.encode()).replace(
        b"close", b"keep-alive"
    )
    answer = server.send(first + get(b"/v1/stream"))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 401 " in answer
