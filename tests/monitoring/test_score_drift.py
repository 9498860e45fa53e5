"""What moved the scores: changes of mean contributions, which add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from headwater.core.errors import ModelError
from headwater.models.baseline import Contributions
from headwater.models.scorer import Scorer, scorer_for
from headwater.monitoring.score_drift import ScoreDrift, attribute
from headwater.monitoring.window import Window
from tests.letters import says

NAMES = ("age", "income", "noise")


def drawn(rows: int, seed: int, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).normal(size=(rows, 3)) + np.array(shift))


def trained(estimator: object) -> Scorer:
    X = drawn(2_000, 0)
    y = X[:, 0] - 2 * X[:, 1] + np.random.default_rng(1).logistic(size=len(X)) > 0
    return scorer_for(estimator.fit(X, y), NAMES, X[:100])  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def linear() -> Scorer:
    return trained(LogisticRegression())


@pytest.fixture(scope="module")
def forest() -> Scorer:
    return trained(HistGradientBoostingClassifier(max_iter=20, random_state=0))


def told(scorer: Scorer, X: np.ndarray, who: np.ndarray | None = None) -> ScoreDrift:
    usual = Contributions.of(scorer, drawn(3_000, 2))
    seen = Window(0, 1, NAMES, X, np.arange(len(X)) if who is None else who)
    return attribute(usual, scorer, seen)


@settings(max_examples=25, deadline=None)
@given(shift=st.tuples(*[st.floats(-2, 2)] * 3), seed=st.integers(0, 1_000))
def test_changes_add_up_to_the_change_of_the_mean_log_odds(
    forest: Scorer, shift: tuple[float, float, float], seed: int
) -> None:
    X = drawn(300, seed, shift)
    found = told(forest, X)
    score = forest.score(X)
    usual = forest.score(drawn(3_000, 2))
    change = np.log(score / (1 - score)).mean() - np.log(usual / (1 - usual)).mean()
    assert sum(one.change for one in found.moved) == pytest.approx(change, abs=1e-9)
    assert found.change == pytest.approx(change, abs=1e-9)


def test_of_a_linear_model_a_change_is_coefficient_times_shift(linear: Scorer) -> None:
    X = drawn(3_000, 2) + np.array([0.0, 0.5, 0.0])
    found = {one.feature: one for one in told(linear, X).moved}
    estimator = LogisticRegression().fit(drawn(2_000, 0), _outcomes())
    assert found["income"].change == pytest.approx(0.5 * estimator.coef_[0, 1])
    assert found["age"].change == pytest.approx(0.0, abs=1e-12)


def _outcomes() -> np.ndarray:
    X = drawn(2_000, 0)
    return np.asarray(X[:, 0] - 2 * X[:, 1] + np.random.default_rng(1).logistic(size=len(X)) > 0)


def test_words_name_the_feature_that_did_it(forest: Scorer) -> None:
    words = told(forest, drawn(2_000, 5, (0.0, 0.8, 3.0))).words()
    assert words.startswith("The mean score went down by 0.99")
    assert "Of this: income -1." in words
    assert "noise" not in words.split("Of this: ")[1].split(",")[0]


def test_nothing_stands_out_where_nothing_moved(forest: Scorer) -> None:
    who = np.arange(300) % 12  # few people: the error counts them, not their rows
    X = np.repeat(drawn(12, 8), 25, axis=0)[np.argsort(np.tile(np.arange(25), 12), kind="stable")]
    found = told(forest, X, who)
    alone = told(forest, X)
    income = {one.feature: one.error for one in found.moved}["income"]
    assert income > 2 * {one.feature: one.error for one in alone.moved}["income"]


def test_an_empty_window_is_refused(linear: Scorer) -> None:
    with says(
        ModelError,
        """
        there is nothing to explain the scores of
          expected: at least one row
          got:      an empty window
        """,
    ):
        told(linear, drawn(0, 0))


def test_another_version_is_refused(linear: Scorer, forest: Scorer) -> None:
    usual = Contributions.of(linear, drawn(50, 2))
    other = Contributions(usual.space, usual.rows, usual.base, {"age": 0.0})
    with says(
        ModelError,
        """
        scores are explained by another model version than the reference
          expected: 1 inputs in log-odds
          got:      3 inputs in log-odds
          do:       take the scorer and the baseline of one artifact
        """,
    ):
        attribute(other, forest, Window(0, 1, NAMES, drawn(5, 0), np.arange(5)))
