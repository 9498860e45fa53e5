"""Trees of scikit-learn: scores equal to predict_proba, contributions equal to shap's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from headwater.core.errors import ModelError
from headwater.models.forest.scorer import ForestScorer
from headwater.models.forest.tree import NotFlatError
from headwater.models.scorer import scorer_for
from tests.letters import says
from tests.models.trees import Float64, problem

NAMES = ["a", "b", "c", "d", "e", "f"]
SEEDS = st.integers(0, 2**16)


def flat(model: Any, X: Float64) -> ForestScorer:
    """A flat forest whose scores equal the library's on X, in batch and one by one, and add up."""
    scorer = scorer_for(model, NAMES)
    assert isinstance(scorer, ForestScorer)
    expected = model.predict_proba(X)[:, 1]
    np.testing.assert_allclose(scorer.score(X), expected, rtol=0, atol=1e-12)
    assert [scorer.score_one(x) for x in X[:75]] == scorer.score(X[:75]).tolist()
    phi, base = scorer.contributions(X[:50])
    total = base + phi.sum(axis=1)
    reached = expit(total) if scorer.space == "log-odds" else total
    np.testing.assert_allclose(reached, expected[:50], rtol=0, atol=1e-12)
    return scorer


def equals_shap(scorer: ForestScorer, model: Any, X: Float64) -> None:
    shap = pytest.importorskip("shap")
    explainer = shap.TreeExplainer(model)
    expected, base = explainer.shap_values(X, check_additivity=False), np.ravel(explainer.expected_value)
    if expected.ndim == 3:
        expected = expected[:, :, 1]
    phi, found = scorer.contributions(X)
    np.testing.assert_allclose(phi, expected, rtol=0, atol=1e-9)
    assert found == pytest.approx(base[-1], abs=1e-9)


@settings(max_examples=15)
@given(
    seed=SEEDS,
    leaves=st.integers(2, 31),
    rounds=st.integers(1, 25),
    rate=st.floats(0.01, 1.0),
    bins=st.integers(2, 255),
    null=st.booleans(),
)
@example(seed=0, leaves=29, rounds=14, rate=1.0, bins=32, null=True)  # log-odds beyond 700
def test_histogram_boosting(seed: int, leaves: int, rounds: int, rate: float, bins: int, null: bool) -> None:
    X, y = problem(seed, null=null)
    model = HistGradientBoostingClassifier(
        max_iter=rounds, max_leaf_nodes=leaves, learning_rate=rate, max_bins=bins, min_samples_leaf=3
    ).fit(X, y)
    equals_shap(flat(model, X), model, X[:30])


@settings(max_examples=10)
@given(seed=SEEDS, known=st.integers(3, 12), null=st.booleans())
def test_histogram_boosting_with_categories(seed: int, known: int, null: bool) -> None:
    X, y = problem(seed, null=null)
    seen = ~(X[:, 4] >= known)  # null is seen
    model = HistGradientBoostingClassifier(
        max_iter=20, categorical_features=[1, 4], max_bins=20, min_samples_leaf=2
    )
    X[:, 1] = np.round(X[:, 1])
    model.fit(X[seen], y[seen])
    X[:20, 4] = [-1.0, 99.0, 3.5, np.nan] * 5  # and some that no library knows
    flat(model, X)


def test_histogram_boosting_that_stopped_early_and_was_weighted() -> None:
    X, y = problem(7, 1000)
    model = HistGradientBoostingClassifier(early_stopping=True, max_iter=300, n_iter_no_change=3)
    model.fit(X, y, sample_weight=np.linspace(0.1, 3, len(y)))
    assert model.n_iter_ < 300
    equals_shap(flat(model, X), model, X[:30])


@settings(max_examples=15)
@given(
    seed=SEEDS,
    kind=st.sampled_from([RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier]),
    depth=st.one_of(st.none(), st.integers(1, 9)),
    null=st.booleans(),
)
def test_averaging_ensembles_and_single_trees(seed: int, kind: Any, depth: int | None, null: bool) -> None:
    X, y = problem(seed, null=null)
    more = {} if kind is DecisionTreeClassifier else {"n_estimators": 11}
    model = kind(max_depth=depth, random_state=seed, class_weight="balanced", **more).fit(X, y)
    scorer = flat(model, X)
    assert scorer.space == "probability"
    equals_shap(scorer, model, X[:20])


@settings(max_examples=10)
@given(
    seed=SEEDS,
    depth=st.integers(1, 6),
    loss=st.sampled_from(["log_loss", "exponential"]),
    init=st.sampled_from([None, "zero"]),
    subsample=st.sampled_from([0.5, 1.0]),
)
def test_gradient_boosting(seed: int, depth: int, loss: str, init: str | None, subsample: float) -> None:
    X, y = problem(seed)
    model = GradientBoostingClassifier(
        n_estimators=12, max_depth=depth, loss=loss, init=init, subsample=subsample, random_state=seed
    ).fit(X, y)
    scorer = flat(model, X)
    if loss == "log_loss" and init is None:  # all that shap knows
        equals_shap(scorer, model, X[:20])


def test_inputs_exactly_on_and_beside_a_threshold() -> None:
    X, y = problem(11)
    for model in (
        HistGradientBoostingClassifier(max_iter=5),
        RandomForestClassifier(5),
        DecisionTreeClassifier(),
    ):
        scorer = flat(model.fit(X, y), X)
        cuts = np.unique(scorer._forest.splits["threshold"])
        cuts = cuts[np.isfinite(cuts)]
        edges = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf)])
        edges = np.concatenate([edges, np.float32(edges).astype(np.float64), [0.0, -0.0, 1e-40, 1e30]])
        flat(model, np.random.default_rng(0).choice(edges, (3000, len(NAMES))))


def test_float64_stays_float64() -> None:
    # 0.1 lies above its float32 neighbour from below: read as float32, it would cross the threshold.
    X = np.array([[0.1], [np.nextafter(0.1, 1)]] * 30)
    y = np.array([0, 1] * 30)
    model = HistGradientBoostingClassifier(max_iter=1, min_samples_leaf=1).fit(X, y)
    scorer = scorer_for(model, ["x"])
    assert scorer.score(X[:2]).tolist() == model.predict_proba(X[:2])[:, 1].tolist()
    assert scorer.score_one(X[0]) < scorer.score_one(X[1])


def test_the_positive_class_is_the_second_one() -> None:
    X, y = problem(3)
    texts = np.where(y == 1, "bad", "good")
    model = HistGradientBoostingClassifier(max_iter=5).fit(X, texts)
    assert model.classes_.tolist() == ["bad", "good"]
    np.testing.assert_allclose(
        scorer_for(model, NAMES).score(X), model.predict_proba(X)[:, 1], rtol=0, atol=1e-12
    )


def test_a_label_that_one_leaf_explains() -> None:
    X, y = problem(3)
    flat(HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=300).fit(X, y), X)


def test_null_where_a_forest_takes_none() -> None:
    X, y = problem(5)
    scorer = scorer_for(GradientBoostingClassifier(n_estimators=3).fit(X, y), NAMES)
    X[2, 3] = np.nan
    letter = """
        the model takes no null
          expected: a number for every feature
          got:      null
          where:    row {}, feature d
          do:       fill it with a derived feature, or choose an estimator that takes null
        """
    with says(ModelError, letter.format(2)):
        scorer.score(X)
    with says(ModelError, letter.format(0)):
        scorer.score_one(X[2])
    with says(ModelError, letter.format(2)):
        scorer.contributions(X[:5])


def test_a_row_of_the_wrong_length() -> None:
    X, y = problem(5)
    scorer = scorer_for(HistGradientBoostingClassifier(max_iter=3).fit(X, y), NAMES)
    letter = """
        the feature matrix has the wrong shape
          expected: (n, 6): one column per feature, in the order of the model's inputs
          got:      (1, 5)
          do:       build the matrix from the model's inputs
        """
    with says(ModelError, letter):
        scorer.score_one(X[0, :5])
    with says(ModelError, letter):
        scorer.score(X[:1, :5])
    with says(ModelError, letter):
        scorer.contributions(X[:1, :5])


def test_no_rows_give_no_scores() -> None:
    X, y = problem(5)
    scorer = scorer_for(HistGradientBoostingClassifier(max_iter=3).fit(X, y), NAMES)
    assert scorer.score(X[:0]).shape == (0,)
    assert scorer.contributions(X[:0])[0].shape == (0, 6)


def test_rows_may_be_read_only_strided_or_of_another_type() -> None:
    X, y = problem(5)
    scorer = scorer_for(HistGradientBoostingClassifier(max_iter=3).fit(X, y), NAMES)
    expected = scorer.score(X)
    frozen = X.copy()
    frozen.flags.writeable = False
    assert scorer.score(frozen).tolist() == expected.tolist()
    assert scorer.score(np.asfortranarray(X)).tolist() == expected.tolist()
    assert scorer.score_one(frozen[4]) == scorer.score_one(np.asfortranarray(X)[4]) == expected[4]
    assert scorer.score(np.zeros((1, 6), np.int64)) == scorer.score_one(np.zeros(6, np.int64))


def test_boosting_that_starts_from_another_model_scores_itself() -> None:
    X, y = problem(5)
    model = GradientBoostingClassifier(n_estimators=3, init=LogisticRegression()).fit(X, y)
    scorer = scorer_for(model, NAMES, runtime="own")
    assert scorer.kind == "estimator"
    assert scorer.why_not_flat == (
        "the model starts from another model\n"
        "  expected: init=None or init='zero'\n"
        "  got:      init=LogisticRegression\n"
        "  do:       fit it without init, or let its own predict_proba score"
    )
    assert scorer.score(X).tolist() == model.predict_proba(X)[:, 1].tolist()


def test_a_forest_that_does_not_score_as_its_library_is_not_used() -> None:
    X, y = problem(5)
    scorer = scorer_for(HistGradientBoostingClassifier(max_iter=3).fit(X, y), NAMES)
    assert isinstance(scorer, ForestScorer)
    letter = """
        the flat forest does not score as its library does
          expected: scores equal to 1e-09
          got:      a difference of 0.001
          do:       report it with the library's version; its own predict_proba scores meanwhile
        """
    with says(NotFlatError, letter):
        scorer.prove(lambda rows: scorer.score(rows) + 0.001)
