"""An identity provider of the tests' own: keys, tokens, and a server on this machine that gives the keys."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from headwater.core.errors import IdentityError

NOW = 1_800_000_000_000_000
SECOND = 1_000_000
ISSUER = "https://login.bank.example"
AUDIENCE = "headwater"

Signer = RSAKey | ECKey | OKPKey


@cache
def signer(kid: str = "one", kind: str = "EC") -> Signer:
    """A key pair of the provider."""
    if kind == "RSA":
        return RSAKey.generate_key(2048, {"kid": kid})
    if kind == "OKP":
        return OKPKey.generate_key("Ed25519", {"kid": kid})
    return ECKey.generate_key("P-256", {"kid": kid})


def public(*keys: Signer, **more: Any) -> dict[str, Any]:
    """The key set that the provider gives."""
    return {"keys": [{**key.as_dict(private=False), "use": "sig", **more} for key in keys]}


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says; a change to None takes a claim away."""
    now = NOW // SECOND
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "exp": now + 300,
        "nbf": now - 5,
        "iat": now - 5,
        "roles": ["decide"],
    }
    return {name: value for name, value in (said | changes).items() if value is not None}


def token(key: Signer | None = None, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A signed token."""
    key = key or signer()
    algorithm = {"EC": "ES256", "RSA": "RS256", "OKP": "Ed25519"}[key.key_type]
    head = {"alg": algorithm, "kid": key.kid, "typ": "JWT", **(header or {})}
    head = {name: value for name, value in head.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[head["alg"]], strict_check_header=False)
    return jws.serialize_compact(head, json.dumps(claims(**changes)).encode(), key, registry=registry)


@dataclass
class Fetched:
    """Gives a key set and counts how often; or is out of reach."""

    keys: dict[str, Any]
    times: int = 0
    is_down: bool = False

    def __call__(self) -> dict[str, Any]:
        """The key set."""
        self.times += 1
        if self.is_down:
            raise IdentityError.of("the identity provider cannot be asked")
        return self.keys


@dataclass
class Pages:
    """What a server on this machine answers, path to status, headers and body."""

    address: str
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, document: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answer a path from now on."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answers[path] = (status, headers or {}, body)


@contextmanager
def serving() -> Iterator[Pages]:
    """A server on a free port of this machine."""
    pages = Pages("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages.asked.append(self.path)
            status, headers, body = pages.answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pages.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield pages
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
