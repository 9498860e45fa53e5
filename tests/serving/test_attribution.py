"""A decision made again otherwise: each difference has its cause, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DataError
from headwater.definitions.compile import content_hash
from headwater.log.embedded import EmbeddedLog
from headwater.serving.decide import Decider
from headwater.serving.replay import replay
from headwater.store.decision import Decision
from tests.letters import says
from tests.serving.bank import (
    PAYMENTS,
    PERSON,
    POLICY,
    RISK,
    SPENDING,
    live,
    log,
    micros,
    model,
    scoring,
)

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


def cheaper(**changes: Any) -> hw.Model:
    """A definition with inputs of the same names that mean something else: only payments by card count."""
    features = {
        **SPENDING.features,
        "spent": hw.sum("amount", where=pl.col("way") == "card", over=["7d", "30d"]),
        "n": hw.count(where=pl.col("way") == "card", over=["7d", "30d"]),
    }
    view = hw.FeatureView("spending", PAYMENTS, "who", features)
    return model(features=[view, PERSON], **changes)


def test_all_at_once_in_the_stated_order(bank: EmbeddedLog, own: Decider, decision: Decision) -> None:
    """data, definition, model, policy: the log is another one, and all three are exchanged."""
    forged = replace(decision, features={**decision.features, "largest_30d": 1.0})
    other = cheaper()
    strict = hw.Policy("lend", other, STRICT.bands, reasons=POLICY.reasons)
    found = replay(forged, bank, Decider(strict, scoring(other, 1)), own=own)
    assert [stage.cause for stage in found.stages] == ["data", "definition", "model", "policy"]
    data, definition, trained, policy = found.stages
    for before, after in pairwise(found.stages):
        assert before.after == after.before
    assert data.before == forged
    assert data.after == decision
    assert set(data.features) == {"largest_30d"}
    assert {"spent_7d", "n_7d"} <= set(definition.features)
    assert (definition.after.model_digest, definition.after.definition_hash) == (
        decision.model_digest,
        content_hash(other),
    )
    assert (trained.features, trained.after.policy_hash) == ({}, decision.policy_hash)
    assert policy.after == found.now
    words = found.words()
    assert words[0].startswith(
        "Data, the log no longer gives what it gave: 1 feature differs (largest_30d 1.0"
    )
    assert words[1].startswith("Definition, features mean something else: ")
    assert words[2].startswith("Model: the score is ")
    assert words[3].startswith("Policy: the band is 'no', not ")
    causes = {difference.what: difference.cause for difference in found.differences}
    assert causes["the feature 'largest_30d'"] == "data"
    assert causes["the feature 'spent_7d'"] == "definition"


def test_a_definition_alone(bank: EmbeddedLog, own: Decider, decision: Decision) -> None:
    """Nobody trained a model from it: the decision's own reads the other features."""
    read = own.scoring.reading(cheaper())
    assert read is not None
    found = replay(decision, bank, Decider(POLICY, read), own=own)
    assert [stage.cause for stage in found.stages] == ["definition"]
    assert {difference.cause for difference in found.differences} == {"definition"}
    assert found.now.model_digest == decision.model_digest


def test_a_definition_with_other_inputs_and_its_model(
    bank: EmbeddedLog, own: Decider, decision: Decision
) -> None:
    """Definition and model cannot be told apart where the own model cannot read the other inputs."""
    other = model(derived={})
    assert own.scoring.reading(other) is None
    found = replay(decision, bank, Decider(POLICY, scoring(other, 1)), own=own)
    assert [stage.cause for stage in found.stages] == ["definition"]
    assert found.words()[0].startswith(
        "Definition, features mean something else, and the model that was trained from them reads them:"
        " 1 feature differs (pace "
    )


def test_a_definition_that_means_the_same(bank: EmbeddedLog, own: Decider, decision: Decision) -> None:
    """Another label: the features are the same bits, so whatever differs is the model's."""
    other = model(label=hw.happens(PAYMENTS, pl.col("amount") > 50, within="10d"))
    found = replay(decision, bank, Decider(POLICY, scoring(other, 1)), own=own)
    assert [stage.cause for stage in found.stages] == ["model"]
    read = own.scoring.reading(other)
    assert read is not None
    assert replay(decision, bank, Decider(POLICY, read), own=own).same


def test_a_definition_over_other_events_than_the_log_holds(
    bank: EmbeddedLog, own: Decider, decision: Decision
) -> None:
    schema: dict[str, Any] = {**PAYMENTS.schema, "amount": pl.Float32}
    stream = hw.Stream("payments", schema, id="id")
    view = hw.FeatureView("spending", stream, "who", dict(SPENDING.features))
    other = model(features=[view, PERSON], label=hw.happens(stream, within="10d"), observe=hw.each(stream))
    read = own.scoring.reading(other)
    assert read is not None
    with says(
        DataError,
        """
        the log does not hold a stream as the definition declares it
          expected: the column 'amount' as Float32
          got:      Float64
          where:    payments
          do:       use definitions whose streams are those of this log
        """,
    ):
        replay(decision, bank, Decider(POLICY, read), own=own)
