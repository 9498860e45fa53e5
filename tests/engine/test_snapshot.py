"""Snapshot and restore: a run that was broken off and taken up again is a run that was not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwater as hw
from headwater.core.errors import StoreError
from headwater.engine import sections, snapshot, state
from headwater.engine.kernels.layout import NULL
from headwater.engine.mapped import POSSIBLE
from headwater.engine.plan import compile_view
from headwater.engine.run import Engine
from headwater.engine.shard import Memory
from tests.engine.cases import Case, at, log, micros, profile, profiles, view
from tests.engine.hosts import ANY_CUTS, ONE_BATCH, bits, read
from tests.engine.strategies import cases, trials

SMALL = view({"n": hw.count(over="10s"), "word": hw.last("word")})
EVERYTHING = {
    "n": hw.count(over=["2s", "5s"]),
    "s": hw.sum("wild", over="5s"),
    "mean": hw.mean("wild"),
    "low": hw.min("amount", over="5s"),
    "high": hw.max("units"),
    "spread": hw.std("amount", over="5s"),
    "first": hw.first("word", over="5s"),
    "last": hw.last("colour"),
    "words": hw.distinct("word", over="5s"),
    "since": hw.since_last(),
    "slope": hw.trend("amount", over="5s"),
    "fading": hw.decayed_sum("amount", half_life="2s"),
    "median": hw.quantile("amount", q=0.5, over="5s", delay="1s"),
}


#   a b c | d e f         the same as         a b c d e f
#         snapshot, another engine goes on
@trials
@given(cases(), st.data())
def test_a_restored_engine_goes_on_as_if_nothing_had_happened(case: Case, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(case.log)))
    straight, emitted = ANY_CUTS.feed(Engine(list(case.views)), case, 0, len(case.log), emit=True)
    engine, before = ANY_CUTS.feed(Engine(list(case.views)), case, 0, cut, emit=True)
    engine = Engine.restore(list(case.views), engine.snapshot())
    engine, after = ANY_CUTS.feed(engine, case, cut, len(case.log), emit=True)
    assert bits(before + after) == bits(emitted)
    for ask in (ask for ask in case.asks if case.arrived(ask.time) == len(case.log)):
        assert bits([read(engine, case, ask)]) == bits([read(straight, case, ask)])


#   state -> bytes -> state -> bytes      the same bytes
@trials
@given(cases())
def test_the_snapshot_of_a_restored_engine_is_the_same_snapshot(case: Case) -> None:
    engine, _ = ONE_BATCH.feed(Engine(list(case.views)), case, 0, len(case.log))
    blob = engine.snapshot()
    assert isinstance(blob, bytes)
    assert Engine.restore(list(case.views), blob).snapshot() == blob
    assert engine.snapshot() == blob, "to take a snapshot changes nothing"


def test_the_engine_that_was_photographed_goes_on_too() -> None:
    own = view(EVERYTHING)
    case = Case(
        [own], log(at(i, float(i), units=i, word="abc"[i % 3], colour="red", wild=0.1) for i in range(9))
    )
    photographed, _ = ONE_BATCH.feed(Engine([own]), case, 0, 4)
    restored = Engine.restore([own], photographed.snapshot())
    for place in range(4, 9):
        one = photographed.apply(case.batch(place, place + 1), emit=True)["view"]
        other = restored.apply(case.batch(place, place + 1), emit=True)["view"]
        assert bits(one.to_dicts()) == bits(other.to_dicts())
    assert photographed.snapshot() == restored.snapshot()


#   ada ada | ada bob cyd ...             keys that the snapshot did not know
def test_new_keys_after_a_restart() -> None:
    case = Case([SMALL], log(at(i, who=f"who {i // 2}", word=f"word {i}") for i in range(400)))
    engine, _ = ONE_BATCH.feed(Engine([SMALL]), case, 0, 2)
    engine = Engine.restore([SMALL], engine.snapshot())
    engine, emitted = ANY_CUTS.feed(engine, case, 2, 400, emit=True)
    assert emitted == [{"n_10s": 1 + i % 2, "word": f"word {i}"} for i in range(2, 400)]


#   32 thousand keys of every sort of text, in several lines of the snapshot
def test_texts_of_any_sort_and_number() -> None:
    odd = ["", "\n", '"', "\\", "a\nb", "\u2028", "Åse", "\U0001f40d", "\x00"]
    case = Case(
        [SMALL], log(at(i, who=f"{odd[i % 9]}{i // 9 or ''}", word=odd[i % 9]) for i in range(32_000))
    )
    engine, _ = ONE_BATCH.feed(Engine([SMALL]), case, 0, len(case.log))
    again = Engine.restore([SMALL], engine.snapshot())
    keys = engine.states["view"].keys.keys().to_list()
    assert len(keys) == 32_000
    assert again.states["view"].keys.keys().to_list() == keys
    assert again.read("view", keys, micros(40_000)).equals(engine.read("view", keys, micros(40_000)))
    assert again.snapshot() == engine.snapshot()
    book = again.states["view"].keys.book
    assert book is not None
    again.let_go()
    assert (book.texts, book.code("a", add=False)) == ([], NULL)
    assert engine.states["view"].keys.keys().to_list() == keys


def test_texts_among_the_facts_as_they_once_were() -> None:
    case = Case([SMALL], log(at(i, who=f"who {i}", word=f"word {i}") for i in range(20)))
    engine, _ = ONE_BATCH.feed(Engine([SMALL]), case, 0, 20)
    found = snapshot.parse(engine.snapshot())
    entry = found.facts["views"]["view"]
    entry["texts"] = json.loads(found.arrays.pop("view/texts").tobytes())
    entry["keys"] = json.loads(found.arrays.pop("view/key texts").tobytes())
    assert entry["keys"][:2] == ["who 0", "who 1"]
    assert Engine.of([SMALL], found).snapshot() == engine.snapshot()


def test_an_engine_that_has_seen_nothing() -> None:
    own = view(EVERYTHING)
    engine = Engine.restore([own], Engine([own]).snapshot())
    row = engine.read("view", ["ada"], 0).row(0, named=True)
    empty = {name: value for name, value in row.items() if value is not None}
    assert empty == {"n_2s": 0, "n_5s": 0, "s_5s": 0.0, "words_5s": 0}


def test_two_streams_and_two_views_in_one_snapshot() -> None:
    both = [
        view({"n": hw.count()}, name="a", key="shop"),
        view({"town": hw.last("town")}, name="b", stream=profiles),
    ]
    case = Case(both, log([at(0, shop=1), profile(1, town="Ayr"), at(2, shop=1)]))
    engine, _ = ONE_BATCH.feed(Engine(both), case, 0, 3)
    engine = Engine.restore(both, engine.snapshot())
    assert engine.read("a", [1, 2], micros(9)).rows() == [(2,), (0,)]
    assert engine.read("b", ["ada", "bob"], micros(9)).rows() == [("Ayr",), (None,)]


#   n over 10 s   ->   n over 20 s        a changed definition gets new state, never old bytes
def test_a_snapshot_of_other_definitions_is_refused() -> None:
    blob = Engine([view({"n": hw.count(over="10s")})]).snapshot()
    with pytest.raises(StoreError):
        Engine.restore([view({"n": hw.count(over="20s")})], blob)


@pytest.mark.parametrize("keep", [slice(0), slice(1), slice(-1), slice(1, None)])
def test_a_torn_snapshot_is_refused(keep: slice) -> None:
    blob = small()
    with pytest.raises(StoreError):
        Engine.restore([SMALL], blob[keep])


def test_a_flipped_bit_is_found() -> None:
    blob = small()
    for place in range(0, len(blob), max(1, len(blob) // 97)):
        flipped = blob[:place] + bytes([blob[place] ^ 16]) + blob[place + 1 :]
        with pytest.raises(StoreError):
            Engine.restore([SMALL], flipped)


def small() -> bytes:
    """The snapshot of an engine that has seen two events."""
    case = Case([SMALL], log([at(0, word="a"), at(1, word="b")]))
    return ONE_BATCH.feed(Engine([SMALL]), case, 0, 2)[0].snapshot()


#   file ──► its own pages, with room behind them ──► more events, more keys, until that is full and moves
@pytest.mark.parametrize("mapped", [1, sections.MAPPED])
def test_memory_that_is_a_file_is_memory_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: int
) -> None:
    monkeypatch.setattr(sections, "MAPPED", mapped)
    monkeypatch.setattr(state, "SERIAL", 100)
    own = view(EVERYTHING)
    names = "abcdefghijklmnopqrstuvw"
    case = Case(
        [own],
        log(
            at(
                i // 9,
                float(i),
                who=f"who {i % (3 + i // 40)}",
                units=i,
                word=names[i % 23],
                colour="red",
                wild=i / 7,
            )
            for i in range(3_000)
        ),
    )
    straight, _ = ONE_BATCH.feed(Engine([own]), case, 0, 300)
    path = tmp_path / "state"
    path.write_bytes(straight.snapshot())
    before = path.read_bytes()
    with path.open("rb", buffering=0) as file:
        found = sections.read(file)
    assert bool(found.roomy) == (mapped == 1 and POSSIBLE)
    restored = Engine.of([own], found)
    taken = restored.states["view"]
    assert taken.alone == (min(taken.keys.count, state.ALONE) if found.roomy else 0), (
        "one thread as long as pages are new"
    )
    assert restored.snapshot() == before
    for first in range(300, 3_000, 150):
        batch = case.batch(first, first + 150)
        one = straight.apply(batch, emit=True)["view"]
        assert bits(restored.apply(batch, emit=True)["view"].to_dicts()) == bits(one.to_dicts())
    assert taken.alone <= 0
    assert restored.snapshot() == straight.snapshot()
    assert path.read_bytes() == before, "what is in use is not written to"


@pytest.mark.parametrize("words", [5_000, 20_000, 700_000])
def test_room_that_was_made_holds_nothing_of_others(words: int) -> None:
    """Else a snapshot would take along what another part of the process left in its memory."""
    memory = Memory(compile_view(SMALL))
    left_behind = [np.full(size, -1, dtype=np.int64) for size in range(words, 4 * words, words // 4)]
    del left_behind
    memory.make_room(words)
    assert memory.shard.words.shape[0] > words
    assert not memory.shard.words.any()
