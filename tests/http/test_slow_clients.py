"""Clients that send a byte now and then and never end: let go in time, while everybody else is answered.

::

    10,000 slow ones   ──c·····b·····b·····b──► 408, and the connection is closed
    the others         ──r─a──r─a──r─a──r─a──►  each answered within a second, all the time
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from headwater.apps.http import patience
from headwater.apps.http import server as server_module
from tests.http.house import House, serving

SLOW = 10_000
PACE = 50  # slow clients that do something at once
LONGEST = 5.0  # seconds that others may wait on a busy machine; it is about half a second on an idle one
SPARE = 500  # files that the test itself needs
HEAD = b"POST /v1/decisions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
OPENINGS = (
    b"",  # a connection and nothing else
    b"GET /",
    HEAD,  # a head that does not end
    HEAD + b"Content-Length: 100\r\n\r\n{",  # a body that does not
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
)
MORE = (b"", b"a", b"X-A: b\r\n", b" ", b"1\r\n \r\n")


def place(url: str) -> tuple[str, int]:
    address = urlsplit(url)
    return str(address.hostname), int(address.port or 0)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with serving(tmp_path_factory.mktemp("bank")) as made:
        yield made


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server in this process has less patience."""
    monkeypatch.setattr(patience, "HEAD", 0.3)
    monkeypatch.setattr(patience, "BODY", 0.3)


def rest(connection: socket.socket) -> bytes:
    """Whatever comes until the other side closes."""
    came = b""
    while part := connection.recv(65_536):
        came += part
    return came


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.usefixtures("soon")
def test_a_slow_client_is_told_and_let_go(house: House, opening: bytes) -> None:
    with socket.create_connection(place(house.url), timeout=10) as connection:
        connection.sendall(opening)
        head, _, body = rest(connection).partition(b"\r\n\r\n")
        told = json.loads(body)
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"content-type: application/problem+json" in head
    assert (told["status"], told["code"]) == (408, "too-slow")
    assert told["problems"] == [
        {
            "what": "the request did not come in time",
            "expected": "its head within 0 seconds, its body within 0 and one more for each 16,384 bytes",
            "do": "send it at once; a connection may be kept, but a request is not begun early",
        }
    ]


@pytest.mark.usefixtures("soon")
def test_a_large_body_gets_the_time_that_it_needs(house: House) -> None:
    """Slower than the patience alone, but not slower than it may be."""

    def parts() -> Iterator[bytes]:
        for _ in range(8):
            yield b" " * 16_384
            time.sleep(0.25)  # what a slow line does
        yield b'{"keys": {"who": 1}}'

    answer = house.http.post("/v1/decisions", content=parts(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200


@pytest.mark.usefixtures("soon")
def test_who_waits_for_us_is_not_slow(house: House) -> None:
    """A stream of scores stays open, and so does whoever asked for it."""
    with house.http.stream("GET", "/v1/scores/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": listening"
        time.sleep(1.8)  # longer than any patience of this test
        house.http.post(
            "/v1/events", json={"stream": "payments", "events": [_pay()]}, params={"refresh": True}
        )
        assert any(line.startswith("data:") for line in lines)


def _pay() -> dict[str, Any]:
    return {"id": 70_001, "who": 1, "time": "2026-04-11T00:00:00Z", "amount": 1.0, "way": "card"}


@pytest.mark.usefixtures("soon")
def test_after_an_answer_the_patience_begins_anew(house: House) -> None:
    with socket.create_connection(place(house.url), timeout=10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200 OK" in connection.recv(65_536)
        connection.sendall(b"GET /healthz HT")
        assert b"408" in rest(connection).partition(b"\r\n")[0]


def test_who_waits_longest_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More connections than there is room for: those that came first and said nothing go, the others stay."""
    monkeypatch.setattr(server_module, "rooms", lambda: (40, 100))
    with serving(tmp_path) as house, many(place(house.url), 60) as slow:
        assert httpx.get(f"{house.url}/healthz").status_code == 200
        first, last = rest(slow[0]), slow[-1]
        assert first.startswith(b"HTTP/1.1 503 ")
        assert json.loads(first.partition(b"\r\n\r\n")[2])["code"] == "overloaded"
        assert b"retry-after: 1" in first
        last.setblocking(False)
        with pytest.raises(BlockingIOError):
            last.recv(1)


@contextmanager
def many(address: tuple[str, int], count: int) -> Iterator[list[socket.socket]]:
    """So many connections that have sent the beginning of a request."""
    made: list[socket.socket] = []
    try:
        for number in range(count):
            connection = socket.create_connection(address, timeout=30)
            made.append(connection)
            connection.sendall(OPENINGS[number % len(OPENINGS)])
        yield made
    finally:
        for connection in made:
            connection.close()


# --- Ten thousand -----------------------------------------------------------------------------------------


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, int]]:
    """A server of its own: its address and process id."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.http.slow_server", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process.pid
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@contextmanager
def files(count: int) -> Iterator[int]:
    """As many open files as the system allows, at most so many; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    try:
        yield allowed
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Patron(Thread):
    """Somebody else: asks for a decision, and on a connection of its own for the health, again and again."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.took: list[float] = []
        self.codes: Counter[int] = Counter()
        self.ended = Event()

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=20) as http:
            while not self.ended.is_set():
                started = time.perf_counter()
                answer = http.post("/v1/decisions", json={"keys": {"who": len(self.took) % 20}})
                self.took.append(time.perf_counter() - started)
                self.codes[answer.status_code] += 1
                started = time.perf_counter()
                fresh = httpx.get(f"{self.url}/healthz", timeout=20)  # by a connection of its own
                self.took.append(time.perf_counter() - started)
                self.codes[fresh.status_code] += 1
                self.ended.wait(0.02)


class Crowd:
    """Slow clients: each opens a request and then sends a byte now and then."""

    def __init__(self, url: str, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._kind: dict[socket.socket, int] = {}
        self.answers: Counter[str] = Counter()
        self.lived: list[float] = []
        address = place(url)
        for number in range(count):
            connection = socket.create_connection(address, timeout=30)
            connection.setblocking(False)
            kind = number % len(OPENINGS)
            connection.send(OPENINGS[kind])
            self._kind[connection] = kind
            self._selector.register(connection, selectors.EVENT_READ, time.perf_counter())
            if number % PACE == 0:  # a queue that the kernel keeps would be another test
                time.sleep(0.01)

    def __len__(self) -> int:
        return len(self._kind)

    def turn(self) -> None:
        """A byte more from each, and a look at what came."""
        until = time.perf_counter() + 1.0
        for number, (connection, kind) in enumerate(list(self._kind.items())):
            with suppress(OSError):  # it was let go; the answer is read below
                connection.send(MORE[kind])
            if number % PACE == 0:
                time.sleep(0.001)
        while (left := until - time.perf_counter()) > 0:
            for key, _ in self._selector.select(left):
                self._read(key)

    def _read(self, key: selectors.SelectorKey) -> None:
        connection: Any = key.fileobj
        try:
            came = connection.recv(65_536)
        except BlockingIOError:
            return
        except ConnectionResetError:  # a byte crossed the server's goodbye
            came = b""
        if came:
            self.answers[came.partition(b"\r\n")[0].decode()] += 1
            return
        self.lived.append(time.perf_counter() - key.data)
        self._selector.unregister(connection)
        del self._kind[connection]
        connection.close()

    def close(self) -> None:
        for connection in self._kind:
            connection.close()
        self._selector.close()


def memory(pid: int) -> int:
    """Bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.alone
@pytest.mark.slow
def test_ten_thousand_slow_clients_at_once(tmp_path: Path, record_property: Any) -> None:
    with files(SLOW + SPARE) as allowed, server(tmp_path) as (url, pid):
        count = allowed - SPARE
        if count < SLOW:
            print(f"only {count:,} slow clients: the system allows no more open files")  # noqa: T201 - the test says so
        before = memory(pid)
        patron = Patron(url)
        patron.start()
        try:
            with closing(Crowd(url, count)) as crowd:
                record_property("at_once", len(crowd))
                most = memory(pid)
                for _ in range(int(patience.HEAD + patience.BODY) + 10):
                    if not crowd:
                        break
                    crowd.turn()
                assert len(crowd) == 0, f"{len(crowd):,} are still there"
        finally:
            patron.ended.set()
            patron.join(30)
        told = sum(crowd.answers.values())
        assert set(crowd.answers) == {"HTTP/1.1 408 Request Timeout"}
        assert told == count
        assert min(crowd.lived) > patience.HEAD - 1
        assert set(patron.codes) == {200}
        assert len(patron.took) > 100
        worst = max(patron.took)
        print(  # noqa: T201 - what was measured
            f"{count:,} slow clients: others waited {worst * 1000:.0f} ms at most, "
            f"{sorted(patron.took)[len(patron.took) // 2] * 1000:.1f} ms in the middle;"
            f" gone after {max(crowd.lived):.0f} s; {(most - before) / count / 1000:.1f} kB each"
        )
        assert worst < LONGEST
        records = httpx.get(f"{url}/v1/decisions", params={"limit": 1, "newest": True}).json()["decisions"]
        assert int(records[0]["decision_id"][1:]) == patron.codes[200] // 2
