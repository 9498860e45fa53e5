"""The loop is open: a stall is in the latencies, with all the requests that it kept waiting."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from headwater.apps.load.connection import Address
from headwater.apps.load.loop import Pace, Request, load
from headwater.apps.load.report import document
from headwater.apps.load.tally import Ended, Tally
from headwater.core.errors import DataError
from tests.apps.load.server import OK, Small, answer, small


@dataclass
class Posts:
    """So many requests with a number each."""

    address: Address
    most: int = 1_000_000
    sent: int = field(default=0)

    def next(self) -> Request | None:
        if self.sent == self.most:
            return None
        self.sent += 1
        return Request("posts", self.address.request("POST", "/", {}, b"%d" % self.sent))


def aim(server: Small, pace: Pace, most: int = 1_000_000) -> Tally:
    address = Address.of(f"http://127.0.0.1:{server.port}")
    return load(address, Posts(address, most), pace)


def ms(tally: Tally, percent: float) -> float:
    return tally.latency.percentile(percent) / 1e6


@pytest.mark.alone
def test_requests_come_when_they_are_due() -> None:
    with small() as server:
        tally = aim(server, Pace(rate=200, seconds=1, connections=4))
    assert (tally.good, tally.errors, tally.ended) == (200, 0, Ended.DONE)
    late = np.array(server.came) - np.arange(200) / 200
    assert np.median(np.abs(late - np.median(late))) < 0.01  # the first may be the late one
    assert tally.seconds == pytest.approx(1.0)


def test_a_stall_is_in_the_latencies() -> None:
    """200 requests/s for a second, and no answer for its middle 400 ms.

    ::

        due     0 ......... 300 ======== 700 ......... 1,000 ms
        waits                 400 ... 0                          80 requests, 40 % of all, 200 ms on average

    With four connections only four requests are under way in the stall. A closed loop would show four
    latencies of 400 ms among 120 short ones, and hide the other 76.
    """
    with small(stall=(0.3, 0.7)) as server:
        tally = aim(server, Pace(rate=200, seconds=1, connections=4))
    assert tally.good == 200
    assert ms(tally, 50) < 100
    assert 150 < ms(tally, 80) < 320  # half of those that waited have waited for less than 200 ms
    assert 370 < ms(tally, 99) < 500
    service = tally.kinds["posts"].service
    assert service.percentile(90) / 1e6 < 100  # from their sending, only four were slow
    assert service.percentile(99.5) / 1e6 > 300


def test_a_server_that_is_too_slow_is_not_made_to_look_quick() -> None:
    """One connection and 20 ms an answer: 50 a second, of 200 that are asked for."""

    def slow(_: int) -> bytes:
        time.sleep(0.02)
        return OK

    with small(slow) as server:
        tally = aim(server, Pace(rate=200, seconds=0.5, connections=1))
    assert tally.good == 100
    assert 30 < document(tally, Pace(rate=200, seconds=0.5))["per_second"] <= 51
    assert ms(tally, 99) > 1_000


def test_errors_are_counted_by_their_kind_and_are_no_latencies() -> None:
    problem = b'{"code": "overloaded", "problems": [{"what": "too much waits"}]}'

    def reply(number: int) -> bytes | None:
        if number % 10 == 3:
            return answer("429 Too Many", problem, "Retry-After: 1")
        if number % 10 == 7:
            return None  # the connection breaks
        return OK

    with small(reply) as server:
        tally = aim(server, Pace(rate=100, seconds=1, connections=4))
    assert tally.good == 80
    told = {name: (one.count, one.sample) for name, one in tally.faults.items()}
    assert told == {"429 overloaded": (10, "too much waits"), "connection lost": (10, "connection lost")}
    assert tally.latency.count == 90  # without an answer, one counts as long as it was waited for


def test_too_many_errors_end_it() -> None:
    with small(lambda n: OK if n < 30 else answer("500 No", b"oh")) as server:
        tally = aim(server, Pace(rate=100, seconds=30, max_errors=0.1))
    assert tally.ended is Ended.ERRORS
    assert tally.faults["500"].sample == "oh"
    assert 0.1 < tally.errors / (tally.errors + tally.good) < 0.6
    assert tally.seconds < 3


def test_no_answer_in_time_is_an_error_that_took_that_long() -> None:
    with small(stall=(0.0, 60.0)) as server:
        tally = aim(server, Pace(rate=10, seconds=0.4, connections=2, timeout=0.5))
    assert tally.good == 0
    assert tally.errors == 4
    assert set(tally.faults) <= {"timeout", "unanswered", "never sent"}
    assert ms(tally, 100) >= 490


def test_a_server_that_goes_away_shows() -> None:
    """It closes every connection after one answer, and says so: another takes its place."""
    with small(lambda _: answer("200 OK", b"{}", "Connection: close")) as server:
        tally = aim(server, Pace(rate=50, seconds=0.5, connections=2))
    assert (tally.good, tally.errors) == (25, 0)


def test_a_closed_loop_sends_when_it_is_answered() -> None:
    with small() as server:
        tally = aim(server, Pace(rate=None, seconds=0.5, connections=3))
    assert tally.good > 100
    assert len(server.came) - tally.good < 30  # what was under way at the end
    assert tally.seconds == 0.5
    assert tally.ended is Ended.DONE


def test_the_warm_up_is_not_measured() -> None:
    with small() as server:
        tally = aim(server, Pace(rate=100, seconds=0.3, warmup=0.3))
    assert len(server.came) == 60
    assert (tally.good, tally.latency.count) == (30, 30)


def test_it_ends_when_the_source_does() -> None:
    with small() as server:
        tally = aim(server, Pace(rate=1_000, seconds=30), most=20)
    assert (tally.good, tally.ended) == (20, Ended.USED_UP)
    assert server.bodies == [b"%d" % (n + 1) for n in range(20)]


def test_ctrl_c_keeps_the_figures() -> None:
    with small() as server:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        tally = aim(server, Pace(rate=100, seconds=30))
    assert tally.ended is Ended.INTERRUPTED
    assert 30 < tally.good < 120
    assert tally.errors == 0
    assert tally.good / tally.seconds == pytest.approx(100, rel=0.2)


def test_random_arrivals_have_the_rate_and_no_rhythm() -> None:
    due = Pace(rate=100, seconds=1, even=False).due()
    moments = np.array([next(due) for _ in range(5_000)]) / 1e9
    gaps = np.diff(moments)
    assert moments[-1] == pytest.approx(50, rel=0.05)
    assert gaps.std() == pytest.approx(0.01, rel=0.1)


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    with small() as server:
        port = server.port
    address = Address.of(f"http://127.0.0.1:{port}")
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        load(address, Posts(address), Pace(rate=10, seconds=5))


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://x", "http://", "http://a:b", "http://u:p@x/"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(DataError) as caught:
        Address.of(url)
    assert str(caught.value) == (
        "the address cannot be used\n"
        "  expected: http://host:port or https://host:port\n"
        f"  got:      {url!r}\n"
        "  do:       give the address that `headwater serve` says"
    )
