"""How Redis is reached: its address, the password that nobody sees, TLS, and its failures as letters.

Called by ``publisher`` and ``source``; the edge makes the address of what is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from headwater.core.errors import DataError, OnlineError
from headwater.core.secret import Secret

PATIENCE = 2.0  # seconds that an answer may take
_SCHEMES = {"redis": False, "rediss": True}


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is.

    Attributes:
        host, port, database: of the server.
        tls: whether it is spoken to in TLS.
        user: None for the default one.
        password: None where none is asked for.
        ca: whom to trust beside the system's authorities, a PEM file.

    Example:
        >>> Address.of("rediss://cache:6380/2", Secret("hunter2"))
        Address(rediss://cache:6380/2)
    """

    host: str
    port: int
    database: int
    tls: bool
    user: str | None = None
    password: Secret | None = None
    ca: str | None = None

    @classmethod
    def of(cls, url: str, password: Secret | None = None, ca: str | None = None) -> Address:
        """Read an address: ``redis://[user@]host[:port][/database]``, or ``rediss://`` for TLS.

        Raises:
            DataError: it is none, or holds a password, which would be seen where the address is.
        """
        try:
            parts = urlsplit(url)
            database = int(parts.path.strip("/") or 0)
            port = parts.port or 6379
        except ValueError:
            raise _unreadable("something else") from None
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise _unreadable("something else")
        if parts.password is not None:
            raise _unreadable("an address with a password in it")
        user = unquote(parts.username) if parts.username else None
        return cls(parts.hostname, port, database, _SCHEMES[parts.scheme], user, password, ca)

    def __repr__(self) -> str:
        return f"Address({self})"

    def __str__(self) -> str:
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://{self.host}:{self.port}/{self.database}"

    def client(self, patience: float = PATIENCE) -> redis.Redis:
        """A client, safe to share between threads; it connects when it is first used."""
        more: dict[str, Any] = {"ssl_ca_certs": self.ca} if self.tls and self.ca is not None else {}
        return redis.Redis(
            host=self.host,
            port=self.port,
            db=self.database,
            username=self.user,
            password=None if self.password is None else self.password.reveal(),
            ssl=self.tls,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 1),  # a connection that Redis closed meanwhile
            client_name="headwater",
            **more,
        )


@contextmanager
def asking(address: Address) -> Iterator[None]:
    """What Redis or the way to it fails to do, as a letter.

    Raises:
        OnlineError: it does not answer, refuses, or is not the one that it should be.
    """
    try:
        yield
    except redis.AuthenticationError as error:
        raise _failed(address, type(error).__name__, "look at HEADWATER_ONLINE_PASSWORD") from None
    except redis.RedisError as error:
        # its text may quote what was sent; the first word of an answer is Redis' own code
        code = str(error).split(" ", 1)[0] if isinstance(error, redis.ResponseError) else ""
        got = code if code.isupper() else type(error).__name__
        raise _failed(address, got, "see that Redis runs, and how full it is") from None
    except OSError as error:
        raise _failed(address, error.strerror or type(error).__name__, "see that Redis runs") from None


def _failed(address: Address, got: str, do: str) -> OnlineError:
    return OnlineError.of(
        "the online store does not answer as it should",
        expected="a Redis or Valkey server that takes this client",
        got=got,
        where=str(address),
        do=do,
    )


def _unreadable(got: str) -> DataError:
    return DataError.of(
        "the address of the online store cannot be read",
        expected="redis://[user@]host[:port][/database], or rediss:// for TLS",
        got=got,
        where="HEADWATER_ONLINE",
        do="give the address; the password goes into HEADWATER_ONLINE_PASSWORD or a file",
    )
