"""The bounded queue: a group may wait a moment for more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from headwater.serving.waiting import Waiting

LONG = 1.0  # seconds, in which a thread surely has its turn


def test_a_group_gathers_those_who_come_a_moment_later() -> None:
    waiting: Waiting[str] = Waiting("events", most=10, most_bytes=100, group=10)
    waiting.put("a", 1, 1)
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(waiting.take, LONG)
        waiting.put("b", 2, 1)
        assert taken.result(20) == ["a", "b"]
    assert (waiting.taken, waiting.count) == (3, 0)


def test_a_closed_queue_lets_nobody_wait_for_more() -> None:
    waiting: Waiting[str] = Waiting("events", most=10, most_bytes=100, group=10)
    waiting.put("a", 1, 1)
    waiting.close()
    assert (waiting.take(1_000.0), waiting.take(1_000.0)) == (["a"], [])
