"""The lane of small requests: the same answers as the long way, header by header, and who may take it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from headwater.apps.access.door import Access
from headwater.apps.access.settings import AccessSettings
from headwater.apps.http import lane
from headwater.apps.http.lane import Lane, Passing
from headwater.serving.waiting import OverloadedError
from headwater.store.credentials import CredentialStore, Role
from headwater.testing import ManualClock
from tests.http.house import House, serving
from tests.http.test_events import pay

CHANGING = {"date", "x-request-id"}
SHORT, LONG = "application/json", "application/json; charset=utf-8"  # the second is not for the lane


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    file = tmp_path_factory.mktemp("keys") / "access.db"
    with closing(CredentialStore.open(file)) as store:
        made = {
            role: store.create(role, [Role(role)], now=0, actor="test")[1].reveal()
            for role in ("decide", "ingest", "admin")
        }
    return file, made


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, keys: tuple[Path, dict[str, str]]) -> Iterator[House]:
    clock = ManualClock(1)
    settings = AccessSettings(rate=0)
    with (
        Access.open(settings, keys[0], host="127.0.0.1", clock=clock, stopwatch=clock.now) as access,
        serving(tmp_path_factory.mktemp("bank"), around={"access": access}) as made,
    ):
        yield made


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each request took the lane."""
    seen: list[bool] = []
    enter = Lane.enter

    def noted(self: Lane, connection: lane.Connection) -> Passing | None:
        found = enter(self, connection)
        seen.append(found is not None)
        return found

    monkeypatch.setattr(Lane, "enter", noted)
    return seen


def ask(url: str, target: str, body: Any, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of an answer."""
    place = urlsplit(url)
    with closing(HTTPConnection(str(place.hostname), int(place.port or 0), timeout=30)) as http:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        http.request("POST", target, text, headers)
        answer = http.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        assert found.keys() >= CHANGING
        return answer.status, {k: v for k, v in found.items() if k not in CHANGING}, json.load(answer)


def events(*ones: Any) -> dict[str, Any]:
    return {"stream": "payments", "events": list(ones)}


WHO = {"keys": {"who": 1}}
ASKED: list[tuple[str, str, Any]] = [
    ("decide", "/v1/decisions", {**WHO, "at": "2026-04-10T00:00:00Z"}),
    ("decide", "/v1/decisions", {"keys": {"who": "x"}}),
    ("decide", "/v1/decisions", {"keys": {}}),
    ("decide", "/v1/decisions", {**WHO, "policy": "none"}),
    ("decide", "/v1/decisions", {**WHO, "more": 1}),
    ("decide", "/v1/decisions", b'{"keys": {"who": 1}, "keys": {}}'),
    ("decide", "/v1/decisions", b"{"),
    ("decide", "/v1/decisions", b"\xff"),
    ("decide", "/v1/decisions", b""),
    ("decide", "/v1/decisions?at=1", {**WHO, "at": "2026-04-10T00:00:00Z"}),
    ("ingest", "/v1/events", events(pay(900_000))),
    ("ingest", "/v1/events?refresh=true", events(pay(900_000), pay(900_001, amount="x"), 7)),
    ("ingest", "/v1/events?stream=payments", events()),
    ("ingest", "/v1/events?stream=other", events()),
    ("ingest", "/v1/events?refresh=maybe", events()),
    ("ingest", "/v1/events", {"stream": "none", "events": []}),
    ("ingest", "/v1/events", {"events": []}),
    ("ingest", "/v1/events", []),
]


def _plain(found: tuple[int, dict[str, str], Any]) -> tuple[int, dict[str, str], Any]:
    """Without what differs from one request to the next, and the length that goes with it."""
    status, headers, told = found
    gone = ("decision_id", "chain", "request_id", "decided_at", "arrival")
    kept = {name: value for name, value in told.items() if name not in gone}
    return status, {k: v for k, v in headers.items() if k != "content-length"}, kept


@pytest.mark.parametrize(("who", "target", "body"), ASKED)
def test_both_ways_answer_alike(
    house: House,
    keys: tuple[Path, dict[str, str]],
    entered: list[bool],
    who: str,
    target: str,
    body: Any,
) -> None:
    credential = {"Authorization": f"Bearer {keys[1][who]}"}
    ask(house.url, target, body, {**credential, "Content-Type": LONG})  # what is new once is a duplicate then
    entered.clear()
    both = [ask(house.url, target, body, {**credential, "Content-Type": kind}) for kind in (SHORT, LONG)]
    assert _plain(both[0]) == _plain(both[1])
    assert entered == [True, False]


def test_who_may_not_is_told_as_ever(
    house: House, keys: tuple[Path, dict[str, str]], entered: list[bool]
) -> None:
    wrong: list[tuple[dict[str, str], int]] = [
        ({}, 401),
        ({"Authorization": "Bearer hw_000000000000_" + "0" * 40}, 401),
        ({"Authorization": f"Bearer {keys[1]['ingest']}"}, 403),
        ({"Authorization": f"Bearer {keys[1]['decide']}", "X-API-Key": keys[1]["decide"]}, 401),
    ]
    for headers, status in wrong:
        both = [
            ask(house.url, "/v1/decisions", WHO, {**headers, "Content-Type": kind}) for kind in (SHORT, LONG)
        ]
        assert both[0][0] == status
        assert _plain(both[0]) == _plain(both[1])
    assert entered == [False] * 8


def test_what_is_not_for_it(house: House, keys: tuple[Path, dict[str, str]], entered: list[bool]) -> None:
    credential = {"Authorization": f"Bearer {keys[1]['admin']}"}
    large = events(pay(900_000, way="x" * lane.LARGEST))
    assert ask(house.url, "/v1/events", large, credential)[0] == 200
    assert ask(house.url, "/v1/decisions", WHO, {**credential, "Content-Encoding": "gzip"})[0] == 415
    assert ask(house.url, "/v1/decisions", WHO, {**credential, "Expect": "100-continue"})[0] == 200
    assert ask(house.url, "/v1/reload", {}, credential)[0] == 200
    assert not any(entered)


def test_names_and_metrics(house: House, keys: tuple[Path, dict[str, str]]) -> None:
    head = {"Authorization": f"Bearer {keys[1]['admin']}", "X-Request-Id": "mine.1", "Idempotency-Key": "one"}
    first = house.http.post("/v1/decisions", json=WHO, headers=head)
    again = house.http.post("/v1/decisions", json=WHO, headers=head)
    other = house.http.post("/v1/decisions", json={"keys": {"who": 2}}, headers=head)
    assert first.headers["x-request-id"] == "mine.1"
    assert first.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    page = house.http.get("/metrics", headers=head).text
    assert 'headwater_requests_total{method="POST",route="/v1/decisions",status="409"} 1.0' in page


def test_requests_that_come_at_once_are_answered_in_their_order(
    house: House, keys: tuple[Path, dict[str, str]]
) -> None:
    """Pipelined, and the last one says that it is the last."""
    credential = f"Authorization: Bearer {keys[1]['admin']}\r\n"
    sent = b""
    for number in range(6):
        body = json.dumps({"keys": {"who": number}}).encode()
        kind = SHORT if number % 3 else LONG
        last = "Connection: close\r\n" if number == 5 else ""
        head = f"POST /v1/decisions HTTP/1.1\r\nHost: a\r\n{credential}Content-Type: {kind}\r\n{last}"
        sent += f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    place = urlsplit(house.url)
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=30) as one:
        one.sendall(sent)
        came = b""
        while part := one.recv(65_536):
            came += part
    answers = [part.partition(b"\r\n\r\n")[2] for part in came.split(b"HTTP/1.1 200 OK")[1:]]
    assert [json.loads(answer)["keys"]["who"] for answer in answers] == list(range(6))


def test_a_caller_that_hangs_up_leaves_nothing_behind(
    house: House, keys: tuple[Path, dict[str, str]]
) -> None:
    head = f"POST /v1/decisions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {keys[1]['admin']}\r\n"
    place, body = urlsplit(house.url), json.dumps(WHO).encode()
    before = len(house.service.decisions)
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=30) as one:
        one.sendall(head.encode() + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    until = time.monotonic() + 10
    while len(house.service.decisions) == before and time.monotonic() < until:
        time.sleep(0.01)
    assert len(house.service.decisions) == before + 1
    assert house.faults.faults == []


def overloaded(*_: Any, **__: Any) -> None:
    raise OverloadedError.of("too many decisions are waiting")


def test_more_than_may_wait_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entered: list[bool]
) -> None:
    """429 with Retry-After, and 500 for what nobody foresaw, on the lane as elsewhere."""
    with serving(tmp_path / "bank") as house:
        monkeypatch.setattr(house.service, "ask", overloaded)
        full = ask(house.url, "/v1/decisions", WHO, {"Content-Type": SHORT})
        assert (full[0], full[1]["retry-after"], full[2]["code"]) == (429, "1", "overloaded")
        monkeypatch.setattr(house.service, "ask", lambda *_, **__: 1 / 0)
        bug = ask(house.url, "/v1/decisions", WHO, {"Content-Type": SHORT})
        assert (bug[0], bug[2]["code"]) == (500, "bug")
        assert entered == [True, True]
