"""The slow truth against numbers worked out by hand, and against other people's code."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest

from tests.oracle.naive import DAY, SECOND, Event, truth, window

EVER = 10**18


def value(op: str, events: list[Event], t: int = EVER, **spec: Any) -> Any:
    """The feature with the whole log known."""
    return truth(op, events, t, EVER, **spec).value


def events(*pairs: tuple[int, Any]) -> list[Event]:
    """Events at the given seconds, logged in the order written."""
    return [Event(time * SECOND, offset, value) for offset, (time, value) in enumerate(pairs)]


#   time     0    5    10   15   20   25
#   event    a    b    c
#                 (---------]               read at 15 over 10 s: b is 10 s old, out; c is in
#            (---------]                    read at 10 over 10 s: a is 10 s old, out; b and c
@pytest.mark.parametrize(
    ("t", "inside"), [(-1, ""), (0, "a"), (5, "ab"), (9, "ab"), (10, "bc"), (14, "bc"), (15, "c"), (20, "")]
)
def test_a_window_is_open_on_the_left_and_closed_on_the_right(t: int, inside: str) -> None:
    contents = window(events((0, "a"), (5, "b"), (10, "c")), t * SECOND, EVER, 10 * SECOND, 0)
    assert "".join(event.value for event in contents) == inside


#   time     0    5    10   15   20
#   event    a    b    c
#            (---------]<-------->t          read at 20, over 10 s, delay 10 s
def test_a_delay_moves_the_whole_window() -> None:
    contents = window(events((0, "a"), (5, "b"), (10, "c")), 20 * SECOND, EVER, 10 * SECOND, 10 * SECOND)
    assert [event.value for event in contents] == ["b", "c"]


def test_without_over_the_window_has_no_left_end() -> None:
    far = [Event(-(2**52), 0, "old"), Event(0, 1, "new"), Event(1, 2, "not yet")]
    assert [event.value for event in window(far, 0, EVER, None, 0)] == ["old", "new"]


def test_what_is_logged_later_is_not_known() -> None:
    pair = events((0, "a"), (0, "b"))
    assert [event.value for event in window(pair, 0, 0, None, 0)] == ["a"]


def test_nulls_and_events_that_do_not_match_are_not_there() -> None:
    mixed = [Event(0, 0, 1.0), Event(0, 1, None), Event(0, 2, 3.0, False), Event(0, 3, 4.0, None)]
    assert [event.value for event in window(mixed, 0, EVER, None, 0)] == [1.0]


def test_order_is_time_then_offset() -> None:
    late = [Event(5, 0, "b"), Event(9, 1, "d"), Event(5, 2, "c"), Event(1, 3, "a")]
    assert "".join(event.value for event in window(late, 9, EVER, None, 0)) == "abcd"


FOUR = events((0, 4.0), (1, 1.0), (2, 7.0), (3, 2.0))


@pytest.mark.parametrize(
    ("op", "by_hand"),
    [
        ("count", 4),
        ("sum", 14.0),
        ("mean", 3.5),
        ("min", 1.0),
        ("max", 7.0),
        ("first", 4.0),
        ("last", 2.0),
        ("distinct", 4),
        ("var", 7.0),  # (0.25 + 6.25 + 12.25 + 2.25) / 3
        ("std", math.sqrt(7.0)),
        ("since_first", 5.0),
        ("since_last", 2.0),
        ("trend", 0.0),  # (-1.5) 0.5 + (-0.5) (-2.5) + 0.5 3.5 + 1.5 (-1.5)
    ],
)
def test_each_aggregation_by_hand(op: str, by_hand: object) -> None:
    assert value(op, FOUR, 5 * SECOND) == by_hand


def test_the_empty_window() -> None:
    assert [value(op, [], 0) for op in ("count", "sum", "distinct")] == [0, 0.0, 0]
    for op in ("mean", "min", "max", "var", "std", "first", "last", "since_last", "since_first", "trend"):
        assert value(op, [], 0) is None
    assert value("quantile", [], 0, q=0.5) is None
    assert value("decayed_sum", [], 0, half_life=1) is None


def test_a_spread_needs_two_values_and_a_trend_two_moments() -> None:
    assert value("var", events((0, 1.0)), 0) is None
    assert value("std", events((0, 1.0)), 0) is None
    assert value("trend", events((0, 1.0)), 0) is None
    assert value("trend", events((0, 1.0), (0, 9.0)), 0) is None


def test_sums_round_once() -> None:
    tenth = events(*[(i, 0.1) for i in range(10)])
    assert sum([0.1] * 10) != 1.0
    assert value("sum", tenth) == 1.0
    assert value("sum", events((0, 1e300), (1, 1.0), (2, -1e300))) == 1.0


def test_variance_does_not_cancel() -> None:
    assert value("var", events((0, 1e15 + 1), (1, 1e15 + 2), (2, 1e15 + 3))) == 1.0


def test_trend_is_per_day() -> None:
    line = [Event(1_700_000_000 * SECOND + day * DAY, day, 3.0 - 2.0 * day) for day in range(5)]
    assert value("trend", line) == -2.0


#   age in half-lives:  0  1  2      value 8 each: 8 + 4 + 2
def test_decay_halves_with_every_half_life() -> None:
    steps = events((0, 8.0), (3, 8.0), (6, 8.0))
    assert value("decayed_sum", steps, 6 * SECOND, half_life=3 * SECOND) == 14.0
    assert value("decayed_count", events((0, True), (3, True)), 6 * SECOND, half_life=3 * SECOND) == 0.75


def test_decay_is_measured_from_the_end_of_the_window() -> None:
    three = 3 * SECOND
    assert value("decayed_sum", events((0, 8.0)), 2 * three, half_life=three, delay=three) == 4.0


def test_decay_ends_after_64_half_lives() -> None:
    one = [Event(0, 0, 1.0)]
    assert value("decayed_sum", one, 64 * 7 - 1, half_life=7) == pytest.approx(2.0**-64 * 2 ** (1 / 7))
    assert value("decayed_sum", one, 64 * 7, half_life=7) is None


@pytest.mark.parametrize("seed", range(5))
def test_against_other_peoples_code(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(10.0, 3.0, size=40)
    times = np.sort(rng.integers(0, 100 * DAY, size=40))
    cloud = [Event(int(times[i]), i, float(values[i])) for i in range(40)]
    assert value("var", cloud) == pytest.approx(statistics.variance(values.tolist()), rel=1e-12)
    assert value("std", cloud) == pytest.approx(np.std(values, ddof=1), rel=1e-12)
    assert value("trend", cloud) == pytest.approx(np.polyfit(times / DAY, values, 1)[0], rel=1e-9)
    for q in (0.0, 0.1, 0.5, 0.9, 1.0):
        assert value("quantile", cloud, q=q) == pytest.approx(np.quantile(values, q), rel=1e-14)
