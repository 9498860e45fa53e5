"""Every route of the app with every credential that does not do: table-driven over the routes themselves.

The table is the app's own list of routes, so that one that is forgotten, in the table of roles or behind no
guard, fails here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Route

from headwater.apps.access.door import Access
from headwater.apps.access.settings import AccessSettings
from headwater.apps.http.app import DOCUMENTATION, ROLES, create_app
from headwater.apps.http.security import PUBLIC
from headwater.core.instant import DAY
from headwater.store.credentials import CredentialStore, Role
from headwater.testing import ManualClock
from tests.http.house import NOW, PLACES, open_service
from tests.serving.bank import micros

NEEDED = {
    (method, route.path): role
    for router, role in ROLES
    for route in router.routes
    if isinstance(route, Route)
    for method in route.methods or ()
}


@dataclass(frozen=True)
class Guarded:
    """An app behind its door, and the credentials that there are.

    Attributes:
        app: of the small bank.
        secrets: what a credential is called to the credential.
    """

    app: FastAPI
    secrets: dict[str, str]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder: Path = tmp_path_factory.mktemp("bank")
    clock = ManualClock(micros(NOW))
    with open_service(folder, clock=clock) as service:
        with CredentialStore.open(service.folder.access) as store:

            def made(name: str, *roles: Role, expires: int | None = None) -> str:
                return store.create(name, roles, now=clock.now() - DAY, actor="test", expires=expires)[
                    1
                ].reveal()

            secrets = {role.value: made(role.value, role) for role in Role}
            secrets["expired"] = made("old", Role.ADMIN, expires=clock.now() - 1)
            secrets["revoked"] = made("gone", Role.ADMIN)
            secrets["rotated"] = made("renewed", Role.ADMIN)
            store.revoke(secrets["revoked"].split("_")[1], now=clock.now(), actor="test")
        secrets["another secret"] = secrets["admin"][:-8] + "00000000"
        secrets["another id"] = secrets["admin"].replace(secrets["admin"].split("_")[1], "0" * 12)
        secrets["a token of nobody"] = "eyJhbGciOiJub25lIn0.eyJyb2xlcyI6WyJhZG1pbiJdfQ."
        secrets["a word"] = "admin"
        with Access.open(
            AccessSettings(), service.folder.access, host="127.0.0.1", clock=clock, stopwatch=clock.now
        ) as access:
            yield Guarded(create_app(service, time.perf_counter_ns, access=access), secrets)


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Everything that the app answers to, whoever put it there."""
    found = []
    for route in flat(app.routes):
        assert isinstance(route, Route), f"{route} is no plain route, and must be looked at here, too"
        found += [(method, route.path) for method in sorted((route.methods or set()) - {"HEAD"})]
    return found


def flat(routes: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    """The routes with those of included routers."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        yield from [route] if inner is None else flat(inner.routes)


def ask(app: FastAPI, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.request(method, path.format(**PLACES), headers=headers)

    return asyncio.run(send())


CODES = {
    "expired": "credential-expired",
    "revoked": "credential-revoked",
    "another secret": "credential-invalid",
    "another id": "credential-invalid",
    "a token of nobody": "credential-invalid",
    "a word": "credential-invalid",
}


def openings(guarded: Guarded) -> Iterator[str]:
    """Where somebody is let in, or answered otherwise, who should not be."""
    for method, path in routes(guarded.app):
        if path in PUBLIC | DOCUMENTATION:
            continue
        where = f"{method} {path}"
        if (method, path) not in NEEDED:
            yield f"{where} is not in the table of roles"
        for name, code in CODES.items():
            for headers in (
                {"Authorization": f"Bearer {guarded.secrets[name]}"},
                {"X-API-Key": guarded.secrets[name]},
            ):
                answer = ask(guarded.app, method, path, headers)
                if (answer.status_code, answer.json().get("code")) != (401, code):
                    yield f"{where} with {name}: {answer.status_code}"
        bare = ask(guarded.app, method, path, {})
        if (bare.status_code, bare.json().get("code")) != (401, "credential-missing"):
            yield f"{where} without a credential: {bare.status_code}"
        yield from underprivileged(guarded, method, path)


def underprivileged(guarded: Guarded, method: str, path: str) -> Iterator[str]:
    needed = NEEDED.get((method, path))
    for role in Role:
        if role.value in (needed, "admin"):
            continue
        answer = ask(guarded.app, method, path, {"Authorization": f"Bearer {guarded.secrets[role.value]}"})
        if (answer.status_code, answer.headers["content-type"]) != (403, "application/problem+json"):
            yield f"{method} {path} as {role}: {answer.status_code}"


def test_what_anybody_may_see_are_two_pages_about_health_and_the_reference(guarded: Guarded) -> None:
    known = {path for _, path in routes(guarded.app)}
    assert {*PUBLIC, *DOCUMENTATION} == {
        "/healthz",
        "/readyz",
        "/docs",
        "/docs/start.js",
        "/docs/swagger-ui.css",
        "/docs/swagger-ui-bundle.js",
        "/docs/favicon.png",
        "/openapi.json",
    }
    assert {*PUBLIC, *DOCUMENTATION} <= known


def test_no_route_lets_anybody_in_who_may_not(guarded: Guarded) -> None:
    assert len(routes(guarded.app)) > 25
    assert list(openings(guarded)) == []


def test_a_route_that_is_forgotten_is_found(guarded: Guarded) -> None:
    """The table above sees what somebody may add tomorrow."""

    async def forgotten() -> dict[str, str]:
        return {"secret": "of the house"}

    before = list(guarded.app.router.routes)
    guarded.app.add_api_route("/v1/forgotten", forgotten)
    try:
        assert list(openings(guarded)) == ["GET /v1/forgotten is not in the table of roles"]
        assert (
            ask(guarded.app, "GET", "/v1/forgotten", {"X-API-Key": guarded.secrets["admin"]}).status_code
            == 403
        )
    finally:
        guarded.app.router.routes[:] = before


def test_who_may_is_let_in(guarded: Guarded) -> None:
    """The other half: nobody is kept out by mistake."""
    for (method, path), role in NEEDED.items():
        if role is not None and path != "/v1/scores/stream":
            answer = ask(guarded.app, method, path, {"X-API-Key": guarded.secrets[role]})
            assert answer.status_code not in (401, 403), (method, path)
            assert answer.status_code < 500, (method, path, answer.text)
