"""The late ledger: what each late event moved, and which decisions it would have changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.monitoring.late import LateWatch, Settled
from headwater.serving.replay import replay
from headwater.store.late import LateEvent, LateLedger, Reached
from tests.monitoring.cases import START, Bank, Happening, bank, decider, rows
from tests.serving.bank import DAY, PROJECT, micros, model, profile, scoring


@pytest.fixture
def open_bank(tmp_path: Path) -> Iterator[Bank]:
    with bank(tmp_path / "bank") as made:
        yield made


def pay(day: float, amount: float = 10.0, who: int = 1) -> Happening:
    return Happening("pay", who, day, amount)


def decide(day: float, who: int = 1) -> Happening:
    return Happening("decide", who, day)


#   event time   day 1 ──────● d 3 ────────────● 5          ○ comes last: it happened before 5
#   decisions                     ▲ d1 as of 3.5  ▲ d2 as of 5    d1 and d2 did not know it
def test_decisions_made_in_between(open_bank: Bank) -> None:
    open_bank.goes(
        pay(1), decide(2), pay(5, 40.0), decide(3.5), decide(5), decide(5, who=2), pay(3, 80.0), decide(5)
    )
    (event,) = open_bank.rows()
    assert (event.stream, event.time, event.late) == ("payments", micros(START + 3), 2 * DAY)
    assert (event.model, event.keys, event.offset) == ("risk", {"who": 1}, 2)
    assert {"n_7d", "n_30d", "spent_7d", "spent_30d", "largest_30d"} <= set(event.moved)
    assert [one.id for one in event.decisions] == ["d2", "d3"], "d1 is of before it, d4 another's, d5 knew it"
    for one in event.decisions:
        recorded = open_bank.decisions.get(one.id).decision
        assert one.then == (recorded.score, recorded.band)
        again = decider().decide(open_bank.live.score("risk", {"who": 1}, recorded.time), recorded.decided_at)
        assert one.now == (again.score, again.band)
        before, after = recorded.features, again.features
        assert set(one.features) == {name for name in before if before[name] != after[name]}


def test_an_event_in_order_is_no_row(open_bank: Bank) -> None:
    open_bank.goes(pay(1), decide(4), pay(3), pay(5))
    assert open_bank.rows() == []


def test_a_late_event_out_of_every_window_touches_no_decision(open_bank: Bank) -> None:
    open_bank.goes(pay(0), pay(60), decide(60), pay(5, 80.0))
    (event,) = open_bank.rows()
    assert (event.moved, event.decisions) == ((), ())


def test_two_late_events_are_told_apart(open_bank: Bank) -> None:
    open_bank.goes(pay(1), pay(50), decide(50), pay(2, 90.0), pay(45, 70.0))
    first, second = open_bank.rows()
    assert (first.moved, first.decisions) == ((), ()), "out of every window by then"
    assert [one.id for one in second.decisions] == ["d1"]


def test_a_profile_can_be_late_too(open_bank: Bank) -> None:
    open_bank.goes(pay(5), decide(5), Happening("profile", 1, 2, 25.0))
    (event,) = open_bank.rows()
    assert (event.stream, event.moved) == ("profiles", ("income", "job", "pace"))
    assert [one.features for one in event.decisions] == [("income", "job", "pace")]


def test_a_decision_whose_record_comes_after(open_bank: Bank) -> None:
    open_bank.goes(pay(1), pay(5), Happening("hold", 1, 5), pay(3, 80.0))
    open_bank.watch.settle()
    assert [len(event.decisions) for event in rows(open_bank.ledger)] == [0]
    (event,) = open_bank.rows()
    assert [one.id for one in event.decisions] == ["d1"]


def test_a_decision_whose_model_is_gone(open_bank: Bank) -> None:
    open_bank.goes(pay(1), pay(5), decide(5), pay(3, 80.0))
    watch = LateWatch(
        open_bank.log, open_bank.decisions, open_bank.ledger, [scoring()], PROJECT.views, lambda _: None
    )
    assert watch.settle() == Settled(3, 1, 1)
    ((_, event),) = open_bank.ledger.page(changed=True)
    assert [(one.id, one.now) for one in event.decisions] == [("d1", None)]
    assert "spent_7d" in event.decisions[0].features


def test_what_live_said_is_what_the_ledger_says(open_bank: Bank) -> None:
    days = [1, 5, 3, 9, 2, 2, 40, 12, 11, 41, 8]
    open_bank.goes(*(pay(day, 7.0 * day, who=1 + i % 2) for i, day in enumerate(days)))
    said = [
        (refresh.scored.offset, refresh.late, refresh.moved)
        for refresh in open_bank.refreshes
        if refresh.late > 0
    ]
    assert [(event.offset, event.late, event.moved) for event in open_bank.rows()] == said
    assert len(said) >= 4


def test_what_replay_says_is_what_the_ledger_says(open_bank: Bank) -> None:
    """Slowly: every late event against every decision, one by one."""
    for i in range(12):
        open_bank.goes(pay(1 + i * 5 % 13, 6.0 * i), decide(i + 1.5))
    found = {event.offset: {one.decision for one in event.decisions} for event in open_bank.rows()}
    assert found
    assert sum(map(len, found.values())) > 5
    for event in rows(open_bank.ledger):
        expected = set()
        for record in open_bank.decisions:
            d = record.decision
            if d.offset < event.offset and d.time >= event.time:
                at = [
                    replay(replace(d, offset=o), open_bank.log, decider()).now
                    for o in (event.offset - 1, event.offset)
                ]
                if at[0].features != at[1].features:
                    expected.add(record.number)
        assert found[event.offset] == expected


happenings = st.lists(
    st.builds(
        Happening,
        st.sampled_from(["pay", "pay", "pay", "profile", "decide", "decide", "hold", "settle"]),
        st.integers(1, 2),
        st.integers(0, 45).map(float),
        st.integers(1, 90).map(float),
    ),
    min_size=5,
    max_size=30,
)


@given(happenings, st.integers(1, 40))
@settings(max_examples=15, deadline=None)
def test_on_line_is_off_line(drawn: list[Happening], stretch: int) -> None:
    with TemporaryDirectory() as folder, bank(Path(folder) / "bank") as made:
        made.goes(*drawn)
        on_line = made.rows()
        assert made.rebuilt(Path(folder) / "rebuilt.db") == on_line
        with_stretches = Path(folder) / "stretches.db"
        with LateLedger.open(with_stretches) as ledger:
            made.watching(ledger).settle(stretch=stretch)
            assert rows(ledger) == on_line


def test_it_goes_on_where_it_was(open_bank: Bank, tmp_path: Path) -> None:
    open_bank.goes(*(pay(day, 5.0 * day) for day in (1, 5, 3)), decide(5), pay(4), pay(9), pay(6), decide(9))
    open_bank.watch.settle(stop=3)
    assert open_bank.ledger.reached() == Reached(3, 2)
    assert open_bank.watch.behind() == 3
    again = open_bank.watching(open_bank.ledger)  # as after a crash: nothing but the files is left
    assert again.settle(stop=5).events == 2
    again.settle()
    assert rows(open_bank.ledger) == open_bank.rebuilt(tmp_path / "rebuilt.db")
    assert again.settle() == Settled(0, 0, 0)


def test_two_that_fill_one_ledger(open_bank: Bank, tmp_path: Path) -> None:
    first, second = open_bank.watching(open_bank.ledger), open_bank.watching(open_bank.ledger)
    open_bank.goes(pay(1), pay(5), pay(3))
    first.settle()
    open_bank.goes(pay(9), pay(6))
    second.settle()
    open_bank.goes(pay(12), pay(7))
    first.settle()
    assert len(rows(open_bank.ledger)) == 3
    assert rows(open_bank.ledger) == open_bank.rebuilt(tmp_path / "rebuilt.db")
    ledger = open_bank.ledger
    assert ledger.write(Reached(0, 0), Reached(9, 9)) is False
    assert ledger.reached() == Reached(7, 0)


def test_pages(open_bank: Bank) -> None:
    open_bank.goes(*(pay(day, 9.0, who) for who in (1, 2) for day in (9, 1, 2, 3)))
    every = open_bank.rows()
    assert len(every) == 6

    def found(**asked: object) -> list[LateEvent]:
        return [event for _, event in open_bank.ledger.page(**asked)]  # type: ignore[arg-type]

    assert found(key={"who": 2}) == found(key="2") == every[3:]
    assert found(model="no such model") == []
    assert found(newest=True, limit=2) == every[:3:-1]
    assert found(after=4) == every[4:]
    assert found(since=every[1].arrival, until=every[4].arrival) == every[1:4]
    assert found(changed=True) == []


def test_a_model_with_request_columns(tmp_path: Path) -> None:
    asked = scoring(model(name="asked", request=["amount"]))
    with bank(tmp_path / "bank", asked) as made:
        made.goes(pay(1), pay(5), pay(3, 77.0))
        made.live.append("profiles", profile(1, START + 2, 33.0), arrival=micros(START + 60))
        rows_ = made.rows()
        assert [event.stream for event in rows_] == ["payments", "profiles"]
        assert rows_[0].moved == made.refreshes[-1].moved
        assert rows_[1].moved == ("income", "job"), "its request columns are not known: no derived input"
