"""The audit trail, wherever it lies: what was administered stays; what is changed is found and located."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from headwater.core.errors import StoreError
from headwater.store.audit import Act
from headwater.store.chain import GENESIS, link
from tests.store.hosts import Host


def act(target: str = "risk", **details: object) -> Act:
    return Act(5, "cli:ada", "model.promote", target, details)


def test_entries_are_numbered_chained_and_come_back(host: Host) -> None:
    given = act(version=3, name="Zoë", share=0.1 + 0.2)
    with host.trail() as trail:
        first, second = trail.append(given), trail.append(act("other"))
        assert (first.number, first.chain) == (1, link(GENESIS, given.canonical()))
        assert second.chain == link(first.chain, second.act.canonical())
    with host.trail() as trail:
        assert trail.page() == [first, second]
        assert trail.page(after=1) == [second]
        assert trail.page(limit=1) == [first]
        assert trail.newest(1) == [second]
        assert (len(trail), trail.verify().count, trail.verify().head) == (2, 2, second.chain)
        assert trail.verify([first.chain, bytes(32)]).found == {first.chain}


def test_an_empty_trail_is_whole(host: Host) -> None:
    with host.trail() as trail:
        assert (len(trail), trail.page(), trail.verify().count) == (0, [], 0)


def test_those_who_write_at_once_make_one_chain(host: Host) -> None:
    def work(name: str) -> None:
        with host.trail() as trail:
            for _ in range(10):
                trail.append(act(name))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, "abc"))
    with host.trail() as trail:
        assert trail.verify().count == len(trail) == 30


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM {trail} WHERE number = 2", "missing"),
        ("DELETE FROM {trail} WHERE number = 1", "missing"),
        ("UPDATE {trail} SET number = 9 WHERE number = 3", "missing"),
        ("INSERT INTO {trail} SELECT 0, entry, chain FROM {trail} WHERE number = 1", "slipped in"),
        ("INSERT INTO {trail} SELECT 4, entry, chain FROM {trail} WHERE number = 3", "number 4"),
        ("UPDATE {trail} SET entry = replace(entry, 'cli:ada', 'cli:adb') WHERE number = 2", "number 2"),
        ("UPDATE {trail} SET entry = '' WHERE number = 3", "number 3"),
    ],
)
def test_whatever_is_changed_is_located(host: Host, statement: str, message: str) -> None:
    with host.trail() as trail:
        for target in "abc":
            trail.append(act(target))
    host.tamper(statement)
    with host.trail() as trail, pytest.raises(StoreError, match=message):
        trail.verify()


def test_what_json_cannot_hold_is_not_kept(host: Host) -> None:
    with host.trail() as trail:
        with pytest.raises(StoreError, match="an act cannot be written"):
            trail.append(act(score=float("nan")))
        assert len(trail) == 0
