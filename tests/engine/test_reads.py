"""Reads between events: they advance to the time they name, and change nothing."""

from __future__ import annotations

from contextlib import suppress

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwater as hw
from headwater.core.errors import DataError
from headwater.engine.run import Engine
from headwater.engine.state import FEW_READ
from tests.engine.cases import US, Case, Event, Sketch, at, log, micros, view
from tests.engine.hosts import ANY_CUTS, ONE_BATCH, Host, Sight, bits, differences, typed
from tests.engine.strategies import WHO, asks, cases, logs, trials, views


def fed(features: dict[str, hw.Aggregate], *sketches: Sketch, key: str = "who") -> Engine:
    """An engine that has taken in these events."""
    own = view(features, key=key)
    case = Case([own], log(sketches))
    return ONE_BATCH.feed(Engine([own]), case, 0, len(case.log))[0]


#   time        0         10        20        30
#   events      x         x
#   reads                 2  (10]   1         0         no event comes, and yet the window moves on
def test_time_passes_without_events(host: Host) -> None:
    events = [at(0, 1.0), at(10, 2.0)]
    times = [10, 11 - US, 15, 20 - US, 20, 30]
    assert host.line(hw.count(over="15s"), events, times) == [2, 2, 1, 1, 1, 0]
    assert host.line(hw.since_last(over="15s"), events, times)[2:5] == [5.0, 10.0 - US, 10.0]
    assert host.line(hw.last("amount", over="15s"), events, times) == [2.0] * 5 + [None]


#   time        0         10        20
#   events      x         x         x
#   reads at 10, 1000, 12, 10: a look into the future does not age the state
def test_reads_come_in_any_order() -> None:
    engine = fed({"n": hw.count(over="15s"), "low": hw.min("amount", over="15s")}, at(0, 1.0), at(10, 2.0))
    for seconds, row in [(10, (2, 1.0)), (1000, (0, None)), (15, (1, 2.0)), (10, (2, 1.0)), (12, (2, 1.0))]:
        assert engine.read("view", ["ada"], micros(seconds)).rows() == [row]


#   time        0    2    4    6    8    10
#   events      x         x         x            all within 100 s of now: the past can still be asked
#   read at 5   ---------------]                 2, though a younger event is known
def test_a_read_in_the_past() -> None:
    live = fed({"s": hw.sum("amount", over="100s")}, at(0, 1.0), at(4, 2.0), at(8, 4.0))
    found = [live.read("view", ["ada"], micros(t)).item() for t in (-1, 0, 4 - US, 4, 5, 8, 200)]
    assert found == [0.0, 1.0, 1.0, 3.0, 3.0, 7.0, 0.0]


#   time        0 1 2 3 4 ... 998   1999      a thousand events that no window can reach any more are gone,
#   over 5 s    forgotten      (1994, 1999]     and the past that is gone is refused, never made up
def test_a_read_behind_what_is_kept_is_refused() -> None:
    many = [at(i, 1.0) for i in [*range(999), 1999]]
    live = fed({"s": hw.sum("amount", over="5s"), "n": hw.count()}, *many)
    before = live.snapshot()
    with pytest.raises(DataError) as caught:
        live.read("view", ["ada"], micros(4))
    assert (
        str(caught.value)
        == """\
a reading reaches behind the events that the state still keeps
  expected: a time within the longest window of the view
  got:      1970-01-01T00:00:04Z
  where:    view
  do:       read that moment by replay of the log (headwater features, or hw.asof)"""
    )
    assert live.snapshot() == before
    assert live.read("view", ["ada"], micros(1999)).rows() == [(1.0, 1_000)]


#   log         a b c d e f
#   read        ^ as of any time, and any place of the log: the truth, or refused
@trials
@given(st.data())
def test_a_read_of_the_past_is_right_or_refused(data: st.DataObject) -> None:
    events = data.draw(logs().filter(len))
    own = data.draw(views(keys=["who"]))
    case = Case([own], events)
    engine, _ = ANY_CUTS.feed(Engine([own]), case, 0, len(events))
    seen = Sight(case)
    for ask in data.draw(asks(events)):
        place = data.draw(st.integers(0, len(events) - 1))
        for o, offset in ((len(events), 2**62), (place, int(case.batch(place, place + 1).offset[0]))):
            try:
                found = engine.read("view", [ask.keys["who"]], ask.time, offset=offset)
            except DataError:
                continue
            wanted = seen.features([own], ask.keys, ask.time, o)
            assert differences([wanted], typed(found, [own], exactly=True)) == [], f"{ask} after #{place}"


def test_a_view_that_is_not_there() -> None:
    with pytest.raises(DataError) as caught:
        fed({"n": hw.count()}, at(0)).read("spending", ["ada"], 0)
    assert (
        str(caught.value)
        == """\
no such feature view
  expected: view
  got:      'spending'
  do:       name a view of the project"""
    )


def test_an_unseen_key_has_the_features_of_the_empty_window() -> None:
    engine = fed(
        {"n": hw.count(), "s": hw.sum("amount", over="5s"), "word": hw.last("word")}, at(0, 1.0, word="a")
    )
    assert engine.read("view", ["bob", "ada", "nobody"], 0).rows() == [
        (0, 0.0, None),
        (1, 1.0, "a"),
        (0, 0.0, None),
    ]


#   a key that cannot be: an unseen one, or refused with a letter; no other error
@pytest.mark.parametrize(("key", "odd"), [("colour", "mauve"), ("shop", "7a"), ("shop", 2**70), ("who", 7)])
def test_a_key_of_the_wrong_kind(key: str, odd: object) -> None:
    engine = fed({"n": hw.count()}, at(0, shop=1, colour="red"), key=key)
    with suppress(DataError):
        assert engine.read("view", [odd], 0).rows() == [(0,)]


def test_many_keys_at_many_times_in_one_read() -> None:
    engine = fed({"n": hw.count(over="5s")}, at(0), at(1, who="bob"), at(3))
    keys = ["ada", "bob", "ada", "ada"]
    times = [micros(3), micros(3), micros(5), micros(8)]
    assert engine.read("view", keys, times)["n_5s"].to_list() == [2, 1, 1, 0]
    assert engine.read("view", keys, micros(3))["n_5s"].to_list() == [2, 1, 2, 2]
    assert engine.read("view", [], micros(3)).schema == {"n_5s": pl.Int64}
    assert len(engine.read("view", [], micros(3))) == 0


@pytest.mark.parametrize(
    ("key", "keys", "counts"),
    [
        ("shop", [1, 2, -(2**62)], [2, 0, 0]),
        ("colour", ["red", "blue"], [1, 1]),
        ("online", [True, False], [0, 2]),
    ],
)
def test_keys_of_every_type_are_read(key: str, keys: list[object], counts: list[int]) -> None:
    first, second = at(0, shop=1, colour="red", online=False), at(1, shop=1, colour="blue", online=False)
    engine = fed({"n": hw.count()}, first, second, key=key)
    assert engine.read("view", keys, micros(1))["n"].to_list() == counts


#   a a   b b   R         a read works on the state, and must leave it as it was, to the last byte
@pytest.mark.parametrize(
    "feature",
    [
        hw.distinct("pieces", over="2s"),
        hw.quantile("amount", q=0.1, over="2s", delay="1s"),
        hw.quantile("amount", q=0.1, over="2s"),
        hw.min("amount", over="2s", delay="1s"),
        hw.first("amount", over="2s", delay="1s"),
        hw.var("amount", over="2s", delay="1s"),
        hw.trend("amount", over="2s", delay="1s"),
        hw.decayed_sum("amount", half_life="1s", delay="1s"),
    ],
    ids=lambda feature: feature.op,
)
def test_a_read_leaves_every_byte_as_it_was(feature: hw.Aggregate) -> None:
    for seconds in ((0,), (0, 0, 2, 2), (3, 0, 1, 2)):
        engine = fed({"x": feature}, *(at(t, float(i), pieces=i) for i, t in enumerate(seconds)))
        for wait in (0, 1, 2, 3, 100):
            before = engine.snapshot()
            engine.read("view", ["ada", "nobody"], micros(max(seconds) + wait))
            assert engine.snapshot() == before, f"events at {seconds}, read {wait} s after the last"


#   a  R  b  RRR  c      the same as      a  b  c
@trials
@given(cases(), st.data())
def test_reads_leave_no_trace(case: Case, data: st.DataObject) -> None:
    moments = st.sampled_from([event.time for event in case.log] + [0])
    waits = st.sampled_from([0, 1, micros(1), micros(5), micros(1000)])
    read, unread = Engine(list(case.views)), Engine(list(case.views))
    for place in range(len(case.log)):
        for own in case.views:
            keys = list({event.row[own.key] for event in case.log if event.stream is own.stream})
            newest = max((event.time for event in case.log[:place]), default=0)
            for _ in range(data.draw(st.integers(0, 2))):
                read.read(own.name, keys, max(newest, data.draw(moments)) + data.draw(waits))
        assert read.snapshot() == unread.snapshot()
        batch = case.batch(place, place + 1)
        one, other = read.apply(batch, emit=True), unread.apply(batch, emit=True)
        assert {name: bits(frame.to_dicts()) for name, frame in one.items()} == {
            name: bits(frame.to_dicts()) for name, frame in other.items()
        }


#   what an event emits   ==   what a read of its key gives at that moment
@trials
@given(cases(alone=True))
def test_an_emission_is_a_read(case: Case) -> None:
    (own,) = case.views
    engine = Engine([own])
    newest: dict[object, int] = {}
    for place, event in enumerate(case.log):
        key = event.row[own.key]
        newest[key] = max(newest.get(key, event.time), event.time)
        emitted = engine.apply(case.batch(place, place + 1), emit=True)[own.name]
        assert bits(emitted.to_dicts()) == bits(engine.read(own.name, [key], newest[key]).to_dicts())


#   one read of all keys   ==   a read for each
@trials
@given(views(keys=["who"]), logs())
def test_a_read_of_many_is_many_reads(own: hw.FeatureView, events: list[Event]) -> None:
    case = Case([own], events)
    engine, _ = ANY_CUTS.feed(Engine([own]), case, 0, len(case.log))
    now = max((event.time for event in case.log), default=0)
    asked = [(who, now + wait) for wait in (0, 1, micros(2)) for who in [*WHO, "nobody"]]
    keys, times = [who for who, _ in asked], [time for _, time in asked]
    single = [typed(engine.read(own.name, [who], time), [own], exactly=True)[0] for who, time in asked]
    assert bits(typed(engine.read(own.name, keys, times), [own], exactly=True)) == bits(single)


#   shard 0     keys 0 2 4 ...        read at once, each by a thread of its own
#   shard 1     keys 1 3 5 ...
def test_many_readings_are_those_of_one_after_the_other() -> None:
    own = view({"s": hw.sum("amount", over="5s"), "n": hw.count(over="3s")})
    keys = [f"k{number}" for number in range(FEW_READ + 50)]
    sketches = [at(number % 7, float(number), who=key) for number, key in enumerate(keys)]
    case = Case([own], log(sorted(sketches, key=lambda one: one.time)))
    several, one = (
        ONE_BATCH.feed(Engine([own], shards=shards), case, 0, len(case.log))[0] for shards in (3, 1)
    )
    asked = [*keys[::-1], "nobody"]
    found = several.read("view", asked, micros(8))
    assert found.equals(one.read("view", asked, micros(8)))
    assert found.rows() == [one.read("view", [key], micros(8)).row(0) for key in asked]
