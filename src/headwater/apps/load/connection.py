"""A kept-alive connection of HTTP/1.1, one request at a time, with nothing between it and the socket.

A client library would cost more than many a server; the generator shares the machine with what it measures.
Called by ``loop``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import httptools

from headwater.core.errors import DataError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens.

    Attributes:
        host, port: of the socket.
        prefix: what stands before each path.
        authority: for the header ``Host``.
        tls: whether it speaks TLS; certificates are checked as the system does.

    Example:
        >>> Address.of("https://risk.example.org/live/")
        Address(host='risk.example.org', port=443, prefix='/live', authority='risk.example.org', tls=True)
    """

    host: str
    port: int
    prefix: str = ""
    authority: str = ""
    tls: bool = False

    @classmethod
    def of(cls, url: str) -> Address:
        """Read an address.

        Raises:
            DataError: it is none of a server.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS[parts.scheme]
        except (ValueError, KeyError):
            parts, port = urlsplit(""), 0
        if not parts.hostname or parts.query or parts.fragment or parts.username:
            raise DataError.of(
                "the address cannot be used",
                expected="http://host:port or https://host:port",
                got=repr(url[:80]),
                do="give the address that `headwater serve` says",
            )
        return cls(parts.hostname, port, parts.path.rstrip("/"), parts.netloc, parts.scheme == "https")

    @property
    def context(self) -> ssl.SSLContext | None:
        """For TLS."""
        return ssl.create_default_context() if self.tls else None

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
        """The bytes of a request."""
        lines = [f"{method} {self.prefix}{path} HTTP/1.1", f"Host: {self.authority or self.host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"Content-Length: {len(body)}\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1") + body


class Owner(Protocol):
    """Who is told how a connection fares."""

    def on_answer(self, connection: Connection, status: int, body: bytes, *, keep: bool) -> None:
        """An answer is whole; ``keep``: another request may follow."""
        ...

    def on_loss(self, connection: Connection, why: str) -> None:
        """The connection is gone."""
        ...


class Connection(asyncio.Protocol):
    """One connection; what it is about (kind, moments) is kept by the owner in its attributes.

    Attributes:
        kind: of the request that is under way; empty for none.
        due, sent: its moments, in nanoseconds.
    """

    __slots__ = ("_body", "_owner", "_parser", "_transport", "due", "kind", "sent")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self.kind = ""
        self.due = self.sent = 0

    def send(self, data: bytes) -> None:
        """Send a request."""
        assert self._transport is not None  # noqa: S101 - the owner has it from on_connect
        self._transport.write(data)

    def abort(self) -> None:
        """Close it at once; the owner is told by ``on_loss``."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands: asyncio's word."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP connection's
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Something came: asyncio's word."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._owner.on_loss(self, "no HTTP")
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone: asyncio's word."""
        self._owner.on_loss(self, "connection lost" if exc is None else f"connection lost: {exc}")

    def on_body(self, data: bytes) -> None:
        """A part of the body: httptools' word."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """The answer is whole: httptools' word."""
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        status, keep = self._parser.get_status_code(), self._parser.should_keep_alive()
        self._owner.on_answer(self, status, body, keep=keep)
