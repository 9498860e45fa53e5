"""Who asks over HTTP, and what they may: around the whole app, and a role at each route.

::

    request -> SecurityHeaders -> Authentication -> route -> guard(Role.DECIDE) -> handler
                                   401, 429, 503             403

The caller is known before a byte of the body is read. A route without a guard answers nobody: what it says is
held back (403), and :func:`unguarded` names it in a test. Whether a credential is right is decided in
``apps.access.door``; here it is found in a request, and refusals become problem+json. ``app`` calls
:func:`protect` once, after its last route.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
from collections.abc import Callable, Collection, Iterable

from fastapi import FastAPI, Request
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security.base import SecurityBase
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.apps.access.door import Access, ambiguous, is_loopback
from headwater.apps.access.principal import Principal, Role
from headwater.apps.masking import Mask
from headwater.core.errors import (
    AccessError,
    CredentialMissingError,
    ForbiddenError,
    HeadwaterError,
    IdentityError,
    RateError,
    StoreError,
)

PUBLIC = frozenset({"/healthz", "/readyz"})

_PRINCIPAL = "headwater.principal"
_GUARDED = "headwater.guarded"
_LONGEST = 8_192  # bytes of a credential
_REDIRECTS = (307, 308)  # the router's own, to a path with or without a slash at its end
_FORWARDED = frozenset(
    (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
)
_BREAK = re.compile(rb"[\r\n\0]")
_OWN_SITE = (b"none", b"same-origin")

_UNREADABLE = StoreError.of("the keys cannot be read", do="try again soon, or tell an administrator")

_log = logging.getLogger("headwater.access")

Answer = Callable[[HeadwaterError, int, dict[str, str]], Response]


class Guard(SecurityBase):
    """Lets in whoever has a role; a FastAPI dependency that gives the principal.

    Args:
        role: what the route needs.
    """

    def __init__(self, role: Role) -> None:
        self.role = role
        self.model = BearerModel(description="An API key, or a token of the identity provider.")
        self.scheme_name = "credential"

    async def __call__(self, request: Request) -> Principal:
        """The principal.

        Raises:
            ForbiddenError: they have not the role.
        """
        principal = principal_of(request.scope)
        if principal is None:  # only where `protect` was forgotten: then nobody is let in
            raise CredentialMissingError.of("a credential is needed")
        principal.need(self.role)
        request.scope[_GUARDED] = True
        return principal


def guard(role: Role) -> Guard:
    """The dependency of a route: ``Depends(guard(Role.DECIDE))``."""
    return Guard(role)


def principal_of(scope: Scope) -> Principal | None:
    """Whoever sent a request, for logs and the audit trail; None on public paths."""
    found = scope.get(_PRINCIPAL)
    return found if isinstance(found, Principal) else None


def mask_for(scope: Scope, mask: Mask) -> Mask | None:
    """What is hidden from whoever asks; None for administrators, and where nobody is asked who they are."""
    principal = principal_of(scope)
    return None if principal is None or principal.may(Role.ADMIN) else mask


def protect(
    app: FastAPI,
    access: Access,
    *,
    tls: bool = False,
    public: Collection[str] = PUBLIC,
    answer: Answer | None = None,
) -> None:
    """Put an app behind the door.

    Args:
        app: with all its routes.
        access: the door.
        tls: whether the server itself speaks TLS, or all its callers reach it through a proxy that does.
        public: the paths that anybody may ask for, to the letter.
        answer: how a refusal is written; :func:`problem` if none is given.
    """
    write = answer or problem

    async def refuse(_request: Request, error: Exception) -> Response:
        if not isinstance(error, AccessError):
            raise error
        return _refusal(error, write)

    app.add_exception_handler(AccessError, refuse)
    app.add_middleware(Authentication, access=access, public=frozenset(public), answer=write)
    app.add_middleware(SecurityHeaders, tls=tls)


def unguarded(app: FastAPI, public: Collection[str] = PUBLIC) -> list[str]:
    """The documented operations that need no role and are not public: a test demands that there are none."""
    return [
        f"{method.upper()} {path}"
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
        if path not in public and not operation.get("security")
    ]


def status_of(error: AccessError) -> int:
    """The HTTP status of a refusal.

    Example:
        >>> status_of(ForbiddenError.of("no")), status_of(CredentialMissingError.of("no"))
        (403, 401)
    """
    if isinstance(error, ForbiddenError):
        return 403
    if isinstance(error, RateError):
        return 429
    return 503 if isinstance(error, IdentityError) else 401


def problem(error: HeadwaterError, status: int, headers: dict[str, str]) -> Response:
    """An error as problem+json (RFC 9457)."""
    facts = [
        {name: fact for name in ("what", "expected", "got", "where", "do") if (fact := getattr(one, name))}
        for one in error.problems
    ]
    body = {
        "type": f"urn:headwater:error:{error.code}",
        "title": error.problems[0].what,
        "status": status,
        "code": error.code,
        "problems": facts,
    }
    return Response(json.dumps(body), status, headers, "application/problem+json")


class Authentication:
    """ASGI middleware: finds out who asks, before anything of the request is read but its head.

    Args:
        app: what is behind the door.
        access: the door.
        public: paths that anybody may ask for.
        answer: how a refusal is written.
    """

    def __init__(self, app: ASGIApp, access: Access, public: Collection[str], answer: Answer) -> None:
        self.app = app
        self.access = access
        self.public = frozenset(public)
        self.answer = answer
        self._fetching = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close", "code": 1008})
        elif scope["path"] in self.public and scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope[_PRINCIPAL] = await self._principal(scope)
        except AccessError as error:
            _log.warning("refused: %s", error.code, extra={"code": error.code})
            await _refusal(error, self.answer)(scope, receive, send)
            return
        except StoreError as error:  # nobody is let in while the keys cannot be read
            _log.error("the keys cannot be read: %s", " ".join(str(error).split()))
            await self.answer(_UNREADABLE, 503, {"Retry-After": "10"})(scope, receive, send)
            return
        scope[_GUARDED] = False
        await self.app(scope, receive, _Hold(scope, receive, send, self.answer))

    async def _principal(self, scope: Scope) -> Principal:
        found = presented(self.access, scope)
        if self.access.due(found):
            async with self._fetching:  # one asks the network; the others wait without a thread
                if self.access.due(found):
                    await asyncio.to_thread(self.access.refresh, found)
        return self.access.authenticate(found)


class _Hold:
    """Passes an answer on, unless no guard was asked before it succeeded."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, answer: Answer) -> None:
        self._scope, self._receive, self._send, self._answer = scope, receive, send, answer
        self._held = False

    async def __call__(self, message: Message) -> None:
        """One message of the answer."""
        if message["type"] == "http.response.start":
            status = message["status"]
            self._held = not self._scope[_GUARDED] and status < 400 and status not in _REDIRECTS
            if self._held:
                _log.error("a route without a guard was held back")
                error = ForbiddenError.of("nobody may do that: the route names no role")
                await _refusal(error, self._answer)(self._scope, self._receive, self._send)
        if not self._held:
            await self._send(message)


class SecurityHeaders:
    """ASGI middleware: the headers that tell a browser to be careful, on every answer.

    A header that the app sets itself stays; one with a line break in it is dropped, so that no answer can be
    split in two.

    Args:
        app: what answers.
        tls: whether to demand TLS from now on (HSTS).
    """

    def __init__(self, app: ASGIApp, *, tls: bool = False) -> None:
        self.app = app
        self._headers = careful_headers(tls=tls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = _whole(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                headers += [header for header in self._headers if header[0] not in there]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, careful)


def careful_headers(*, tls: bool) -> list[tuple[bytes, bytes]]:
    """What every answer tells a browser; with TLS, that it is to come over TLS from now on (HSTS)."""
    return [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cache-control", b"no-store"),
        *([(b"strict-transport-security", b"max-age=31536000; includeSubDomains")] if tls else []),
    ]


def presented(access: Access, scope: Scope) -> str | None:
    """The credential of a request; None without one, which an open server takes from its own machine alone.

    Raises:
        CredentialInvalidError: there are several, or it cannot be read.
        ForbiddenError: there is none, and the request is not plainly one from this machine to this machine.
    """
    found = credential(scope["headers"])
    if found is None and access.was_open:
        try:
            check_local(scope)
        except ForbiddenError:
            if access.is_open:  # else there are keys by now, and the caller is to send one
                raise
    return found


def named(scope: Scope, principal: Principal) -> None:
    """Note in a request who sent it."""
    scope[_PRINCIPAL] = principal


def credential(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The one credential of a request, from ``Authorization: Bearer`` or ``X-API-Key``; None without one.

    Raises:
        CredentialInvalidError: there are several, or it cannot be read.
    """
    found = [(name, value) for name, value in headers if name in (b"authorization", b"x-api-key")]
    if not found:
        return None
    name, value = found[0]
    if name == b"authorization":
        scheme, _, value = value.partition(b" ")
        if scheme.lower() != b"bearer":
            raise ambiguous()
    value = value.strip(b" ")
    if len(found) > 1 or not 0 < len(value) <= _LONGEST or not value.isascii() or any(c < 33 for c in value):
        raise ambiguous()
    return value.decode("ascii")


def check_local(scope: Scope) -> None:
    """Refuse to an open server's callers whatever a browser or a proxy may have brought from elsewhere.

    A page of the web can make a browser send requests to this machine, and with a name that it makes point
    here (DNS rebinding) it could read the answers; a proxy on this machine makes strangers look local.

    Raises:
        ForbiddenError: the request is not plainly one from this machine to this machine.
    """
    client = scope.get("client")
    local = client is not None and is_loopback(client[0])
    hosts = 0
    for name, value in scope["headers"]:
        if name == b"host":
            hosts += 1
            local = local and is_loopback(_host(value))
        elif name == b"origin":
            local = local and is_loopback(_host(value.partition(b"://")[2]))
        elif name == b"sec-fetch-site":
            local = local and value in _OWN_SITE
        elif name in _FORWARDED:
            local = False
    if not local or hosts != 1:
        raise ForbiddenError.of(
            "this server has no keys, so it answers to this machine alone",
            expected="a request from this machine to a name of this machine, without a proxy",
            do="make a key with `headwater keys create`, start again, and send the key",
        )


def _host(value: bytes) -> str:
    """The host of ``host:port``."""
    text = value.decode("latin-1")
    return text.partition("]")[0] + "]" if text.startswith("[") else text.partition(":")[0]


def _refusal(error: AccessError, answer: Answer) -> Response:
    status = status_of(error)
    headers: dict[str, str] = {}
    if status == 401:
        detail = "" if isinstance(error, CredentialMissingError) else ', error="invalid_token"'
        headers["WWW-Authenticate"] = f'Bearer realm="headwater"{detail}'
    if isinstance(error, RateError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, IdentityError):
        headers["Retry-After"] = "10"
    return answer(error, status, headers)


def _whole(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers that hold no line break."""
    kept: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if _BREAK.search(value) or _BREAK.search(name):
            _log.error("a header with a line break in it was dropped")
        else:
            kept.append((name, value))
    return kept
