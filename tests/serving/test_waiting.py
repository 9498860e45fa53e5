"""The queue between senders and the writer: groups, and when it is worth to wait for company."""

from __future__ import annotations

import time
from threading import Timer

import pytest

from headwater.serving.waiting import COMPANY, ENOUGH, ClosingError, Waiting

GAP = 0.2  # seconds: long, so that a busy machine is not mistaken for it


def crowded() -> Waiting[int]:
    """A queue from which a group of several was taken just now."""
    waiting: Waiting[int] = Waiting(
        "things", 1_000, 1_000, 100, gap=int(GAP * 1e9), stopwatch=time.perf_counter_ns
    )
    for item in range(COMPANY):
        waiting.put(item, 1, 1)
    assert waiting.take() == list(range(COMPANY))
    return waiting


def took(waiting: Waiting[int]) -> tuple[list[int], float]:
    began = time.perf_counter()
    group = waiting.take()
    return group, time.perf_counter() - began


def test_in_a_crowd_a_group_waits_for_those_that_come_in_the_gap() -> None:
    waiting = crowded()
    waiting.put(1, 1, 1)
    late = Timer(GAP / 4, waiting.put, (2, 1, 1))
    late.start()
    group, seconds = took(waiting)
    late.join()
    assert group == [1, 2]
    assert seconds > GAP / 2


def test_a_few_senders_are_never_held_up() -> None:
    waiting = crowded()
    for _ in range(2):  # the first still waits: there was a crowd; then there is none any more
        for item in range(COMPANY - 1):
            waiting.put(item, 1, 1)
        group, seconds = took(waiting)
        assert len(group) == COMPANY - 1
    assert seconds < GAP / 2


def test_what_is_large_already_goes_at_once() -> None:
    waiting = crowded()
    for item in range(ENOUGH):
        waiting.put(item, 1, 1)
    group, seconds = took(waiting)
    assert len(group) == ENOUGH
    assert seconds < GAP / 2


def test_nobody_waits_when_the_gap_is_over_or_the_queue_is_closed() -> None:
    waiting = crowded()
    time.sleep(GAP)
    waiting.put(1, 1, 1)
    assert took(waiting)[1] < GAP / 2
    waiting = crowded()
    waiting.put(1, 1, 1)
    waiting.close()
    group, seconds = took(waiting)
    assert (group, waiting.take()) == ([1], [])
    assert seconds < GAP / 2
    with pytest.raises(ClosingError, match="the service is going down"):
        waiting.put(2, 1, 1)


def test_without_a_gap_a_group_is_what_waits() -> None:
    waiting: Waiting[int] = Waiting("things", 1_000, 1_000, 3)
    for item in range(7):
        waiting.put(item, 1, 1)
    assert [waiting.take() for _ in range(3)] == [[0, 1, 2], [3, 4, 5], [6]]
