"""The fraud example: the published features, split and figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import headwater as hw
from examples.card_fraud import prequential, run
from headwater.definitions.expression import columns
from headwater.definitions.loading import load_project

MODEL = load_project(run.HERE).models[0]
STREAM = MODEL.features[0].stream
START = datetime(2018, 4, 1, tzinfo=UTC)


def payments(day: list[float], customer: list[int], terminal: list[int], fraud: list[int]) -> pl.DataFrame:
    """Payments drawn as days after the start; the n-th is of n + 1."""
    n = len(day)
    return pl.DataFrame(
        {
            "transaction_id": range(n),
            "event_at": [START + timedelta(seconds=round(d * 86_400)) for d in day],
            "customer_id": customer,
            "terminal_id": terminal,
            "amount": [float(i + 1) for i in range(n)],
            "is_fraud": fraud,
        },
        schema=dict(STREAM.schema),
    )


def by_headwater(frame: pl.DataFrame) -> pl.DataFrame:
    return hw.asof(MODEL.features[:2], {"transactions": frame}, frame, time="event_at")


def test_windows_as_published() -> None:
    # day    0      1      ...     6      7      8          one customer, one terminal; F is a fraud
    #        F      .              .      .      .
    # asked at day 8, the customer's seven days      (1 ... 8]  three payments: that of day 1 is too old
    #                 the terminal's one day, seven days back   (0, 1]  one payment, no fraud
    #                 the terminal's seven days, seven days back  (-6, 1]  two payments, one fraud
    frame = payments([0, 1, 6, 7, 8], [1] * 5, [1] * 5, [1, 0, 0, 0, 0])
    found = by_headwater(frame)
    assert found["customer_n_1d"].to_list() == [1, 1, 1, 1, 1]
    assert found["customer_n_7d"].to_list() == [1, 2, 3, 3, 3]
    assert found["customer_mean_7d"].to_list() == [1.0, 1.5, 2.0, 3.0, 4.0]
    assert found["terminal_n_1d"].to_list() == [0, 0, 0, 1, 1]
    assert found["terminal_risk_1d"].to_list() == [None, None, None, 1.0, 0.0]
    assert found["terminal_risk_7d"].to_list() == [None, None, None, 1.0, 0.5]


@pytest.mark.parametrize("seed", range(3))
def test_the_other_computation_agrees_on_random_payments_with_ties(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = 2_000
    day = np.sort(random.integers(0, 50 * 4, n) / 4).tolist()
    who, where = random.integers(0, 7, n).tolist(), random.integers(0, 11, n).tolist()
    frame = payments(day, who, where, (random.random(n) < 0.1).astype(int).tolist())
    assert frame.select("customer_id", "event_at").n_unique() < n
    found = run.compare(by_headwater(frame), run.twelve_features(frame))
    assert all(not differ and error <= run.TOLERANCE for differ, error in found.values()), found


def test_a_difference_is_found() -> None:
    frame = payments([0, 1, 9], [1, 1, 1], [1, 1, 1], [0, 1, 0])
    ours = by_headwater(frame)
    wrong = ours.with_columns(
        pl.col("customer_n_7d") + 1, pl.col("customer_mean_1d") * 1.5, pl.col("terminal_risk_1d").fill_null(0)
    )
    found = run.compare(wrong, run.twelve_features(frame))
    assert {name for name, (differ, error) in found.items() if differ or error} == {
        "customer_n_7d",
        "customer_mean_1d",
        "terminal_risk_1d",
    }


def test_no_feature_reads_a_fraud_before_it_is_known() -> None:
    week = 7 * 86_400_000_000
    assert "fraud_scenario" not in STREAM.schema
    for view in MODEL.features:
        for aggregate in view.features.values():
            if "is_fraud" in columns(aggregate.column, aggregate.where):
                assert aggregate.delay >= week


def test_the_twelve_features_of_all_payments(data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = run.transactions(data_folder)
    assert len(frame) == 1_754_155
    assert run.check_features(frame), capsys.readouterr().out


@pytest.mark.slow
def test_published_split_and_figures(data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = run.transactions(data_folder)
    report = run.train(frame)
    assert (report["rows"]["train"], run.frauds_learned(frame)) == (67_240, 598)
    assert (report["rows"]["test"], report["evaluation"]["positives"]) == (58_264, 385)
    assert run.show(report, run.frauds_learned(frame)), capsys.readouterr().out


def fold(*figures: float) -> prequential.Fold:
    return prequential.Fold(
        prequential.FIRST, (67_240, 598), (58_264, 385), (figures[0], figures[1], figures[2]), 9.0
    )


def test_the_mean_of_the_folds_is_held_against_the_best_published(capsys: pytest.CaptureFixture[str]) -> None:
    assert prequential.show([fold(0.90, 0.70, 0.30), fold(0.86, 0.68, 0.31)])
    assert "All reached." in capsys.readouterr().out
    assert not prequential.show([fold(0.90, 0.70, 0.30), fold(0.85, 0.68, 0.30)])
    told = capsys.readouterr().out
    assert "Short: ROC AUC 0.8750, published 0.879; card precision 0.3000, published 0.305." in told


@pytest.mark.slow
def test_a_fold_of_the_loop_learns_and_judges_what_was_published(data_folder: Path) -> None:
    (one,) = prequential.prequential(data_folder, weeks=1)
    assert (one.learned, one.judged) == (run.TRAINED_ON, run.TESTED_ON)
    assert one.figures[0] > 0.88
