"""Decisions on their way to the disk: together while more is made, at once when not, and never too many."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from headwater.core.errors import HeadwaterError, StoreError
from headwater.serving import filing
from headwater.serving.filing import Filing, Made, Recorded
from headwater.serving.live import Scored
from headwater.store.decision import Decision
from headwater.store.decisions import DecisionStore, Idempotency, Record
from tests.store.cases import decision


class Slow(DecisionStore):
    """A store whose disk waits until it is let go."""

    go: Event
    groups: list[int]

    def append_each(
        self, decisions: Sequence[Decision], idempotency: Sequence[Idempotency | str | None] = ()
    ) -> list[Record | HeadwaterError]:
        self.groups.append(len(decisions))
        assert self.go.wait(10)
        return super().append_each(decisions, idempotency)


class Desk:
    """A filing over a slow store, and what it told."""

    def __init__(self, path: Path) -> None:
        self.store = Slow.open(path / "decisions.db")
        self.store.go, self.store.groups = Event(), []
        self.turns: list[Recorded] = []
        self.faults: list[tuple[str, BaseException]] = []
        self.filing = Filing(
            self.store,
            time.perf_counter_ns,
            self.turns.append,
            lambda _: None,
            lambda where, error: self.faults.append((where, error)),
        )
        self.filing.start()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.go.set()
    made.filing.close()
    made.store.close()


def made(number: int, name: Idempotency | None = None) -> Made:
    now = time.perf_counter_ns()
    found = Scored("risk", {"who": 1}, 0, 0, {}, np.zeros(1), 0.5)
    return Made(found, decision(request={"n": number}), now, now, name)


def wait_for(what: str, holds: object) -> None:
    assert callable(holds)
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.001)


def test_one_that_is_alone_is_on_disk_when_it_was_filed(desk: Desk) -> None:
    desk.store.go.set()
    one = made(0)
    desk.filing.file([one], more=False)
    assert one.future.done()
    assert one.future.result().number == 1
    assert desk.store.groups == [1]


def test_what_is_made_meanwhile_shares_the_next_wait(desk: Desk) -> None:
    ones = [made(number) for number in range(6)]
    desk.filing.file(ones[:1], more=True)
    wait_for("the first is not on its way", lambda: desk.store.groups == [1])
    for one in ones[1:]:
        desk.filing.file([one], more=False)  # one is on its way: it may not be overtaken
    assert not any(one.future.done() for one in ones)
    desk.store.go.set()
    assert [one.future.result(10).number for one in ones] == [1, 2, 3, 4, 5, 6]
    assert desk.store.groups == [1, 5]
    assert [len(turn.records) for turn in desk.turns] == [1, 5]
    assert desk.store.verify() == 6


def test_no_more_are_made_than_may_wait(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filing, "MOST", 2)
    ones = [made(number) for number in range(4)]
    desk.filing.file(ones[:1], more=True)
    wait_for("the first is not on its way", lambda: desk.store.groups == [1])
    desk.filing.file(ones[1:3], more=True)
    late = Thread(target=desk.filing.file, args=(ones[3:],), kwargs={"more": True})
    late.start()
    late.join(0.05)
    assert late.is_alive()
    desk.store.go.set()
    late.join(10)
    assert [one.future.result(10).number for one in ones] == [1, 2, 3, 4]


def test_the_end_waits_for_all_of_them(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ones = [made(number) for number in range(5)]
    for one in ones:
        desk.filing.file([one], more=True)
    ender = Thread(target=desk.filing.close)
    ender.start()
    desk.store.go.set()
    ender.join(10)
    assert [one.future.result(0).number for one in ones] == [1, 2, 3, 4, 5]
    desk.store.close()


def test_an_error_is_for_those_it_concerns_and_the_next_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.store.go.set()
    first, other = made(0, Idempotency("a", "one")), made(1, Idempotency("a", "other"))
    desk.filing.file([first, other], more=False)
    assert first.future.result().number == 1
    assert type(other.future.exception()).__name__ == "ConflictError"
    full = StoreError.of("the decision records cannot be used")

    def refuse(*_: object) -> list[Record | HeadwaterError]:
        raise full

    with monkeypatch.context() as broken:
        broken.setattr(desk.store, "append_each", refuse)
        lost = made(2)
        desk.filing.file([lost], more=False)
    assert lost.future.exception() is full
    assert desk.faults == [("record", full)]
    after = made(3)
    desk.filing.file([after], more=False)
    assert after.future.result().number == 2
