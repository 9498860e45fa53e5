"""Any other estimator: its own probabilities, ONNX Runtime where it agrees, permutations."""

from __future__ import annotations

from importlib import util

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from headwater.core.errors import MissingExtraError, ModelError
from headwater.models.scorer import Scorer, scorer_for
from tests.letters import says
from tests.models.trees import problem

NAMES = ["a", "b", "c", "d", "e", "f"]
ONNX = bool(util.find_spec("onnxruntime") and util.find_spec("skl2onnx"))


def test_its_own_probabilities_to_the_bit() -> None:
    X, y = problem(1, null=True)
    model = CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=5), cv=2).fit(X, y)
    scorer = scorer_for(model, NAMES, X[:30], runtime="own")
    assert isinstance(scorer, Scorer)
    assert (scorer.kind, scorer.space, scorer.why_not_flat) == ("estimator", "probability", None)
    assert scorer.score(X).tolist() == model.predict_proba(X)[:, 1].tolist()
    assert scorer.score_one(X[7]) == scorer.score(X[7:8])[0]
    assert scorer.score(X[:0]).shape == (0,)
    phi, base = scorer.contributions(X[:3])
    np.testing.assert_allclose(base + phi.sum(axis=1), scorer.score(X[:3]), rtol=0, atol=1e-12)


def test_an_estimator_that_was_fitted_on_a_frame_is_given_one() -> None:
    X, y = problem(1)
    model = GaussianNB().fit(pd.DataFrame(X, columns=NAMES), y)
    scorer = scorer_for(model, NAMES, runtime="own")
    np.testing.assert_array_equal(scorer.score(X), model.predict_proba(pd.DataFrame(X, columns=NAMES))[:, 1])


@pytest.mark.skipif(not ONNX, reason="ONNX Runtime is not installed")
def test_onnx_runtime_where_it_agrees_with_the_library() -> None:
    X, y = problem(1)
    model = GaussianNB().fit(X, y)
    proved, chosen = scorer_for(model, NAMES, X), scorer_for(model, NAMES, runtime="onnx")
    unproved = scorer_for(model, NAMES)  # nothing to prove it on
    assert [one.kind for one in (proved, chosen, unproved)] == ["onnx", "onnx", "estimator"]
    for one in (proved, chosen):
        np.testing.assert_allclose(one.score(X), model.predict_proba(X)[:, 1], rtol=0, atol=1e-9)


class Own:
    """An estimator of the user's, as small as one can be."""

    classes_ = np.array([0, 1])

    def __init__(self, score: float = 0.25, *, columns: int = 2) -> None:
        self.score = score
        self.columns = columns

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        if np.isnan(X).any():
            raise ValueError("no nulls please\nand a second line")
        return np.full((len(X), self.columns), self.score)[:, :]


@pytest.mark.skipif(not ONNX, reason="ONNX Runtime is not installed")
def test_onnx_is_asked_for_and_does_not_know_the_estimator() -> None:
    assert scorer_for(Own(), NAMES, np.zeros((1, 6))).kind == "estimator"
    letter = """
        the estimator does not convert to ONNX
          expected: an estimator that skl2onnx knows
          got:      Own
          do:       choose runtime='own'
        """
    with says(ModelError, letter):
        scorer_for(Own(), NAMES, runtime="onnx")


def test_onnx_is_asked_for_and_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.models.generic.util.find_spec", lambda _: None)
    assert scorer_for(Own(), NAMES).kind == "estimator"
    letter = """
        ONNX Runtime is not installed
          expected: the packages onnxruntime and skl2onnx
          do:       pip install 'headwater[onnx]', or choose runtime='own'
        """
    with says(MissingExtraError, letter):
        scorer_for(Own(), NAMES, runtime="onnx")


def test_rows_that_the_estimator_refuses() -> None:
    letter = """
        the estimator refuses the rows
          expected: rows that it can score
          got:      no nulls please
          do:       fill nulls with a derived feature, or choose an estimator that takes null
        """
    with says(ModelError, letter):
        scorer_for(Own(), NAMES).score(np.full((2, 6), np.nan))


def test_numbers_that_are_no_probabilities() -> None:
    letter = """
        the estimator gave something other than probabilities
          expected: one number from 0 to 1 for each of 1 rows
          got:      a number outside 0 to 1
          do:       fit it with an objective that gives the probability of two classes
        """
    with says(ModelError, letter):
        scorer_for(Own(1.5), NAMES)


def test_no_background() -> None:
    X, y = problem(1)
    letter = """
        contributions have nothing to be measured against
          expected: background rows that stand for usual ones
          got:      none
          do:       make the scorer with background=, such as a sample of the training rows
        """
    with says(ModelError, letter):
        scorer_for(KNeighborsClassifier().fit(X, y), NAMES).contributions(X)


def test_a_background_of_the_wrong_shape() -> None:
    letter = """
        the feature matrix has the wrong shape
          expected: (n, 6): one column per feature, in the order of the model's inputs
          got:      (4, 2)
          do:       build the matrix from the model's inputs
        """
    with says(ModelError, letter):
        scorer_for(Own(), NAMES, np.zeros((4, 2)))
