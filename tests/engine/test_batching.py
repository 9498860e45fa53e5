"""How the log is cut into batches, who else is in it, and what else is computed change no bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwater as hw
from headwater.core.batch import Batch
from headwater.engine.run import Engine
from tests.engine.cases import Ask, Case, at, log, micros, payments, profile, profiles, view
from tests.engine.hosts import ANY_CUTS, EVENT_BY_EVENT, ONE_BATCH, Host, bits, typed
from tests.engine.strategies import WHO, asks, cases, logs, trials, views

NOTHING = Batch(
    stream="payments",
    offset=np.array([], dtype=np.int64),
    arrival=np.array([], dtype=np.int64),
    time=np.array([], dtype=np.int64),
    frame=pl.DataFrame(schema=payments.schema),
)


#   [a b c d e f]   [a][b][c][d][e][f]   [a b][c d e][f]      the same bits, whichever way
@trials
@given(cases())
def test_the_cuts_leave_no_trace(engine: Host, case: Case) -> None:
    assert bits(engine.emissions(case)) == bits(EVENT_BY_EVENT.emissions(case))
    assert bits(engine.answers(case)) == bits(EVENT_BY_EVENT.answers(case))


#   [a] [] [b] [] []                      a batch of nothing is nothing
def test_an_empty_batch_changes_nothing() -> None:
    own = view({"n": hw.count(over="10s"), "word": hw.last("word")})
    case = Case([own], log([at(0, word="a"), at(1, word="b")]))
    engine = Engine([own])
    for batch in (NOTHING, case.batch(0, 1), NOTHING, case.batch(1, 2)):
        blob = engine.snapshot()
        out = engine.apply(batch, emit=True)["view"]
        assert len(out) == len(batch)
        assert dict(out.schema) == {"n_10s": pl.Int64, "word": pl.String}
        assert (engine.snapshot() == blob) == (len(batch) == 0)
    assert engine.read("view", ["ada"], micros(1)).rows() == [(2, "b")]


#   stream of payments: a   b             a batch of a stream that no view reads passes by
#   stream of profiles:   x
def test_a_stream_that_nobody_reads() -> None:
    own = view({"n": hw.count()})
    case = Case([own], log([at(0), profile(1), at(2)]))
    engine = Engine([own])
    for _, batch in case.batches(0, 3):
        emitted = engine.apply(batch, emit=True)
        assert [len(frame) for frame in emitted.values()] == ([1] if batch.stream == "payments" else [])
    assert engine.read("view", ["ada"], micros(2)).rows() == [(2,)]


#   a b c  d e f         whether the first half was emitted or not, the second half is the same
#   .....  !!!!!
@trials
@given(cases())
def test_to_emit_or_not_to_emit(case: Case) -> None:
    half, end = len(case.log) // 2, len(case.log)
    silent, nothing = ANY_CUTS.feed(Engine(list(case.views)), case, 0, half)
    loud, _ = ANY_CUTS.feed(Engine(list(case.views)), case, 0, half, emit=True)
    assert nothing == []
    assert bits(ANY_CUTS.feed(silent, case, half, end, emit=True)[1]) == bits(
        ANY_CUTS.feed(loud, case, half, end, emit=True)[1]
    )


#   ada    a   c     e f          what others do in between is none of ada's business
#   bob      b   d
@trials
@given(st.data())
def test_keys_do_not_see_each_other(engine: Host, data: st.DataObject) -> None:
    own = data.draw(views(keys=["who"]))
    events = data.draw(logs())
    questions = [Ask(ask.time, {"who": who}) for ask in data.draw(asks(events)) for who in WHO]
    together = Case([own], events, questions)
    emitted, answered = iter(bits(engine.emissions(together))), bits(engine.answers(together))
    alone = {
        who: Case(
            [own], [e for e in events if e.row["who"] == who], [q for q in questions if q.keys["who"] == who]
        )
        for who in WHO
    }
    emissions = {who: iter(bits(engine.emissions(case))) for who, case in alone.items()}
    answers = {who: iter(bits(engine.answers(case))) for who, case in alone.items()}
    assert [next(emissions[event.row["who"]]) for event in events] == list(emitted)
    assert [next(answers[ask.keys["who"]]) for ask in questions] == answered


#   views [a, b, c] in one engine   ==   [c, a, b] in one   ==   each in its own
@trials
@given(st.data())
def test_views_do_not_see_each_other(data: st.DataObject) -> None:
    three = [data.draw(views(name=name)) for name in "abc"]
    events = data.draw(logs())
    questions = data.draw(asks(events))
    together = Case(three, events, questions)
    turned = Case([three[2], *three[:2]], events, questions)
    assert bits(turn(row, three) for row in ONE_BATCH.emissions(turned)) == bits(
        ONE_BATCH.emissions(together)
    )
    for own in three:
        single = Case([own], events, questions)
        names = [output.name for output in own.outputs]
        part = [{name: row[name] for name in names} for row in ONE_BATCH.emissions(together)]
        assert bits(ONE_BATCH.emissions(single)) == bits(part)
        part = [{name: row[name] for name in names} for row in ONE_BATCH.answers(together)]
        assert bits(ONE_BATCH.answers(single)) == bits(part)


def turn(row: dict[str, object], order: list[hw.FeatureView]) -> dict[str, object]:
    """The row with its columns in the order of these views."""
    return {output.name: row[output.name] for own in order for output in own.outputs}


#   one key, ten events; a thousand keys, one event each: a batch may hold any mixture
def test_a_thousand_keys_in_one_batch() -> None:
    own = view({"n": hw.count(over="10s"), "s": hw.sum("units")}, key="shop")
    events = log(at(i // 100, shop=i % 1_000 - 500, units=i) for i in range(3_000))
    asked = [Ask(micros(29), {"shop": shop}) for shop in range(-501, 501)]
    case = Case([own], events, asked)
    found = ONE_BATCH.answers(Case([own], events, asked[:1]))
    assert found == [{"n_10s": 0, "s": 0.0}]
    engine, emitted = ONE_BATCH.feed(Engine([own]), case, 0, 3_000, emit=True)
    assert emitted == [{"n_10s": 1, "s": float(sum(range(i % 1_000, i + 1, 1_000)))} for i in range(3_000)]
    out = engine.read("view", [ask.keys["shop"] for ask in asked], micros(29))
    assert typed(out, [own], exactly=True)[1:1001] == [
        {"n_10s": 1, "s": float(3 * i + 3_000)} for i in range(1_000)
    ]


#   payments  a . . d e .         profiles  . b c . . f
def test_profiles_and_payments_take_turns(host: Host) -> None:
    both = [
        view({"n": hw.count(over="3s")}, name="a"),
        view({"income": hw.last("income")}, name="b", stream=profiles),
    ]
    turns = [at(0), profile(0, income=1.0), profile(1, income=2.0), at(1), at(1), profile(1, income=3.0)]
    assert host.emissions(Case(both, log(turns))) == [
        {"n_3s": 1},
        {"income": 1.0},
        {"income": 2.0},
        {"n_3s": 2},
        {"n_3s": 3},
        {"income": 3.0},
    ]


#   300,000 events of 1,000 keys: more than the engine takes in at one go, on more than one thread
@pytest.mark.slow  # half a second, but half a minute with the kernels interpreted
def test_a_large_batch_is_many_small_ones() -> None:
    n, dice = 300_000, np.random.default_rng(3)
    time = np.sort(dice.integers(0, 10**9, n)) - dice.choice([0, 0, 0, 5_000_000], n)
    payload = pl.DataFrame(
        {
            "shop": dice.integers(0, 1_000, n),
            "amount": dice.normal(size=n),
            "at": time.astype("datetime64[us]"),
        }
    )
    blank = pl.DataFrame(schema=payments.schema).clear(n)
    frame = blank.with_columns(payload["shop"], payload["amount"], payload["at"].dt.replace_time_zone("UTC"))
    whole = Batch("payments", np.arange(n), np.arange(n), time, frame)
    own = view({"s": hw.sum("amount", over="30s"), "low": hw.min("amount", over="30s")}, key="shop")
    at_once, piecemeal = Engine([own]), Engine([own], shards=1)
    out = at_once.apply(whole, emit=True)["view"]
    cuts = [0, 1, 7, 2_000, 99_999, 262_144, 262_145, n]
    parts = [piecemeal.apply(whole[slice(*ends)], emit=True)["view"] for ends in pairwise(cuts)]
    assert out.equals(pl.concat(parts))
    shops = list(range(1_000))
    assert at_once.read("view", shops, 10**9).equals(piecemeal.read("view", shops, 10**9))


def test_times_and_offsets_may_belong_to_somebody_else() -> None:
    times, places = np.arange(3), np.arange(3)
    for array in (times, places):
        array.setflags(write=False)
    frame = pl.DataFrame({"at": times, "who": ["a", "b", "a"]}, schema={"at": pl.Int64, "who": pl.String})
    stream = hw.Stream("visits", schema={"at": pl.Datetime("us", "UTC"), "who": pl.String}, time="at")
    own = hw.FeatureView("v", stream=stream, key="who", features={"n": hw.count(over="1s")})
    rows = frame.cast({"at": pl.Datetime("us", "UTC")})
    for emit in (True, False):
        engine = Engine([own])
        out = engine.apply(Batch("visits", places, times, times, rows), emit=emit)
        assert not emit or out["v"]["n_1s"].to_list() == [1, 1, 2]
        assert engine.read("v", ["a"], 2)["n_1s"].to_list() == [2]
