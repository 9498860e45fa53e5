"""The board of a stream host: probes for anybody, metrics for whoever may read them, letters for the rest."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from http.client import HTTPConnection
from textwrap import dedent
from typing import Any

import pytest

from headwater.apps.access.bind import Bind
from headwater.apps.cli.metering import TOKEN, metering
from headwater.apps.cli.screen import Screen
from headwater.apps.http import board as boards
from headwater.apps.http.board import Board
from headwater.apps.http.pulse import LIVE, READY, Pulse
from headwater.core.clock import SystemClock
from headwater.core.errors import DataError, HeadwaterError
from headwater.core.secret import Secret
from tests.letters import says

NOBODY: Mapping[str, str] = {}


class Watch:
    """A stopwatch that is set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> int:
        return int(self.seconds * 1e9)


def board(host: str = "127.0.0.1", token: str | None = None, **more: Any) -> Board:
    pulse = Pulse(Watch())
    probes = {"/readyz": pulse.ready, "/livez": pulse.alive}
    return Board(
        Bind(host, 0),
        more.pop("page", lambda: b"x 1\n"),
        probes,
        None if token is None else Secret(token),
        **more,
    )


def ask(
    made: Board, path: str, headers: Mapping[str, str] = NOBODY, method: str = "GET"
) -> tuple[int, str, bytes]:
    port = int(made.url.rpartition(":")[2])
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path, headers=dict(headers))
        answer = connection.getresponse()
        assert answer.headers["Server"] == "headwater"
        return answer.status, answer.headers["Content-Type"], answer.read()


def letter(made: Board, path: str, headers: Mapping[str, str] = NOBODY) -> tuple[int, str]:
    status, kind, body = ask(made, path, headers)
    assert kind == "application/problem+json"
    return status, json.loads(body)["detail"]


def test_whoever_is_here_reads_and_nobody_else_finds_a_page() -> None:
    with board() as made:
        assert ask(made, "/metrics?x=1") == (200, "text/plain; version=0.0.4; charset=utf-8", b"x 1\n")
        assert ask(made, "/metrics", method="HEAD")[2] == b""
        assert ask(made, "/metrics", method="POST")[0] == 501
        assert ask(made, "/livez")[::2] == (200, b'{"status":"ok"}')
        assert letter(made, "/") == (
            404,
            "nothing is there\n  expected: /metrics, /readyz, /livez\n  do:       ask for one of these",
        )
        assert letter(made, "/metrics", {"Host": "evil.example:9108"}) == (
            421,
            (
                "the request names another host\n"
                "  expected: localhost, or 127.0.0.1\n"
                "  do:       ask by that name"
            ),
        )
        assert ask(made, "/metrics", {"Host": "localhost:9108"})[0] == 200


def test_on_another_address_metrics_are_closed_until_there_is_a_token() -> None:
    with board("0.0.0.0") as made:  # noqa: S104 - that is what is tested
        assert not made.shows_metrics
        assert ask(made, "/livez")[0] == 200
        assert letter(made, "/metrics") == (
            403,
            (
                "the metrics are shown to nobody on this address\n"
                "  expected: a token, or an address of this machine alone\n"
                "  got:      the address 0.0.0.0, and no token\n"
                "  do:       set HEADWATER_METRICS_TOKEN_FILE, or listen on 127.0.0.1; probes are answered"
            ),
        )
    with board("0.0.0.0", "s3cret") as made:  # noqa: S104
        assert made.shows_metrics
        assert ask(made, "/metrics", {"Authorization": "Bearer s3cret"})[0] == 200
        assert ask(made, "/readyz")[0] == 503
        assert letter(made, "/metrics") == (
            401,
            (
                "a credential is needed\n"
                "  expected: the header `Authorization: Bearer <token>`\n"
                "  do:       send what HEADWATER_METRICS_TOKEN holds"
            ),
        )
        assert letter(made, "/metrics", {"Authorization": "Bearer s3cret1"}) == (
            401,
            (
                "the token is not the one that is set\n"
                "  expected: what HEADWATER_METRICS_TOKEN holds\n"
                "  do:       send that"
            ),
        )


def test_a_page_that_fails_is_told_by_its_type() -> None:
    def fails() -> bytes:
        raise RuntimeError("of Ada")

    heard: list[str] = []
    with board(page=fails, on_fault=lambda where, error: heard.append(f"{where} {error}")) as made:
        status, text = letter(made, "/metrics")
    assert status == 500
    assert text.startswith(
        "Headwater failed in a way that nobody foresaw; this is a bug\n  got:      RuntimeError"
    )
    assert "Ada" not in text
    assert heard == ["metrics of Ada"]


def test_slow_readers_hold_up_nobody_and_many_get_no_room() -> None:
    with board() as made:
        port = int(made.url.rpartition(":")[2])
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(7)]
        assert ask(made, "/livez")[0] == 200
        slow.append(socket.create_connection(("127.0.0.1", port)))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as refused:
            assert refused.recv(1) == b""
        for one in slow:
            one.close()


def test_a_byte_now_and_then_keeps_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes well within the time for one; all of them together do not."""
    monkeypatch.setattr(boards, "_SECONDS", 1.0)
    with board() as made:
        port = int(made.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=0.1) as slow:
            start, answer = time.monotonic(), b"?"
            while answer:
                assert time.monotonic() - start < 10
                with suppress(TimeoutError, ConnectionError):
                    slow.sendall(b"G")
                    answer = slow.recv(1)
            assert time.monotonic() - start > 0.9
        assert ask(made, "/livez")[0] == 200


def test_a_host_that_does_not_turn_is_not_ready_and_then_does_not_live() -> None:
    watch = Watch()
    pulse = Pulse(watch)

    def said(probe: Any) -> str:
        with pytest.raises(HeadwaterError) as caught:
            probe()
        return str(caught.value)

    assert said(pulse.ready) == dedent(
        """\
        the host is not ready
          expected: its partitions, read up to their ends as they were when they came
          got:      nothing was taken over yet
          do:       wait; the log of the command says if something is in the way"""
    )
    pulse.missing, pulse.told = None, {"partitions": 2}
    assert pulse.ready() == {"status": "ready", "partitions": 2}
    watch.seconds = READY + 1
    assert not pulse.is_ready()
    assert said(pulse.ready) == dedent(
        """\
        the host's loop does not turn
          expected: a turn at least every 30 s
          got:      none for 31 s
          do:       see that the brokers answer; end the host if they do, and start it again"""
    )
    assert pulse.alive() == {"status": "ok"}
    watch.seconds = LIVE + 1
    assert "every 300 s" in said(pulse.alive)
    pulse.beat()
    assert pulse.alive() == {"status": "ok"}
    assert pulse.is_ready()


@pytest.mark.parametrize("text", ["9108x", "host:", ":9108", "[]:9108", "host:70000", "::1:9108", ""])
def test_an_address_that_is_none_is_told(text: str) -> None:
    with says(
        DataError,
        f"""
        the address to listen on cannot be read
          expected: HOST:PORT, such as 127.0.0.1:9108, or a port of this machine alone
          got:      {text!r}
          where:    --metrics
          do:       name a port from 1 to 65535, or 0 for a free one
        """,
    ):
        Bind.of(text, "--metrics")


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            says(
                DataError,
                f"""
                the metrics cannot be shown at 127.0.0.1:{port}
                  expected: an address of this machine, and a port that is free
                  got:      Address already in use
                  where:    --metrics
                  do:       end who listens there, or name another port; 0 takes a free one
                """,
            ),
            metering(str(port), SystemClock(), Screen(as_json=True)),
        ):
            pytest.fail("it listens where another does")


def test_off_by_default_and_told_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HEADWATER_METRICS", TOKEN, f"{TOKEN}_FILE"):
        monkeypatch.delenv(name, raising=False)
    screen = Screen(as_json=False)
    with metering(None, SystemClock(), screen) as meter:
        assert meter is None
    monkeypatch.setenv("HEADWATER_METRICS", "0.0.0.0:0")
    with metering(None, SystemClock(), screen) as meter:
        assert meter is not None
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"metrics: http://0\.0\.0\.0:\d+/metrics, beside /readyz and /livez", first)
    assert second == "/metrics is closed on 0.0.0.0: set HEADWATER_METRICS_TOKEN_FILE; probes are answered"
