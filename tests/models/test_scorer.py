"""The one door: what it takes, what it refuses, what it chooses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB

from headwater.core.errors import ModelError
from headwater.models.scorer import Scorer, scorer_for
from tests.letters import says
from tests.models.trees import problem

NAMES = ["a", "b", "c", "d", "e", "f"]


@pytest.mark.parametrize(
    ("model", "kind", "space"),
    [
        (HistGradientBoostingClassifier(max_iter=2), "forest", "log-odds"),
        (LogisticRegression(), "linear", "log-odds"),
        (GaussianNB(), "estimator", "probability"),
    ],
)
def test_every_kind_keeps_the_protocol(model: object, kind: str, space: str) -> None:
    X, y = problem(1)
    scorer = scorer_for(model.fit(X, y), NAMES, runtime="own")  # type: ignore[attr-defined]
    assert isinstance(scorer, Scorer)
    assert (scorer.kind, scorer.space, scorer.names, scorer.why_not_flat) == (kind, space, tuple(NAMES), None)


def test_an_estimator_without_probabilities() -> None:
    X, y = problem(1)
    letter = """
        the estimator gives no probabilities
          expected: a classifier with predict_proba
          got:      RidgeClassifier
          do:       choose a classifier, or wrap it in sklearn.calibration.CalibratedClassifierCV
        """
    with says(ModelError, letter):
        scorer_for(RidgeClassifier().fit(X, y), NAMES)


def test_an_estimator_that_is_not_fitted() -> None:
    letter = """
        the estimator is not fitted
          expected: a fitted estimator
          got:      HistGradientBoostingClassifier
          do:       call fit first
        """
    with says(ModelError, letter):
        scorer_for(HistGradientBoostingClassifier(), NAMES)


@pytest.mark.parametrize("classes", [1, 3])
def test_other_than_two_classes(classes: int) -> None:
    X, _ = problem(1)
    letter = f"""
        the estimator does not tell two classes apart
          expected: 2 classes
          got:      {classes} classes
          where:    GaussianNB
          do:       fit it on a label with two values
        """
    with says(ModelError, letter):
        scorer_for(GaussianNB().fit(X, np.arange(len(X)) % classes), NAMES)


def test_another_number_of_features() -> None:
    X, y = problem(1)
    letter = """
        the estimator was fitted on another number of features
          expected: 5 features
          got:      6 features
          where:    GaussianNB
          do:       train the model again for this definition
        """
    with says(ModelError, letter):
        scorer_for(GaussianNB().fit(X, y), NAMES[:5])


def test_features_in_another_order() -> None:
    X, y = problem(1)
    letter = """
        the estimator was fitted on other features, or in another order
          expected: a at place 0
          got:      b
          where:    GaussianNB
          do:       give the features in the order of the fit, or train the model again
        """
    with says(ModelError, letter):
        scorer_for(GaussianNB().fit(pd.DataFrame(X, columns=["b", "a", *NAMES[2:]]), y), NAMES)


@pytest.mark.parametrize(("names", "got"), [([], "0 names, 0 distinct"), (["a", "a"], "2 names, 1 distinct")])
def test_names_that_are_none(names: list[str], got: str) -> None:
    letter = f"""
        the names of the features are no list of distinct names
          expected: at least one name, each once
          got:      {got}
          do:       name every input of the model once
        """
    with says(ModelError, letter):
        scorer_for(GaussianNB(), names)


def test_text_categories_are_refused_rather_than_read_as_null() -> None:
    X, y = problem(1)
    frame = pd.DataFrame(X, columns=NAMES).assign(e=pd.Categorical([f"kind {int(code)}" for code in X[:, 4]]))
    model = HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype").fit(frame, y)
    letter = """
        a categorical feature of the model was fitted on texts
          expected: categories as numbers (codes), since a feature vector holds float64
          got:      12 categories of type object
          do:       fit the model on codes
        """
    with says(ModelError, letter):
        scorer_for(model, NAMES)


def test_a_bare_booster_has_features_too() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    X, y = problem(1)
    booster = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(X, y).booster_
    assert scorer_for(booster, NAMES).kind == "forest"
    letter = """
        the estimator was fitted on another number of features
          expected: 2 features
          got:      6 features
          where:    Booster
          do:       train the model again for this definition
        """
    with says(ModelError, letter):
        scorer_for(booster, ["a", "b"])
