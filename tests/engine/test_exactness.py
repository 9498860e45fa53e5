"""A value is the value of its window's contents, not of the history that led there.

Sums and means are those of ``math.fsum``, to the bit, whatever came and went before. Variance keeps 1e-12
of exact rational arithmetic, and a huge value leaves no trace in anything once it is gone.
"""

from __future__ import annotations

import math
import random
from fractions import Fraction
from statistics import variance

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwater as hw
from tests.engine.cases import Case, at, log, near, view
from tests.engine.hosts import ANY_CUTS, EVENT_BY_EVENT, ONE_BATCH, ORACLE, Host, bits, differences
from tests.engine.strategies import WILD, cases, trials


#   time        0    1    2    3    4
#   wild        .1   .2   .3  -.6   .4          0.1 + 0.2 is not 0.3, but the sum of all is rounded once
def test_sums_are_rounded_once(host: Host) -> None:
    values = [0.1, 0.2, 0.3, -0.6, 0.4]
    events = [at(i, value) for i, value in enumerate(values)]
    assert host.after_each(hw.sum("amount"), events) == [math.fsum(values[: i + 1]) for i in range(5)]
    assert host.after_each(hw.sum("amount"), [at(i, 0.1) for i in range(10)])[-1] == 1.0


#   time        0     1      2      3      4      5      6
#   wild        1   1e300    3    -1e300   5      6      7
#   over 3 s    1   1e300  1e300   3 (!)  -1e300 -1e300  18      what is left is exact, to the last bit
def test_a_huge_value_leaves_no_trace_in_a_sum(host: Host) -> None:
    values = [1.0, 1e300, 3.0, -1e300, 5.0, 6.0, 7.0]
    events = [at(i, wild=value) for i, value in enumerate(values)]
    sums = [1.0, 1e300, 1e300, 3.0, math.fsum([3.0, -1e300, 5.0]), math.fsum([-1e300, 5.0, 6.0]), 18.0]
    assert host.after_each(hw.sum("wild", over="3s"), events) == sums
    means = [1.0, 5e299, 1e300 / 3, 1.0, sums[4] / 3, sums[5] / 3, 6.0]
    assert host.after_each(hw.mean("wild", over="3s"), events) == means


#   time        0      1      2      3
#   wild       1e300   1     2^-40   -1e300     while it is inside, all the small ones are still there
def test_small_values_survive_beside_a_huge_one(host: Host) -> None:
    events = [at(0, wild=1e300), at(1, wild=1.0), at(2, wild=2.0**-40), at(3, wild=-1e300)]
    assert host.after_each(hw.sum("wild"), events) == [1e300, 1e300, 1e300, 1.0 + 2.0**-40]


#   the middle of two neighbours, a little above it and a little below: 2^53 + 1 lies halfway
@pytest.mark.parametrize("little", [2.0**-1074, 1e-300, 1e-9, 1.0])
def test_ties_of_rounding_are_decided_by_the_smallest_part(host: Host, little: float) -> None:
    for small in (little, -little):
        values = [2.0**53, 1.0, small]
        events = [at(i, wild=value) for i, value in enumerate(values)]
        assert host.after_each(hw.sum("wild"), events)[-1] == math.fsum(values)


def test_the_smallest_numbers_add_up(host: Host) -> None:
    events = [at(i, wild=5e-324) for i in range(3)]
    assert host.after_each(hw.sum("wild"), events) == [5e-324, 1e-323, 1.5e-323]


def test_a_zero_sum_is_positive_zero(host: Host) -> None:
    found = host.after_each(hw.sum("amount", over="1s"), [at(0, -0.0), at(5, 1.0), at(5, -1.0)])
    assert [value.hex() for value in found] == ["0x0.0p+0", "0x1.0000000000000p+0", "0x0.0p+0"]


#   amount     -0.0   0.0               one value with two spellings: it comes out as 0.0, whatever is asked
def test_zero_has_no_sign(engine: Host) -> None:
    for feature in (hw.first("amount"), hw.last("amount"), hw.min("amount"), hw.max("amount")):
        found = engine.after_each(feature, [at(0, -0.0), at(1, 0.0)])
        assert [value.hex() for value in found] == ["0x0.0p+0"] * 2
    assert engine.after_each(hw.distinct("amount"), [at(0, -0.0), at(1, 0.0)]) == [1, 1]


#   units    2^53+1    1    -2^53     2^62+1      whole numbers are added as floats
def test_sums_of_whole_numbers(host: Host) -> None:
    units = [2**53 + 1, 1, -(2**53), 2**62 + 1]
    events = [at(i, units=value) for i, value in enumerate(units)]
    assert host.after_each(hw.sum("units"), events) == [math.fsum(units[: i + 1]) for i in range(4)]


#   time        0        1        2
#   amount    1e15+1   1e15+2   1e15+3         a small spread on a high hill: the variance is 1
def test_variance_far_from_zero(host: Host) -> None:
    events = [at(i, 1e15 + 1 + i) for i in range(3)]
    assert host.after_each(hw.var("amount"), events) == near([None, 0.5, 1.0])
    same = [at(i, 0.1) for i in range(7)]
    assert host.after_each(hw.var("amount"), same) == [None] + [0.0] * 6
    assert host.after_each(hw.std("amount"), same) == [None] + [0.0] * 6


#   time        0     1     2     3     4     5
#   wild       1e100  1     2     4     8     16     over 3 s, once 1e100 has gone: no trace of it
@pytest.mark.parametrize("huge", [1e100, -1e100, 1e150, 1e17, 1e9])
def test_a_huge_value_leaves_no_trace_in_a_spread(host: Host, huge: float) -> None:
    values = [huge, 1.0, 2.0, 4.0, 8.0, 16.0]
    events = [at(i, wild=value) for i, value in enumerate(values)]
    spread = host.after_each(hw.var("wild", over="3s"), events)
    assert spread[3:] == near([7 / 3, 28 / 3, 112 / 3])
    assert spread[2] == near([float(variance(map(Fraction, values[:3])))])[0]
    assert host.after_each(hw.std("wild", over="3s"), events)[3:] == near(
        [(7 / 3 * 4**i) ** 0.5 for i in range(3)]
    )


#   time        0     1     2     3              a line of slope 2 a second, after something enormous
#   wild       1e100  2     4     6
@pytest.mark.parametrize("huge", [1e100, -1e100, 1e17])
def test_a_huge_value_leaves_no_trace_in_a_trend(host: Host, huge: float) -> None:
    events = [at(i, wild=value) for i, value in enumerate([huge, 2.0, 4.0, 6.0])]
    assert host.after_each(hw.trend("wild", over="3s"), events)[-1] == pytest.approx(2 * 86_400.0, rel=1e-9)


#   time        0     1     2     3              half-lives of 1 s, over 3 s
#   wild       1e100  8     8     8
@pytest.mark.parametrize("huge", [1e100, -1e100, 1e17])
def test_a_huge_value_leaves_no_trace_in_a_decayed_sum(host: Host, huge: float) -> None:
    events = [at(i, wild=value) for i, value in enumerate([huge, 8.0, 8.0, 8.0])]
    feature = hw.decayed_sum("wild", half_life="1s", over="3s")
    assert host.after_each(feature, events)[-1] == near([14.0])[0]


#   time        0     1    ...   64    65
#   wild       1e300  1           1             64 half-lives later it has gone without being pushed out
def test_a_huge_value_decays_away(host: Host) -> None:
    events = [at(0, wild=1e300), at(63, wild=1.0), at(64, wild=1.0)]
    assert host.after_each(hw.decayed_sum("wild", half_life="1s"), events)[-1] == near([1.5])[0]


#   a trend in 2026: times are 1.8e15 microseconds, steps of one second; and minutes before 2112
@pytest.mark.parametrize("start", [0, 1_780_000_000, -4_000_000_000, 4_503_599_627 - 100])
def test_a_trend_far_from_1970(host: Host, start: int) -> None:
    events = [at(start + i, amount) for i, amount in enumerate([3.0, 1.0, 4.0, 1.0, 5.0])]
    #   x: -2 -1 0 1 2, y - 2.8: .2 -1.8 1.2 -1.8 2.2; sum of products 4.0 over 10: 0.4 a second
    assert host.after_each(hw.trend("amount"), events)[-1] == pytest.approx(0.4 * 86_400, rel=1e-9)


@trials
@given(st.lists(WILD, min_size=1, max_size=40), st.sampled_from(["1s", "2s", "5s", "17s", None]))
def test_any_sum_is_fsum_to_the_bit(values: list[float], over: str | None) -> None:
    events = [at(i, wild=value) for i, value in enumerate(values)]
    width = int(over[:-1]) if over else len(values)
    inside = [values[max(0, i + 1 - width) : i + 1] for i in range(len(values))]
    features = {"s": hw.sum("wild", over=over), "m": hw.mean("wild", over=over)}
    rows = EVENT_BY_EVENT.emissions(Case([view(features)], log(events)))
    sums = [math.fsum(part) for part in inside]
    means = [total / len(part) for total, part in zip(sums, inside, strict=True)]
    wanted = [dict(zip(rows[0], pair, strict=True)) for pair in zip(sums, means, strict=True)]
    assert bits(rows) == bits(wanted)


EXACT = ["sum", "mean", "min", "max", "first", "last", "distinct", "quantile", "count"]


@trials
@given(cases(ops=EXACT, most=60))
def test_exact_aggregations_are_exact(engine: Host, case: Case) -> None:
    assert differences(ORACLE.true_emissions(case), engine.emissions(case)) == []


#   5,000 payments of cents, one a second, over 100 s: nothing builds up, everything is as on the first day
def test_a_long_run_does_not_drift() -> None:
    dice = random.Random(20)
    cents = [round(dice.lognormvariate(3, 2), 2) * dice.choice([1, -1]) for _ in range(5_000)]
    cents[1_000:1_010] = [1e15, -1e15, 1e-9, 1e18, 0.1, -1e18, 1e12, 1e-12, 3.0, -7.0]
    features = {
        "sum": hw.sum("amount", over="100s"),
        "mean": hw.mean("amount", over="100s"),
        "var": hw.var("amount", over="100s"),
        "trend": hw.trend("amount", over="100s"),
        "median": hw.quantile("amount", q=0.5, over="100s"),
        "faded": hw.decayed_sum("amount", half_life="1s"),
        "ever": hw.sum("amount"),
    }
    case = Case([view(features)], log(at(i + dice.random(), amount) for i, amount in enumerate(cents)))
    places = [*range(99, 5_000, 300), *range(1_095, 1_115), 4_999]
    emitted = ANY_CUTS.emissions(case)
    assert differences(ORACLE.true_emissions(case, places), [emitted[place] for place in places]) == []


def test_nothing_is_lost_at_the_end_of_int64(host: Host) -> None:
    events = [at(0, units=2**63 - 1), at(1, units=2**63 - 2), at(2, units=-(2**63) + 1)]
    assert host.after_each(hw.distinct("units"), events) == [1, 2, 3]
    assert host.after_each(hw.max("units", where=pl.col("units") < 2**63 - 1), events) == [
        None,
        *[2**63 - 2] * 2,
    ]


#   values of k bits more than their smallest: for few bits the sums run on two grids, for many on partials;
#   where one gives way to the other depends on the run, and the sums must not
@pytest.mark.parametrize("span", [0, 12, 20, 26, 32, 38, 44, 52, 70, 200, 900])
@pytest.mark.parametrize("size", [3, 40, 700])
def test_sums_over_any_span_of_bits_and_any_length_of_run(span: int, size: int) -> None:
    dice = random.Random(span * 1000 + size)
    values = [
        dice.choice((-1, 1)) * dice.random() * 2.0 ** dice.randint(-span // 2, span // 2) for _ in range(size)
    ]
    features = {
        "short": hw.sum("wild", over=["5s", "50s"]),
        "ever": hw.sum("wild"),
        "mean": hw.mean("wild", over="9s", delay="4s"),
    }
    case = Case([view(features)], log(at(i, wild=value) for i, value in enumerate(values)))
    true = []
    for i in range(size):
        seen, past = values[: i + 1], values[max(0, i - 12) : max(0, i - 3)]
        true.append(
            {
                "short_5s": math.fsum(seen[-5:]),
                "short_50s": math.fsum(seen[-50:]),
                "ever": math.fsum(seen),
                "mean_9s": math.fsum(past) / len(past) if past else None,
            }
        )
    for engine in (ONE_BATCH, ANY_CUTS, EVENT_BY_EVENT):
        assert bits(engine.emissions(case)) == bits(true)
