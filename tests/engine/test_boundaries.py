"""Where windows begin and end, to the microsecond.

The window of a feature asked at ``t`` is ``(t - delay - over, t - delay]``. In the drawings time runs to
the right in seconds, ``x`` is an event, ``(`` is an open end and ``]`` a closed one.
"""

from __future__ import annotations

import pytest

import headwater as hw
from headwater.core.instant import EARLIEST, LATEST
from tests.engine.cases import US, Ask, Case, at, log, micros, near, profile, profiles, view
from tests.engine.hosts import Host


#   time        0         5         10
#   events                x
#   at 5   (--------------]                   1: what happens at t counts
#   at 14.999999          (x-----------]      1: still inside by a microsecond
#   at 15                 x(-----------]      0: exactly 10 s old, gone
def test_an_event_lives_from_its_own_moment_until_it_is_exactly_as_old_as_the_window(host: Host) -> None:
    times = [5 - US, 5, 5 + US, 15 - US, 15, 15 + US]
    assert host.line(hw.count(over="10s"), [at(5)], times) == [0, 1, 1, 1, 0, 0]


#   time        0    2    4    6    8    10
#   events      x    x    x    x    x
#   after each  1    2    2    2    2           over 4 s: (t - 4, t] holds the event and the one before
def test_an_event_pushes_out_the_one_exactly_as_old_as_the_window(host: Host) -> None:
    assert host.after_each(hw.count(over="4s"), [at(0), at(2), at(4), at(6), at(8)]) == [1, 2, 2, 2, 2]


#   time        0         4         8
#   events      x         x+1us     x
#   over 4 s              2: at 0 and 4.000001? no: 0 is older than 4 s. At 8: 4.000001 is inside.
def test_a_microsecond_decides(host: Host) -> None:
    assert host.after_each(hw.count(over="4s"), [at(0), at(4 + US), at(8)]) == [1, 1, 2]
    assert host.after_each(hw.count(over="4s"), [at(0), at(4 - US), at(8)]) == [1, 2, 1]


#   time        0    1    2    3
#   events           x
#   over 1 us        ]                          the shortest window there is: this very moment
def test_the_shortest_window_holds_one_moment(host: Host) -> None:
    assert host.line(hw.count(over=1), [at(1), at(1)], [1, 1 + US]) == [2, 0]


#   time        0         10        20
#   events      x    x    x
#                5
#   at 14       (--------]<-4->t                (0, 10]: the ones at 5 and 10
#   at 13      (--------]<-4->t                 (-1, 9]: the ones at 0 and 5
def test_a_delay_moves_both_ends(host: Host) -> None:
    events = [at(0), at(5), at(10)]
    times = [4 - US, 4, 9 - US, 9, 13, 14 - US, 14, 19 - US, 19, 24]
    assert host.line(hw.count(over="10s", delay="4s"), events, times) == [0, 1, 1, 2, 2, 2, 2, 2, 1, 0]


#   time        0         10        20
#   events      x         x
#   at 13  -----------]<-4->t                   since forever, but nothing younger than 4 s
def test_a_delay_without_a_window(host: Host) -> None:
    assert host.line(hw.count(delay="4s"), [at(0), at(10)], [3, 4, 13, 14, 1000]) == [0, 1, 1, 2, 2]


#   time        0    2    4    6
#   events      x    x    x    x
#   after each  0    0    1    2                delay 4 s: an event does not see itself, nor its neighbour
def test_a_delay_longer_than_the_steps_hides_the_event_itself(host: Host) -> None:
    assert host.after_each(hw.count(delay="4s"), [at(0), at(2), at(4), at(6)]) == [0, 0, 1, 2]


#   time        0         10
#   events      x
#   over 3 s    -->|
#   over 10 s   --------->|
#   since ever  ------------------->            each window lets go in its own time
def test_windows_of_one_feature_end_one_by_one(host: Host) -> None:
    rows = host.rows({"n": hw.count(over=["3s", "10s", None])}, [at(0)], [0, 3 - US, 3, 10 - US, 10, 10**6])
    assert [tuple(row.values()) for row in rows] == [
        (1, 1, 1),
        (1, 1, 1),
        (0, 1, 1),
        (0, 1, 1),
        (0, 0, 1),
        (0, 0, 1),
    ]


#   time        0         10         20
#   events      xxx                              three at one moment
#   they come together and leave together
def test_ties_enter_and_leave_together(host: Host) -> None:
    ties = [at(0, 1.0), at(0, 2.0), at(0, 4.0)]
    assert host.after_each(hw.sum("amount", over="10s"), ties) == [1.0, 3.0, 7.0]
    assert host.line(hw.sum("amount", over="10s"), ties, [0, 10 - US, 10]) == [7.0, 7.0, 0.0]


#   payments    x    .    x         at 1, 3
#   profiles    x    .    x         at 1, 3      the same moments on both streams
#   at 1 and at 3 each stream's own events are all seen
def test_two_streams_at_the_same_moments(host: Host) -> None:
    both = [
        view({"spent": hw.sum("amount", over="2s")}, name="spending"),
        view({"income": hw.last("income", over="2s")}, name="earning", stream=profiles),
    ]
    events = [at(1, 5.0), profile(1, income=100.0), profile(3, income=200.0), at(3, 7.0)]
    asks = [Ask(micros(t), {"who": "ada"}) for t in (1 - US, 1, 3 - US, 3, 5)]
    assert [(row["spent_2s"], row["income_2s"]) for row in host.answers(Case(both, log(events), asks))] == [
        (0.0, None),
        (5.0, 100.0),
        (5.0, 100.0),
        (7.0, 200.0),
        (0.0, None),
    ]


#   time       -10       -5        0         5
#   events      x         x         x            the epoch is a moment like any other
def test_before_1970(host: Host) -> None:
    events = [at(-10), at(-5), at(0)]
    assert host.after_each(hw.count(over="10s"), events) == [1, 2, 2]
    assert host.line(hw.count(over="10s"), events, [-6, -5, 0, 5, 10]) == [1, 2, 2, 1, 0]


#   1827 ------------------------------------------------ 2112
#   x                                                        x      a window of 142 years, and all of time
@pytest.mark.parametrize("over", [LATEST, None])
def test_the_ends_of_time(host: Host, over: int | None) -> None:
    first, last = EARLIEST / 1e6, LATEST / 1e6
    seen = [1, 1 if over else 2]
    assert host.after_each(hw.count(over=over), [at(first), at(last)]) == seen
    assert host.line(hw.count(over=over), [at(first), at(last)], [first, last]) == seen


#   half-life 1 s: 64 of them after the event it weighs nothing and is gone
def test_decay_ends_at_64_half_lives(host: Host) -> None:
    feature = hw.decayed_count(half_life="1s")
    assert host.line(feature, [at(0)], [0, 63, 64 - US, 64]) == near([1.0, 2.0**-63, 2.0 ** (US - 64), None])


#   time        0         10
#   events      x         x             a day of silence, and the first window is empty again
def test_a_long_silence(host: Host) -> None:
    day = 86_400.0
    assert host.after_each(hw.sum("amount", over="10s"), [at(0, 3.0), at(day, 4.0)]) == [3.0, 4.0]
    assert host.line(hw.sum("amount", over="10s"), [at(0, 3.0)], [day]) == [0.0]
