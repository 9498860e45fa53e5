"""Fitting: the recipe stays as it was, seeds are set, and every failure says what to do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from headwater.core.errors import ModelError, TrainingError
from headwater.models.fitting import fit
from tests.letters import says

NAMES = ["amount", "age"]


def rows(nulls: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 2))
    y = X[:, 0] + random.normal(size=200) > 0
    X[:nulls, 1] = np.nan
    return X, y


@pytest.mark.parametrize(
    "recipe",
    [
        HistGradientBoostingClassifier(max_iter=5),
        RandomForestClassifier(5),
        LGBMClassifier(n_estimators=5, verbose=-1),
        make_pipeline(SimpleImputer(), LogisticRegression()),
    ],
    ids=lambda recipe: type(recipe).__name__,
)
def test_any_classifier_is_fitted_as_a_clone_that_is_the_same_each_time(recipe: Any) -> None:
    X, y = rows(nulls=3)
    once, again = fit(recipe, X, y, NAMES), fit(recipe, X, y, NAMES)
    assert not hasattr(recipe, "classes_")
    assert once.notes == ()
    np.testing.assert_array_equal(once.estimator.predict_proba(X), again.estimator.predict_proba(X))


def test_a_seed_that_the_recipe_names_is_kept() -> None:
    X, y = rows()
    assert fit(RandomForestClassifier(2, random_state=5), X, y, NAMES).estimator.random_state == 5
    assert fit(RandomForestClassifier(2), X, y, NAMES, seed=9).estimator.random_state == 9


def test_what_the_library_warns_of_is_kept_and_not_shown() -> None:
    X, y = rows()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = fit(LogisticRegression(max_iter=1), X * 1e3, y, NAMES)
    assert len(fitted.notes) == 1
    assert fitted.notes[0].startswith("lbfgs failed to converge")


def test_a_label_with_one_class() -> None:
    with says(
        TrainingError,
        """
        the label has one class only, so there is nothing to learn
          expected: positives and negatives among the training rows
          got:      0 positives in 200 rows
          do:       look at the label's condition, or train over a longer time
        """,
    ):
        fit(LogisticRegression(), rows()[0], np.zeros(200), NAMES)


def test_no_rows() -> None:
    with says(
        TrainingError,
        """
        there are no rows to learn from
          expected: rows whose label is mature
          got:      0 rows
          do:       import more history, or begin earlier
        """,
    ):
        fit(LogisticRegression(), np.empty((0, 2)), [], NAMES)


def test_an_estimator_without_probabilities() -> None:
    with says(
        ModelError,
        """
        the estimator gives no probabilities
          expected: a classifier with predict_proba
          got:      LinearSVC
          do:       wrap it: CalibratedClassifierCV(LinearSVC())
        """,
    ):
        fit(LinearSVC(), *rows(), NAMES)


def test_nulls_for_an_estimator_that_cannot_take_them() -> None:
    with says(
        ModelError,
        """
        the estimator cannot take nulls
          expected: an estimator that takes NaN, or inputs without nulls
          got:      LogisticRegression, and nulls in age (3 of 200)
          do:       put a SimpleImputer before it with make_pipeline, or use HistGradientBoostingClassifier
        """,
    ):
        fit(LogisticRegression(), *rows(nulls=3), NAMES)


class Broken(BaseEstimator):  # type: ignore[misc]
    def fit(self, _X: Any, _y: Any) -> None:
        raise RuntimeError("out of luck\nand more")

    def predict_proba(self, X: Any) -> Any:
        raise NotImplementedError


def test_an_input_that_is_null_in_every_row() -> None:
    X = np.column_stack([np.arange(100.0), np.full(100, np.nan)])
    with says(
        ModelError,
        """
        the estimator could not be fitted: an input holds nothing but nulls
          expected: values in some of the training rows
          got:      HistGradientBoostingClassifier (ValueError), and only nulls in income
          do:       look at the feature's where= and window, train over more history, or leave the input out
        """,
    ):
        fit(HistGradientBoostingClassifier(), X, np.arange(100) % 2, ["amount", "income"])


def test_an_estimator_that_fails() -> None:
    with says(
        ModelError,
        """
        the estimator could not be fitted
          expected: Broken to fit 200 rows of 2 inputs
          got:      RuntimeError: out of luck
          do:       look at the estimator's parameters and inputs
        """,
    ):
        fit(Broken(), *rows(), NAMES)


def test_something_that_is_no_estimator() -> None:
    with says(
        ModelError,
        """
        the estimator cannot be cloned
          expected: a scikit-learn-compatible classifier, with get_params
          got:      object
          do:       derive it from sklearn.base.BaseEstimator
        """,
    ):
        fit(object(), *rows(), NAMES)
