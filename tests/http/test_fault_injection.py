"""Texts that would be commands elsewhere, in every place where a request may hold a text.

Table-driven from the OpenAPI document: every parameter of every operation, every text of every body. Never
a 5xx, never a header or a file that was asked for by trick, and the tables are what they were.
"""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from headwater.apps.http.app import bare
from tests.http.house import House
from tests.http.registered import registered
from tests.http.test_events import pay

DOCUMENT = bare("x").openapi()
STREAMING = "/v1/scores/stream"  # does not end by itself: asked by its own test

SQL = (
    "' OR '1'='1",
    "'; DROP TABLE decisions; --",
    '" OR ""="',
    "1 OR 1=1",
    "1); DELETE FROM keys; --",
    "x' UNION SELECT chain, record, number FROM decisions --",
    "%",
    "_",
    "*",
    "\\",
)
PATHS = (
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "file:///etc/passwd",
    "..\\..\\windows\\win.ini",
    "decisions.db",
    "\0",
    "events.log\0.json",
    "~root",
    "$(touch mark)",
    "`touch mark`",
    "{{7*7}}${7*7}",
)
HEADERS = (
    "x\r\nSet-Cookie: evil=1",
    "x\nX-Evil: 1",
    "x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nevil",
    "x\u2028X-Evil: 1",
)
TEXTS = (
    *SQL,
    *PATHS,
    *HEADERS,
    "",
    "\ud7ff\U0010ffff",
    "x" * 5_000,
    "<script>alert(1)</script>",
    "-1",
    "1e999",
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with registered(tmp_path_factory.mktemp("bank")) as (made, _):
        for who in range(3):
            made.client.decide({"who": who})
        made.http.post("/v1/events", json={"stream": "payments", "events": [pay(1, amount="ten")]})
        before = state(made)
        yield made
        assert made.faults.faults == []
        assert state(made) == before
        assert not Path("mark").exists()


def state(house: House) -> Any:
    """The tables of every file of the data folder, and what must not have changed in them."""
    tables = {}
    for file in sorted(house.service.folder.path.glob("*.db")):
        connection = sqlite3.connect(file)
        tables[file.name] = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        connection.close()
    records = house.service.decisions.page(limit=3)
    assert house.service.decisions.verify() >= len(records)
    assert house.service.definitions.verify() > 0
    assert house.service.log.verify().problems == ()
    return tables, [record.chain for record in records], len(house.service.log.dead_letters(limit=10))


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if path != STREAMING:
                yield method.upper(), path, operation


PARAMETERS = [
    (method, path, one["in"], one["name"])
    for method, path, operation in operations()
    for one in operation.get("parameters", [])
]
WHOLE = {
    "view": "spending", "key": "1", "decision_id": "d1", "id": "none", "hash": "0" * 8, "model": "risk"
}  # fmt: skip


def asked(house: House, method: str, path: str, where: str, name: str, text: str) -> Any:
    values = {one: quote(value, safe="") for one, value in WHOLE.items()}
    query: dict[str, str] = {}
    headers: list[tuple[bytes, bytes]] = []
    if where == "path":
        values[name] = quote(text, safe="")
    elif where == "query":
        query[name] = text
    else:
        plain = "".join(c for c in text if c.isprintable())  # what a client can send; see the raw ones below
        headers.append((name.encode(), plain.encode("utf-8")))
    content = b"{}" if method == "POST" else None
    return house.http.request(method, path.format(**values), params=query, headers=headers, content=content)


def careful(answer: Any, text: str) -> None:
    """Whatever was asked, the answer is one of ours."""
    assert answer.status_code < 500, answer.text
    kind = "application/problem+json" if answer.status_code >= 400 else "application/json"
    if answer.status_code not in (307, 308):  # the router's own, from a path with a slash at its end
        assert answer.headers["content-type"].partition(";")[0] in (kind, "text/plain"), answer.text
    for name in ("set-cookie", "x-evil"):
        assert name not in answer.headers
    for sign in ("root:x:0", "sqlite", "Traceback", 'File "', "OperationalError", "mark\n"):
        assert sign not in answer.text, (text, answer.text)


@pytest.mark.parametrize(("method", "path", "where", "name"), PARAMETERS, ids=str)
def test_in_every_parameter(house: House, method: str, path: str, where: str, name: str) -> None:
    for text in TEXTS:
        careful(asked(house, method, path, where, name, text), text)


def test_the_table_is_not_empty() -> None:
    assert {where for _, _, where, _ in PARAMETERS} == {"path", "query", "header"}
    assert len(PARAMETERS) > 25


def texts_in(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all texts in an example, and of all names."""
    if isinstance(value, str):
        yield place
    for part in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from texts_in(value[part], (*place, part))


def replaced(value: Any, place: tuple[Any, ...], text: str) -> Any:
    if not place:
        return text
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = replaced(copy[place[0]], place[1:], text)
    return copy


REFUSED = {**pay(50, amount="ten"), "id": "x"}
EXAMPLES: list[tuple[str, str, Any]] = [
    ("POST", "/v1/events", {"stream": "payments", "events": [REFUSED]}),
    ("POST", "/v1/decisions", {"policy": "lend", "keys": {"who": "1"}, "request": {"a": "b"}, "at": "x"}),
    ("POST", "/v1/decisions/d1/replay", {"with": {"model": "x", "policy": "x", "definitions": "x" * 8}}),
    (
        "POST",
        "/v1/backtests",
        {"of": "x", "with": {"model": "x", "policy": "x", "definitions": "x"}, "key": "1", "band": "x",
         "from": "x", "to": "x"},
    ),
    ("POST", "/v1/dead-letters/redrive", {"stream": "x", "reason": "x"}),
    ("POST", "/v1/models/risk/promote", {"version": "x", "force": True, "why": "x"}),
    ("POST", "/v1/models/risk/rollback", {"why": "x"}),
    ("POST", "/v1/jobs/retrain.risk/run", {"why": "x"}),
]  # fmt: skip


def test_every_body_has_its_example() -> None:
    taking = {path for _, path, operation in operations() if operation.get("requestBody")}
    names = {"/d1/": "/{decision_id}/", "/risk/": "/{model}/", "/retrain.risk/": "/{name}/"}
    told = {path for _, path, _ in EXAMPLES}
    for part, name in names.items():
        told = {path.replace(part, name) for path in told}
    assert told == taking


@pytest.mark.parametrize(("method", "path", "example"), EXAMPLES, ids=[path for _, path, _ in EXAMPLES])
def test_in_every_text_of_a_body(house: House, method: str, path: str, example: Any) -> None:
    places = list(texts_in(example))
    assert places
    for place in places:
        for text in TEXTS:
            body = json.dumps(replaced(example, place, text), ensure_ascii=False)
            if path == "/v1/events" and place == ("events", 0, "id"):
                continue  # would be a letter more for each
            answer = house.http.request(method, path, content=body.encode())
            if path == "/v1/events" and answer.status_code == 200:
                assert answer.json()["accepted"] == 0
                house.service.log.remove_dead_letters(ids=[one.id for one in new_letters(house)])
            careful(answer, text)


def new_letters(house: House) -> list[Any]:
    return list(house.service.log.dead_letters(limit=1_000))[1:]


@pytest.mark.parametrize("name", ["key", "model", "policy", "band"])
def test_a_condition_is_a_value(house: House, name: str) -> None:
    """What would be true for every row finds none."""
    for text in SQL:
        assert house.http.get("/v1/decisions", params={name: text}).json()["decisions"] == []
    assert len(house.http.get("/v1/decisions").json()["decisions"]) >= 3


def test_a_name_for_a_request_is_a_name(house: House) -> None:
    for text in (*SQL, "\u00e4"):
        first, again = (
            house.http.post(
                "/v1/decisions", json={"keys": {"who": 1}}, headers=[(b"Idempotency-Key", text.encode())]
            ).json()["decision_id"]
            for _ in range(2)
        )
        assert first == again


LINES = (
    b"X-Request-Id: a\r\nX-Evil: 1",
    b"X-Request-Id: a%0d%0aX-Evil:%201",
    b"X-Request-Id: a\rX-Evil: 1",
    b"X-Request-Id: a\nSet-Cookie: evil=1",
    b"X-Request-Id: \xff\xfe",
    b"Idempotency-Key: a\r\nSet-Cookie: evil=1",
    b"Host: evil.example\r\nX-Forwarded-Host: evil.example",
    b"Content-Type: application/json\r\nContent-Type: text/html",
)


@pytest.mark.parametrize("line", LINES)
def test_lines_of_a_head_stay_in_the_head(house: House, line: bytes) -> None:
    address = urlsplit(house.url)
    request = b"GET /v1/decisions/none HTTP/1.1\r\n" + line + b"\r\nConnection: close\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(request)
        came = b""
        while part := connection.recv(65_536):
            came += part
    head = came.partition(b"\r\n\r\n")[0].lower()
    assert head.split(b" ")[1] in (b"400", b"404")
    assert b"application/problem+json" in head
    assert b"evil" not in head
    assert b"set-cookie" not in head


def test_the_stream_of_scores_takes_no_tricks(house: House) -> None:
    for one in DOCUMENT["paths"][STREAMING]["get"].get("parameters", []):
        with house.http.stream("GET", STREAMING, params={one["name"]: SQL[0]}) as stream:
            assert stream.status_code < 500
