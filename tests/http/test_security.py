"""The door over HTTP, around a small app of this test's own: who is let in, and how refusals look."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from headwater.apps.access.door import Access
from headwater.apps.access.principal import Principal, Role
from headwater.apps.access.settings import AccessSettings
from headwater.apps.access.trust import Trust
from headwater.apps.http.security import PUBLIC, guard, principal_of, protect, unguarded
from headwater.core.instant import DAY
from headwater.store.credentials import CredentialStore
from headwater.testing import ManualClock
from tests.apps.access.provider import AUDIENCE, NOW, Pages, public, serving, signer, token

ROUTES = {"ingest": Role.INGEST, "decide": Role.DECIDE, "analyst": Role.ANALYST, "admin": Role.ADMIN}
HERE = "http://127.0.0.1:8000"


class Order(BaseModel):
    """What a route reads."""

    amount: float


def app() -> FastAPI:
    """One route a role, one that nobody may ask, one that streams, one that misbehaves."""
    made = FastAPI()
    router = APIRouter(prefix="/v1")

    def route(name: str, role: Role) -> None:
        needs = Depends(guard(role))

        @router.post(f"/{name}", name=name)
        async def handler(order: Order, who: Principal = needs) -> dict[str, Any]:
            return {"who": who.id, "amount": order.amount}

    for name, role in ROUTES.items():
        route(name, role)

    @router.get("/stream", dependencies=[Depends(guard(Role.DECIDE))])
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        return StreamingResponse(parts())

    @router.get("/forgotten")
    async def forgotten() -> dict[str, str]:
        return {"secret": "of the house"}

    @router.get("/split", dependencies=[Depends(guard(Role.DECIDE))])
    async def split(request: Request) -> Response:
        answer = Response("x", headers={"cache-control": "max-age=5"})
        answer.raw_headers.append((b"x-echo", request.query_params["echo"].encode("latin-1")))
        return answer

    @made.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    made.include_router(router)
    return made


class House:
    """An app behind its door, asked without a network."""

    def __init__(self, access: Access, *, tls: bool = False, peer: str = "127.0.0.1") -> None:
        self.access = access
        self.app = app()
        protect(self.app, access, tls=tls)
        self.peer = peer

    def ask(
        self, method: str, path: str, headers: Any = None, base: str = HERE, **content: Any
    ) -> httpx.Response:
        """One request."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(self.peer, 50_000))
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, headers=headers, **content)

        return asyncio.run(send())

    def post(self, name: str, secret: str | None = None, **more: Any) -> httpx.Response:
        """Ask a route of :data:`ROUTES`."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return self.ask("POST", f"/v1/{name}", headers, **({"json": {"amount": 5}} | more))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "access.db"


Opens = Callable[..., House]


@pytest.fixture
def opens(file: Path) -> Iterator[Opens]:
    made: list[Access] = []

    def open_(
        clock: ManualClock | None = None, *, tls: bool = False, peer: str = "127.0.0.1", **set_: Any
    ) -> House:
        clock = clock or ManualClock(NOW)
        access = Access.open(AccessSettings(**set_), file, host="127.0.0.1", clock=clock, stopwatch=clock.now)
        made.append(access)
        return House(access, tls=tls, peer=peer)

    yield open_
    for access in made:
        access.close()


def create(file: Path, *roles: Role, expires: int | None = None) -> str:
    name = "-".join(roles) + str(expires)
    with CredentialStore.open(file) as store:
        return store.create(name, roles, now=NOW, actor="cli:ada", expires=expires)[1].reveal()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, which is a whole problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"] == f"urn:headwater:error:{body['code']}"
    assert set(body) == {"type", "title", "status", "code", "problems"}
    return answer.status_code, body["code"]


# --- Each kind of credential on each route ---------------------------------------------------------------


def test_each_role_on_each_route(opens: Opens, file: Path) -> None:
    secrets = {role: create(file, role) for role in Role}
    house = opens()
    for role, secret in secrets.items():
        for name, needed in ROUTES.items():
            answer = house.post(name, secret)
            if role in (needed, Role.ADMIN):
                assert (answer.status_code, answer.json()["amount"]) == (200, 5)
            else:
                assert refusal(answer) == (403, "forbidden")


def test_wrong_expired_and_revoked_on_each_route(opens: Opens, file: Path) -> None:
    good = create(file, Role.ADMIN)
    expired = create(file, Role.ADMIN, expires=NOW + DAY)
    revoked = create(file, Role.DECIDE)
    house = opens(ManualClock(NOW + DAY))
    house.access.credentials.revoke(revoked.split("_")[1], now=NOW, actor="cli:ada")
    cases = {
        None: "credential-missing",
        good[:-8] + "00000000": "credential-invalid",
        "hw_": "credential-invalid",
        "eyJhbGciOiJub25lIn0.e30.": "credential-invalid",
        expired: "credential-expired",
        revoked: "credential-revoked",
    }
    for secret, code in cases.items():
        for name in ROUTES:
            answer = house.post(name, secret)
            assert refusal(answer) == (401, code)
            more = "" if secret is None else ', error="invalid_token"'
            assert answer.headers["www-authenticate"] == f'Bearer realm="headwater"{more}'
        for path in ("/v1/stream", "/v1/forgotten", "/v1/none", "/docs", "/openapi.json"):
            headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
            assert refusal(house.ask("GET", path, headers)) == (401, code)


def test_a_refusal_in_full(opens: Opens, file: Path) -> None:
    secret = create(file, Role.INGEST)
    answer = opens().post("decide", secret)
    assert answer.json() == {
        "type": "urn:headwater:error:forbidden",
        "title": "this credential may not do that",
        "status": 403,
        "code": "forbidden",
        "problems": [
            {
                "what": "this credential may not do that",
                "expected": "the role decide",
                "got": "ingest",
                "do": "use a credential that has the role, or ask an administrator for it",
            }
        ],
    }


def test_what_is_wrong_with_a_credential_is_not_told(opens: Opens, file: Path) -> None:
    secret = create(file, Role.DECIDE)
    house = opens()
    ident = secret.split("_")[1]
    wrong = [secret[:-1] + "x", f"hw_{ident}_{'0' * 64}", f"hw_{'0' * 12}_{'0' * 64}", "hw_", "x", "a.b.c"]
    answers = [house.post("decide", one) for one in wrong]
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}


def test_the_other_header(opens: Opens, file: Path) -> None:
    secret = create(file, Role.DECIDE)
    answer = opens().ask("POST", "/v1/decide", {"X-API-Key": secret}, json={"amount": 1})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer {0}"), ("Authorization", "Bearer {0}")],
        [("Authorization", "Bearer {0}"), ("X-API-Key", "{0}")],
        [("X-API-Key", "{0}"), ("X-API-Key", "{0}")],
        [("Authorization", "Bearer {0}, Bearer {0}")],
        [("Authorization", "Basic {0}")],
        [("Authorization", "{0}")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", "")],
        [("X-API-Key", "")],
        [("Authorization", "Bearer {0} x")],
        [("Authorization", "Bearer {0}\t")],
        [("Authorization", "Bearer " + "x" * 8_193)],
        [("Authorization", "Bearer " + "x" * 10_000_000)],
        [("Authorization", b"Bearer \xc3\xa9")],
        [("Authorization", b"Bearer x\x00y")],
        [("Authorization", b"Bearer x\r\nX-Admin: 1")],
    ],
)
def test_headers_that_prove_nothing(opens: Opens, file: Path, headers: list[tuple[str, str | bytes]]) -> None:
    secret = create(file, Role.ADMIN)
    raw = [
        (name, value.replace("{0}", secret) if isinstance(value, str) else value) for name, value in headers
    ]
    answer = opens().ask("GET", "/v1/stream", raw)
    assert refusal(answer) == (401, "credential-invalid")
    assert secret not in answer.text


def test_a_credential_in_the_address_or_a_cookie_is_none(opens: Opens, file: Path) -> None:
    secret = create(file, Role.ADMIN)
    house = opens()
    for path in (f"/v1/stream?access_token={secret}", f"/v1/stream?api_key={secret}"):
        assert refusal(house.ask("GET", path)) == (401, "credential-missing")
    cookie = {"Cookie": f"access_token={secret}; authorization=Bearer {secret}"}
    assert refusal(house.ask("GET", "/v1/stream", cookie)) == (401, "credential-missing")


# --- Denied by default ------------------------------------------------------------------------------------


def test_a_route_without_a_guard_answers_nobody(
    opens: Opens, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = create(file, Role.ADMIN)
    house = opens()
    for path in ("/v1/forgotten", "/openapi.json", "/docs"):
        answer = house.ask("GET", path, {"Authorization": f"Bearer {secret}"})
        assert refusal(answer) == (403, "forbidden")
        assert "of the house" not in answer.text
    assert "a route without a guard was held back" in caplog.text


def test_routes_without_a_guard_are_named() -> None:
    assert unguarded(app()) == ["GET /v1/forgotten"]
    assert sorted(unguarded(app(), public=())) == ["GET /healthz", "GET /v1/forgotten"]


def test_guards_without_a_door_let_nobody_in() -> None:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:
            return await client.get("/v1/stream")

    assert asyncio.run(send()).status_code == 500


def test_public_paths_are_public_to_the_letter(opens: Opens, file: Path) -> None:
    create(file, Role.ADMIN)
    house = opens()
    assert "/healthz" in PUBLIC
    assert house.ask("GET", "/healthz").json() == {"status": "ok"}
    for path in (
        "/healthz/",
        "//healthz",
        "/healthz/../v1/stream",
        "/HEALTHZ",
        "/healthz%2f",
        "/v1/../healthz;x",
    ):
        assert house.ask("GET", path).status_code == 401, path
    for method in ("POST", "OPTIONS", "TRACE", "DELETE"):
        assert house.ask(method, "/healthz").status_code == 401


def test_an_unknown_path_is_told_to_those_who_are_known(opens: Opens, file: Path) -> None:
    secret = create(file, Role.INGEST)
    house = opens()
    assert house.ask("GET", "/v1/none").status_code == 401
    assert house.ask("GET", "/v1/none", {"Authorization": f"Bearer {secret}"}).status_code == 404
    assert house.ask("GET", "/v1/decide", {"Authorization": f"Bearer {secret}"}).status_code == 405


def test_the_body_is_not_read_before_the_caller_is_known(opens: Opens, file: Path) -> None:
    create(file, Role.ADMIN)
    house = opens()
    read: list[str] = []

    async def receive() -> Any:
        read.append("body")
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/decide",
        "raw_path": b"/v1/decide",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
    }
    asyncio.run(house.app(scope, receive, send))
    assert (sent[0]["status"], read) == (401, [])


def test_web_sockets_are_closed(opens: Opens, file: Path) -> None:
    create(file, Role.ADMIN)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/healthz", "headers": [], "client": ("127.0.0.1", 1)}
    asyncio.run(opens().app(scope, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_stream_passes_whole(opens: Opens, file: Path) -> None:
    secret = create(file, Role.DECIDE)
    assert opens().ask("GET", "/v1/stream", {"Authorization": f"Bearer {secret}"}).text == "onetwo"


# --- Open, to this machine alone ---------------------------------------------------------------------------


def test_an_open_server_answers_this_machine(opens: Opens) -> None:
    house = opens()
    assert house.post("admin").json() == {"who": "open", "amount": 5}
    for base in ("http://localhost:8000", "http://[::1]:8000"):
        assert house.post("admin", base=base).status_code == 200
    assert house.ask("GET", "/v1/stream", {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}).text == "onetwo"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # a name of theirs that points here: DNS rebinding
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example:8000"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
    ],
)
def test_an_open_server_answers_no_page_of_the_web_and_no_proxy(
    opens: Opens, headers: dict[str, str]
) -> None:
    answer = opens().ask("GET", "/v1/stream", headers)
    assert refusal(answer) == (403, "forbidden")
    assert "this server has no keys" in answer.text


def test_two_hosts_are_one_too_many(opens: Opens) -> None:
    answer = opens().ask("GET", "/v1/stream", [("Host", "127.0.0.1"), ("Host", "127.0.0.1")])
    assert refusal(answer) == (403, "forbidden")


def test_an_open_server_answers_no_other_machine(opens: Opens) -> None:
    assert refusal(opens(peer="192.168.1.7").post("admin")) == (403, "forbidden")


def test_the_first_key_shuts_it(opens: Opens, file: Path) -> None:
    house = opens()
    assert house.post("decide").status_code == 200
    secret = create(file, Role.DECIDE)
    assert refusal(house.post("decide")) == (401, "credential-missing")
    assert house.post("decide", secret).status_code == 200


# --- Rates -------------------------------------------------------------------------------------------------


def test_too_many_requests(opens: Opens, file: Path) -> None:
    clock = ManualClock(NOW)
    one, other = create(file, Role.DECIDE), create(file, Role.ADMIN)
    house = opens(clock, rate=0.4, burst=1)
    assert house.post("decide", one).status_code == 200
    answer = house.post("decide", one)
    assert refusal(answer) == (429, "rate-limited")
    assert answer.headers["retry-after"] == "3"
    assert house.post("decide", other).status_code == 200
    clock.advance("3s")
    assert house.post("decide", one).status_code == 200


# --- Headers -----------------------------------------------------------------------------------------------


def test_headers_of_every_answer(opens: Opens, file: Path) -> None:
    secret = create(file, Role.DECIDE)
    house = opens()
    for answer in (
        house.ask("GET", "/healthz"),
        house.post("decide"),
        house.post("decide", secret),
        house.post("admin", secret),
        house.post("none", secret),
        house.post("decide", secret, json={"amount": "many"}),
    ):
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers
        assert "access-control-allow-origin" not in headers


def test_with_tls_browsers_are_told_to_stay_with_it(opens: Opens) -> None:
    answer = opens(tls=True).ask("GET", "/healthz")
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.parametrize("echo", ["a%0d%0aSet-Cookie:%20x=1", "a%0aX: 1", "a%0d", "a%00b"])
def test_a_header_with_a_line_break_is_dropped(opens: Opens, file: Path, echo: str) -> None:
    secret = create(file, Role.DECIDE)
    answer = opens().ask("GET", f"/v1/split?echo={echo}", {"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
    assert "x-echo" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "max-age=5"  # what the app sets stays


# --- An identity provider --------------------------------------------------------------------------------


@pytest.fixture
def provider() -> Iterator[Pages]:
    with serving() as pages:
        pages.put(
            "/.well-known/openid-configuration",
            {"issuer": pages.address, "jwks_uri": pages.address + "/jwks"},
        )
        pages.put("/jwks", public(signer()))
        yield pages


def test_tokens(opens: Opens, provider: Pages) -> None:
    house = opens(trust=Trust(provider.address, AUDIENCE))
    good = token(iss=provider.address)
    for _ in range(3):
        assert house.post("decide", good).json() == {"who": "oidc:ada", "amount": 5}
    assert provider.asked.count("/jwks") == 1
    assert refusal(house.post("admin", good)) == (403, "forbidden")
    assert refusal(house.post("decide", token(iss=provider.address, roles=[]))) == (403, "forbidden")
    assert refusal(house.post("decide", token(iss=provider.address, exp=1))) == (401, "credential-expired")
    assert refusal(house.post("decide", token(iss=provider.address, aud="x"))) == (401, "credential-invalid")
    assert refusal(house.post("decide")) == (401, "credential-missing")


def test_many_at_once_fetch_the_keys_once(opens: Opens, provider: Pages) -> None:
    house = opens(trust=Trust(provider.address, AUDIENCE))
    headers = {"Authorization": f"Bearer {token(iss=provider.address)}"}

    async def all_of_them() -> list[int]:
        transport = httpx.ASGITransport(house.app)
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:
            asked = [client.get("/v1/stream", headers=headers) for _ in range(30)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(all_of_them()) == [200] * 30
    assert provider.asked.count("/jwks") == 1


def test_a_provider_out_of_reach(opens: Opens, provider: Pages) -> None:
    provider.answers.clear()
    answer = opens(trust=Trust(provider.address, AUDIENCE)).post("decide", token(iss=provider.address))
    assert refusal(answer) == (503, "identity-unavailable")
    assert answer.headers["retry-after"] == "10"


def test_while_the_keys_cannot_be_read_nobody_is_let_in(opens: Opens, file: Path) -> None:
    secret = create(file, Role.DECIDE)
    house = opens()
    house.access.close()
    answer = house.post("decide", secret)
    assert refusal(answer) == (503, "store")
    assert str(file) not in answer.text


# --- Secrets stay out of logs ----------------------------------------------------------------------------


def test_no_secret_in_any_log_line_or_answer(
    opens: Opens, file: Path, provider: Pages, caplog: pytest.LogCaptureFixture
) -> None:
    secret = create(file, Role.INGEST)
    revoked = create(file, Role.DECIDE)
    text = token(iss=provider.address, exp=1)
    house = opens(trust=Trust(provider.address, AUDIENCE))
    house.access.credentials.revoke(revoked.split("_")[1], now=NOW, actor="cli:ada")
    with caplog.at_level(logging.DEBUG):
        answers = [
            house.post(name, one)
            for name in ROUTES
            for one in (secret, revoked, text, secret + "x", text + "x")
        ]
    said = caplog.text + json.dumps([[answer.text, dict(answer.headers)] for answer in answers])
    for one in (secret, revoked, text):
        assert one not in said
        assert one.rpartition("_")[2].rpartition(".")[2] not in said
    assert "refused: credential-revoked" in caplog.text


def test_who_it_was_is_known_to_others(opens: Opens, file: Path) -> None:
    secret = create(file, Role.DECIDE)
    house = opens()
    seen: list[Principal | None] = []

    @house.app.middleware("http")
    async def watch(request: Request, call_next: Any) -> Response:
        answer: Response = await call_next(request)
        seen.append(principal_of(request.scope))
        return answer

    house.post("decide", secret)
    house.post("decide")
    assert [None if one is None else one.kind for one in seen] == ["key", None]
