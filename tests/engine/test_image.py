"""One key's state as bytes: large structures, strangers, and bytes that are none. See ``hosts.Imaged``."""

from __future__ import annotations

import random

import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import StoreError
from headwater.engine.image import Holder, images
from headwater.engine.run import Engine
from tests.engine.cases import Case, Event, log, micros, payments, view
from tests.engine.hosts import typed
from tests.letters import says

EVERY = {
    "n": hw.count(over=["1000s", "40000s"]),
    "total": hw.sum("wild", over="9000s"),
    "mean": hw.mean("wild"),
    "low": hw.min("amount", over="9000s"),
    "high": hw.max("amount", over=["50s", "40000s"]),
    "std": hw.std("amount", over="9000s"),
    "slope": hw.trend("amount", over="9000s"),
    "units": hw.distinct("units", over="40000s"),
    "words": hw.distinct("word"),
    "middle": hw.quantile("amount", q=0.5, over="40000s"),
    "most": hw.quantile("amount", q=0.9),
    "first": hw.first("word", over="9000s"),
    "faded": hw.decayed_sum("amount", half_life="100s"),
    "before": hw.sum("amount", over="500s", delay="3000s"),
}
VIEW = view(EVERY)


def busy(count: int, seed: int = 7) -> Case:
    """Two keys with thousands of events, some late, with numbers of very different sizes."""
    dice = random.Random(seed)
    events = []
    for i in range(count):
        row = {
            "who": dice.choice(["ada", "bob"]),
            "shop": 0,
            "colour": "red",
            "online": True,
            "amount": dice.gauss(0, 100),
            "wild": dice.choice([1e300, -1e300, 1e-300, 0.1, 5e-324, 2.0**53, 1 / 3]),
            "units": dice.randrange(5_000),
            "pieces": 1,
            "ratio": None,
            "word": f"word {dice.randrange(900)}",
            "flag": True,
            "day": None,
        }
        late = dice.choice([0, 0, 0, 30, 4_000])
        events.append(Event(payments, micros(max(10 * i - late, 0)), micros(10 * i), row))
    return Case([VIEW], events, [])


@pytest.mark.parametrize("count", [1, 3, 70, 6_000])
def test_large_structures_move_whole(count: int) -> None:
    case = busy(count)
    engine, holder = Engine([VIEW], shards=2), Holder([VIEW])
    for _, batch in case.batches(0, count, range(0, count, 500)):
        engine.apply(batch)
    state = engine.states[VIEW.name]
    holder.learn({VIEW.name: state.book.texts})
    newest = max(event.time for event in case.log)
    for who in ("ada", "bob", "nobody"):
        holder.hold(VIEW.name, who, images(state, pl.Series([who]))[0])
        for wait in (0, 1, micros(40), micros(5_000), micros(60_000)):
            wanted = engine.read(VIEW.name, [who], newest + wait)
            assert typed(holder.engine.read(VIEW.name, [who], newest + wait), [VIEW]) == typed(wanted, [VIEW])


def test_an_engine_goes_on_with_an_image() -> None:
    case = busy(3_000)
    whole, part, holder = Engine([VIEW]), Engine([VIEW]), Holder([VIEW])
    for engine, stop in ((whole, 3_000), (part, 1_500)):
        for _, batch in case.batches(0, stop, range(0, stop, 250)):
            engine.apply(batch)
    state = part.states[VIEW.name]
    holder.learn({VIEW.name: state.book.texts})
    holder.hold(VIEW.name, "ada", images(state, pl.Series(["ada"]))[0])
    for _, batch in case.batches(1_500, 3_000, range(1_500, 3_000, 300)):
        holder.engine.apply(batch)
    at = case.log[-1].arrival + micros(3)
    found, wanted = (one.read(VIEW.name, ["ada"], at) for one in (holder.engine, whole))
    assert typed(found, [VIEW]) == typed(wanted, [VIEW])


@pytest.mark.parametrize("blob", [b"", b"12345678", b"\0" * 8 * 500])
def test_other_bytes_are_no_image(blob: bytes) -> None:
    small = view({"n": hw.count(over="5s")})
    with says(
        StoreError,
        f"""
        the state of a key cannot be read
          expected: the words of an image, at least 12
          got:      {len(blob)} bytes
          where:    {small.name}
          do:       publish it again: start the server that owns the log anew
        """,
    ):
        Holder([small]).hold(small.name, "ada", blob)


def test_nobody_has_no_image() -> None:
    engine = Engine([VIEW])
    for _, batch in Case([VIEW], log([]), []).batches(0, 0, ()):
        engine.apply(batch)
    assert images(engine.states[VIEW.name], pl.Series(["ada"])) == [None]
