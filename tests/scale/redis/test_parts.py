"""A Kafka host owns a part of the store for each of its partitions; what is read is the embedded engine's."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx

from headwater.apps.http.app import create_app
from headwater.apps.http.parts import Part
from headwater.apps.online import Online
from headwater.scale.kafka.partition import Partition
from headwater.scale.redis import parts
from headwater.scale.redis.moved import Keys, Moved
from headwater.scale.redis.states import Held
from headwater.scale.redis.writing import Writing
from headwater.serving.making import Making, Wanted
from headwater.serving.replica import Replica
from headwater.serving.vectors import Moment
from headwater.store.folder import DataFolder
from headwater.testing import ManualClock
from tests.http.house import Faults, listening
from tests.scale.redis.cases import address
from tests.scale.redis.lender import LATER, SHOP, Lender, cut, markers, micros, past
from tests.serving.bank import scoring


def test_a_host_publishes_and_readings_are_the_embedded_engines(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    lender = Lender(services["HEADWATER_KAFKA"], address(services), tmp_path)
    lender.send(cut(past(), 0, 0.5))
    with lender.host() as running:
        lender.settle(running)
        lender.agree()
        for first in range(50, 100, 10):
            lender.send(cut(past(), first / 100, first / 100 + 0.1))
            lender.settle(running)
        lender.agree()
        _, owners, faults = running
        assert faults.faults == []
        assert owners.published.fillings == lender.partitions
        assert owners.published.writes >= lender.partitions
    assert len({marker[b"epoch"] for marker in markers(lender)}) == lender.partitions


def test_a_replica_decides_and_its_records_name_their_places(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    lender = Lender(services["HEADWATER_KAFKA"], address(services), tmp_path)
    lender.send(past())
    clock = ManualClock(LATER)
    vectors, seen = Online(Part.DECIDE, lender.redis).reading()
    with (
        lender.host() as running,
        Replica.open(
            lender.project,
            DataFolder(tmp_path / "replica"),
            {"risk": scoring()},
            vectors,
            clock=clock.now,
            stopwatch=time.perf_counter_ns,
        ) as replica,
    ):
        lender.settle(running)
        wanted = [Wanted("lend", {"who": who}, {}) for who in (3, 4, 7, 3, 123456, 11)]
        Making(lambda: replica.serving, clock.now, Faults().on_fault)(wanted)  # texts and parts are known now
        before = seen.fetches
        made = Making(lambda: replica.serving, clock.now, Faults().on_fault)(wanted)
        assert seen.fetches == before + 1, "several parts are one round trip"
        with listening(create_app(replica, time.perf_counter_ns, part=Part.DECIDE)) as url:
            assert httpx.get(f"{url}/readyz").status_code == 200
            for one, twice in zip(wanted, made, strict=True):
                body = {"policy": "lend", "keys": dict(one.keys)}
                told = httpx.post(f"{url}/v1/decisions", json=body).json()
                own = lender.twin.vector(scoring(), one.keys, Moment(LATER, exact=False), {})
                assert not isinstance(twice, Exception)
                assert twice[0].x.tobytes() == own.x.tobytes()
                assert (told["score"], told["places"]) == (twice[1].score, dict(twice[1].places))
                part = parts.part_of(one.keys["who"], lender.partitions)
                ends = json.loads(markers(lender)[part][b"positions"])
                assert told["places"] == {f"{stream}/{part}": end - 1 for stream, end in ends.items()}
                assert told["offset"] == sum(ends.values()) - 1
            told = httpx.get(f"{url}/v1/features/shop/shop-3").json()
            own_read = lender.twin.read_view(SHOP, "shop-3", Moment(LATER, exact=False))
            assert told["features"]["clerk"] == own_read.values["clerk"]
            assert told["places"].keys() == {f"{s}/{parts.part_of('shop-3', 3)}" for s in ends}
        assert seen.offset == sum(len(frame) for frame in past().values()) - 1
        records = replica.decisions.page(limit=10)
        assert {len(record.decision.places) for record in records} == {3}
        assert replica.decisions.verify() == len(records)


def test_who_has_no_thread_writes_at_once_and_goes_on_elsewhere(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    """As a worker of Spark's, which is called once a micro-batch, the next time maybe in another process."""
    lender = Lender(services["HEADWATER_KAFKA"], address(services), tmp_path, partitions=1)
    redis, memory, part = address(services), None, parts.Part(0, 1)
    state, moved = Partition(lender.project, {}), Moved()
    state.on_taken = moved.add
    held = Held(lender.project.name, lender.project.views, state.vectors, lambda: state.positions)
    keys: dict[str, Keys] = {}
    for first in (0, 0.4, 0.6, 0.8):
        lender.send(cut(past(), first, first + (0.4 if first == 0 else 0.2)))
        for (_, stream), records in lender.records().items():
            state.take(stream, records, quiet=True)
        with redis.client() as client:
            writing = Writing(redis, client, micros, time.perf_counter_ns, part, memory)
            moved.take(held.views, keys)
            assert writing.turn(held, keys)
            memory = writing.memory
            assert keys == {}
            assert writing.published.fillings == (first == 0)
        lender.agree()
    earlier = Partition(lender.project, {})  # a checkpoint of before: it is behind what was published
    for (_, stream), records in lender.records().items():
        earlier.take(stream, records[:-3], quiet=True)
    held = replace(held, vectors=earlier.vectors, positions=lambda: earlier.positions)
    before = markers(lender)
    with redis.client() as client:
        writing = Writing(redis, client, micros, time.perf_counter_ns, part, memory)
        assert not writing.turn(held, {"spending": {b"k3": 3}})
        assert not writing.turn(held, {})
        assert markers(lender) == before
        for (_, stream), records in lender.records().items():
            earlier.take(stream, records, quiet=True)
        assert writing.turn(held, {})
    lender.agree()
