"""What a part's owner must notice: numbers that texts no longer have, a Redis of before, another cut."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from threading import Timer
from typing import Any

import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import OnlineError
from headwater.scale.kafka.partition import Partition
from headwater.scale.kafka.payloads.reading import Record
from headwater.scale.redis.moved import Keys, Moved
from headwater.scale.redis.parts import Part, part_of
from headwater.scale.redis.progress import Memory
from headwater.scale.redis.source import Source
from headwater.scale.redis.states import Held
from headwater.scale.redis.vectors import OnlineVectors
from headwater.scale.redis.writing import Writing
from headwater.scale.spark.publishing import Publisher, Publishing
from headwater.serving.vectors import Moment
from tests.scale.redis.cases import until
from tests.scale.redis.lender import micros
from tests.scale.redis.server import Server
from tests.serving import bank

STREAM = hw.Stream(
    "trips",
    {"id": pl.Int64, "who": pl.Int64, "time": bank.CLOCK, "shop": pl.String, "land": pl.String},
    id="id",
)
VIEW = hw.FeatureView(
    "trip",
    STREAM,
    "who",
    {"n": hw.count(over="30d"), "shop": hw.last("shop"), "land": hw.last("land")},
)
MODEL = bank.model(
    features=[VIEW],
    derived={},
    label=hw.happens(STREAM, pl.col("shop") == "none", within="10d"),
    observe=hw.each(STREAM),
)
PROJECT = hw.Project("t", models=[MODEL])
LATER = Moment(bank.micros(0) + 3_600_000_000)
ONLY = Part(0, 1)


def record(place: int, who: int, text: int | None = None) -> Record:
    """The ``place``-th of its partition; its texts are of ``text``."""
    of = place if text is None else text
    event = {
        "id": place,
        "who": who,
        "time": f"2026-01-01T00:{place // 60:02d}:{place % 60:02d}Z",
        "shop": f"shop {of}",
        "land": f"land {of}",
    }
    return Record(place, 10**15, json.dumps(event).encode(), "")


class Kept:
    """A part's state, and the keys that moved in it."""

    def __init__(self) -> None:
        self.state = Partition(PROJECT, {})
        self.moved = Moved()
        self.state.on_taken = self.moved.add
        self.held = Held(
            PROJECT.name, PROJECT.views, self.state.vectors, positions=lambda: self.state.positions
        )

    def take(self, records: Sequence[Record], *, by: int) -> dict[str, Keys]:
        """Take in records so many at a time; what moved."""
        for first in range(0, len(records), by):
            self.state.take("trips", records[first : first + by])
        keys: dict[str, Keys] = {}
        self.moved.take(PROJECT.views, keys)
        return keys

    def reads(self, who: int) -> Mapping[str, Any]:
        """What a reading gives."""
        return self.state.vectors.read_view(VIEW, who, LATER).values


@pytest.fixture
def server(services: Mapping[str, str]) -> Iterator[Server]:  # noqa: ARG001 - its program is set up with them
    one = Server()
    one.start()
    try:
        yield one
    finally:
        one.stop()


def writing(server: Server, client: Any, memory: Memory | None = None, part: Part = ONLY) -> Writing:
    return Writing(server.address, client, micros, time.perf_counter_ns, part, memory)


def reader(server: Server) -> OnlineVectors:
    source = Source(server.address, PROJECT.name, PROJECT.views, time.perf_counter_ns)
    return OnlineVectors(PROJECT.views, source)


def test_texts_that_have_other_numbers_are_noticed(server: Server) -> None:
    records = [record(place, place % 3) for place in range(100)]
    with server.address.client() as client:
        first, again = Kept(), Kept()
        one = writing(server, client)
        assert one.turn(
            first.held, first.take(records, by=100)
        )  # all shops get their numbers, then all lands
        again.take(
            records, by=1
        )  # shop, land, shop, land: what another worker may come to by the same records
        books = [kept.state.engine.states["trip"].book.texts for kept in (first, again)]
        assert books[0] != books[1]
        assert sorted(books[0]) == sorted(books[1])
        other = writing(server, client, one.memory)
        assert other.turn(again.held, again.take([record(100, 1, text=70)], by=1))
        assert other.published.fillings == 1
        for who in range(3):
            assert reader(server).read_view(VIEW, who, LATER).values == again.reads(who)
        same = writing(server, client, other.memory)
        assert same.turn(again.held, again.take([record(101, 2, text=40)], by=1))
        assert same.published.fillings == 0
        assert reader(server).read_view(VIEW, 2, LATER).values["land"] == "land 40"


def test_a_redis_that_came_back_as_it_was_is_noticed(server: Server) -> None:
    kept = Kept()
    with server.address.client() as client:
        one = writing(server, client)
        assert one.turn(kept.held, kept.take([record(0, 0), record(1, 1)], by=1))
        saved = {key: client.dump(key) for key in client.keys("*")}
        assert one.turn(kept.held, kept.take([record(2, 1, text=0), record(3, 1, text=1)], by=1))
        server.empty()
        for key, value in saved.items():
            client.restore(key, 0, value)  # as from a copy on disk, or a replica that lagged
        assert one.turn(kept.held, kept.take([record(4, 0, text=0)], by=1))
        assert one.published.fillings == 2
        for who in range(2):
            assert reader(server).read_view(VIEW, who, LATER).values == kept.reads(who)
        server.empty()
        for key, value in saved.items():
            client.restore(key, 0, value)
        later = writing(server, client, one.memory)  # the next worker is told, too
        assert later.turn(kept.held, kept.take([record(5, 0, text=0)], by=1))
        assert later.published.fillings == 1
        assert reader(server).read_view(VIEW, 1, LATER).values == kept.reads(1)


def test_a_store_that_is_cut_anew_is_read_anew(server: Server) -> None:
    kept = Kept()
    with server.address.client() as client:
        assert writing(server, client).turn(kept.held, kept.take([record(0, 0), record(1, 1)], by=1))
        old = reader(server)
        assert old.read_view(VIEW, 1, LATER).values["n_30d"] == 1
        server.empty()  # and filled in other parts before anybody has looked
        for number in range(2):
            part = Kept()
            mine = [who for who in range(6) if part_of(who, 2) == number]
            records = [record(place, who) for place, who in enumerate([*mine, *mine])]
            assert writing(server, client, part=Part(number, 2)).turn(part.held, part.take(records, by=1))
        assert [old.read_view(VIEW, who, LATER).values["n_30d"] for who in range(6)] == [2] * 6


def test_a_stray_that_comes_while_a_part_is_filled_is_noted(server: Server) -> None:
    kept, part = Kept(), Part(0, 2)
    mine, stray = (next(who for who in range(9) if part_of(who, 2) == number) for number in (0, 1))
    kept.take([record(0, mine)], by=1)
    with server.address.client() as client:
        one = writing(server, client, part=part)
        one.claim(PROJECT.name)
        one.fill(kept.held, lambda: one.copy(kept.held, kept.take([record(1, stray)], by=1)))
        assert one.published.strays == 1
        assert client.smembers(f"hw:{{{PROJECT.name}}}:strays") == {b"k%d" % stray}


def test_sparks_publisher_waits_for_a_redis_that_is_away_for_a_moment(server: Server) -> None:
    kept = Kept()
    publisher = Publisher(Publishing(lambda: server.address, micros, time.perf_counter_ns, 1), PROJECT)
    memory, error = publisher.turn(0, kept.state, kept.take([record(0, 0)], by=1), "")
    assert error is None
    server.stop()
    back = Timer(0.3, server.start)
    back.start()
    memory, error = publisher.turn(0, kept.state, kept.take([record(1, 0)], by=1), memory)
    back.join()
    assert error is None
    until(lambda: reader(server).read_view(VIEW, 0, LATER).values == kept.reads(0))
    server.stop()
    began = time.monotonic()
    memory, error = publisher.turn(0, kept.state, kept.take([record(2, 0)], by=1), memory)
    assert isinstance(error, OnlineError)
    assert time.monotonic() - began > 4
    began = time.monotonic()
    memory, error = publisher.turn(0, kept.state, kept.take([record(3, 0)], by=1), memory)
    assert isinstance(error, OnlineError)
    assert time.monotonic() - began < 4  # one try: others wait behind this one
    server.start()
    _, error = publisher.turn(0, kept.state, kept.take([record(4, 0)], by=1), memory)
    assert error is None
    assert reader(server).read_view(VIEW, 0, LATER).values == kept.reads(0)
