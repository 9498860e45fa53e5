"""Estimated and measured performance: only mature labels, and an estimate that hits where scores are
calibrated."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from headwater.core.errors import DataError, TrainingError
from headwater.core.instant import DAY, WEEK
from headwater.models.calibration import Calibrator
from headwater.monitoring.outcomes import Performance, Scored, estimate, gaps, performance
from tests.letters import says

START = 20_000 * DAY


def decided(
    days: int = 140, a_day: int = 60, seed: int = 0, turned: float = 1e9, warped: bool = False
) -> Scored:
    """Calibrated scores, unless ``warped``; from day ``turned`` on they foretell nothing."""
    rng = np.random.default_rng(seed)
    count = days * a_day
    times = START + np.sort(rng.integers(0, days * DAY, count))
    chance = 1 / (1 + np.exp(-rng.normal(-1.5, 1.2, count)))
    outcomes = (rng.random(count) < chance).astype(float)
    late = times >= START + turned * DAY
    outcomes[late] = rng.random(late.sum()) < chance.mean()
    scores = chance**2 if warped else chance
    return Scored(times, rng.integers(0, 2_000, count), scores, outcomes)


def told(scored: Scored, now: float = 140) -> Performance:
    moment = START + int(now * DAY)
    return performance(scored, now=moment, wait=30 * DAY, every=2 * WEEK, start=START, bootstrap=20)


def test_measured_figures_are_scikit_learns_over_the_mature_rows() -> None:
    scored = decided()
    first = told(scored).periods[0]
    rows = (scored.times >= START) & (scored.times < START + 14 * DAY)
    y, score = scored.outcomes[rows], scored.scores[rows]
    assert first.measured["roc_auc"].value == pytest.approx(roc_auc_score(y, score))
    assert first.measured["average_precision"].value == pytest.approx(average_precision_score(y, score))
    assert first.measured["brier"].value == pytest.approx(brier_score_loss(y, score))
    assert first.measured["roc_auc"].low < first.measured["roc_auc"].value < first.measured["roc_auc"].high


def test_only_mature_labels_count() -> None:
    """
    day   0 ............. 98 ... 110 ............. 140 = now
          windows of 14     |-----x------|             a label takes 30 days
    """
    scored = decided()
    periods = told(scored).periods
    assert [one.matured == one.decided for one in periods[:7]] == [True] * 7
    cut = periods[7]
    assert 0 < cut.matured < cut.decided
    mature = (scored.times >= cut.start) & (scored.times + 30 * DAY <= START + 140 * DAY)
    assert cut.matured == int(mature.sum())
    newest = periods[8]
    assert (newest.matured, newest.measured) == (0, {})
    assert newest.why_not == "no label is mature yet; all are from 2025-03-09T00:00:00Z on"
    assert newest.estimated["roc_auc"] > 0.5


def test_an_outcome_that_is_there_too_early_changes_nothing() -> None:
    scored = decided()
    wrong = scored.outcomes.copy()
    wrong[scored.times + 30 * DAY > START + 140 * DAY] = 1.0
    spoilt = Scored(scored.times, scored.entities, scored.scores, wrong)
    assert told(spoilt).periods == told(scored).periods


def test_the_estimate_is_what_calibrated_scores_give_on_average() -> None:
    """Independent of the formula: outcomes drawn again and again, judged by scikit-learn."""
    rng = np.random.default_rng(2)
    chance = rng.beta(1.0, 4.0, 3_000)
    expected = estimate(chance)
    drawn = [rng.random(3_000) < chance for _ in range(60)]
    for name, judge in (
        ("roc_auc", roc_auc_score),
        ("average_precision", average_precision_score),
        ("brier", brier_score_loss),
    ):
        assert expected[name] == pytest.approx(np.mean([judge(y, chance) for y in drawn]), abs=0.004)


def test_the_estimate_hits_what_is_measured_later_even_if_scores_are_not_calibrated() -> None:
    for warped in (False, True):
        found = list(gaps(told(decided(a_day=200, warped=warped)).periods))
        assert len(found) >= 4
        assert np.mean([gap for _, gap in found]) == pytest.approx(0.0, abs=0.015)


def test_concept_drift_is_measured_where_the_estimate_is_blind() -> None:
    found = told(decided(a_day=200, turned=70)).periods
    assert found[6].estimated["roc_auc"] > 0.7  # the inputs are as ever
    assert found[6].measured["roc_auc"].high < 0.6
    assert {one.start: gap for one, gap in gaps(found)}[found[6].start] < -0.15


def test_the_table_shows_both_and_the_delay() -> None:
    found = told(decided())
    frame = found.frame()
    assert frame.height == 11
    assert {"roc_auc_estimated", "roc_auc", "roc_auc_low", "roc_auc_high", "why_not"} <= set(frame.columns)
    assert found.words() == (
        "Measured until 2025-01-22T00:00:00Z, 30 days ago; a label takes 30d to mature, "
        "so what is newer is estimated."
    )


def test_nothing_mature_and_nothing_to_calibrate_with() -> None:
    found = told(decided(days=20), now=20)
    assert found.words() == "Nothing is measured yet: a label takes 30d to mature."
    assert all(one.estimated == {} and one.measured == {} for one in found.periods)


def test_one_class_and_few_labels_are_said() -> None:
    scored = decided()
    good = Scored(scored.times, scored.entities, scored.scores, np.zeros(len(scored)))
    assert told(good).periods[0].why_not == "too few mature labels: 0 positives and 871 negatives"
    unknown = Scored(scored.times, scored.entities, scored.scores, np.full(len(scored), np.nan))
    assert told(unknown).periods[0].matured == 0


def test_no_decisions_are_refused() -> None:
    with says(
        TrainingError,
        """
        there are no decisions to judge
          expected: decisions up to 2024-10-03T00:00:00Z
          got:      none
          do:       wait until decisions were made
        """,
    ):
        told(decided(), now=-1)


def test_parts_of_different_length_are_refused() -> None:
    with says(
        DataError,
        """
        decisions and their outcomes differ in number
          expected: 2 of each
          got:      2, 3
          do:       join the outcomes to the decisions first
        """,
    ):
        Scored(np.arange(2), np.arange(2), np.zeros(3), np.zeros(2))


def test_a_calibrator_rises_and_repairs_warped_scores() -> None:
    scored = decided(a_day=300, warped=True)
    fixed = Calibrator.fit(scored.scores, scored.outcomes)
    grid = np.linspace(0, 1, 101)
    assert (np.diff(fixed(grid)) >= 0).all()
    assert fixed(np.array([0.25]))[0] == pytest.approx(0.5, abs=0.05)
