"""Who may do what on the whole API: every route with every role, and with none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest
from fastapi.routing import APIRoute

from headwater.apps.access.door import Access
from headwater.apps.access.settings import AccessSettings
from headwater.apps.http.app import DOCUMENTATION, ROLES, bare, create_app
from headwater.apps.http.security import unguarded
from headwater.apps.http.server import Address, Server
from headwater.store.credentials import CredentialStore, Role
from headwater.testing import ManualClock
from tests.http.house import NOW, PLACES, open_service
from tests.serving.bank import micros

KEYS = {role.value: role for role in Role}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """A server with a key for each role: its address, and role to secret."""
    folder = tmp_path_factory.mktemp("bank")
    clock = ManualClock(micros(NOW))
    with open_service(folder, clock=clock) as service:
        with CredentialStore.open(service.folder.access) as store:
            secrets = {
                name: store.create(name, [role], now=clock.now(), actor="test")[1].reveal()
                for name, role in KEYS.items()
            }
        with Access.open(
            AccessSettings(), service.folder.access, host="127.0.0.1", clock=clock, stopwatch=clock.now
        ) as access:
            found: list[str] = []
            ready = Event()

            def on_ready(url: str) -> None:
                found.append(url)
                ready.set()

            app = create_app(service, time.perf_counter_ns, access=access)
            server = Server(app, Address(port=0), on_ready, patience=2)
            thread = Thread(target=lambda: asyncio.run(server.serve()))
            thread.start()
            assert ready.wait(20)
            yield found[0], secrets
            server.should_exit = True
            thread.join(20)


ROUTES = [
    (method, route.path, role)
    for router, role in ROLES
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
    if route.path != "/v1/scores/stream"
]


@pytest.mark.parametrize(("method", "path", "role"), ROUTES)
def test_only_the_role_gets_in(
    guarded: tuple[str, dict[str, str]], method: str, path: str, role: str | None
) -> None:
    url, secrets = guarded
    address = url + path.format(**PLACES)
    bare_answer = httpx.request(method, address)
    assert bare_answer.status_code == (200 if role is None else 401)
    for name, secret in secrets.items():
        answer = httpx.request(method, address, headers={"Authorization": f"Bearer {secret}"})
        refused = role is not None and name not in (role, "admin")
        assert (answer.status_code == 403) is refused, (name, answer.text)
        assert answer.status_code < 500
    wrong = httpx.request(method, address, headers={"Authorization": "Bearer hw_000000000000_nothing"})
    assert wrong.status_code == (200 if role is None else 401)
    if role is not None:
        assert wrong.headers["content-type"] == "application/problem+json"
        assert wrong.headers["x-request-id"]


def test_no_route_is_forgotten() -> None:
    assert unguarded(bare("x")) == []


def test_the_documentation_is_there(guarded: tuple[str, dict[str, str]]) -> None:
    for path in DOCUMENTATION:
        assert httpx.get(guarded[0] + path).status_code == 200


def test_scores_are_for_analysts(guarded: tuple[str, dict[str, str]], tmp_path: Path) -> None:  # noqa: ARG001
    url, secrets = guarded
    with httpx.stream("GET", f"{url}/v1/scores/stream", headers={"X-API-Key": secrets["analyst"]}) as stream:
        assert next(stream.iter_lines()) == ": listening"
    assert httpx.get(f"{url}/v1/scores/stream", headers={"X-API-Key": secrets["ingest"]}).status_code == 403
