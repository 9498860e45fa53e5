"""Fairness: what the candidate's decisions would do to the groups of each protected attribute.

The figures and verdicts are those of ``monitoring.fairness``, on the matured outcomes and with the policy's
worst band as the unfavourable decision. A candidate that breaks a bound is held, unless the champion breaks
it at least as badly: then the candidate is no step back, and the report says so.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headwater.core.errors import MissingExtraError
from headwater.monitoring.fairness import Fairness, audit, cut, quarters
from headwater.retraining.evidence import Evidence
from headwater.retraining.paired import Float64
from headwater.retraining.report import Check, Verdict
from headwater.retraining.rules import Rules
from headwater.training.dataset import TrainingSet


def checks(evidence: Evidence, rules: Rules) -> Iterator[Check]:
    """A check for each protected attribute."""
    if not evidence.model.protected:
        words = "The model declares no protected attribute."
        yield Check("fairness", "protected", "not looked at", words)
        return
    if evidence.policy is None or len(evidence.policy.bands) < 2:
        words = "There is no policy with two bands, so that nobody is selected."
        yield Check("fairness", "protected", "not looked at", words)
        return
    if evidence.rows is None:
        yield Check("fairness", "protected", "too few", "There are no matured outcomes.")
        return
    for attribute in evidence.model.protected:
        yield _check(attribute, evidence, evidence.rows, rules)


def _check(attribute: str, evidence: Evidence, rows: TrainingSet, rules: Rules) -> Check:
    groups = _groups(rows, attribute)
    candidate, champion = evidence.scores
    try:
        found = _audited(attribute, groups, candidate, evidence, rows, rules)
        beside = None if champion is None else _audited(attribute, groups, champion, evidence, rows, rules)
    except MissingExtraError as error:
        return Check("fairness", attribute, "fail", f"It cannot be looked at: {error.problems[0].what}.")
    verdict, words = _verdict(found, beside)
    numbers = {"candidate": found.to_json(), "champion": None if beside is None else beside.to_json()}
    return Check("fairness", attribute, verdict, words, numbers)


def _verdict(found: Fairness, beside: Fairness | None) -> tuple[Verdict, str]:
    told = " ".join(found.words) or (
        f"The least selected group of {found.attribute} is selected {found.impact.value:.2f} times as "
        "often as the most selected one."
    )
    if found.level == "too few":
        return "not looked at", told
    if found.level != "alarm":
        return "pass", told
    if beside is not None and beside.level == "alarm" and _no_step_back(found, beside):
        return "pass", f"{told} The champion breaks the bound as badly ({beside.impact.value:.2f})."
    return "fail", told


def _no_step_back(found: Fairness, beside: Fairness) -> bool:
    """Neither figure is worse than the champion's."""
    pairs = (
        (beside.impact.value, found.impact.value),
        (found.opportunity_difference.value, beside.opportunity_difference.value),
    )
    return all(np.isnan(a) or np.isnan(b) or a <= b for a, b in pairs)


def _audited(
    attribute: str,
    groups: list[object],
    scores: Float64,
    evidence: Evidence,
    rows: TrainingSet,
    rules: Rules,
) -> Fairness:
    policy = evidence.policy
    worst = max(policy.bands.values()) if policy is not None else 1.0
    return audit(
        attribute,
        groups,
        scores < worst,
        rows.y,
        scores,
        rows.entities,
        bootstrap=min(rules.bootstrap, 200),
        seed=rules.seed,
    )


def _groups(rows: TrainingSet, attribute: str) -> list[object]:
    """The group of each row; many numbers become quarters."""
    derived = rows.model.derived.get(attribute)
    values = rows.frame[attribute] if derived is None else rows.frame.select(derived.alias("x"))["x"]
    bounds = quarters(values)
    return list((cut(values, bounds) if bounds else values).to_list())
