"""Metrics against scikit-learn, against hand counting, and against their own intervals."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from headwater.core.errors import TrainingError
from headwater.core.instant import DAY
from headwater.models.bootstrap import intervals, resamples
from headwater.models.metrics import Metric, evaluate
from headwater.models.ranking import Ranking
from tests.letters import says

BANDS = {"healthy": 0.0, "watch": 0.25, "act": 0.5}


def sample(rows: int = 2_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes drawn with the very probabilities that are judged, rounded so that there are ties."""
    random = np.random.default_rng(seed)
    score = random.beta(1, 4, rows).round(2)
    return (random.random(rows) < score).astype(int), score


def test_each_figure_is_scikit_learns() -> None:
    y, score = sample()
    found = evaluate(y, score, bootstrap=0)
    false, true, _ = sk.roc_curve(y, score)
    assert found.roc_auc.value == pytest.approx(sk.roc_auc_score(y, score), abs=1e-12)
    assert found.average_precision.value == pytest.approx(sk.average_precision_score(y, score), abs=1e-12)
    assert found.ks.value == pytest.approx(np.max(true - false), abs=1e-12)
    assert found.brier.value == pytest.approx(sk.brier_score_loss(y, score), abs=1e-12)
    assert found.log_loss.value == pytest.approx(sk.log_loss(y, score), abs=1e-12)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]), st.integers(1, 3)),
        min_size=2,
        max_size=40,
    ).filter(lambda rows: len({y for y, _, _ in rows}) == 2)
)
def test_weights_count_rows_that_often(rows: list[tuple[int, float, int]]) -> None:
    y, score, weight = (np.array(column) for column in zip(*rows, strict=True))
    ranking = Ranking.of(y, score)
    weighted = ranking.steps(weight.astype(float)[ranking.order])
    repeated = Ranking.of(np.repeat(y, weight), np.repeat(score, weight)).steps()
    assert weighted.roc_auc() == pytest.approx(repeated.roc_auc())
    assert weighted.average_precision() == pytest.approx(repeated.average_precision())
    assert weighted.ks() == pytest.approx(repeated.ks())
    assert weighted.precision_at(2) == pytest.approx(repeated.precision_at(2))
    assert repeated.roc_auc() == pytest.approx(sk.roc_auc_score(y, score, sample_weight=weight), abs=1e-12)


def test_precision_at_k_shares_out_a_tie_at_the_cut() -> None:
    # place   1    2    3    4        two of the three rows at 0.5 are above the cut at 3,
    # score  0.9  0.5  0.5  0.5       and one of the three is positive
    # label   1    1    0    0
    found = evaluate([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.5], at=[1, 3], bootstrap=0)
    assert found.precision_at_k[1].value == 1.0
    assert found.precision_at_k[3].value == pytest.approx((1 + 2 / 3) / 3)


def test_k_is_by_default_what_the_rows_allow() -> None:
    y, score = sample(rows=300)
    assert list(evaluate(y, score, bootstrap=0).precision_at_k) == [50, 100]


def test_calibration_bins_are_of_about_equal_size_and_keep_ties_together() -> None:
    y, score = sample()
    bins = evaluate(y, score, bootstrap=0).calibration
    assert sum(b.rows for b in bins) == len(y)
    assert all(low.highest < high.lowest for low, high in pairwise(bins))
    first = score <= bins[0].highest
    assert bins[0].rows == first.sum()
    assert bins[0].predicted == pytest.approx(score[first].mean())
    assert bins[0].observed.value == pytest.approx(y[first].mean())


def test_one_score_for_all_is_one_bin() -> None:
    found = evaluate([0, 1], [0.5, 0.5], bootstrap=0)
    assert [(b.rows, b.observed.value) for b in found.calibration] == [(2, 0.5)]
    assert found.roc_auc.value == 0.5


def test_bands_hold_the_scores_from_their_lowest_to_the_next() -> None:
    found = evaluate([0, 0, 1, 0, 1], [0.0, 0.2499, 0.25, 0.5, 0.9], bands=BANDS, bootstrap=0)
    assert [(b.name, b.rows, b.positives) for b in found.bands] == [
        ("healthy", 2, 0),
        ("watch", 1, 1),
        ("act", 2, 1),
    ]
    assert [b.share.value for b in found.bands] == [0.4, 0.2, 0.4]
    assert [b.rate.value for b in found.bands] == [0.0, 1.0, 0.5]


def test_an_empty_band_has_no_rate() -> None:
    found = evaluate([0, 1], [0.1, 0.2], bands=BANDS)
    act = found.bands[-1]
    assert (act.rows, act.share.value) == (0, 0.0)
    assert all(math.isnan(x) for x in (act.rate.value, act.rate.low, act.rate.high))
    assert found.scalars()["band_act_rate"] is act.rate


class TestCards:
    """Card precision, drawn: who is checked each day when one card a day can be checked."""

    def test_a_card_found_is_not_checked_again(self) -> None:
        # day 1   ada 0.9 fraud   bob 0.8 fraud      ada is checked and found: 1 of 1
        # day 2   ada 0.9 fraud   bob 0.8 fraud      ada is blocked, bob is found: 1 of 1
        # day 3   ada 0.9 fraud   bob 0.8 fraud      nobody is left: 0 of 1
        y, score = [1] * 6 + [0], [0.9, 0.8] * 3 + [0.0]
        times = [0, 0, DAY, DAY, 2 * DAY, 2 * DAY, 2 * DAY]
        found = evaluate(y, score, by=["ada", "bob"] * 3 + ["cid"], times=times, cards_at=[1], bootstrap=0)
        assert found.card_precision[1].value == pytest.approx(2 / 3)

    def test_a_card_has_its_highest_score_of_the_day_and_any_of_its_frauds(self) -> None:
        # ada's payments: 0.1 fraud and 0.9 good; bob's: 0.5 good. Ada is on top, and defrauded.
        found = evaluate(
            [1, 0, 0], [0.1, 0.9, 0.5], by=[0, 0, 1], times=[0, 1, 2], cards_at=[1, 2], bootstrap=0
        )
        assert found.card_precision[1].value == 1.0
        assert found.card_precision[2].value == 0.5

    def test_it_is_the_handbooks(self) -> None:
        random = np.random.default_rng(3)
        rows = 3_000
        card, day = random.integers(0, 200, rows), random.integers(0, 7, rows)
        score = random.random(rows)
        y = (random.random(rows) < score / 8).astype(int)
        found = evaluate(y, score, by=card, times=day * DAY + 5, cards_at=[20], bootstrap=0)
        assert found.card_precision[20].value == pytest.approx(handbook(y, score, card, day, 20))

    def test_drawing_a_card_twice_is_having_two_such_cards(self) -> None:
        y, score, by = [1, 0, 1, 0], [0.9, 0.8, 0.7, 0.6], [0, 1, 2, 3]
        found = evaluate(y, score, by=by, times=[0, 0, DAY, DAY], cards_at=[2], bootstrap=300)
        metric = found.card_precision[2]
        assert metric.value == pytest.approx((1 / 2 + 1 / 2) / 2)
        assert metric.low <= metric.value <= metric.high <= 1.0


def handbook(y: np.ndarray, score: np.ndarray, card: np.ndarray, day: np.ndarray, k: int) -> float:
    """Card precision top-k in plain loops, after chapter 4 of the Fraud Detection Handbook."""
    found: set[int] = set()
    precision = []
    for today in sorted(set(day.tolist())):
        best: dict[int, float] = {}
        bad: set[int] = set()
        for i in np.flatnonzero(day == today):
            if card[i] not in found:
                best[card[i]] = max(score[i], best.get(card[i], 0.0))
                bad |= {card[i]} if y[i] else set()
        checked = sorted(best, key=lambda c: -best[c])[:k]
        hits = bad & set(checked)
        found |= hits
        precision.append(len(hits) / k)
    return float(np.mean(precision))


class TestBootstrap:
    def test_the_same_seed_gives_the_same_interval(self) -> None:
        y, score = sample()
        assert evaluate(y, score, seed=7) == evaluate(y, score, seed=7)
        assert evaluate(y, score, seed=7) != evaluate(y, score, seed=8)

    def test_whole_entities_are_drawn(self) -> None:
        for weight in resamples(np.array([0, 1, 0, 2, 1]), 20, seed=1):
            assert weight[0] == weight[2]
            assert weight[1] == weight[4]

    def test_copies_of_a_row_tell_nothing_new(self) -> None:
        y, score = sample(rows=200)
        alone = evaluate(y, score, bootstrap=400).roc_auc
        entity = np.repeat(np.arange(200), 10)
        copied = evaluate(np.repeat(y, 10), np.repeat(score, 10), by=entity, bootstrap=400).roc_auc
        naive = evaluate(np.repeat(y, 10), np.repeat(score, 10), bootstrap=400).roc_auc
        assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=1e-9)
        assert naive.high - naive.low < 0.5 * (alone.high - alone.low)

    def test_intervals_hold_the_truth_about_as_often_as_they_say(self) -> None:
        truth = 1 - 0.64**2 / 2  # a positive outscores a negative unless both are drawn at random
        held = 0
        for seed in range(100):
            random = np.random.default_rng(seed)
            y = np.repeat([0, 1], 200)
            score = np.where(random.random(400) < 0.36, y, random.random(400))
            metric = evaluate(y, score, bootstrap=100, seed=seed).roc_auc
            held += metric.low <= truth <= metric.high
        assert 88 <= held <= 100

    def test_a_figure_that_resamples_often_lack_has_no_interval(self) -> None:
        low, high = intervals(np.array([[1.0, np.nan], [2.0, np.nan], [3.0, 5.0]]))
        assert np.isnan([low[1], high[1]]).all()
        assert low[0] <= high[0]


def test_a_metric_in_words() -> None:
    assert str(Metric(0.87312)) == "0.8731"
    assert str(Metric(0.87312, 0.86, 0.89)) == "0.8731 (0.8600 to 0.8900)"


def test_an_evaluation_as_json_has_no_nan() -> None:
    form = evaluate([0, 1], [0.1, 0.2], bands=BANDS, bootstrap=0).to_json()
    assert form["figures"]["roc_auc"] == [1.0, None, None]
    assert form["bands"][2]["rate"] == [None, None, None]
    assert form["calibration"][0] == {
        "lowest": 0.1,
        "highest": 0.1,
        "rows": 1,
        "predicted": 0.1,
        "observed": [0.0, None, None],
    }


def test_what_cannot_be_judged() -> None:
    with says(
        TrainingError,
        """
        the rows to evaluate on hold one class only
          expected: positives and negatives
          got:      0 positives in 3 rows
          do:       evaluate over a longer time, or look at the label's condition
        a score is not a probability
          expected: a number from 0 to 1
          got:      1.5
          where:    row 1
          do:       score with predict_proba
        precision at k needs at least k rows
          expected: k from 1 to 3
          got:      4
          do:       choose a smaller k
        card precision needs the entity and the time of each row
          expected: by= and times=
          got:      by
          do:       pass both
        """,
    ):
        evaluate([0, 0, 0], [0.1, 1.5, 0.2], at=[4], by=[1, 2, 3], cards_at=[1])


def test_outcomes_that_are_none() -> None:
    with says(
        TrainingError,
        """
        an outcome is neither 0 nor 1
          expected: 0, 1, false or true
          got:      nan
          where:    row 1
          do:       leave out rows whose outcome is not known
        """,
    ):
        evaluate([0, math.nan, 1], [0.1, 0.2, 0.3])
    with says(
        TrainingError,
        """
        outcomes and scores differ in number
          expected: 2 scores
          got:      1
          do:       pass both
        """,
    ):
        evaluate([0, 1], [0.1])
