"""The gate: worse is held, better and not worse may pass, too little is never enough; and why, in words."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import headwater as hw
from headwater.core.errors import DataError, GateError, ModelError
from headwater.retraining.report import GateReport
from headwater.retraining.rules import Rules
from tests.letters import says
from tests.retraining.house import RULES, House
from tests.retraining.lender import REASONS, model, payments, project

STUMP = HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=2)  # sees one split, and hardly believes it
DULL = HistGradientBoostingClassifier(max_iter=6, max_leaf_nodes=2)
GOOD = LogisticRegression(C=100.0, max_iter=1000)


def found(report: GateReport) -> dict[str, str]:
    return {f"{check.family}, {check.name}": check.verdict for check in report.checks}


def throne(house: House, on: float, estimator: object) -> None:
    """A champion with this estimator."""
    house.project = project(estimator=estimator)
    done = house.retrain(on)
    house.promote(which=done.version.number, force=True, why="the test needs a champion")


def test_a_worse_candidate_is_held_and_told_why(house: House) -> None:
    throne(house, 80, GOOD)
    house.project = project(estimator=STUMP)
    house.retrain(87)
    report = house.gate(87)
    assert report.verdict == "hold"
    assert found(report)["outcomes, roc_auc"] == "fail"
    (auc,) = [check for check in report.checks if check.name == "roc_auc"]
    assert auc.words.endswith("surely worse.")
    assert auc.numbers["gain"][2] < 0
    told = report.summary()
    assert told.startswith("risk version 2, against version 1: hold. outcomes, roc_auc: ROC AUC 0.")
    with pytest.raises(GateError):
        house.promote()
    assert house.champion() == 1


def test_a_better_candidate_is_promoted(house: House) -> None:
    throne(house, 80, DULL)
    house.project = project(estimator=GOOD)
    house.retrain(87)
    report = house.gate(87, ticks=time.perf_counter_ns)
    assert report.verdict == "promote", report.words()
    assert found(report)["latency, one row"] == "pass"
    (auc,) = [check for check in report.checks if check.name == "roc_auc"]
    assert auc.numbers["finding"] == "better"
    assert house.promote().champion.number == 2
    assert house.champion() == 2


def test_a_candidate_that_takes_too_long_is_held(house: House) -> None:
    throne(house, 80, DULL)
    house.project = project(estimator=GOOD)
    house.retrain(87)
    strict = replace(RULES, latency_ms=0.0, latency_ratio=0.0)
    report = house.gate(87, ticks=time.perf_counter_ns, rules=strict)
    assert (report.verdict, [check.family for check in report.held_by]) == ("hold", ["latency"])
    (check,) = report.held_by
    assert check.numbers["p99_ms"] > check.bounds["most_ms"] == 0.0
    assert check.words.startswith("One row is scored in 0.")


def test_neither_side_is_asked_about_what_it_has_learned(house: House) -> None:
    throne(house, 80, GOOD)
    house.retrain(87)
    soon, later = house.gate(87), house.gate(110)
    assert dict(soon.asked) == {"candidate": "stand-in", "champion": "stand-in"}
    assert dict(later.asked) == {"candidate": "itself", "champion": "itself"}
    learned = house.registry.load("risk", 2).baseline
    assert learned is not None
    assert later.start > learned.learned[1] + 7 * 86_400_000_000 - 1
    assert later.stop <= later.as_of - 7 * 86_400_000_000


def test_too_few_outcomes_hold(house: House) -> None:
    throne(house, 80, GOOD)
    house.retrain(87)
    report = house.gate(87, Rules(bootstrap=50, least_rows=10_000))
    assert report.verdict == "hold"
    assert [check.verdict for check in report.held_by] == ["too few"]
    (few,) = report.held_by
    assert few.words == (
        f"{report.rows:,} matured outcomes of {report.entities:,} entities that neither model learned from, "
        f"{report.positives:,} positive and {report.rows - report.positives:,} negative; 10,000 of 30 "
        "entities and 30 of either class are needed."
    )
    with pytest.raises(GateError):
        house.promote()


def test_without_a_champion_absolute_bounds_count(house: House) -> None:
    house.retrain(80)
    report = house.gate(80)
    assert (report.verdict, report.champion) == ("promote", None)
    assert report.notes[0] == ("There is no champion yet, so the candidate is held against absolute bounds.")
    assert house.promote().words == "risk version 1 is champion now, the first one."


def test_a_first_model_that_foresees_nothing_is_held(house: House) -> None:
    house.events = payments(noise=1.0)
    house.retrain(80)
    report = house.gate(80)
    assert report.verdict == "hold"
    assert found(report)["outcomes, roc_auc"] == "fail"
    with pytest.raises(GateError):
        house.promote()
    assert house.champion() is None


def test_the_report_lies_in_mlflow_as_it_was_told(house: House) -> None:
    house.retrain(80)
    report = house.gate(80)
    version = house.registry.version("risk", 1)
    kept = house.registry.kept(version, "gate/2026-03-22T000000Z.json").read_text(encoding="utf-8")
    assert kept == report.canonical() + "\n"
    assert json.loads(kept)["verdict"] == version.tags["headwater.gate"] == "promote"
    assert version.tags["headwater.gate_report"] == report.digest
    words = house.registry.kept(version, "gate/2026-03-22T000000Z.txt").read_text(encoding="utf-8")
    assert words == report.words() + "\n"


def test_the_same_gate_says_the_same(house: House) -> None:
    house.retrain(80)
    assert house.gate(80).canonical() == house.gate(80, keep=False).canonical()


def test_costs_are_weighed_where_they_are_declared(house: House) -> None:
    throne(house, 80, STUMP)
    house.project = project(estimator=GOOD)
    house.retrain(87)
    report = house.gate(87, Rules(bootstrap=50, costs={"pay": (0, 10), "ask": (1, 3), "stop": (5, 0)}))
    (cost,) = [check for check in report.checks if check.name == "cost"]
    assert cost.numbers["finding"] == "better"
    with says(
        DataError,
        """
        the costs do not fit the policy
          expected: pay, ask, stop
          got:      pay
          where:    risk
          do:       give each band of the policy its two costs
        """,
    ):
        house.gate(87, Rules(bootstrap=50, costs={"pay": (0, 10)}))


def test_flips_and_reasons_are_counted(house: House) -> None:
    throne(house, 80, GOOD)
    house.retrain(110)
    report = house.gate(110)
    (flips,) = [check for check in report.checks if check.name == "decisions"]
    assert flips.numbers["standing"] == 80
    assert flips.numbers["flips"] == sum(flips.numbers["moves"].values())
    assert flips.verdict == "pass"
    zero = Rules(bootstrap=50, flips=0.0, reasons=0.0, flips_if_better=0.0)
    strict = house.gate(110, zero)
    if flips.numbers["flips"]:
        assert found(strict)["stability, decisions"] == "fail"
    (why,) = [check for check in report.checks if check.name == "reasons"]
    assert why.numbers["with_reasons"] <= 80


def test_a_protected_attribute_is_looked_at(house: House) -> None:
    female, chance = pl.col("sex") == "f", pl.col("id") % 10
    house.events = payments().with_columns(  # the model sees no sex, and amounts that tell it
        amount=pl.when(female).then(pl.col("amount") + 90).otherwise("amount"),
        bad=pl.when(female).then(chance < 8).otherwise(chance < 1),
    )
    risk = model(request=["amount", "channel", "sex"], protected=["sex"])
    house.project = hw.Project(
        "lender", [risk], [hw.Policy("care", risk, {"pay": 0.0, "ask": 0.25, "stop": 0.5}, REASONS)]
    )
    house.retrain(80)
    report = house.gate(80)
    (fair,) = [check for check in report.checks if check.family == "fairness"]
    assert (fair.name, fair.verdict) == ("sex", "fail")
    assert "four fifths are the bound" in fair.words
    assert report.verdict == "hold"


def test_a_champion_of_other_features_cannot_be_compared(house: House) -> None:
    throne(house, 80, GOOD)
    house.project = project(request=["amount"])
    house.project = hw.Project("lender", [house.project.models[0]], [])
    house.retrain(87)
    report = house.gate(87)
    assert report.verdict == "hold"
    assert found(report)["outcomes, champion"] == "fail"
    assert report.notes[0] == (
        "The champion, version 1, is of another definition (request, inputs), so its scores cannot be "
        "computed from this project."
    )


def test_the_champion_is_no_candidate(house: House) -> None:
    throne(house, 80, GOOD)
    with says(
        GateError,
        """
        risk version 1 is the champion already
          expected: a challenger
          where:    risk
          do:       train a challenger first: headwater retrain
        """,
    ):
        house.gate(87, which=1)


def test_rules_that_cannot_be_read() -> None:
    with says(
        DataError,
        """
        the rule 'flips' is no bound
          expected: a number, 0 or more
          got:      'few'
          where:    rules.json
          do:       give a number
        the rule 'least_rows' is a count
          expected: a whole number
          got:      1.5
          where:    rules.json
          do:       give a whole number
        the costs cannot be read
          expected: band to the cost of a decision on a negative and on a positive
          got:      {'pay': 3}
          where:    rules.json
          do:       write them like {"pay": [0, 100], "stop": [5, 0]}
        """,
    ):
        Rules.from_json({"flips": "few", "least_rows": 1.5, "costs": {"pay": 3}}, "rules.json")
    assert Rules.from_json(RULES.to_json()) == RULES


def test_a_damaged_candidate_is_refused(house: House) -> None:
    done = house.retrain(80)
    part = house.registry.kept(done.version, "stand_in") / "estimator.joblib"
    part.write_bytes(b"nothing" + part.read_bytes())
    with pytest.raises(ModelError):
        house.gate(80)
