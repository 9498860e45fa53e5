"""What each aggregation means: drawn and worked out by hand, then against the slow truth.

In the drawings time runs to the right in seconds; the numbers under it are values of ``amount``, ``.`` is
a null. Where the windows end is in ``test_boundaries.py``; late events are in ``test_late.py``.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwater as hw
from tests.engine.cases import Ask, Case, at, log, micros, near, profile, profiles, view
from tests.engine.hosts import EVENT_BY_EVENT, ORACLE, Host, differences
from tests.engine.strategies import KINDS, cases, trials

#   time        0    2    4    6    8
#   amount      4    1    .    7    2
FIVE = [at(0, 4.0), at(2, 1.0), at(4), at(6, 7.0), at(8, 2.0)]

#   time        0    2    4    6    8    10   12   14
#   amount      4    1    .    7    2
#   over 5 s   4(    1    .    7]                          read at 6: (1, 6] holds 1 . 7
#                         .(   7    2    ]                 read at 10: (5, 10] holds 7 2
MOMENTS = [-1, 0, 2, 6, 10, 12, 13]
ROOT = {square: math.sqrt(square) for square in (4.5, 7.0, 12.5, 18.0)}


@pytest.mark.parametrize(
    ("feature", "line"),
    [
        (hw.count(over="5s"), [0, 1, 2, 3, 2, 1, 0]),
        (hw.sum("amount", over="5s"), [0.0, 4.0, 5.0, 8.0, 9.0, 2.0, 0.0]),
        (hw.mean("amount", over="5s"), [None, 4.0, 2.5, 4.0, 4.5, 2.0, None]),
        (hw.min("amount", over="5s"), [None, 4.0, 1.0, 1.0, 2.0, 2.0, None]),
        (hw.max("amount", over="5s"), [None, 4.0, 4.0, 7.0, 7.0, 2.0, None]),
        (hw.first("amount", over="5s"), [None, 4.0, 4.0, 1.0, 7.0, 2.0, None]),
        (hw.last("amount", over="5s"), [None, 4.0, 1.0, 7.0, 2.0, 2.0, None]),
        (hw.distinct("amount", over="5s"), [0, 1, 2, 2, 2, 1, 0]),
        (hw.var("amount", over="5s"), near([None, None, 4.5, 18.0, 12.5, None, None])),
        (hw.std("amount", over="5s"), near([None, None, ROOT[4.5], ROOT[18.0], ROOT[12.5], None, None])),
        (hw.since_last(over="5s"), [None, 0.0, 0.0, 0.0, 2.0, 4.0, None]),
        (hw.since_first(over="5s"), [None, 0.0, 2.0, 4.0, 4.0, 4.0, None]),
        (hw.quantile("amount", q=0.5, over="5s"), [None, 4.0, 2.5, 4.0, 4.5, 2.0, None]),
        (hw.quantile("amount", q=0.25, over="5s"), [None, 4.0, 1.75, 2.5, 3.25, 2.0, None]),
    ],
    ids=lambda value: value.op if isinstance(value, hw.Aggregate) else "",
)
def test_each_aggregation_over_a_window(host: Host, feature: hw.Aggregate, line: list[object]) -> None:
    assert host.line(feature, FIVE, MOMENTS) == line


@pytest.mark.parametrize(
    ("feature", "line"),
    [
        (hw.count(), [0, 1, 2, 4, 5, 5, 5]),
        (hw.sum("amount"), [0.0, 4.0, 5.0, 12.0, 14.0, 14.0, 14.0]),
        (hw.mean("amount"), [None, 4.0, 2.5, 4.0, 3.5, 3.5, 3.5]),
        (hw.min("amount"), [None, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
        (hw.max("amount"), [None, 4.0, 4.0, 7.0, 7.0, 7.0, 7.0]),
        (hw.first("amount"), [None, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]),
        (hw.last("amount"), [None, 4.0, 1.0, 7.0, 2.0, 2.0, 2.0]),
        (hw.distinct("amount"), [0, 1, 2, 3, 4, 4, 4]),
        (hw.var("amount"), near([None, None, 4.5, 9.0, 7.0, 7.0, 7.0])),
        (hw.std("amount"), near([None, None, ROOT[4.5], 3.0, ROOT[7.0], ROOT[7.0], ROOT[7.0]])),
        (hw.since_last(), [None, 0.0, 0.0, 0.0, 2.0, 4.0, 5.0]),
        (hw.since_first(), [None, 0.0, 2.0, 6.0, 10.0, 12.0, 13.0]),
        (hw.quantile("amount", q=0.5), [None, 4.0, 2.5, 4.0, 3.0, 3.0, 3.0]),
        (hw.quantile("amount", q=1.0), [None, 4.0, 4.0, 7.0, 7.0, 7.0, 7.0]),
    ],
    ids=lambda value: value.op if isinstance(value, hw.Aggregate) else "",
)
def test_each_aggregation_since_forever(host: Host, feature: hw.Aggregate, line: list[object]) -> None:
    assert host.line(feature, FIVE, MOMENTS) == line


#   time        0    2    4    6    8           after each event, over 5 s
#   amount      4    1    .    7    2           a null moves no sum, but the event still counts
def test_a_refresh_sees_its_own_event(host: Host) -> None:
    assert host.after_each(hw.sum("amount", over="5s"), FIVE) == [4.0, 5.0, 5.0, 8.0, 9.0]
    assert host.after_each(hw.count(over="5s"), FIVE) == [1, 2, 3, 3, 3]


#   day         0    1    2    3
#   amount      10   12   14   16       2 a day; then over 1.5 days the last two points alone
def test_trend_is_the_slope_per_day(host: Host) -> None:
    day = 86_400.0
    events = [at(i * day, 10.0 + 2 * i) for i in range(4)]
    assert host.after_each(hw.trend("amount"), events) == near([None, 2.0, 2.0, 2.0])
    crooked = [at(0, 5.0), at(day, 1.0), at(2 * day, 9.0)]
    assert host.after_each(hw.trend("amount", over="36h"), crooked) == near([None, -4.0, 8.0])


#   time        5
#   amount      1 2 3                   many values at one moment have no slope; 0.0 is a slope
def test_trend_needs_two_moments(host: Host) -> None:
    assert host.after_each(hw.trend("amount"), [at(5, 1.0), at(5, 2.0), at(5, 3.0)]) == [None] * 3
    assert host.after_each(hw.trend("amount"), [at(5, 1.0), at(6, 1.0)]) == [None, 0.0]


#   time        0         3         6
#   amount      8         8         8
#   weight     1/4       1/2        1           half-life 3 s, read at 6
def test_decay(host: Host) -> None:
    events = [at(0, 8.0), at(3, 8.0), at(6, 8.0)]
    assert host.after_each(hw.decayed_sum("amount", half_life="3s"), events) == near([8.0, 12.0, 14.0])
    assert host.after_each(hw.decayed_count(half_life="3s"), events) == near([1.0, 1.5, 1.75])
    assert host.line(hw.decayed_sum("amount", half_life="3s"), events, [9]) == near([7.0])


#   time        0         3         6
#   amount      8         8         8
#                         (---------]           over 3 s the oldest two are gone, whatever they weigh
def test_decay_within_a_window(host: Host) -> None:
    events = [at(0, 8.0), at(3, 8.0), at(6, 8.0)]
    feature = hw.decayed_sum("amount", half_life="3s", over="3s")
    assert host.after_each(feature, events) == near([8.0, 8.0, 8.0])
    assert host.line(feature, events, [9 - 1e-6, 9])[1] is None


#   time        0         3         6
#   amount      8         8         8
#               <--- age --]<-delay->t          age is counted from the end of the window
def test_decay_with_a_delay(host: Host) -> None:
    events = [at(0, 8.0), at(3, 8.0), at(6, 8.0)]
    feature = hw.decayed_sum("amount", half_life="3s", delay="3s")
    assert host.after_each(feature, events) == near([None, 8.0, 12.0])


#   time        0    1    2    3    4
#   flag        yes  no   .    yes  .           `where` null is no match
def test_where_null_is_no_match(host: Host) -> None:
    events = [at(i, 2.0**i, flag=flag) for i, flag in enumerate([True, False, None, True, None])]
    assert host.after_each(hw.count(where=pl.col("flag")), events) == [1, 1, 1, 2, 2]
    assert host.after_each(hw.sum("amount", where=~pl.col("flag")), events) == [0.0, 2.0, 2.0, 2.0, 2.0]
    assert host.after_each(hw.since_last(where=~pl.col("flag")), events) == [None, 0.0, 1.0, 2.0, 3.0]
    assert host.after_each(hw.since_first(where=pl.col("flag")), events) == [0.0, 1.0, 2.0, 3.0, 4.0]


#   time        0    1    2    3
#   amount      5    .    1    9
#   flag        yes  yes  no   .                the value must be there and the event must match
def test_first_and_last_skip_nulls_and_what_does_not_match(host: Host) -> None:
    events = [at(0, 5.0, flag=True), at(1, flag=True), at(2, 1.0, flag=False), at(3, 9.0)]
    assert host.after_each(hw.last("amount"), events) == [5.0, 5.0, 1.0, 9.0]
    assert host.after_each(hw.last("amount", where=pl.col("flag")), events) == [5.0, 5.0, 5.0, 5.0]
    assert host.after_each(hw.first("amount", where=~pl.col("flag")), events) == [None, None, 1.0, 1.0]


def test_expressions_are_read_row_by_row(host: Host) -> None:
    events = [at(0, 2.0, pieces=3), at(1, -5.0, pieces=1), at(2, 4.0)]
    worth = pl.col("amount").abs() * pl.col("pieces")
    assert host.after_each(hw.sum(worth), events) == [6.0, 11.0, 11.0]
    assert host.after_each(hw.last(worth), events) == [6.0, 5.0, 5.0]
    assert host.after_each(hw.count(where=pl.col("amount") > 0), events) == [1, 1, 2]
    assert host.after_each(hw.max(-pl.col("pieces")), events) == [-3, -1, -1]


def test_booleans_count_as_one_and_zero(host: Host) -> None:
    events = [at(i, flag=flag) for i, flag in enumerate([True, False, None, True])]
    assert host.after_each(hw.sum("flag"), events) == [1.0, 1.0, 1.0, 2.0]
    assert host.after_each(hw.mean("flag"), events) == [1.0, 0.5, 0.5, 2 / 3]
    assert host.after_each(hw.distinct("flag"), events) == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("word", ["rent", "", None, "é€𝄞"]),
        ("colour", ["red", "blue", None, "green"]),
        ("flag", [True, False, None, True]),
        ("day", [date(1970, 1, 1), date(1899, 12, 31), None, date(2026, 2, 28)]),
        ("units", [2**63 - 1, -(2**63) + 1, None, 2**53 + 1]),
        ("pieces", [2**31 - 1, -(2**31), None, 0]),
        ("ratio", [0.5, -2.0, None, 0.0]),
        ("amount", [0.1, -0.0, None, 1e300]),
    ],
)
def test_first_and_last_keep_the_columns_type(host: Host, column: str, values: list[Any]) -> None:
    events = [at(i, **{column: value}) for i, value in enumerate(values)]
    one, two, _, four = values
    assert host.after_each(hw.last(column), events) == [one, two, two, four]
    assert host.after_each(hw.first(column, over="2s"), events) == [one, one, two, four]
    assert host.after_each(hw.distinct(column, over="2s"), events)[:3] == [1, 2, 1]


def test_first_and_last_of_the_time_itself(host: Host) -> None:
    moments = [datetime(1970, 1, 1, 0, 0, second, tzinfo=UTC) for second in (1, 5)]
    assert host.after_each(hw.last("at"), [at(1), at(5)]) == moments
    assert host.after_each(hw.first("at"), [at(1), at(5)]) == moments[:1] * 2


def test_min_and_max_keep_the_columns_type(host: Host) -> None:
    units = [at(0, units=2**53 + 1), at(1, units=2**53), at(2, units=-(2**63) + 1), at(3, units=2**63 - 1)]
    assert host.after_each(hw.max("units"), units) == [2**53 + 1, 2**53 + 1, 2**53 + 1, 2**63 - 1]
    assert host.after_each(hw.min("units"), units) == [2**53 + 1, 2**53, -(2**63) + 1, -(2**63) + 1]
    ratio = [at(0, ratio=0.5), at(1, ratio=-2.0)]
    assert host.after_each(hw.min("ratio"), ratio) == [0.5, -2.0]


#   time        0    1    2    3    4    5
#   word        a    b    a    .    c    a      over 3 s: how many different words are in (t - 3, t]
def test_distinct_forgets_a_value_with_its_last_event(host: Host) -> None:
    events = [at(i, word=word) for i, word in enumerate(["a", "b", "a", None, "c", "a"])]
    assert host.after_each(hw.distinct("word", over="3s"), events) == [1, 2, 2, 2, 2, 2]
    assert host.line(hw.distinct("word", over="3s"), events, [6, 7, 8]) == [2, 1, 0]


@pytest.mark.parametrize(
    ("key", "ours", "theirs"),
    [("who", "ada", "bob"), ("shop", 2**53 + 1, 2**53), ("colour", "red", "blue"), ("online", True, False)],
)
def test_keys_of_every_type(host: Host, key: str, ours: Any, theirs: Any) -> None:
    events = log([at(0, 1.0, **{key: ours}), at(1, 2.0, **{key: theirs}), at(2, 4.0, **{key: ours})])
    case = Case(
        [view({"s": hw.sum("amount")}, key=key)], events, [Ask(micros(2), {key: k}) for k in (ours, theirs)]
    )
    assert host.emissions(case) == [{"s": 1.0}, {"s": 2.0}, {"s": 5.0}]
    assert host.answers(case) == [{"s": 5.0}, {"s": 2.0}]


#   time        0        1        2
#   who         ada      bob      ada
#   shop        1        1        2             one stream, two views: by who pays, and by shop
def test_views_of_different_keys_on_one_stream(host: Host) -> None:
    by = [view({"theirs": hw.count()}, name="a"), view({"here": hw.count()}, name="b", key="shop")]
    events = log([at(0, shop=1), at(1, who="bob", shop=1), at(2, shop=2)])
    case = Case(
        by, events, [Ask(micros(2), {"who": "ada", "shop": 1}), Ask(micros(0), {"who": "bob", "shop": 1})]
    )
    assert host.emissions(case) == [
        {"theirs": 1, "here": 1},
        {"theirs": 1, "here": 2},
        {"theirs": 2, "here": 1},
    ]
    assert host.answers(case) == [{"theirs": 2, "here": 2}, {"theirs": 0, "here": 1}]


#   payments    0         2
#   profiles         1         3                a slowly changing attribute is a stream of events
def test_an_attribute_is_a_stream(host: Host) -> None:
    both = [view({"n": hw.count()}, name="a"), view({"town": hw.last("town")}, name="b", stream=profiles)]
    events = log([at(0), profile(1, town="Ayr"), at(2), profile(3, town="Bath")])
    asks = [Ask(micros(t), {"who": "ada"}) for t in (0, 1, 2, 3)]
    assert host.answers(Case(both, events, asks)) == [
        {"n": 1, "town": None},
        {"n": 1, "town": "Ayr"},
        {"n": 2, "town": "Ayr"},
        {"n": 2, "town": "Bath"},
    ]


@trials
@given(st.data())
@pytest.mark.parametrize("op", KINDS)
def test_each_aggregation_is_the_slow_truth(op: str, data: st.DataObject) -> None:
    """One op at a time, driven event by event, so that a failure names the aggregation."""
    case = data.draw(cases(ops=[op], alone=True))
    assert differences(ORACLE.true_emissions(case), EVENT_BY_EVENT.emissions(case)) == []
    assert differences(ORACLE.true_answers(case), EVENT_BY_EVENT.answers(case)) == []


@trials
@given(cases())
def test_every_host_is_the_slow_truth(engine: Host, case: Case) -> None:
    assert differences(ORACLE.true_emissions(case), engine.emissions(case)) == []
    assert differences(ORACLE.true_answers(case), engine.answers(case)) == []
