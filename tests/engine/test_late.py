"""Events that arrive after younger ones: taken in at their own place, from then on.

In the drawings the upper line is when events happen, ``a b c`` is the order in which they arrive.
After a late event a feature is asked at the newest time of its key, not at the late event's.
"""

from __future__ import annotations

import random
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwater as hw
from tests.engine.cases import US, Ask, Case, Event, at, log, profile, profiles, view
from tests.engine.hosts import ANY_CUTS, ORACLE, RESTARTS, Host, bits, differences
from tests.engine.strategies import WHO, asks, logs, trials, views


#   time        0         5         10
#   arrive      a         c         b           c is 5 s late, and inside (0, 10]
def test_late_and_inside(host: Host) -> None:
    events = [at(0, 1.0), at(10, 2.0), at(5, 4.0)]
    assert host.after_each(hw.sum("amount", over="10s"), events) == [1.0, 2.0, 6.0]


#   time        0         5         10
#   arrive     c a                  b           c is late and already outside (0, 10]: too old by 0 us
def test_late_and_outside(host: Host) -> None:
    assert host.after_each(hw.sum("amount", over="10s"), [at(0, 1.0), at(10, 2.0), at(0, 4.0)])[-1] == 2.0
    assert host.after_each(hw.sum("amount", over="10s"), [at(0, 1.0), at(10, 2.0), at(-99, 4.0)])[-1] == 2.0
    assert host.after_each(hw.sum("amount", over="10s"), [at(0, 1.0), at(10, 2.0), at(US, 4.0)])[-1] == 6.0


#   time        0         5         10
#   arrive      b         c         a           outside 3 s, inside 8 s; ever: all of them
def test_late_for_one_window_and_not_for_another(host: Host) -> None:
    events = log([at(10, 1.0), at(0, 2.0), at(5, 4.0)])
    feature = {"s": hw.sum("amount", over=["3s", "8s", None])}
    assert host.emissions(Case([view(feature)], events)) == [
        {"s_3s": 1.0, "s_8s": 1.0, "s": 1.0},
        {"s_3s": 1.0, "s_8s": 1.0, "s": 3.0},
        {"s_3s": 1.0, "s_8s": 5.0, "s": 7.0},
    ]


#   time        0         5         10
#   arrive      b         c         a           the last is still a; the first is first a, then b
def test_first_and_last_go_by_event_time(host: Host) -> None:
    events = [at(10, 1.0), at(0, 2.0), at(5, 3.0)]
    assert host.after_each(hw.last("amount"), events) == [1.0, 1.0, 1.0]
    assert host.after_each(hw.first("amount"), events) == [1.0, 2.0, 2.0]


#   time        0         5
#   arrive                a b c                 ties: by offset, so the first is a and the last is c
#   arrive                b   a'                and a late tie stands behind those logged before it
def test_ties_go_by_offset(host: Host) -> None:
    events = [at(5, 1.0), at(5, 2.0), at(5, 3.0)]
    assert host.after_each(hw.first("amount"), events) == [1.0, 1.0, 1.0]
    assert host.after_each(hw.last("amount"), events) == [1.0, 2.0, 3.0]
    events = [at(5, 1.0), at(9, 2.0), at(5, 3.0)]
    assert host.line(hw.first("amount", delay="4s"), events, [9]) == [1.0]
    assert host.line(hw.last("amount", delay="4s"), events, [9]) == [3.0]


#   time        0         5         10
#   arrive      b                   a           b does not turn back the clock: 10 s have passed since b
def test_a_late_event_does_not_turn_back_the_clock(host: Host) -> None:
    assert host.after_each(hw.since_first(), [at(10), at(0)]) == [0.0, 10.0]
    assert host.after_each(hw.since_last(), [at(10), at(0)]) == [0.0, 0.0]


#   ada    0                  10                each key has its own newest time:
#   bob         5                               bob's is 5, though ada is at 10 already
def test_the_clock_of_a_key_is_its_own(host: Host) -> None:
    events = [at(0), at(10), at(5, who="bob"), at(4, who="bob")]
    assert host.after_each(hw.count(over="10s"), events) == [1, 1, 1, 2]
    assert host.after_each(hw.since_first(), events) == [0.0, 10.0, 0.0, 1.0]


#   payments          a=5                       each stream has its own newest time too
#   profiles    b=1
def test_the_clock_of_a_stream_is_its_own(host: Host) -> None:
    case = Case(
        [
            view({"paid": hw.since_last()}, name="p"),
            view({"moved": hw.since_last()}, name="q", stream=profiles),
        ],
        log([at(5), profile(1)]),
    )
    assert host.emissions(case) == [{"paid": 0.0}, {"moved": 0.0}]


#   time        0    2    4    6    8    10
#   arrive      a    c         b         d      delay 4 s: (.., t - 4]
#   after b (t = 6):  a only; after c: a and c; after d (t = 10): a, c and b
def test_late_into_a_delayed_window(host: Host) -> None:
    assert host.after_each(hw.count(delay="4s"), [at(0), at(6), at(2), at(10)]) == [0, 1, 2, 3]


#   time        0    1    2
#   arrive      b    a    c                     delay 2 s, over 1 s: hidden when it comes, seen later
#   after c    (-1, 0] holds b, which came late and was then still inside the delay
def test_a_late_event_that_a_delayed_window_reaches_later(host: Host) -> None:
    events = [at(1, 1.0), at(0, 2.0), at(2, 3.0)]
    assert host.after_each(hw.first("amount", over="1s", delay="2s"), events) == [None, None, 2.0]
    assert host.after_each(hw.since_first(over="1s", delay="2s"), events) == [None, None, 2.0]
    assert host.after_each(hw.last("amount", over="1s", delay="2s"), events) == [None, None, 2.0]
    assert host.after_each(hw.sum("amount", over="1s", delay="2s"), events) == [0.0, 0.0, 2.0]


#   time        0   1   2   3   4   5   6   7   8   9
#   arrive      j   i   h   g   f   e   d   c   b   a      all backwards
def test_everything_backwards(host: Host) -> None:
    events = [at(9 - i, float(2**i)) for i in range(10)]
    assert host.after_each(hw.sum("amount", over="4s"), events) == [1, 3, 7, 15, 15, 15, 15, 15, 15, 15]
    assert host.after_each(hw.sum("amount"), events) == [2.0 ** (i + 1) - 1 for i in range(10)]
    assert host.after_each(hw.min("amount", over="4s"), events) == [1.0] * 10
    assert host.after_each(hw.max("amount", over="4s"), events) == [1.0, 2.0, 4.0] + [8.0] * 7


#   time        0    2    4    6    8    10
#   arrive           d    c         b    a      read at 10, 11, 12, ... over 9 s: they leave by event time
def test_late_events_leave_by_event_time(host: Host) -> None:
    events = [at(10, 1.0), at(8, 2.0), at(4, 4.0), at(2, 8.0)]
    line = host.line(hw.sum("amount", over="9s"), events, [10, 11 - US, 11, 13 - US, 13, 17 - US, 17, 19])
    assert line == [15.0, 15.0, 7.0, 7.0, 3.0, 3.0, 1.0, 0.0]


#   time        0         5         10
#   arrive      c                   a  b        min 0.5 comes late, is old, and takes its leave first
def test_a_late_extreme(host: Host) -> None:
    events = [at(9, 3.0), at(10, 4.0), at(2, 0.5)]
    assert host.after_each(hw.min("amount", over="10s"), events) == [3.0, 3.0, 0.5]
    assert host.line(hw.min("amount", over="10s"), events, [10, 12 - US, 12, 19, 20]) == [
        0.5,
        0.5,
        3.0,
        4.0,
        None,
    ]
    assert host.line(hw.max("amount", over="10s"), events, [10, 12, 19, 20]) == [4.0, 4.0, 4.0, None]


#   time        0         5         10
#   arrive      c                   a  b        10 and 10.5 known first; at 10.2 nobody knows c yet
def test_a_question_before_the_late_event_arrives_does_not_know_it(host: Host) -> None:
    events = [at(9, 1.0), at(10, 2.0), at(3, 4.0, arrives=11)]
    assert host.line(hw.sum("amount", over="10s"), events, [10, 11 - US, 11, 12]) == [3.0, 3.0, 7.0, 7.0]


#   time        0         5         10
#   arrive                a         b=null      a late null moves nothing, nor what fails `where`
def test_late_nulls(host: Host) -> None:
    events = [at(10, 1.0, flag=True), at(5, None, flag=True), at(6, 7.0, flag=False), at(7, 7.0)]
    flag = pl.col("flag")
    assert host.after_each(hw.sum("amount", where=flag, over="10s"), events) == [1.0, 1.0, 1.0, 1.0]
    assert host.after_each(hw.count(where=flag, over="10s"), events) == [1, 2, 2, 2]


def shuffled(events: list[Event], order: list[int]) -> list[Event]:
    """The same events, all arriving at the end, in another order."""
    end = max(event.arrival for event in events)
    return [replace(events[i], arrival=end) for i in order]


#   time        0 --------------------> 9
#   arrive      f c a i h b d j e g            any order at all, ties and all
@trials
@given(st.data())
def test_any_order_of_arrival_is_the_slow_truth(engine: Host, data: st.DataObject) -> None:
    events = data.draw(logs().filter(len))
    order = data.draw(st.permutations(range(len(events))))
    case = Case([data.draw(views())], shuffled(events, order), data.draw(asks(events)))
    assert differences(ORACLE.true_emissions(case), engine.emissions(case)) == []
    assert differences(ORACLE.true_answers(case), engine.answers(case)) == []


#   arrive      a b c d e f                     what is known in the end does not depend on the order in
#   arrive      d a f c b e                     which it came, to the bit (ties apart: they go by offset)
@trials
@given(st.data())
def test_the_order_of_arrival_leaves_no_trace(engine: Host, data: st.DataObject) -> None:
    drawn = data.draw(logs().filter(len))
    events = list({event.time: event for event in drawn}.values())
    order = data.draw(st.permutations(range(len(events))))
    end = max(event.arrival for event in events)
    questions = [Ask(end + wait, {"who": who}) for wait in (0, 1_000_000, 4_999_999) for who in WHO]
    own = data.draw(views(keys=["who"]))
    straight = Case(
        [own], shuffled(sorted(events, key=lambda event: event.time), list(range(len(events)))), questions
    )
    mixed = Case([own], shuffled(events, order), questions)
    assert bits(engine.answers(mixed)) == bits(engine.answers(straight))


#   time        ------------------------------>
#   arrive      a b c d ... with every third event late: by a few places, or by hundreds
@pytest.mark.parametrize("host", [ANY_CUTS, RESTARTS], ids=lambda host: host.label)
def test_a_thousand_events_with_many_late(host: Host) -> None:
    dice = random.Random(7)
    late = [dice.choice([0, 0, dice.randrange(5), dice.randrange(300)]) for _ in range(1_000)]
    case = Case(
        [
            view(MANY),
            view({f"{name}_then": replace(x, delay=20_000_000) for name, x in MANY.items()}, name="then"),
        ],
        log(
            at(i - late[i], dice.choice([None, dice.gauss(5, 9), 7.0]), word=str(dice.randrange(99)), units=i)
            for i in range(1_000)
        ),
        [Ask((1_000 + wait) * 1_000_000, {"who": "ada"}) for wait in range(0, 500, 80)],
    )
    places = sorted(dice.sample(range(1_000), 25))
    emitted = host.emissions(case)
    assert differences(ORACLE.true_emissions(case, places), [emitted[place] for place in places]) == []
    assert differences(ORACLE.true_answers(case), host.answers(case)) == []


MANY = {
    "n": hw.count(over=["20s", "250s"]),
    "sum": hw.sum("amount", over=["20s", "250s"]),
    "var": hw.var("amount", over="250s"),
    "low": hw.min("amount", over=["20s", "250s"]),
    "high": hw.max("units", over=["20s", "250s"]),
    "first": hw.first("amount", over=["20s", "250s"]),
    "last": hw.last("amount", over="250s"),
    "words": hw.distinct("word", over=["20s", "250s"]),
    "median": hw.quantile("amount", q=0.5, over=["20s", "250s"]),
    "tail": hw.quantile("amount", q=0.99),
    "slope": hw.trend("amount", over="250s"),
    "faded": hw.decayed_sum("amount", half_life="3s"),
    "since": hw.since_first(where=pl.col("word") == "7", over="250s"),
}
