"""Decide and replay: the same bits, or an alarm that says what differs and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import ModelError, ReplayError
from headwater.log.embedded import EmbeddedLog
from headwater.serving.decide import Decider
from headwater.serving.live import Live
from headwater.serving.replay import replay
from headwater.store.decision import Decision
from headwater.store.decisions import DecisionStore
from tests.letters import says
from tests.serving.bank import POLICY, RISK, live, log, micros, model, payment, profile, scoring


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with log(tmp_path) as made:
        yield made


@pytest.fixture
def decider() -> Decider:
    return Decider(POLICY, scoring())


def busy(bank: EmbeddedLog) -> Live:
    """Some days of payments of account 3."""
    made = live(bank)
    for i in range(6):
        made.append("payments", payment(100_000 + i, 3, 101 + i, 25.0 + i), arrival=micros(101 + i))
    return made


def test_a_decision_says_all_that_it_rested_on(bank: EmbeddedLog, decider: Decider) -> None:
    scored = busy(bank).score("risk", {"who": 3}, micros(107))
    decision = decider.decide(scored, micros(107.5))
    assert decision.score == scored.score
    assert decision.band == POLICY.band(scored.score)
    assert decision.keys == {"who": 3}
    assert (decision.time, decision.offset) == (micros(107), bank.end() - 1)
    assert decision.decided_at == micros(107.5)
    assert tuple(decision.features) == RISK.inputs
    assert decision.features["spent_7d"] == 165.0
    assert (decision.model_digest, decision.policy) == ("digest of risk 0", "lend")
    assert len(decision.reasons) <= 4


def test_replayed_to_the_bit_whatever_came_later(bank: EmbeddedLog, decider: Decider, tmp_path: Path) -> None:
    made = busy(bank)
    decisions = [
        decider.decide(made.score("risk", {"who": who}, micros(at)), micros(at))
        for who in (3, 5, 12_345)
        for at in (107, 130, 400)
    ]
    made.append("payments", payment(100_900, 3, 102, 500.0), arrival=micros(410))  # late, and large
    made.append("profiles", profile(5, 103, 1.0), arrival=micros(411))
    with DecisionStore.open(tmp_path / "decisions.db") as store:
        store.append(decisions)
        for record in store:
            found = replay(record.decision, bank, decider)
            found.raise_if_different()
            assert found.same
            assert found.now.canonical() == record.decision.canonical()


def test_a_decision_in_the_past_of_the_state(bank: EmbeddedLog, decider: Decider) -> None:
    made = busy(bank)
    now = made.score("risk", {"who": 3}, micros(106))
    decision = decider.decide(made.score("risk", {"who": 3}, micros(105)), micros(107))
    assert decision.features["spent_30d"] == now.x[RISK.inputs.index("spent_30d")] - 30.0
    assert replay(decision, bank, decider).same


def test_how_many_events_it_rested_on(bank: EmbeddedLog, decider: Decider) -> None:
    made = live(bank)
    made.append("profiles", profile(777, 101), arrival=micros(101))
    made.append("payments", payment(100_000, 777, 101), arrival=micros(101))
    decision = decider.decide(made.score("risk", {"who": 777}, micros(102)), micros(102))
    made.append("payments", payment(100_001, 777, 101), arrival=micros(103))
    assert replay(decision, bank, decider).events == 2


def test_a_request_column_is_replayed_from_the_record(tmp_path: Path) -> None:
    asked = model(name="asked", request=["amount"])
    policy = hw.Policy("lend", asked, POLICY.bands)
    own = Decider(policy, scoring(asked))
    with log(tmp_path) as bank:
        made = live(bank, scoring(asked))
        scored = made.score("asked", {"who": 3}, micros(103), {"amount": 33.5})
        decision = Decision.from_json(own.decide(scored, micros(103)).to_json())
        assert replay(decision, bank, own).same


def test_another_log_is_an_alarm(bank: EmbeddedLog, decider: Decider, tmp_path: Path) -> None:
    decision = decider.decide(busy(bank).score("risk", {"who": 3}, micros(107)), micros(107))
    (tmp_path / "other").mkdir()
    with log(tmp_path / "other") as other:
        made = live(other)
        for i in range(6):
            amount = 25.0 + i + (0.5 if i == 5 else 0)  # one payment was another
            made.append("payments", payment(100_000 + i, 3, 101 + i, amount), arrival=micros(101 + i))
        found = replay(decision, other, decider)
    changed = {difference.what for difference in found.differences}
    assert {f"the feature {name!r}" for name in ("spent_7d", "spent_30d", "pace")} <= changed
    assert {difference.cause for difference in found.differences} == {"data"}
    assert not found.same


def test_the_alarm_in_full(bank: EmbeddedLog, decider: Decider) -> None:
    made = live(bank)
    decision = decider.decide(made.score("risk", {"who": 12_345}, micros(107)), micros(107))
    forged = replace(decision, features={**decision.features, "n_7d": 1.0})
    with says(
        ReplayError,
        f"""
        the feature 'n_7d' did not come out as it was decided
          expected: 1.0
          got:      0.0
          where:    risk, log offset {bank.end() - 1}
          do:       run `headwater log verify`; the log or the engine is not what it was
        """,
    ):
        replay(forged, bank, decider).raise_if_different()


def test_a_forged_score_is_an_alarm(bank: EmbeddedLog, decider: Decider) -> None:
    decision = decider.decide(live(bank).score("risk", {"who": 3}, micros(107)), micros(107))
    forged = replace(decision, score=decision.score + 2**-52)
    (difference,) = replay(forged, bank, decider).differences
    assert (difference.what, difference.cause) == ("the score", "data")


def test_with_another_model_the_difference_is_the_models(bank: EmbeddedLog, decider: Decider) -> None:
    decision = decider.decide(busy(bank).score("risk", {"who": 3}, micros(107)), micros(107))
    other = Decider(POLICY, scoring(seed=1))
    found = replay(decision, bank, other)
    assert found.differences
    assert {difference.cause for difference in found.differences} == {"model"}
    assert found.differences[0].what == "the score"


def test_with_another_policy_the_difference_is_the_policys(bank: EmbeddedLog, decider: Decider) -> None:
    decision = decider.decide(busy(bank).score("risk", {"who": 3}, micros(107)), micros(107))
    other = Decider(hw.Policy("lend", RISK, {"yes": 0.0, "no": 0.9999}), scoring())
    found = replay(decision, bank, other)
    assert found.differences[0].what == "the band"
    assert {difference.cause for difference in found.differences} == {"policy"}


def test_with_another_definition_the_difference_is_the_definitions(
    bank: EmbeddedLog, decider: Decider
) -> None:
    decision = decider.decide(busy(bank).score("risk", {"who": 3}, micros(107)), micros(107))
    changed = model(derived={"pace": pl.col("spent_30d") / pl.col("income")})
    other = Decider(hw.Policy("lend", changed, POLICY.bands), scoring(changed))
    found = replay(decision, bank, other)
    assert found.differences[0].what == "the feature 'pace'"
    assert found.differences[0].cause == "definition"


def test_a_policy_for_another_model() -> None:
    other = model(name="other")
    with says(
        ModelError,
        """
        a policy cannot decide on the score of another model
          expected: risk
          got:      other
          where:    lend
          do:       name the policy's own model
        """,
    ):
        Decider(POLICY, scoring(other))
