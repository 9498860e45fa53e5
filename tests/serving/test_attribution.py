"""A decision made again otherwise: each difference has its cause, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import headwater as hw
from headwater.log.embedded import EmbeddedLog
from headwater.serving.decide import Decider
from headwater.serving.replay import replay
from headwater.store.decision import Decision
from tests.serving.bank import POLICY, RISK, live, log, micros, model, scoring

STRICT = hw.Policy("lend", RISK, {"yes": 0.0, "no": 0.000001}, reasons=POLICY.reasons)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with log(tmp_path) as made:
        yield made


@pytest.fixture
def own() -> Decider:
    return Decider(POLICY, scoring())


@pytest.fixture
def decision(bank: EmbeddedLog, own: Decider) -> Decision:
    return own.decide(live(bank).score("risk", {"who": 9}, micros(99)), micros(99))


def test_the_same(bank: EmbeddedLog, own: Decider, decision: Decision) -> None:
    found = replay(decision, bank, own, own=own)
    assert (found.same, found.stages) == (True, ())
    assert found.words() == (
        f"Every bit is the same: 10 features, score {decision.score!r}, band {decision.band!r}, reasons.",
    )


def test_model_and_policy_apart(bank: EmbeddedLog, own: Decider, decision: Decision) -> None:
    found = replay(decision, bank, Decider(STRICT, scoring(seed=1)), own=own)
    assert [stage.cause for stage in found.stages] == ["model", "policy"]
    causes = {difference.what: difference.cause for difference in found.differences}
    assert causes["the score"] == "model"
    middle = POLICY.band(found.now.score)
    assert causes["the band"] == ("policy" if middle == decision.band else "model")
    band = "" if middle == decision.band else f"; the band is {middle!r}, not {decision.band!r}"
    assert found.words() == (
        f"Model: the score is {found.now.score!r}, not {decision.score!r} from the same features{band}.",
        f"Policy: the band is 'no', not {middle!r} for the same score.",
    )


def test_a_policy_with_other_texts(bank: EmbeddedLog, own: Decider, decision: Decision) -> None:
    told = hw.Policy("lend", RISK, POLICY.bands, dict.fromkeys(RISK.inputs, "Something is odd"))
    found = replay(decision, bank, Decider(told, scoring()), own=own)
    assert found.words() == ("Policy: other reasons are told for the same contributions.",)
    assert {difference.what for difference in found.differences} == {"the reasons"}


def test_another_definition(bank: EmbeddedLog, own: Decider, decision: Decision) -> None:
    changed = model(derived={"pace": pl.col("spent_30d") / pl.col("income")})
    other = Decider(hw.Policy("lend", changed, POLICY.bands, POLICY.reasons), scoring(changed))
    found = replay(decision, bank, other, own=own)
    assert found.stages[0].cause == "definition"
    assert set(found.stages[0].features) == {"pace"}
    then, now = decision.features["pace"], found.now.features["pace"]
    start = f"Definition, features mean something else: 1 feature differs (pace {then!r} -> {now!r})"
    assert found.words()[0].startswith(start)


def test_other_data_and_another_model(bank: EmbeddedLog, own: Decider, decision: Decision) -> None:
    forged = replace(decision, features={**decision.features, "n_7d": 99.0})
    found = replay(forged, bank, Decider(POLICY, scoring(seed=1)), own=own)
    assert [stage.cause for stage in found.stages] == ["data", "model"]
    causes = {difference.what: difference.cause for difference in found.differences}
    assert causes["the feature 'n_7d'"] == "data"
    assert causes["the score"] == "model"
    now = decision.features["n_7d"]
    assert found.words()[0] == (
        f"Data, the log no longer gives what it gave: 1 feature differs (n_7d 99.0 -> {now!r})."
    )


def test_what_is_not_its_own_is_left_aside(bank: EmbeddedLog, decision: Decision) -> None:
    other = Decider(STRICT, scoring(seed=1))
    assert replay(decision, bank, other, own=Decider(STRICT, scoring())) == replay(decision, bank, other)
    assert replay(decision, bank, other, own=other) == replay(decision, bank, other)
