"""The structures behind windows, when they are long: queues of extremes, ranked values, tables of values.

Small cases never reach a second block, a run of events behind a queue, a fence or a full bucket. Here
windows hold hundreds of events of the kinds that are hard for one structure or another, many come late by
any distance, and engines restart in the middle.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import polars as pl
import pytest

import headwater as hw
from headwater.core.batch import Batch
from headwater.engine.kernels import exact, multiset, table
from headwater.engine.kernels import layout as at_
from headwater.engine.kernels.jit import kernel
from headwater.engine.run import Engine
from tests.engine.cases import Ask, Case, at, log, payments, view
from tests.engine.hosts import ANY_CUTS, ONE_BATCH, ORACLE, RESTARTS, Host, bits, differences

EVENTS = 1_500
SERIES: dict[str, Callable[[int, random.Random], float]] = {
    "rising": lambda i, _: float(i),
    "falling": lambda i, _: float(-i),
    "random": lambda _, dice: dice.gauss(0, 9),
    "few": lambda _, dice: float(dice.randrange(4)),
    "the same": lambda _i, _d: 7.0,
    "sawtooth": lambda i, _: float(i % 70 + i // 400),
    "steps": lambda i, dice: float(i // 90) + dice.choice([0.0, 0.5]),
}
FEATURES = {
    "low": hw.min("amount", over=["40s", "300s", "1400s"]),
    "high": hw.max("amount", over=["40s", "300s", "1400s"]),
    "flagged": hw.min("amount", where=pl.col("flag"), over="900s"),
    "kinds": hw.distinct("amount", over=["40s", "300s", "1400s"]),
    "median": hw.quantile("amount", q=0.5, over=["40s", "300s", "1400s"]),
    "bottom": hw.quantile("amount", q=0.0, over="300s"),
    "tail": hw.quantile("amount", q=0.97, over="1400s"),
    "ever": hw.quantile("amount", q=0.3),
}


#   time        --------------------------------->      1,500 events, one a second; some share a second
#   arrive      a b c d ...  every fourth late, by a few places or by up to a thousand; or none late
@pytest.mark.parametrize(
    ("host", "late"),
    [(ONE_BATCH, False), (ANY_CUTS, True), (RESTARTS, True)],
    ids=["in order, one batch", "late, random cuts", "late, restarts"],
)
@pytest.mark.parametrize("kind", SERIES)
def test_long_windows(host: Host, kind: str, late: bool) -> None:
    dice = random.Random(f"{kind} {late}")
    back = [dice.choice([0, 0, 0, dice.choice([3, 30, 1_000])]) if late else 0 for _ in range(EVENTS)]
    times = [i - dice.randrange(back[i] + 1) - (i % 5 == 0) for i in range(EVENTS)]
    events = log(at(time, SERIES[kind](time, dice), flag=dice.random() < 0.1, online=True) for time in times)
    then = {f"{name}_then": replace(feature, delay=25_000_000) for name, feature in FEATURES.items()}
    asks = [Ask((EVENTS + wait) * 1_000_000, {"who": "ada"}) for wait in (0, 20, 250, 900, 1_600)]
    case = Case([view(FEATURES), view(then, name="then")], events, asks)
    places = sorted(dice.sample(range(EVENTS), 12))
    emitted = host.emissions(case)
    assert differences(ORACLE.true_emissions(case, places), [emitted[place] for place in places]) == []
    assert differences(ORACLE.true_answers(case), host.answers(case)) == []


#   amount      5 5 1 1 1 2        ]          a later reading finds half of the equal values gone, the
#   then            (. . 1 2   ]                  rest to both sides of the wanted rank
def test_a_later_reading_when_values_are_equal() -> None:
    dice = random.Random(3)
    events = log(at(i, float(dice.randrange(3))) for i in range(40))
    features = {f"q{q}": hw.quantile("amount", q=q / 8, over="30s") for q in range(9)}
    asks = [Ask((39 + wait) * 1_000_000, {"who": "ada"}) for wait in range(32)]
    case = Case([view(features)], events, asks)
    assert differences(ORACLE.true_answers(case), ONE_BATCH.answers(case)) == []


#   place in the log     7     10^10    2 10^10 ...      a log of billions of events, few of them of this key
@pytest.mark.parametrize("step", [2**29 + 7, 2**31 - 1, 2**31, 2**33])
def test_offsets_that_are_far_apart(step: int) -> None:
    dice = random.Random(step)
    events = log(at(i - dice.choice([0, 0, 2, 40]), dice.gauss(0, 9)) for i in range(300))
    own = view({"low": hw.min("amount", over="50s"), "first": hw.first("amount", over="50s", delay="3s")})
    found = []
    for gap in (1, step):
        engine, rows = Engine([own]), []
        case = Case([own], events)
        for start in range(0, 300, 60):
            batch = case.batch(start, start + 60)
            offset = np.arange(start, start + 60, dtype=np.int64) * gap
            out = engine.apply(
                Batch(payments.name, offset, batch.arrival, batch.time, batch.frame), emit=True
            )
            rows += out["view"].to_dicts()
            engine = Engine.restore([own], engine.snapshot())
        newest = max(event.time for event in case.log)
        past = engine.states["view"].read(pl.Series(["ada"] * 3), np.array([newest] * 3), offset=150 * gap)
        found.append(bits(rows + past.to_dicts()))
    assert found[0] == found[1]


def memory(words: int = 600_000) -> at_.Shard:
    """The memory of one key, with eight words of its own."""
    arena, heap = np.zeros(words, dtype=np.int64), np.zeros(at_.HEAP, dtype=np.int64)
    heap[0] = 1
    reals = np.zeros((1, 1))
    return at_.Shard(
        words=arena,
        floats=arena.view(np.float64),
        bytes=arena.view(np.uint8),
        heap=heap,
        ints=np.zeros((1, 8), dtype=np.int64),
        reals=reals,
        bits=reals.view(np.int64),
    )


@kernel("Shard, ints, ints, ints", entry=True)
def count(shard: at_.Shard, values: at_.Int64, steps: at_.Int64, different: at_.Int64) -> int:
    """Take values in and out; the most words that were taken beyond what is asked for at each 100th step."""
    room, beyond = 0, -(2**62)
    for k in range(values.shape[0]):
        if k % 100 == 0:
            room = shard.heap[0] + multiset.demand(shard, 0, 0, 100)
        if steps[k] > 0:
            multiset.put(shard, 0, 0, table.mix(values[k]))
        else:
            multiset.drop(shard, 0, 0, table.mix(values[k]))
        different[k] = shard.ints[0, multiset.DIFFERENT]
        beyond = max(beyond, shard.heap[0] - room)
    return beyond


@kernel("Shard, int, int, ints", entry=True)
def insert(shard: at_.Shard, t: int, wide: int, keys: at_.Int64) -> None:
    for k in range(keys.shape[0]):
        table.insert(shard, t, wide, keys[k], 5)


@kernel("Shard, int, int, ints", entry=True)
def remove(shard: at_.Shard, t: int, wide: int, keys: at_.Int64) -> None:
    for k in range(keys.shape[0]):
        table.remove(shard, t, wide, table.find(shard.words, t, wide, keys[k]))


#   put a b a ..., drop a ...      as a Counter has it, in no more room than was asked for
@pytest.mark.parametrize("kinds", [3, 40, 700, 10**9])
@pytest.mark.parametrize("size", [6, 100, 2_000, 12_000])
def test_a_multiset_counts(kinds: int, size: int) -> None:
    dice = random.Random(kinds * size)
    inside, counted = list[int](), Counter[int]()
    values, steps, different = list[int](), list[int](), list[int]()
    for step in range(30_000):
        if len(inside) > size or (inside and dice.random() < (0.9 if step // 10_000 == 1 else 0.2)):
            value = inside.pop(dice.randrange(len(inside)))
            steps.append(-1)
            counted[value] -= 1
            if counted[value] == 0:
                del counted[value]
        else:
            value = table.SALT if dice.random() < 0.01 else dice.randrange(-kinds, kinds)
            inside.append(value)
            steps.append(1)
            counted[value] += 1
        values.append(value)
        different.append(len(counted))
    found = np.zeros(len(values), dtype=np.int64)
    beyond = count(memory(), np.array(values), np.array(steps), found)
    assert found.tolist() == different
    assert beyond <= 0, "a kernel never runs out of room half-way"


@pytest.mark.parametrize("wide", [0, 1])
def test_keys_that_all_want_the_same_two_buckets(wide: int) -> None:
    shard, t = memory(), 1
    shard.heap[0] += table.RECORD
    both_halves_small = [(-(2**31) << 32) + (i << 33) + i for i in range(1, 60)]
    keys = np.array(both_halves_small)
    insert(shard, t, wide, keys)
    assert shard.words[t + table.SEED] > 0
    assert all(table.find(shard.words, t, wide, key) != 0 for key in keys)
    remove(shard, t, wide, keys[::2].copy())
    assert [table.find(shard.words, t, wide, key) != 0 for key in keys] == [i % 2 == 1 for i in range(59)]


def test_every_value_has_its_own_mixed_bits() -> None:
    values = [*range(-500, 500), *(int(x) for x in np.arange(1_000.0).view(np.int64)), table.SALT, 2**63 - 1]
    assert len({int(table.mix(value)) for value in values}) == len(set(values))
    assert table.mix(table.SALT) == table.EMPTY


#   +2^300 +1 -2^300 +2^-300 ...      where much cancels, partials come to hold a few bits each
def test_partials_are_packed_before_they_are_too_many() -> None:
    dice = random.Random(5)
    partials, n, inside, total = np.zeros(64), 0, list[float](), Fraction(0)
    for _ in range(4_000):
        if inside and dice.random() < 0.5:
            x = -inside.pop(dice.randrange(len(inside)))
        else:
            x = dice.gauss(0, 1) * 2.0 ** dice.randint(-900, 900)
            inside.append(x)
        total += Fraction(x)
        n = exact.add(partials, n, x)
        assert n <= exact.MOST
    assert sum(map(Fraction, partials[:n].tolist()), Fraction(0)) == total
    assert exact.rounded(partials, n) == float(total)


#   wild        10^-30 .. 10^30      a spread of values over any span of bits is that of exact arithmetic
def test_variance_and_trend_of_a_wide_span() -> None:
    dice = random.Random(8)
    events = log(at(i, wild=dice.gauss(0, 1) * 10.0 ** dice.randint(-30, 30)) for i in range(900))
    features = {"var": hw.var("wild", over=["50s", None]), "std": hw.std("wild", over="400s")}
    case = Case([view(features)], events)
    places = [1, 49, 50, 399, 640, 899]
    emitted = ANY_CUTS.emissions(case)
    assert differences(ORACLE.true_emissions(case, places), [emitted[place] for place in places]) == []
    assert not math.isnan(emitted[-1]["var"])
