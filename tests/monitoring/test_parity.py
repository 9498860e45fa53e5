"""Parity: what was served is what the log gives, to the bit, or an alarm with its cause."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from headwater.log.embedded import EmbeddedLog
from headwater.monitoring.parity import ParityWatch
from headwater.serving.live import Scored
from headwater.store.decisions import DecisionStore
from headwater.store.parity import Compared, Mismatch, ParityLedger
from tests.monitoring.cases import decider, own
from tests.serving.bank import live, log, micros, payment, scoring


@dataclass
class Bank:
    """A log with a past, decision records, a parity ledger."""

    log: EmbeddedLog
    decisions: DecisionStore
    ledger: ParityLedger

    def watch(self, rate: float = 1.0, room: int = 1_000) -> ParityWatch:
        return ParityWatch(self.log, self.decisions, self.ledger, own, rate=rate, room=room)

    def decide(self, *served: Scored) -> None:
        self.decisions.append([decider().decide(one, micros(130)) for one in served])

    def tamper(self, statement: str) -> None:
        connection = sqlite3.connect(self.decisions.path)
        connection.executescript(f"DROP TRIGGER IF EXISTS decisions_stay; {statement}")
        connection.close()


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with log(tmp_path) as made, ExitStack() as stack:
        decisions = stack.enter_context(DecisionStore.open(tmp_path / "decisions.db"))
        yield Bank(made, decisions, stack.enter_context(ParityLedger.open(tmp_path / "parity.db")))


def served(bank: EmbeddedLog, count: int = 12) -> list[Scored]:
    """Refreshes and readings, late events among them."""
    made = live(bank)
    found = []
    for i in range(count // 2):
        day = 101 + (i if i % 3 else -5)
        (refresh,) = made.append(
            "payments", payment(100_000 + i, i % 3, day, 9.0 * i), arrival=micros(120 + i)
        )[1]
        found += [refresh.scored, made.score("risk", {"who": 5}, micros(101 + i))]
    return found


def only(found: tuple[Compared, tuple[Mismatch, ...]]) -> Mismatch:
    (one,) = found[1]
    return one


def test_everything_served_is_what_the_log_gives(bank: Bank) -> None:
    made, watch = served(bank.log), bank.watch()
    assert all(watch.take(one, scoring()) for one in made)
    bank.decide(*made)
    assert watch.waiting == 24
    assert watch.check() == (Compared(12, 24, 0, 0), ())
    assert (watch.waiting, watch.check()) == (0, (Compared(12, 0, 0, 0), ()))
    assert bank.ledger.stands() == Compared(12, 24, 0, 0)


def test_a_share_of_the_decisions_is_taken_and_none_twice(bank: Bank) -> None:
    bank.decide(*served(bank.log))
    assert bank.watch(rate=0.25).waiting == 3
    assert bank.watch(rate=0.25).check(limit=2)[0] == Compared(8, 2, 0, 0)
    assert bank.watch(rate=0.25).check(limit=2)[0] == Compared(12, 1, 0, 0)
    assert bank.watch(rate=1.0).check()[0].compared == 0
    assert bank.watch(rate=0.0).check()[0].compared == 0


def test_what_finds_no_room_is_counted(bank: Bank) -> None:
    watch = bank.watch(room=5)
    assert [watch.take(one, scoring()) for one in served(bank.log)] == [True] * 5 + [False] * 7
    assert (watch.check(limit=2)[0].compared, watch.waiting, watch.dropped) == (2, 3, 7)
    assert watch.check()[0].compared == 3


def test_one_bit_is_an_alarm_with_its_cause(bank: Bank) -> None:
    one = served(bank.log, 2)[0]
    x = one.x.copy()
    x[2] = np.nextafter(x[2], np.inf)
    x[0] += 1
    watch = bank.watch()
    watch.take(replace(one, x=x), scoring())
    watch.take(one, scoring())
    more, (cause,) = watch.check()
    assert more == Compared(0, 2, 1, 0)
    assert (cause.source, cause.feature, cause.features) == ("fresh score", "n_7d", ("n_7d", "spent_7d"))
    assert (cause.served, cause.derived, cause.offset) == (x[0], one.x[0], one.offset)
    assert cause.words() == (
        f"fresh score of risk at log offset {one.offset}: n_7d was served as {float(x[0])!r}"
        f" ({hex_of(x[0])}), the log gives {float(one.x[0])!r} ({hex_of(one.x[0])}), and 1 more. The state"
        " that served it and the log do not agree: see `headwater log verify`, and report it."
    )
    assert bank.ledger.page() == [(1, cause)]


def hex_of(value: float) -> str:
    return f"{np.float64(value).view(np.uint64):016x}"


def test_a_score_that_its_vector_does_not_give(bank: Bank) -> None:
    one = served(bank.log, 2)[0]
    watch = bank.watch()
    watch.take(replace(one, score=one.score + 2**-50), scoring())
    cause = only(watch.check())
    assert (cause.feature, cause.features, cause.derived) == ("score", ("score",), one.score)
    assert cause.cause == "the model no longer gives this score to the same vector"


def test_null_is_a_value(bank: Bank) -> None:
    blank = live(bank.log).score("risk", {"who": 12_345}, micros(101))
    x = blank.x.copy()
    x[int(np.flatnonzero(np.isnan(x))[0])] = 0.0
    watch = bank.watch()
    watch.take(blank, scoring())
    watch.take(replace(blank, x=x), scoring())
    cause = only(watch.check())
    assert (cause.served, cause.derived) == (0.0, None)


def test_each_vector_is_compared_with_the_version_that_served_it(bank: Bank) -> None:
    before, other = served(bank.log, 2)[0], scoring(seed=1)
    watch = bank.watch()
    watch.take(before, scoring())
    watch.take(replace(before, score=other.score(before.x)), other)
    assert watch.check()[0] == Compared(0, 2, 0, 0)


def test_a_tampered_record_is_told_from_a_wrong_state(bank: Bank) -> None:
    bank.decide(*served(bank.log, 4))
    bank.tamper("UPDATE decisions SET record = replace(record, '\"n_7d\":', '\"n_7d\":9') WHERE number = 2")
    cause = only(bank.watch().check())
    assert (cause.source, cause.feature) == ("decision d2", "n_7d")
    assert cause.cause == "the record was changed after it was written: see `headwater audit verify`"


def test_records_that_cannot_be_derived_keep_nobody_waiting(bank: Bank) -> None:
    bank.decide(*served(bank.log, 6))
    bank.tamper("UPDATE decisions SET record = substr(record, 2) WHERE number = 2")
    bank.tamper("UPDATE decisions SET record = replace(record, '\"who\"', '\"whom\"') WHERE number = 3")
    bank.tamper("UPDATE decisions SET record = replace(record, 'digest of', 'digest off') WHERE number = 4")
    more, causes = bank.watch().check()
    assert more == Compared(6, 5, 2, 1)
    assert {one.words() for one in causes} == {
        "decision d2: the record is not there, or is none any more.",
        "decision d3: an entity of the past lacks a key of the model.",
    }
    assert bank.ledger.stands() == more
    assert bank.watch().check()[0].compared == 0
