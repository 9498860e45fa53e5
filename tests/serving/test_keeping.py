"""Snapshots of a live service: nothing waits for them, and they hold the bits of a straight run."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.engine.run import Engine
from headwater.serving.rising import catch_up
from headwater.serving.service import Service
from headwater.store.snapshots import Snapshots
from tests.http.house import Faults, open_service
from tests.http.test_events import pay
from tests.serving.bank import PAYMENTS, PERSON, PROJECT, micros, model, scoring
from tests.serving.test_service import many, put

ACCOUNTS = list(range(26))


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Service]:
    with open_service(tmp_path) as service:
        yield service


def names(service: Service) -> list[str]:
    return sorted(path.name for path in service.folder.snapshots.iterdir())


def kept(service: Service, project: hw.Project = PROJECT) -> Engine:
    """The state of the newest snapshot."""
    found = Snapshots(service.folder.snapshots).newest(project.views)
    assert found.passed_over == ()
    assert found.engine is not None
    return found.engine


def straight(service: Service, stop: int) -> Engine:
    """The state of the log up to an offset, event after event."""
    engine = Engine(PROJECT.views, shards=1)
    for batch in service.log.scan(stop=stop):
        for row in range(len(batch)):
            engine.apply(batch[row : row + 1])
    return engine


def same(one: Engine, other: Engine) -> None:
    assert one.offset == other.offset
    for view in PROJECT.views:
        for at in (100.5, 108.0, 140.0):
            assert one.read(view.name, ACCOUNTS, micros(at)).equals(
                other.read(view.name, ACCOUNTS, micros(at)), null_equal=True
            )


#   here       |──────────── the state is locked ────────────|
#   writer          event on disk ─ waits for the state ............ taken in
#   elsewhere       ├── snapshot ──┤
def test_it_needs_neither_the_writer_nor_the_state(bank: Service) -> None:
    """While another thread holds the state, so that no event is taken in, a snapshot is kept all the same."""
    put(bank, *many(60, 1, ordered=False))
    before = bank.offset
    with ThreadPoolExecutor() as pool:
        with bank.serving.vectors.shut():
            waiting = pool.submit(put, bank, pay(90_001, 4))
            while bank.log.end() == before + 1:
                pass
            assert pool.submit(bank.snapshot).result(60)
            assert not waiting.done()
            assert bank.offset == before
        assert waiting.result(20).offset.tolist() == [before + 1]
    engine = kept(bank)
    assert engine.offset == before + 1
    same(engine, straight(bank, before + 2))


def test_one_grows_out_of_the_other(bank: Service) -> None:
    """Each is made of the one before; after many, with late events, the bits are still those of one go."""
    for seed in range(2, 8):
        put(bank, *many(50, seed, ordered=False))
        assert bank.snapshot()
        assert not bank.snapshot()
    same(kept(bank), straight(bank, bank.log.end()))
    assert len(names(bank)) == 2


def test_what_rises_from_the_log_alone_is_kept_at_once(bank: Service) -> None:
    assert names(bank) == [f"{bank.log.end():020d}.snapshot"]
    assert not bank.snapshot()


def test_what_rises_from_a_snapshot_is_not_kept_again(tmp_path: Path) -> None:
    with open_service(tmp_path) as service:
        put(service, pay(90_002, 4))
        service.close(snapshot=False)
    with open_service(tmp_path) as service:
        assert names(service) == [f"{service.log.end() - 1:020d}.snapshot"]
        assert service.snapshot()


def test_what_it_held_when_it_was_closed_is_kept(tmp_path: Path) -> None:
    with open_service(tmp_path) as service:
        put(service, pay(90_003, 4))
    assert kept(service).offset == service.offset


def test_other_definitions_have_one_at_once(bank: Service) -> None:
    """So that the next snapshot need not read all of the log for them."""
    put(bank, *many(30, 9, ordered=True))
    wider = hw.FeatureView("spending", PAYMENTS, "who", {"spent": hw.sum("amount", over="60d")})
    changed = model(features=[wider, PERSON], derived={})
    project = hw.Project("bank", models=[changed])
    bank.swap({"risk": scoring(changed)}, project)
    assert kept(bank, project).offset == bank.offset
    assert not bank.snapshot()
    put(bank, pay(90_004, 4))
    assert bank.snapshot()
    fresh = Engine(project.views)
    catch_up(fresh, bank.log)
    assert kept(bank, project).offset == fresh.offset


def test_a_damaged_one_is_passed_over_told_and_replaced(tmp_path: Path) -> None:
    faults = Faults()
    with open_service(tmp_path, hooks=faults) as service:
        put(service, *many(30, 3, ordered=True))
        assert service.snapshot()
        put(service, pay(90_005, 4))
        newest = max(service.folder.snapshots.iterdir())
        newest.write_bytes(newest.read_bytes()[:-1])
        assert service.snapshot()
        assert [(where, error.problems[0].where) for where, error in told(faults)] == [
            ("snapshot", newest.name)
        ]
        same(kept(service), straight(service, service.log.end()))


def test_a_disk_that_will_not_have_it_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_text("no folder")
    faults = Faults()
    with open_service(tmp_path, hooks=faults) as service:
        assert put(service, pay(90_006, 4)).offset.tolist() == [service.offset]
    assert [(where, error.problems[0].what) for where, error in told(faults)] == [
        ("snapshot", "a snapshot cannot be written"),
        ("snapshot", "a snapshot cannot be written"),
    ]


def told(faults: Faults) -> list[tuple[str, Any]]:
    return list(faults.faults)
