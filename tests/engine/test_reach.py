"""What no reading can see stays out of the kernels, is checked all the same, and leaves no trace.

::

    far                          near        t
     (-----------------------------]         |       a window of 10 s that ended 5 s ago
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwater as hw
from headwater.core.batch import Batch
from headwater.core.errors import ConflictError, DataError
from headwater.engine.kernels import layout
from headwater.engine.keys import KeyIndex
from headwater.engine.plan import compile_view
from headwater.engine.reach import Bounds, Reach, Readings, seen
from tests.engine.cases import WHEN, Ask, Case, at, log, micros, payments, view
from tests.engine.hosts import ASOF, bits
from tests.engine.strategies import asks, logs, trials, views

SECOND = 1_000_000
PAST = view({"n": hw.count(over=["3s", "10s"], delay="5s"), "s": hw.sum("amount", over="10s", delay="5s")})


def reach(**features: hw.Aggregate) -> tuple[int, int | None]:
    """A view's reach in seconds."""
    found = Reach.of([view(features)])
    return found.near // SECOND, None if found.far is None else found.far // SECOND


#                     (-----------------]            n: 10 s, 5 s ago
#                                     (---------]    m: 4 s until now
#                     (-------------------------]    both
def test_a_view_reaches_as_far_as_all_of_its_features() -> None:
    assert reach(n=hw.count(over="10s", delay="5s")) == (5, 15)
    assert reach(n=hw.count(over="10s", delay="5s"), m=hw.count(over="4s")) == (0, 15)
    assert reach(n=hw.count(over=["1s", "2s"], delay="5s"), m=hw.count(over="3s", delay="9s")) == (5, 12)
    assert reach(n=hw.count(over="10s"), last=hw.last("amount")) == (0, None)
    assert reach(n=hw.decayed_count(half_life="1s")) == (0, 64)
    assert reach(n=hw.decayed_count(half_life="1s", over="7s")) == (0, 7)


@trials
@given(views())
def test_the_reach_is_that_of_the_compiled_view(own: hw.FeatureView) -> None:
    cells = compile_view(own).tables.cells
    over, delay = cells[:, layout.C_OVER], cells[:, layout.C_DELAY]
    far = None if (over < 0).any() else int((delay + over).max())
    assert Reach.of([own]) == Reach(int(delay.min()), far)


def batch(*times: float, who: list[str] | None = None, arrivals: list[float] | None = None) -> Batch:
    """Events of ada at these seconds; they arrive when they happen unless it is said when."""
    when = np.array([micros(time) for time in times], dtype=np.int64)
    arrived = when if arrivals is None else np.array([micros(time) for time in arrivals], dtype=np.int64)
    names = who or ["ada"] * len(times)
    frame = pl.DataFrame({"who": names, "amount": [float(i) for i in range(len(times))]})
    return Batch("payments", np.arange(len(times)), arrived, when, frame)


def found(events: Batch, *rows: tuple[str, float], known: list[float] | None = None) -> list[int]:
    """The events that :data:`PAST` is fed when it is asked about these keys at these seconds."""
    plan, keys = compile_view(PAST), KeyIndex(pl.String())
    ids = keys.number(pl.Series([who for who, _ in rows], dtype=pl.String), add=True)
    times = np.array([micros(time) for _, time in rows], dtype=np.int64)
    later = times if known is None else np.array([micros(time) for time in known], dtype=np.int64)
    out = seen(plan, keys, events, Readings(ids, times, later))
    assert out.frame.columns == ["amount"]
    assert out.frame["amount"].to_list() == out.offset.tolist()
    return [int(place) for place in out.offset]


#   events      0    4 5 6     10    14 15 16    20          asked at 20: (5, 15]
#   fed                  x      x     x  x
def test_what_is_fed_to_a_view() -> None:
    events = batch(0, 4, 5, 6, 10, 14, 15, 16, 20)
    assert found(events, ("ada", 20)) == [3, 4, 5, 6]
    assert found(events, ("ada", 20), ("ada", 21)) == [3, 4, 5, 6, 7]
    assert found(events, ("bob", 20)) == []
    assert found(events) == []
    assert found(batch(), ("ada", 20)) == []


#   ada         1         11        21                       asked at 17: (2, 12]
#   bob         1         11        21                       asked at 27: (12, 22]
def test_each_key_has_its_own_bounds() -> None:
    events = batch(1, 1, 11, 11, 21, 21, who=["ada", "bob"] * 3)
    assert found(events, ("ada", 17), ("bob", 27)) == [2, 5]
    assert found(events, ("ada", 17), ("bob", 27), ("ada", 6)) == [0, 2, 5]


#   happened    10   9    11   12
#   arrived     10   12   25   26                            asked at 20, known at 20 and at 25
def test_what_had_not_arrived_is_not_fed() -> None:
    events = batch(10, 9, 11, 12, arrivals=[10, 12, 25, 26])
    assert found(events, ("ada", 20)) == [0, 1]
    assert found(events, ("ada", 20), known=[25]) == [0, 1, 2]
    assert found(events, ("ada", 20), ("bob", 26)) == [0, 1]


#   in order    1 2 3 ... 40                                 a slice: nothing is copied
def test_events_in_order_are_cut_out_as_they_stand() -> None:
    events = batch(*range(1, 41))
    assert Bounds(5 * SECOND, 15 * SECOND, 20 * SECOND).places(events.time, events.arrival) == slice(5, 15)
    assert Bounds(5 * SECOND, 15 * SECOND, 9 * SECOND).places(events.time, events.arrival) == slice(5, 9)
    assert Bounds(layout.NEVER, 3 * SECOND, 9 * SECOND).places(events.time, events.arrival) == slice(0, 3)
    nothing = Reach(0, None).bounds(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert not len(events.time[nothing.places(events.time, events.arrival)])


OLD, NEW = -1_000 * SECOND, 2_000 * SECOND  # beyond every window and every question of a case


@st.composite
def surrounded(draw: st.DrawFn) -> tuple[Case, Case]:
    """A case, and the same among events that no reading sees: of before, of after, and of strangers."""
    core = draw(logs())
    questions = draw(asks(core))
    own = draw(views().filter(lambda v: Reach.of([v]).far is not None))
    first = min([event.time for event in core] + [ask.time for ask in questions])
    last = max([event.arrival for event in core] + [ask.time for ask in questions])
    noise = draw(logs(most=8))
    origin = noise[0].arrival if noise else 0
    width = noise[-1].arrival - origin if noise else 0
    moved = [
        type(event)(event.stream, event.time - origin + place, event.arrival - origin + place, event.row)
        for place in (first + OLD - width, last + NEW)
        for event in noise
    ]
    before, after = moved[: len(noise)], moved[len(noise) :]
    return Case([own], core, questions), Case([own], [*before, *core, *after], questions)


#   old old old   a b ?1 c ?2 d ?3   new new new      ==      a b ?1 c ?2 d ?3
@trials
@given(surrounded())
def test_what_no_window_reaches_leaves_no_trace(cases: tuple[Case, Case]) -> None:
    alone, among = cases
    assert bits(ASOF.answers(among)) == bits(ASOF.answers(alone))


STREAM = hw.Stream("taps", {"id": pl.Int64, "who": pl.String, "time": WHEN, "x": pl.Float64}, id="id")
SUMS = {"n": hw.count(over="10s"), "s": hw.sum("x", over="10s")}
TAPS = hw.FeatureView("v", STREAM, key="who", features=SUMS)
ASKED = pl.DataFrame({"who": ["ada"], "time": [micros(100)]}, schema={"who": pl.String, "time": WHEN})


def taps(*rows: tuple[int, str | None, float, float]) -> dict[str, pl.DataFrame]:
    """Taps: id, who, seconds, x."""
    exact = [(id_, who, micros(time), x) for id_, who, time, x in rows]
    return {"taps": pl.DataFrame(exact, schema=dict(STREAM.schema), orient="row")}


@pytest.mark.parametrize(
    ("events", "error"),
    [
        (taps((1, "ada", 0, float("nan")), (2, "ada", 99, 1.0)), DataError),
        (taps((1, "bob", 99, float("inf")), (2, "ada", 99, 1.0)), DataError),
        (taps((1, None, 0, 1.0), (2, "ada", 99, 1.0)), DataError),
        (taps((1, "ada", 0, 1.0), (1, "ada", 99, 1.0)), ConflictError),
        (taps((1, "ada", 500, 1.0), (1, "ada", 501, 1.0), (2, "ada", 99, 1.0)), ConflictError),
    ],
    ids=["NaN long ago", "infinity of a stranger", "no key", "an id of long ago", "an id of the future"],
)
def test_what_is_not_fed_is_checked_all_the_same(events: dict[str, Any], error: type[DataError]) -> None:
    with pytest.raises(error):
        hw.asof(TAPS, events, ASKED)


#   id          1    2    2    3                the same event twice: it counts once, wherever the rows stand
def test_repeats_are_found_among_all_events() -> None:
    events = taps((1, "ada", 0, 1.0), (2, "ada", 99, 2.0), (3, "ada", 99, 4.0), (2, "ada", 99, 2.0))
    assert hw.asof(TAPS, events, ASKED).select("n_10s", "s_10s").rows() == [(2, 6.0)]
    backwards = {"taps": events["taps"].reverse()}
    assert hw.asof(TAPS, backwards, ASKED).select("n_10s", "s_10s").rows() == [(2, 6.0)]


#   row         0         1         2         3
#   happened    99        98        98        50             2 is 1 again, and arrived before it
#   arrived     99        101       99        101
def test_of_a_repeated_event_the_first_to_arrive_counts() -> None:
    events = taps((1, "ada", 99, 1.0), (2, "ada", 98, 2.0), (2, "ada", 98, 2.0), (3, "ada", 50, 4.0))
    came = pl.Series("came", [micros(seconds) for seconds in (99, 101, 99, 101)]).cast(WHEN)
    found = hw.asof(TAPS, {"taps": events["taps"].with_columns(came)}, ASKED, arrival="came")
    assert found.select("n_10s", "s_10s").rows() == [(2, 3.0)]
    late = came.set(pl.Series([False, False, True, False]), came[1])
    found = hw.asof(TAPS, {"taps": events["taps"].with_columns(late)}, ASKED, arrival="came")
    assert found.select("n_10s", "s_10s").rows() == [(1, 1.0)]


def test_a_case_of_the_property_is_what_it_says() -> None:
    """Noise around a case is in no window of it."""
    core = log([at(0, 1.0), at(5, 2.0)])
    case = Case([view({"n": hw.count(over="10s")})], core, [Ask(micros(5), {"who": "ada"})])
    assert ASOF.answers(case) == [{"n_10s": 2}]
    assert case.frame(payments).height == 2
