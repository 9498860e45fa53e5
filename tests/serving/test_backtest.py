"""Backtest: which past decisions would come out otherwise, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import headwater as hw
from headwater.log.embedded import EmbeddedLog
from headwater.serving.backtest import NO_REASON, backtest
from headwater.serving.decide import Decider
from headwater.serving.replay import replay
from headwater.store.decisions import DecisionStore
from tests.serving.bank import POLICY, RISK, live, log, micros, payment, scoring


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with log(tmp_path) as made:
        yield made


@pytest.fixture
def store(bank: EmbeddedLog, tmp_path: Path) -> Iterator[DecisionStore]:
    """Sixty decisions on twenty accounts, with payments between them."""
    decider, made = Decider(POLICY, scoring()), live(bank)
    with DecisionStore.open(tmp_path / "decisions.db") as opened:
        for i in range(60):
            day = 100 + i / 10
            made.append("payments", payment(100_000 + i, i % 20, day, 5.0 * (i % 17)), arrival=micros(day))
            scored = made.score("risk", {"who": i % 20}, micros(day))
            opened.append([decider.decide(scored, micros(day))])
        yield opened


def test_its_own_model_and_policy_change_nothing(bank: EmbeddedLog, store: DecisionStore) -> None:
    found = backtest(store, bank, Decider(POLICY, scoring()))
    assert (found.total, found.compared, found.same, found.changed, found.data) == (60, 60, 60, 0, 0)
    assert sum(found.transitions.values()) == 60
    assert all(then == now for then, now in found.transitions)


def test_another_model(bank: EmbeddedLog, store: DecisionStore) -> None:
    own, other = Decider(POLICY, scoring()), Decider(POLICY, scoring(seed=1))
    found = backtest(store, bank, other, own=lambda _: own, stretch=13)
    alone = [replay(record.decision, bank, other, own=own) for record in store]
    changed = [place + 1 for place, one in enumerate(alone) if one.then.band != one.now.band]
    assert found.numbers == tuple(changed)
    assert changed, "the two models disagree about somebody"
    assert found.causes == {"model": len(changed)}
    assert sum(found.reasons.values()) == len(changed) == found.changed
    assert found.same + found.moved + found.changed == 60
    for then, now in {(one.then.band, one.now.band) for one in alone}:
        count = sum((one.then.band, one.now.band) == (then, now) for one in alone)
        assert found.transitions[then, now] == count
    first = found.examples[0]
    assert (first.id, first.words) == (f"d{changed[0]}", alone[changed[0] - 1].words())
    assert first.then == (alone[changed[0] - 1].then.score, alone[changed[0] - 1].then.band)


def test_another_policy(bank: EmbeddedLog, store: DecisionStore) -> None:
    strict = Decider(hw.Policy("lend", RISK, {"yes": 0.0, "no": 1e-9}), scoring())
    found = backtest(store, bank, strict, examples=5)
    assert found.causes == {"policy": 60}
    assert {now for _, now in found.transitions} == {"no"}
    assert (len(found.examples), len(found.numbers)) == (5, 60)
    assert NO_REASON not in found.reasons or found.reasons[NO_REASON] < 60


def test_only_some(bank: EmbeddedLog, store: DecisionStore) -> None:
    decider = Decider(POLICY, scoring())
    assert backtest(store, bank, decider, key={"who": 3}).compared == 3
    assert backtest(store, bank, decider, since=micros(103), until=micros(104)).compared == 10
    assert backtest(store, bank, decider, band="no such band").compared == 0


def test_it_tells_how_far_it_is_and_can_be_stopped(bank: EmbeddedLog, store: DecisionStore) -> None:
    told: list[tuple[int, int]] = []
    backtest(
        store,
        bank,
        Decider(POLICY, scoring()),
        stretch=20,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[0] == (0, 60)
    assert told[-1] == (60, 60)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    seen = {done for done, _ in told}
    assert {0, 20, 40, 60} <= seen

    found = backtest(
        store,
        bank,
        Decider(POLICY, scoring()),
        stretch=20,
        progress=lambda done, _: told.append((done, -1)),
        stopped=lambda: told[-1] == (20, -1),
    )
    assert (found.stopped, found.compared, found.total) == (True, 20, 60)
