"""Better or not worse on matured outcomes, and calibration: both models on the same rows, paired.

*Not worse* is proved, not assumed: the interval of the difference must end above the margin. A difference
that is only not known well enough holds the candidate too, and says so. Without a champion, absolute bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from headwater.core.errors import DataError
from headwater.models.metrics import Metric
from headwater.retraining.evidence import Evidence, enough
from headwater.retraining.paired import Difference, Float64, by_chance, cost_of, paired
from headwater.retraining.report import Check
from headwater.retraining.rules import Rules

_TITLES = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "cost": "cost of a decision",
    "calibration_error": "calibration error",
}


def checks(evidence: Evidence, rules: Rules) -> Iterator[Check]:
    """All checks on outcomes; one that says "too few" where there are not enough."""
    if evidence.incumbent is not None and evidence.champion is None:
        words = (
            "The champion cannot be compared on the same rows, so that nothing is known of the difference."
        )
        yield Check("outcomes", "champion", "fail", words)
    y, entities = evidence.y, evidence.entities
    if not enough(y, entities, rules):
        yield _too_few(evidence, rules)
        return
    candidate, champion = evidence.scores
    found = paired(
        y,
        candidate,
        champion,
        entities,
        costs=(_costs(evidence, candidate, rules), _costs(evidence, champion, rules)),
        bootstrap=rules.bootstrap,
        seed=rules.seed,
        level=rules.level,
    )
    if champion is None:
        yield from _absolute(found, y, candidate, rules)
    else:
        yield from _relative(found, rules)


def surely_better(found: Sequence[Check]) -> bool:
    """Whether the candidate is surely better in one figure of the outcomes, and worse in none."""
    judged = [check for check in found if check.family == "outcomes"]
    better = any(check.numbers.get("finding") == "better" for check in judged)
    return better and not any(check.holds for check in judged)


def _relative(found: Mapping[str, Difference], rules: Rules) -> Iterator[Check]:
    margins = {
        "roc_auc": rules.auc_margin,
        "average_precision": rules.ap_margin * _champion(found["average_precision"]),
        "brier": rules.brier_margin * _champion(found["brier"]),
    }
    if "cost" in found:
        margins["cost"] = rules.cost_margin * abs(_champion(found["cost"]))
    for name, margin in margins.items():
        yield _not_worse("outcomes", name, found[name], margin)
    if found["roc_auc"].candidate.high < rules.least_auc:
        words = "Both rank hardly better than chance on these outcomes, or worse: the world has changed."
        yield Check("outcomes", "chance", "not looked at", words)
    yield _not_surely_worse(found["calibration_error"], rules)
    yield _mean_gap(found["mean_gap"], rules, beside=True)


def _absolute(found: Mapping[str, Difference], y: Float64, score: Float64, rules: Rules) -> Iterator[Check]:
    auc, brier = found["roc_auc"].candidate, found["brier"].candidate
    rate = float(y.mean())
    guess = rate * (1 - rate)
    fits = auc.low > rules.least_auc
    words = f"ROC AUC {auc}; it must surely lie above {rules.least_auc:g}."
    yield Check(
        "outcomes", "roc_auc", "pass" if fits else "fail", words, _own(auc), {"least": rules.least_auc}
    )
    better = brier.value < guess
    words = f"Brier score {brier}; to guess the rate of {rate:.1%} for everybody gives {guess:.4f}."
    yield Check("outcomes", "brier", "pass" if better else "fail", words, _own(brier), {"most": guess})
    yield _sound(found["calibration_error"].candidate.value, score, rules)
    yield _mean_gap(found["mean_gap"], rules, beside=False)


def _sound(error: float, score: Float64, rules: Rules) -> Check:
    """Calibration by itself, beside what chance alone does to a model that is perfectly calibrated."""
    chance = float(np.quantile(by_chance(score, rules.bootstrap, rules.seed), rules.level))
    most = chance + rules.calibration_margin
    words = (
        f"Predicted and observed rates lie {error:.4f} apart on average; so few outcomes put a perfectly "
        f"calibrated model up to {chance:.4f} off by chance."
    )
    numbers = {"candidate": error, "by_chance": chance}
    return Check(
        "calibration",
        "calibration_error",
        "pass" if error <= most else "fail",
        words,
        numbers,
        {"most": most},
    )


def _not_worse(family: str, name: str, found: Difference, margin: float) -> Check:
    gain, title = _metric(found.gain), _TITLES[name]
    both = f"{title} {found.candidate.value:.4f}, champion {_champion(found):.4f}"
    told = f"gain {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
    if gain.low > 0:
        verdict, end = "better", "surely better."
    elif gain.low >= -margin:
        verdict, end = "not worse", f"not worse by more than {margin:.4f}."
    elif gain.high < 0:
        verdict, end = "worse", "surely worse."
    else:
        verdict, end = (
            "unknown",
            f"it may be worse by more than {margin:.4f}; more outcomes are needed to tell.",
        )
    fits = verdict in ("better", "not worse")
    numbers = {
        "candidate": found.candidate.to_json(),
        "champion": _metric(found.champion).to_json(),
        "gain": gain.to_json(),
        "finding": verdict,
    }
    return Check(
        family, name, "pass" if fits else "fail", f"{both}; {told}: {end}", numbers, {"margin": margin}
    )


def _not_surely_worse(found: Difference, rules: Rules) -> Check:
    """Calibration beside the champion's: a small sample's noise holds nobody, a sure loss does."""
    gain = _metric(found.gain)
    worse = gain.high < 0 and gain.value < -rules.calibration_margin
    words = (
        f"Predicted and observed rates lie {found.candidate.value:.4f} apart on average, the champion's "
        f"{_champion(found):.4f}; gain {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
    )
    numbers = {
        "candidate": found.candidate.to_json(),
        "champion": _metric(found.champion).to_json(),
        "gain": gain.to_json(),
    }
    return Check(
        "calibration",
        "calibration_error",
        "fail" if worse else "pass",
        words + (": surely worse." if worse else "."),
        numbers,
        {"margin": rules.calibration_margin},
    )


def _mean_gap(found: Difference, rules: Rules, *, beside: bool) -> Check:
    """Whether scores are on the whole as high as the rate: fails only where that is sure."""
    gap = found.candidate
    nearest = max(gap.low, -gap.high, 0.0)
    fits = nearest <= rules.calibration_margin
    words = f"The mean score lies {gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f}) off the observed rate."
    numbers = _own(gap)
    if beside:
        champion = _metric(found.champion)
        fits = fits or abs(gap.value) <= abs(champion.value)
        words += f" The champion's lies {champion.value:+.4f} off."
        numbers["champion"] = champion.to_json()
    return Check(
        "calibration",
        "mean_score",
        "pass" if fits else "fail",
        words,
        numbers,
        {"most": rules.calibration_margin},
    )


def _too_few(evidence: Evidence, rules: Rules) -> Check:
    y, people = evidence.y, len(np.unique(evidence.entities))
    positives = int(y.sum())
    words = (
        f"{len(y):,} matured outcomes of {people:,} entities that neither model learned from, {positives:,} "
        f"positive and {len(y) - positives:,} negative; {rules.least_rows:,} of {rules.least_entities:,} "
        f"entities and {rules.least_of_a_class:,} of either class are needed."
    )
    numbers = {"rows": len(y), "positives": positives, "entities": people}
    bounds = {
        "rows": rules.least_rows,
        "of_a_class": rules.least_of_a_class,
        "entities": rules.least_entities,
    }
    return Check("outcomes", "enough", "too few", words, numbers, bounds)


def _costs(evidence: Evidence, scores: Float64 | None, rules: Rules) -> Float64 | None:
    if scores is None or not rules.costs:
        return None
    policy = evidence.policy
    if policy is None or set(policy.bands) != set(rules.costs):
        raise DataError.of(
            "the costs do not fit the policy",
            expected=", ".join(policy.bands) if policy is not None else "a policy that reads the model",
            got=", ".join(rules.costs),
            where=evidence.model.name,
            do="give each band of the policy its two costs",
        )
    return cost_of(evidence.y, [policy.band(score) for score in scores.tolist()], rules.costs)


def _champion(found: Difference) -> float:
    return _metric(found.champion).value


def _metric(metric: Metric | None) -> Metric:
    return Metric(math.nan) if metric is None else metric


def _own(metric: Metric) -> dict[str, object]:
    return {"candidate": metric.to_json()}
