"""Linear models: equal to their pipeline, contributions exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from headwater.core.errors import ModelError
from headwater.models.linear import LinearScorer
from headwater.models.scorer import scorer_for
from tests.letters import says
from tests.models.trees import problem

NAMES = ["a", "b", "c", "d", "e", "f"]

PLAIN = [
    LogisticRegression(),
    LogisticRegressionCV(cv=2, Cs=2, l1_ratios=(0,), use_legacy_attributes=False, scoring="neg_log_loss"),
    SGDClassifier(loss="log_loss", random_state=0),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(with_mean=False), LogisticRegression()),
    make_pipeline(StandardScaler(with_std=False), MaxAbsScaler(), LogisticRegression()),
    make_pipeline(VarianceThreshold(0.3), RobustScaler(), LogisticRegression()),
]
FILLING = [
    make_pipeline(SimpleImputer(), LogisticRegression()),
    make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True), StandardScaler(), LogisticRegression()
    ),
    make_pipeline(StandardScaler(), SimpleImputer(strategy="constant", fill_value=-3), LogisticRegression()),
    make_pipeline(
        MinMaxScaler(), SimpleImputer(add_indicator=True), RobustScaler(), "passthrough", LogisticRegression()
    ),
    make_pipeline(SimpleImputer(), SimpleImputer(add_indicator=True), LogisticRegression()),
]


@pytest.mark.parametrize("model", [*PLAIN, *FILLING])
def test_scores_equal_the_pipeline_and_contributions_add_up(model: Any) -> None:
    X, y = problem(1, null=any(model is one for one in FILLING))
    scorer = scorer_for(model.fit(X, y), NAMES, background=X)
    assert isinstance(scorer, LinearScorer)
    expected = model.predict_proba(X)[:, 1]
    np.testing.assert_allclose(scorer.score(X), expected, rtol=0, atol=1e-12)
    assert scorer.score_one(X[3]) == pytest.approx(expected[3], abs=1e-12)
    phi, base = scorer.contributions(X)
    np.testing.assert_allclose(base + phi.sum(axis=1), model.decision_function(X), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(phi.mean(axis=0), 0, atol=1e-7 * np.abs(phi).max())


def test_a_column_far_from_zero_loses_no_digit() -> None:
    X, y = problem(1)
    X[:, 5] += 1e9
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    expected = model.predict_proba(X)[:, 1]
    np.testing.assert_allclose(scorer_for(model, NAMES).score(X), expected, rtol=0, atol=1e-12)


def test_contributions_equal_shaps() -> None:
    shap = pytest.importorskip("shap")
    X, y = problem(1)
    model = LogisticRegression().fit(X, y)
    phi, base = scorer_for(model, NAMES, background=X[:90]).contributions(X)
    explainer = shap.LinearExplainer(model, X[:90])
    np.testing.assert_allclose(phi, explainer.shap_values(X), rtol=0, atol=1e-9)
    assert base == pytest.approx(explainer.expected_value, abs=1e-9)


def test_a_column_that_was_null_in_training_is_left_out_as_the_imputer_does() -> None:
    X, y = problem(1)
    X[:, 2] = np.nan
    model = make_pipeline(SimpleImputer(), LogisticRegression())
    with pytest.warns(UserWarning, match="Skipping features"):
        model.fit(X, y)
    scorer = LinearScorer(model, NAMES, X)
    with pytest.warns(UserWarning, match="Skipping features"):
        expected = model.predict_proba(X)[:, 1]
    np.testing.assert_allclose(scorer.score(X), expected, rtol=0, atol=1e-12)
    assert not scorer.contributions(X)[0][:, 2].any()


def test_without_a_background_the_standard_scalers_mean_is_the_usual_row() -> None:
    X, y = problem(1)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    phi, base = scorer_for(model, NAMES).contributions(X.mean(axis=0, keepdims=True))
    np.testing.assert_allclose(phi, 0, atol=1e-12)
    assert base == pytest.approx(model[-1].intercept_[0])


def test_without_anything_to_measure_against() -> None:
    X, y = problem(1)
    scorer = scorer_for(LogisticRegression().fit(X, y), NAMES)
    letter = """
        contributions have nothing to be measured against
          expected: background rows that stand for usual ones
          got:      none
          do:       make the scorer with background=, such as a sample of the training rows
        """
    with says(ModelError, letter):
        scorer.contributions(X)


def test_null_that_no_step_fills() -> None:
    X, y = problem(1)
    scorer = scorer_for(LogisticRegression().fit(X, y), NAMES)
    X[4, 1] = np.nan
    letter = """
        the model takes no null
          expected: a number for every feature
          got:      null
          where:    row 4, feature b
          do:       put a SimpleImputer before the model, or fill it with a derived feature
        """
    with says(ModelError, letter):
        scorer.score(X)


class Doubling(StandardScaler):  # type: ignore[misc]  # it ships no types
    """A scaler of the user's that does more than its parent."""

    def transform(self, X: Any, copy: Any = None) -> Any:
        return 2 * super().transform(X, copy)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(Doubling(), LogisticRegression()),
        make_pipeline(PolynomialFeatures(), LogisticRegression(max_iter=1000)),
        make_pipeline(MinMaxScaler(clip=True), LogisticRegression()),
        make_pipeline(SimpleImputer(missing_values=0.0), LogisticRegression()),
        SGDClassifier(loss="modified_huber", random_state=0),
    ],
)
def test_what_is_not_read_column_by_column_scores_itself(model: Any) -> None:
    X, y = problem(1)
    scorer = scorer_for(model.fit(X, y), NAMES, runtime="own")
    assert scorer.kind == "estimator"
    np.testing.assert_array_equal(scorer.score(X), model.predict_proba(X)[:, 1])
