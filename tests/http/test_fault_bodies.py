"""Bodies that are broken, too large, too deep, or say a thing twice: a clear answer, and nothing is lost.

Table-driven from the OpenAPI document: a route that takes JSON is asked with each of them.
"""

from __future__ import annotations

import io
import json
import random
import socket
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import polars as pl
import pyarrow as pa
import pytest

from headwater.apps.http.app import bare
from headwater.apps.http.site import Bounds
from tests.http.house import PLACES, House, serving
from tests.http.test_events import pay
from tests.serving.bank import PAYMENTS, payment

MOST = 200_000  # bytes of a body
ROWS = 1_000  # events
DOCUMENT = bare("x").openapi()
NDJSON, ARROW = "application/x-ndjson", "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with serving(tmp_path_factory.mktemp("bank"), bounds=Bounds(body=MOST, events=ROWS)) as made:
        made.client.decide({"who": 1})
        yield made
        assert made.faults.faults == []


@pytest.fixture(autouse=True)
def nothing_is_lost(house: House) -> Iterator[None]:
    """Whatever is refused, log and records are what they were."""
    before = house.service.log.end(), len(house.service.decisions)
    yield
    assert (house.service.log.end(), len(house.service.decisions)) == before
    assert house.http.get("/readyz").status_code == 200


def taking_json() -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]


DEEP = 100_000
BODIES: dict[str, bytes] = {
    "cut": b'{"stream": "payments", "events": [{"id"',
    "no JSON": b"<events/>",
    "two values": b'{"a": 1}{"a": 2}',
    "trailing comma": b'{"a": 1,}',
    "not UTF-8": b'{"stream": "\xff\xfe"}',
    "UTF-16": '{"stream": "payments"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"stream": "payments"}',
    "NaN": b'{"at": NaN}',
    "Infinity": b'{"at": -Infinity}',
    "a lone surrogate": b'{"stream": "\\ud800"}',
    "deep lists": b'{"events": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep objects": b'{"a":' * (DEEP // 5) + b"1" + b"}" * (DEEP // 5),
    "deep and cut": b"[" * DEEP,
    "a key twice": b'{"stream": "payments", "stream": "profiles"}',
    "a key twice inside": b'{"stream": "payments", "events": [{"id": 1, "who": 1, "id": 2}]}',
    "a key twice, once escaped": b'{"stream": "payments", "str\\u0065am": "profiles"}',
    "a number without end": b'{"a": ' + b"9" * 5_000 + b"}",
    "a control character": b'{"stream": "pay\x00ments"}',
    "many keys": json.dumps({f"key {i}": 1 for i in range(9_000)}).encode(),
    "a list": b"[]",
    "a text": b'"payments"',
    "null": b"null",
    "other fields": b'{"colour": "red"}',
    "too large": b" " * (MOST + 1),
}


@pytest.mark.parametrize("name", BODIES)
def test_json_that_is_none(house: House, name: str) -> None:
    routes = taking_json()
    assert ("POST", "/v1/events") in routes
    assert len(routes) >= 5
    for method, path in routes:
        address = path.format(**PLACES)
        answer = house.http.request(
            method, address, content=BODIES[name], headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == (413 if name == "too large" else answer.status_code)
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert told["code"] in ("malformed", "data", "too-large"), (path, told)
        assert told["problems"][0]["do"]
        assert len(answer.content) < 20_000  # what came is not sent back at length


def test_a_number_that_rounds_to_infinity_is_refused_by_itself(house: House) -> None:
    body = json.dumps({"stream": "payments", "events": [pay(1)]}).replace("10.0", "1e400")
    answer = house.http.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["results"][0]["reason"] == "not-finite"


# --- How a body is framed -----------------------------------------------------------------------------------


def raw(house: House, request: bytes, *, more: bytes = b"") -> tuple[int, dict[str, str], Any]:
    """A request as bytes: status, headers and document of the one answer, after which nothing comes."""
    address = urlsplit(house.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(request + more)
        came = b""
        while part := connection.recv(65_536):
            came += part
    return parsed(came)


def parsed(came: bytes) -> tuple[int, dict[str, str], Any]:
    head, _, body = came.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert len(body) == int(headers["content-length"]), "one answer, whole"
    return int(first.split()[1]), headers, json.loads(body)


HEAD = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
BODY = json.dumps({"stream": "payments", "events": [pay(77_777)]}).encode()
FRAMES: dict[str, bytes] = {
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + BODY,
    "a length below nothing": HEAD + b"Content-Length: -5\r\n\r\n" + BODY,
    "a length in words": HEAD + b"Content-Length: five\r\n\r\n" + BODY,
    "a length without end": HEAD + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + BODY,
    "length and chunks": HEAD
    + f"Content-Length: {len(BODY)}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    + BODY,
    "chunks that are none": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY,
    "a header without a name": HEAD + b": x\r\n\r\n",
    "a header with a zero byte": HEAD + b"X-Request-Id: a\0b\r\n\r\n",
    "a folded header": HEAD + b"X-Request-Id: a\r\n b\r\n\r\n",
    "no method": b"/v1/events HTTP/1.1\r\n\r\n",
    "a method of no kind": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", FRAMES)
def test_what_is_no_http_is_told_as_a_problem(house: House, name: str) -> None:
    status, headers, told = raw(house, FRAMES[name])
    assert (status, headers["content-type"], told["code"]) == (400, "application/problem+json", "malformed")
    assert headers["connection"] == "close"
    assert told["request_id"] == headers["x-request-id"]


def test_a_head_that_does_not_end(house: House) -> None:
    status, headers, told = raw(
        house, HEAD, more=b"".join(b"X-%d: %s\r\n" % (i, b"x" * 100) for i in range(3_000))
    )
    assert (status, headers["content-type"], told["code"]) == (
        431,
        "application/problem+json",
        "head-too-large",
    )


def test_an_address_that_does_not_end(house: House) -> None:
    status, _, told = raw(house, b"GET /v1/" + b"a" * 400_000)
    assert (status, told["code"]) == (431, "head-too-large")


def test_more_is_announced_than_is_taken(house: House) -> None:
    """Answered before a byte of it is read."""
    status, _, told = raw(house, HEAD + f"Content-Length: {2**60}\r\n\r\n".encode())
    assert (status, told["code"]) == (413, "too-large")


def test_chunks_beyond_the_bound(house: House) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 10_000

    answer = house.http.post("/v1/events", content=chunks())
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "gzip, gzip", "x"])
def test_a_packed_body_is_not_unpacked(house: House, coding: str) -> None:
    answer = house.http.post("/v1/events", content=b"\x1f\x8b", headers={"Content-Encoding": coding})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")


def test_a_body_that_breaks_off(house: House) -> None:
    """The client goes away in the middle; others are answered."""
    address = urlsplit(house.url)
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(HEAD + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY[:-5])
    assert house.http.get("/healthz").status_code == 200


# --- NDJSON -------------------------------------------------------------------------------------------


def send(house: House, content: bytes, kind: str, stream: str = "payments") -> httpx.Response:
    return house.http.post(
        "/v1/events", params={"stream": stream}, content=content, headers={"Content-Type": kind}
    )


LINE = json.dumps(pay(88_001)).encode()
LINES: dict[str, bytes] = {
    "a line that is cut": LINE + b"\n" + LINE[:-5],
    "a line of no kind": LINE + b"\nwhat?\n",
    "a key twice": LINE + b'\n{"id": 1, "id": 2}\n',
    "deep": LINE + b"\n" + b"[" * DEEP,
    "not UTF-8": LINE + b"\n\xff\n",
    "zero bytes": LINE + b"\n\x00\x00\n",
    "NaN": LINE + b'\n{"amount": NaN}\n',
    "a list of lines": b"[" + LINE + b",\n" + LINE + b"]",
}


@pytest.mark.parametrize("name", LINES)
def test_ndjson_that_is_none_is_refused_whole(house: House, name: str) -> None:
    answer = send(house, LINES[name], NDJSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert "line" in answer.json()["problems"][0]["where"]


def test_too_many_lines(house: House) -> None:
    answer = send(house, b"{}\n" * (ROWS + 1), NDJSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


# --- Arrow --------------------------------------------------------------------------------------------


def stream_of(frame: pl.DataFrame) -> bytes:
    written = io.BytesIO()
    frame.write_ipc_stream(written)
    return written.getvalue()


def by_pyarrow(table: pa.Table, compression: str | None = None) -> bytes:
    written = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(written, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=100)
    return written.getvalue()


GOOD = stream_of(pl.concat([payment(i, 1, 99.0) for i in range(50)]))
ROWS_OF_NOBODY = pl.concat([payment(i, 1, 99.0, 5.0, ["card", None][i % 2]) for i in range(50)]).with_columns(
    who=pl.lit(None, pl.Int64), id=pl.lit(None, pl.Int64)
)
OF_NOBODY = stream_of(ROWS_OF_NOBODY)  # without keys: nothing of it is ever taken, whatever comes through


def test_arrow_that_is_cut_anywhere(house: House) -> None:
    """Up to the last byte of the last batch; what says the end of the stream aloud may be missing."""
    for length in [*range(0, 64, 3), *range(64, len(GOOD) - 100, 97)]:
        answer = send(house, GOOD[:length], ARROW)
        assert answer.status_code in (400, 422), (length, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


def test_arrow_with_another_schema(house: House) -> None:
    frame = payment(1, 1, 99.0)
    for other in (
        frame.drop("amount"),
        frame.with_columns(more=pl.lit(1)),
        frame.with_columns(pl.col("amount").cast(pl.String)),
        frame.with_columns(pl.struct("id").alias("amount")),
        frame.with_columns(pl.col("time").dt.replace_time_zone(None)),
        pl.DataFrame(),
    ):
        answer = send(house, stream_of(other), ARROW)
        assert answer.status_code in (400, 422), (other.schema, answer.text)
        assert answer.json()["code"] in ("data", "malformed")


def test_compressed_buffers_are_not_unpacked(house: House) -> None:
    """17 kB would be 80 MB."""
    bomb = by_pyarrow(pa.table({"id": pa.array([0] * 10_000_000)}), "zstd")
    answer = send(house, bomb[:MOST], ARROW)
    assert answer.status_code in (400, 415)
    small = by_pyarrow(pa.table({"id": pa.array([0] * 200)}), "lz4")
    answer = send(house, small, ARROW)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")


LONG = "x" * 100_000


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical])
def test_one_long_text_in_every_row(house: House, kind: pl.DataType) -> None:
    """100 kB that would be 100 MB once each row has its own."""
    one = pl.DataFrame({"who": [1], "income": [1.0], "job": pl.Series([LONG], dtype=kind)})
    frame = one[[0] * ROWS]
    body = stream_of(frame)
    if kind == pl.Categorical:
        table = pa.table({"job": pa.DictionaryArray.from_arrays(pa.array([0] * 100), pa.array([LONG]))})
        body = by_pyarrow(table)
    if len(body) > MOST:
        pytest.skip("Polars wrote the text for each row")
    answer = send(house, body, ARROW, "profiles")
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


def patched(body: bytes, old: bytes, new: bytes) -> bytes:
    assert old in body
    return body.replace(old, new)


ENORMOUS = [2**31 - 1, 2**40, 2**62, 2**63 - 1, -1]


@pytest.mark.parametrize("number", ENORMOUS)
def test_numbers_that_are_declared_and_not_there(house: House, number: int) -> None:
    """Rows of the batch, bytes of the body, bytes of the metadata: whatever says how much there is."""
    rows = struct.pack("<q", 50)
    sized = [patched(OF_NOBODY, rows, struct.pack("<q", number))]
    word = struct.pack("<I", number & 0xFFFFFFFF)
    sized += [OF_NOBODY[:4] + word + OF_NOBODY[8:], word + OF_NOBODY[4:]]
    eight = struct.pack("<q", number)
    places = range(0, 1_600, 8)  # any eight bytes of schema and batch metadata
    sized += [OF_NOBODY[:place] + eight + OF_NOBODY[place + 8 :] for place in places]
    statuses = {refused(send(house, body, ARROW)) for body in sized}
    assert statuses <= {200, 400, 413, 415, 422}
    assert 400 in statuses


def refused(answer: httpx.Response) -> int:
    """The status; what came through was refused event by event, or is no event of the stream."""
    told = answer.json()
    if answer.status_code == 200:
        assert told["accepted"] == 0, told
    else:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code


def test_arrow_that_lightning_struck(house: House) -> None:
    """Bytes changed at random, a few at a time."""
    draw = random.Random(20)
    statuses = []
    for _ in range(400):
        body = bytearray(OF_NOBODY)
        for _ in range(draw.randint(1, 4)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        answer = send(house, bytes(body), ARROW)
        assert answer.status_code < 500, answer.text
        statuses.append(answer.status_code)
    assert set(statuses) <= {200, 400, 413, 415, 422}
    assert statuses.count(400) > 50


def test_too_many_rows(house: House) -> None:
    frame = pl.DataFrame({name: [None] * (ROWS + 1) for name in PAYMENTS.schema}, dict(PAYMENTS.schema))
    answer = send(house, stream_of(frame), ARROW)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
