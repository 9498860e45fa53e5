"""Token buckets, drawn in tenths of a second."""

from __future__ import annotations

import threading

import pytest

from headwater.apps.access.rate import RateLimiter
from headwater.core.errors import RateError
from headwater.testing import ManualClock
from tests.letters import says


def limited(limiter: RateLimiter, who: str = "ada", cost: int = 1) -> float | None:
    """The seconds that the caller is told to wait, or None where it is let in."""
    try:
        limiter.take(who, cost)
    except RateError as error:
        return error.retry_after
    return None


def test_a_burst_then_the_rate() -> None:
    # tokens   3 2 1 0          1 0         ... 3 at most
    # asked    x x x refused    x refused
    # time     0                500 ms      10 s
    clock = ManualClock()
    limiter = RateLimiter(2, 3, clock.now)
    assert [limited(limiter) for _ in range(4)] == [None, None, None, 0.5]
    clock.advance("500ms")
    assert [limited(limiter), limited(limiter)] == [None, 0.5]
    clock.advance("10s")
    assert [limited(limiter) for _ in range(4)] == [None, None, None, 0.5]


def test_whoever_is_refused_does_not_pay() -> None:
    clock = ManualClock()
    limiter = RateLimiter(1, 1, clock.now)
    limiter.take("ada")
    for _ in range(100):
        assert limited(limiter) == 1.0
    clock.advance("1s")
    assert limited(limiter) is None


def test_callers_do_not_take_from_each_other() -> None:
    limiter = RateLimiter(1, 1, ManualClock().now)
    assert [limited(limiter, who) for who in ("ada", "bob", "ada")] == [None, None, 1.0]


def test_a_cost_above_the_burst_waits_for_a_full_bucket() -> None:
    clock = ManualClock()
    limiter = RateLimiter(10, 10, clock.now)
    assert limited(limiter, cost=1_000) is None
    assert limited(limiter, cost=1_000) == 1.0
    clock.advance("1s")
    assert limited(limiter, cost=1_000) is None


def test_a_stopwatch_that_goes_back_gives_nothing() -> None:
    times = iter([10_000_000, 0, 0])
    limiter = RateLimiter(1, 1, lambda: next(times))
    assert [limited(limiter), limited(limiter), limited(limiter)] == [None, 1.0, 1.0]


def test_no_limit() -> None:
    limiter = RateLimiter(0, 1, ManualClock().now)
    assert {limited(limiter) for _ in range(100)} == {None}


def test_what_is_remembered_is_bounded() -> None:
    limiter = RateLimiter(1, 5, ManualClock().now)
    for i in range(30_000):
        limiter.take(f"caller {i}")
    assert len(limiter._buckets) == 10_000


def test_threads_share_the_tokens_exactly() -> None:
    limiter = RateLimiter(1, 200, ManualClock().now)
    granted: list[bool] = []

    def ask() -> None:
        granted.extend(limited(limiter) is None for _ in range(100))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(granted), sum(granted)) == (400, 200)


def test_the_letter() -> None:
    limiter = RateLimiter(0.1, 1, ManualClock().now)
    limiter.take("ada")
    with says(
        RateError,
        """
        too many requests
          expected: at most 0.1 a second, and 1 at once
          do:       come again in 10 s
        """,
    ):
        limiter.take("ada")
    with pytest.raises(RateError) as refused:
        limiter.take("ada")
    assert refused.value.retry_after == 10.0


def test_a_caller_with_a_rate_of_its_own() -> None:
    limiter = RateLimiter(1, 1, ManualClock().now)
    for _ in range(6):
        limiter.take("fast", rate=3)
    with says(
        RateError,
        """
        too many requests
          expected: at most 3 a second, and 6 at once
          do:       come again in 1 s
        """,
    ):
        limiter.take("fast", rate=3)
    for _ in range(100):
        limiter.take("free", rate=0)
    unlimited = RateLimiter(0, 1, ManualClock().now)
    unlimited.take("slow", rate=0.1)
    with pytest.raises(RateError):
        unlimited.take("slow", rate=0.1)
