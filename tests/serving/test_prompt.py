"""Decisions in the thread that asks: where that is quick, and else in the recorder's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread, current_thread
from typing import Any

import pytest

from headwater.models.forest.scorer import ForestScorer
from headwater.serving.filing import MOST
from headwater.serving.prompt import AT_ONCE
from headwater.serving.service import Limits, Service
from headwater.serving.vectors import Moment
from headwater.serving.waiting import ClosingError, OverloadedError
from tests.http.house import Faults, open_service
from tests.serving.bank import micros, scoring


class Loop:
    """A loop whose turns a test takes itself."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def soon(self, call: Callable[[], None]) -> None:
        self.due.append(call)

    def turn(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def bank(tmp_path: Path, loop: Loop) -> Iterator[Service]:
    with open_service(tmp_path, limits=Limits(queue_decisions=2)) as service:
        service.serving.vectors.each(scoring(), [({"who": 1}, Moment(micros(100)), {})])  # the way is known
        service.lend(loop.soon)
        yield service


@pytest.fixture
def made_by(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Threads that explained, and how many at once."""
    seen: list[tuple[str, int]] = []
    contributions = ForestScorer.contributions

    def noted(self: ForestScorer, X: Any) -> Any:
        seen.append((current_thread().name, len(X)))
        return contributions(self, X)

    monkeypatch.setattr(ForestScorer, "contributions", noted)
    return seen


def test_what_comes_in_one_turn_is_made_at_its_end(
    bank: Service, loop: Loop, made_by: list[tuple[str, int]]
) -> None:
    futures = [bank.ask("lend", {"who": who}) for who in range(AT_ONCE + 2)]
    assert (made_by, bank.asked, len(loop.due)) == ([], AT_ONCE + 2, 1)
    loop.turn()
    loop.turn()  # no more at once than others can wait for
    mine = current_thread().name
    assert made_by == [(mine, AT_ONCE), (mine, 2)]
    records = [future.result(10) for future in futures]
    assert [record.decision.keys["who"] for record in records] == list(range(AT_ONCE + 2))
    assert bank.asked == 0 == len(loop.due)
    assert bank.decisions.verify() == AT_ONCE + 2


def test_it_is_what_the_recorder_decides(bank: Service, loop: Loop) -> None:
    asked = [({"who": who}, at) for who in range(4) for at in (None, micros(100))]
    mine = [bank.ask("lend", keys, at=at) for keys, at in asked]
    loop.turn()
    for future, (keys, at) in zip(mine, asked, strict=True):
        other = elsewhere(lambda keys=keys, at=at: bank.decide("lend", keys, at=at))  # type: ignore[misc]
        assert future.result(10).decision == other.decision


def elsewhere(call: Callable[[], Any]) -> Any:
    """In another thread."""
    found: list[Any] = []
    thread = Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join(20)
    return found[0]


def test_another_thread_does_not_lend_itself(
    bank: Service, loop: Loop, made_by: list[tuple[str, int]]
) -> None:
    assert elsewhere(lambda: bank.decide("lend", {"who": 1})).number == 1
    assert (made_by, loop.due) == ([("headwater-recorder", 1)], [])


def test_it_does_not_wait_for_the_state(bank: Service, loop: Loop, made_by: list[tuple[str, int]]) -> None:
    held, go = Event(), Event()

    def hold() -> None:
        with bank.serving.vectors.shut():
            held.set()
            go.wait(10)

    thread = Thread(target=hold)
    thread.start()
    assert held.wait(10)
    future = bank.ask("lend", {"who": 1})
    loop.turn()  # comes back, though the state is held
    assert not future.done()
    go.set()
    assert future.result(10).decision.keys == {"who": 1}
    assert made_by == [("headwater-recorder", 1)]
    thread.join(10)


def test_a_fault_is_told_by_the_recorder(tmp_path: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: Any) -> Any:
        raise ValueError("no")

    faults = Faults()
    with open_service(tmp_path, hooks=faults) as service:
        service.lend(loop.soon)
        with monkeypatch.context() as broken:
            broken.setattr(ForestScorer, "score", refuse)
            broken.setattr(ForestScorer, "score_one", refuse)
            future = service.ask("lend", {"who": 1})
            loop.turn()
            assert "the model failed to score" in str(future.exception(10))
        assert [where for where, _ in faults.faults] == ["decide"]
        again = service.ask("lend", {"who": 1})
        loop.turn()
        assert again.result(10).number == 1


def test_what_is_too_much_is_refused(bank: Service, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    held, go = Event(), Event()
    append = type(bank.decisions).append_each

    def slow(self: Any, *given: Any) -> Any:
        held.set()
        go.wait(10)
        return append(self, *given)

    monkeypatch.setattr(type(bank.decisions), "append_each", slow)
    taken = [bank.ask("lend", {"who": 1})]
    loop.turn()
    assert held.wait(10)  # the disk has one and keeps it
    with pytest.raises(OverloadedError):  # noqa: PT012 - some ask of many, whichever it is
        for who in range(2 * MOST):
            taken.append(bank.ask("lend", {"who": who % 20}))
            if who % AT_ONCE == 0:
                while loop.due:
                    loop.turn()
    assert MOST <= len(taken) <= MOST + 12
    go.set()
    while loop.due:
        loop.turn()
    done = [future.exception(10) or future.result() for future in taken]
    late = sum(isinstance(one, OverloadedError) for one in done)
    assert bank.decisions.verify() == len(taken) - late  # everybody got one or the other


def test_what_was_taken_is_made_before_the_end(tmp_path: Path, loop: Loop) -> None:
    with open_service(tmp_path) as service:
        service.lend(loop.soon)
        futures = [service.ask("lend", {"who": who}) for who in range(11)]
    assert [future.result(0).number for future in futures] == list(range(1, 12))
    loop.turn()  # the loop lived on: nothing is left for it
    with pytest.raises(ClosingError):
        service.ask("lend", {"who": 1})


def test_a_loop_that_has_ended_takes_nothing(
    tmp_path: Path, made_by: list[tuple[str, int]], loop: Loop
) -> None:
    def ended(_call: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    with open_service(tmp_path) as service:
        service.lend(loop.soon)
        left = service.ask("lend", {"who": 1})
        service.lend(ended)
        loop.due.clear()
        assert service.decide("lend", {"who": 2}).number == 1
        assert not left.done()  # nobody takes its turn any more, until
    assert left.result(0).number == 2  # the end
    assert {thread for thread, _ in made_by} == {"headwater-recorder"}
    with open_service(tmp_path) as service:
        service.lend(ended)
        assert service.ask("lend", {"who": 3}).result(10).number == 3


def test_whoever_waits_in_the_lent_thread_gets_an_answer(bank: Service, loop: Loop) -> None:
    assert bank.decide("lend", {"who": 1}).number == 1
    assert loop.due == []


def test_ends_while_turns_are_taken(tmp_path: Path) -> None:
    """A closing service and a loop that goes on: everybody is answered, or told that it closes."""
    for turn in range(10):
        calls: list[Callable[[], None]] = []
        with ExitStack() as stack:
            service = stack.enter_context(open_service(tmp_path))
            service.lend(calls.append)
            warm = service.ask("lend", {"who": 1})
            calls.pop()()
            warm.result(10)
            closer = Thread(target=stack.pop_all().close)
            futures = []
            for who in range(60):
                if who == 5 * turn:
                    closer.start()
                try:
                    futures.append(service.ask("lend", {"who": who % 20}))
                except ClosingError:
                    break
                while calls and who % 3 == 0:
                    calls.pop()()
            closer.join(20)
            while calls:
                calls.pop()()
            assert all(isinstance(one.exception(5), ClosingError | None) for one in futures)
