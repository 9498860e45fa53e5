"""When a model is due, and what is said: facts in, reasons out."""

from __future__ import annotations

import numpy as np
import pytest

from headwater.core.instant import DAY
from headwater.models.metrics import Metric
from headwater.monitoring.drift import DriftReport
from headwater.monitoring.feature import FeatureDrift
from headwater.monitoring.outcomes import FIGURES, Performance, Period, Scored, performance
from headwater.monitoring.verdict import Level
from headwater.retraining.triggers import (
    Bounds,
    Facts,
    asked,
    by_drift,
    by_outcomes,
    by_schedule,
    by_volume,
    due,
    joined,
    moment,
)

WEEK = 7 * DAY


def report(level: Level) -> DriftReport:
    none: tuple[FeatureDrift, ...] = ()
    return DriftReport(0, WEEK, 900, 80, level, 0.001, none)


def measured(*auc: tuple[float, float, float]) -> Performance:
    """A week each, with its ROC AUC and interval."""
    weeks = [
        Period(i * WEEK, (i + 1) * WEEK, 500, 500, 60, (i + 2) * WEEK, {}, {"roc_auc": Metric(*one)}, None)
        for i, one in enumerate(auc)
    ]
    return Performance(len(auc) * WEEK, WEEK, tuple(weeks), FIGURES)


def test_a_model_without_a_schedule_is_never_due_by_time() -> None:
    assert by_schedule(1_000 * DAY, None, None) is None


def test_a_model_that_was_never_trained_is_due_at_once() -> None:
    why = by_schedule(0, None, WEEK)
    assert why is not None
    assert (why.kind, why.words) == ("first", "Trained every 7d, and never was yet.")


@pytest.mark.parametrize(("days", "is_due"), [(6.99, False), (7, True), (20, True)])
def test_due_from_the_moment_on(days: float, is_due: bool) -> None:
    assert (by_schedule(int(days * DAY), 0, WEEK) is not None) == is_due


def test_a_late_job_belongs_to_the_newest_moment_of_the_schedule() -> None:
    assert [moment(int(day * DAY), 0, WEEK) // DAY for day in (7, 13.9, 14, 20)] == [7, 7, 14, 14]


@pytest.mark.parametrize(("level", "is_due"), [("too few", False), ("quiet", False), ("watch", False)])
def test_only_an_alarm_of_drift_is_a_reason(level: Level, is_due: bool) -> None:
    assert (by_drift(report(level)) is not None) == is_due
    assert by_drift(report("alarm")) is not None
    assert by_drift(None) is None


def test_drift_can_be_a_reason_from_watch_on() -> None:
    assert by_drift(report("watch"), "watch") is not None
    assert by_drift(report("too few"), "too few") is None


def test_outcomes_are_a_reason_only_if_they_are_surely_worse() -> None:
    #                      registered 0.80, may fall to 0.77
    #   0.70 ----o---- 0.76   surely worse          0.70 ----o-------- 0.78   perhaps
    assert by_outcomes(measured((0.73, 0.70, 0.78)), 0.80) is None
    why = by_outcomes(measured((0.73, 0.70, 0.76)), 0.80)
    assert why is not None
    assert why.words == (
        "The roc_auc of decisions from 1970-01-01T00:00:00Z to 1970-01-08T00:00:00Z is 0.7300 (0.7000 to "
        "0.7600); the model was registered with 0.8000."
    )


def test_a_high_loss_is_worse_not_better() -> None:
    week = Period(0, WEEK, 1, 1, 1, WEEK, {}, {"brier": Metric(0.3, 0.28, 0.32)}, None)
    worse = Performance(WEEK, WEEK, (week,), FIGURES)
    assert by_outcomes(worse, 0.2, figure="brier") is not None
    assert by_outcomes(worse, 0.3, figure="brier") is None


def test_several_windows_in_a_row_must_be_worse() -> None:
    dip = measured((0.70, 0.68, 0.72), (0.80, 0.78, 0.82), (0.70, 0.68, 0.72))
    assert by_outcomes(dip, 0.8, periods=2) is None
    assert by_outcomes(dip, 0.8, periods=1) is not None
    assert by_outcomes(dip, 0.8, periods=4) is None


def test_estimates_are_no_reason() -> None:
    random = np.random.default_rng(0)
    scores = random.random(400)
    times = np.linspace(0, WEEK, 400).astype(np.int64)
    young = Scored(times, np.arange(400), scores, (scores < 0.5).astype(np.float64))
    found = performance(young, now=WEEK, wait=WEEK, every=WEEK, bootstrap=20)
    assert by_outcomes(found, 0.9) is None


@pytest.mark.parametrize(
    ("matured", "learned", "is_due"), [(499, 100, False), (500, 100, True), (500, 2_001, False)]
)
def test_volume_needs_a_number_and_a_share(matured: int, learned: int, is_due: bool) -> None:
    assert (by_volume(matured, learned) is not None) == is_due


def test_after_a_training_only_the_schedule_is_heard_for_a_while() -> None:
    loud = Facts(DAY // 2, WEEK, 0, report("alarm"), matured=5_000, learned=10)
    assert due(loud) == ()
    assert [why.kind for why in due(loud, Bounds(rest=0))] == ["drift", "volume"]


def test_several_reasons_become_one_sentence_after_the_other() -> None:
    both = due(Facts(WEEK, WEEK, 0, report("alarm")))
    assert joined(both).kind == "schedule"
    assert joined(both).words == " ".join(why.words for why in both)
    assert asked("ada").words == "Asked for by ada."
