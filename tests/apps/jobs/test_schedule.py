"""What is due: drawn on a line of days."""

from __future__ import annotations

from headwater.apps.jobs.history import KeptDrift, KeptFinding
from headwater.apps.jobs.schedule import Due, History, Watched, due_jobs, next_moment
from headwater.apps.jobs.timetable import Timing
from headwater.core.instant import DAY, HOUR
from headwater.models.metrics import Metric
from headwater.monitoring.outcomes import FIGURES, Performance, Period

DAILY = Timing("drift.risk", "drift", "risk", DAY)
WEEKLY = Timing("retrain.risk", "retrain", "risk", 7 * DAY, triggers=True)


def on(day: float, history: History, timing: Timing = DAILY) -> list[Due]:
    return due_jobs([timing], int(day * DAY), history)


def test_by_the_clock() -> None:
    """
    since 0          1            2            3            4            5
      |--------------|------------|------------|------------|------------|
                     due                             3.5: stands for 2 and 3
    """
    new = History(since={"drift.risk": 0})
    assert due_jobs([DAILY], 5, History()) == []  # seen now for the first time
    assert on(0.9, new) == []
    assert on(1.2, new) == [
        Due("drift.risk", DAY, "Due every 1d, for the first time since 1970-01-01T00:00:00Z.")
    ]
    done = History(since={"drift.risk": 0}, last={"drift.risk": DAY})
    assert on(1.9, done) == []
    assert on(2, done) == [Due("drift.risk", 2 * DAY, "Due every 1d.")]
    assert on(4.5, done)[0].why == (
        "Due every 1d. 2 earlier moments were missed while nothing ran; this one stands for them."
    )
    assert on(4.5, done)[0].moment == 4 * DAY
    by_hand = History(since={"drift.risk": 0}, last={"drift.risk": int(2.2 * DAY)})
    assert on(2.5, by_hand) == []
    assert on(3, by_hand) == [Due("drift.risk", 3 * DAY, "Due every 1d.")]


def test_one_of_a_name_at_a_time() -> None:
    assert on(3, History(since={"drift.risk": 0}, open={"drift.risk"})) == []


def test_switched_off() -> None:
    off = Timing("drift.risk", "drift", "risk", None)
    assert on(300, History(since={"drift.risk": 0}), off) == []
    assert next_moment(off, 300 * DAY, History()) is None


def test_when_it_is_due_next() -> None:
    done = History(since={"drift.risk": 0}, last={"drift.risk": DAY})
    assert next_moment(DAILY, int(1.5 * DAY), done) == 2 * DAY
    assert next_moment(DAILY, int(2.5 * DAY), done) == 2 * DAY  # it is due


def test_a_retraining_counts_from_the_last_training() -> None:
    trained = History(since={"retrain.risk": 0}, last={"retrain.risk": 10 * DAY}, trained={"risk": 10 * DAY})
    assert on(14, trained, WEEKLY) == []
    assert on(17.5, trained, WEEKLY) == [
        Due(
            "retrain.risk",
            17 * DAY,
            "Trained every 7d; the last time was 1970-01-11T00:00:00Z, 7 days ago.",
        )
    ]
    refused = History(since={"retrain.risk": 0}, last={"retrain.risk": 17 * DAY}, trained={"risk": 10 * DAY})
    assert on(18, refused, WEEKLY) == []  # not again until its next moment
    assert on(24, refused, WEEKLY)[0].moment == 24 * DAY


def drifted(start: float, stop: float) -> Watched:
    finding = KeptFinding("amount", "alarm", "has moved", {"subject": "amount"})
    return Watched(drift=KeptDrift(int(start * DAY), int(stop * DAY), "alarm", (finding,)))


def history(watched: Watched, *, last: float = 10) -> History:
    return History(
        since={"retrain.risk": 0},
        last={"retrain.risk": int(last * DAY)},
        trained={"risk": 10 * DAY},
        watched={"risk": watched},
    )


def test_drift_is_a_reason_only_in_a_window_after_the_last_training() -> None:
    """
    10 trained        12          13         14 now
      |---------------|-----------|----------|
             [--------------------]              a reason
        [-------------------------]              none: it began before the training was over
    """
    assert on(14, history(drifted(10, 13)), WEEKLY) == [
        Due(
            "retrain.risk", 13 * DAY, "Drift (alarm) in the window to 1970-01-14T00:00:00Z: amount has moved."
        )
    ]
    assert on(14, history(drifted(9.9, 13)), WEEKLY) == []
    assert on(10.9, history(drifted(10, 10.8)), WEEKLY) == []  # a day of rest after a training


def test_a_reason_that_was_acted_on_is_none_any_more() -> None:
    """The retraining for the window to day 13 was refused: the same window asks for no other."""
    assert on(16, history(drifted(10, 13), last=13), WEEKLY) == []
    assert on(16, history(drifted(10, 15), last=13), WEEKLY)[0].moment == 15 * DAY


def test_outcomes_and_labels_are_reasons() -> None:
    def measured(start: float) -> Performance:
        worse = {"roc_auc": Metric(0.6, 0.55, 0.65)}
        period = Period(int(start * DAY), int(start * DAY) + DAY, 90, 90, 30, 0, {}, worse, None)
        return Performance(13 * DAY, HOUR, (period,), FIGURES)

    decayed = Watched(performance=measured(11), registered={"roc_auc": 0.8})
    assert on(14, history(decayed), WEEKLY) == [
        Due(
            "retrain.risk",
            13 * DAY,
            "The roc_auc of decisions from 1970-01-12T00:00:00Z to 1970-01-13T00:00:00Z is "
            "0.6000 (0.5500 to 0.6500); the model was registered with 0.8000.",
        )
    ]
    assert on(14, history(Watched(performance=measured(9), registered={"roc_auc": 0.8})), WEEKLY) == []
    many = Watched(matured=900, learned=800, counted=13 * DAY)
    assert on(14, history(many), WEEKLY)[0].why == (
        "900 labels matured since the last training, beside the 800 rows that it learned from."
    )
    assert on(14, history(many, last=13), WEEKLY) == []
