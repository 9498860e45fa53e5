"""What Hypothesis invents: logs full of trouble, features of every kind, and questions on every boundary.

A log is drawn as a clock that mostly stands still or takes a step of the length of some window, and for
each event how late it comes. So ties, events exactly on a boundary (and a microsecond beside it), late
events, and events that are late and already outside every window all come up in most examples.

``HEADWATER_TRIALS=100`` looks a hundred times longer than usual.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import headwater as hw
from headwater.core.instant import EARLIEST, LATEST
from tests.engine.cases import Ask, Case, Event, payments, profiles, view

trials = settings(
    max_examples=10 * int(os.environ.get("HEADWATER_TRIALS", "1")),
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,  # a host remembers nothing from one case to the next
    ],
)

TICK = 1_000_000
SPANS = ["1s", "2s", "3s", "5s", "10s"]  # the windows
STEPS = [0, 1, 2, 3, 5, 10]  # and, in ticks, the steps of the clock and of lateness, so that they meet
ORIGINS = [0, -7 * TICK, 1_700_000_000 * TICK, EARLIEST + 10**10, LATEST - 10**12]

WHO = ["ada", "bob", "cyd"]
SHOPS = [0, -1, 7, 2**53 + 1]
COLOURS = ["red", "green", "blue"]
DAYS = [None, "1970-01-01", "2026-02-28", "1899-12-31", "9999-12-31", "0001-01-01"]

PLAIN = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.1, 0.2, 0.3, 2.5, 1 / 3, 12345.678, 1e6, -1e6])
GENTLE = PLAIN | st.floats(-1e6, 1e6).map(lambda x: x if abs(x) > 1e-100 else 0.0)  # squares are normal
HUGE = st.sampled_from([1e16, -1e16, 1e300, -1e300, 1e-300, 5e-324, 2.0**53, -(2.0**30)])
WILD = PLAIN | HUGE | st.floats(-1e300, 1e300)
WHOLE = st.integers(-3, 3) | st.sampled_from([2**53 + 1, 2**53, 2**62 + 1, -(2**63) + 1, 2**63 - 1])


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Now and then a null."""
    return st.one_of(values, values, values, st.none())


ROW = st.fixed_dictionaries(
    {
        "who": st.sampled_from([*WHO[:1] * 3, *WHO]),
        "shop": st.sampled_from(SHOPS),
        "colour": st.sampled_from(COLOURS),
        "online": st.booleans(),
        "amount": maybe(GENTLE),
        "wild": maybe(WILD),
        "units": maybe(WHOLE),
        "pieces": maybe(st.integers(-100, 100)),
        "ratio": maybe(st.sampled_from([0.5, 0.1, -2.0, 1e30])),
        "word": maybe(st.sampled_from(["", "rent", "pay", "é", "rent "])),
        "flag": maybe(st.booleans()),
        "day": st.sampled_from(DAYS).map(lambda day: day and pl.Series([day]).str.to_date()[0]),
    }
)
PROFILE = st.fixed_dictionaries(
    {"who": st.sampled_from(WHO), "income": maybe(WILD), "town": maybe(st.sampled_from(["Ayr", "Bath"]))}
)

step = st.sampled_from([0, 0, 0, 1, 1, *STEPS, 65, 700]).map(lambda ticks: ticks * TICK)
nudge = st.sampled_from([0] * 8 + [-1, 1])
lateness = st.sampled_from([0] * 8 + [*STEPS, 11, 70, 900]).map(lambda ticks: ticks * TICK)
NEVER = st.just(0)
ahead = st.sampled_from([0, 0, 1, 3, 10, 70]).map(lambda ticks: ticks * TICK)


@st.composite
def logs(
    draw: st.DrawFn,
    *,
    streams: Sequence[hw.Stream] = (payments,),
    most: int = 24,
    early: st.SearchStrategy[int] = NEVER,
) -> list[Event]:
    """Events in the order in which they arrive: a clock, how late each one is, and how far ahead of it."""
    clock = draw(st.sampled_from(ORIGINS))
    events = []
    for _ in range(draw(st.integers(0, most))):
        stream = draw(st.sampled_from(streams))
        clock += max(draw(step) + draw(nudge), 0)
        late = max(draw(lateness) + draw(nudge), 0)
        row = draw(ROW if stream is payments else PROFILE)
        events.append(Event(stream, max(clock - late + draw(early), EARLIEST), clock, row))
    return events


NOTHING: st.SearchStrategy[dict[str, Any]] = st.just({})


@dataclass(frozen=True)
class Kind:
    """An aggregation, the columns that it may read, and what else it needs."""

    make: Any
    columns: Sequence[str | pl.Expr] = ()
    more: st.SearchStrategy[dict[str, Any]] = NOTHING


twice = pl.col("amount") * 2 + pl.col("pieces")
NUMBERS: list[str | pl.Expr] = ["amount", "wild", "units", "pieces", "ratio", twice]
ANYTHING: list[str | pl.Expr] = [*NUMBERS, "flag", "word", "colour", "day", "at", "who"]
half_life = st.sampled_from(["1s", "3s", 7]).map(lambda span: {"half_life": span})
q = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]).map(lambda share: {"q": share})

KINDS = {
    "count": Kind(hw.count),
    "sum": Kind(hw.sum, [*NUMBERS, "flag"]),
    "mean": Kind(hw.mean, [*NUMBERS, "flag"]),
    "min": Kind(hw.min, NUMBERS),
    "max": Kind(hw.max, NUMBERS),
    "std": Kind(hw.std, ["amount", "pieces", "flag", twice]),
    "var": Kind(hw.var, ["amount", "pieces", "flag", twice]),
    "first": Kind(hw.first, ANYTHING),
    "last": Kind(hw.last, ANYTHING),
    "distinct": Kind(hw.distinct, ANYTHING),
    "since_last": Kind(hw.since_last),
    "since_first": Kind(hw.since_first),
    "trend": Kind(hw.trend, ["amount", "pieces", twice]),
    "decayed_sum": Kind(hw.decayed_sum, ["amount", "pieces", twice], half_life),
    "decayed_count": Kind(hw.decayed_count, (), half_life),
    "quantile": Kind(hw.quantile, [*NUMBERS, "flag"], q),
}

WHERES = [
    None,
    None,
    pl.col("flag"),  # null: no match
    ~pl.col("flag"),
    pl.col("pieces") > 1,
    pl.col("colour") == "red",
    pl.col("word").is_null(),
]


@st.composite
def aggregates(draw: st.DrawFn, op: str) -> hw.Aggregate:
    """One feature of that kind, over any windows."""
    kind = KINDS[op]
    column = [draw(st.sampled_from(kind.columns))] if kind.columns else []
    over = draw(st.none() | st.lists(st.sampled_from(SPANS), min_size=1, max_size=3, unique=True))
    where, delay = draw(st.sampled_from(WHERES)), draw(st.sampled_from([None, None, "1s", "3s", "5s"]))
    found: hw.Aggregate = kind.make(*column, where=where, over=over, delay=delay, **draw(kind.more))
    return found


@st.composite
def views(
    draw: st.DrawFn,
    *,
    name: str = "view",
    ops: Sequence[str] = tuple(KINDS),
    keys: Sequence[str] = ("who", "who", "shop", "colour", "online"),
) -> hw.FeatureView:
    """A view of the payments with one to five features, by any kind of key."""
    chosen = draw(st.lists(st.sampled_from(ops), min_size=1, max_size=5))
    features = {f"{name}_{op}_{i}": draw(aggregates(op)) for i, op in enumerate(chosen)}
    return view(features, name=name, key=draw(st.sampled_from(keys)))


@st.composite
def asks(draw: st.DrawFn, log: Sequence[Event], *, most: int = 6) -> list[Ask]:
    """Questions about keys seen and unseen, at events, at their boundaries, and just beside them."""
    times = [event.arrival for event in log] + [event.time for event in log] or [0]
    found = []
    for _ in range(draw(st.integers(1, most))):
        moment = draw(st.sampled_from(times)) + draw(step) + draw(nudge)
        keys = {
            "who": draw(st.sampled_from([*WHO, "nobody"])),
            "shop": draw(st.sampled_from([*SHOPS, 99])),
            "colour": draw(st.sampled_from(COLOURS)),
            "online": draw(st.booleans()),
        }
        found.append(Ask(min(max(moment, EARLIEST), LATEST), keys))
    return found


BESIDE = view(  # on the other stream, so that two streams share their moments
    {"income": hw.last("income"), "earned": hw.sum("income", over="5s"), "towns": hw.distinct("town")},
    name="beside",
    stream=profiles,
)


@st.composite
def cases(draw: st.DrawFn, *, ops: Sequence[str] = tuple(KINDS), most: int = 24, alone: bool = False) -> Case:
    """One or two views of the payments, perhaps one of the profiles, a log and questions."""
    chosen = [draw(views(name="a", ops=ops))]
    if not alone:
        chosen += [draw(views(name="b", ops=ops))] if draw(st.booleans()) else []
        chosen += [BESIDE] if draw(st.booleans()) else []
    streams = list({own.stream.name: own.stream for own in chosen}.values())
    log = draw(logs(streams=streams, most=most))
    return Case(chosen, log, draw(asks(log)))
