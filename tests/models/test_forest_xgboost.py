"""Trees of XGBoost: everything in float32, and equal to the last bit."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.models.forest.scorer import ForestScorer
from headwater.models.scorer import scorer_for
from tests.models.trees import Float64, problem

xgboost = pytest.importorskip("xgboost")
pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") != "0",
    reason="Python has no float32 exp and log of the C library, which XGBoost uses",
)

NAMES = ["a", "b", "c", "d", "e", "f"]
SEEDS = st.integers(0, 2**16)


def fit(X: Float64, y: Any, **parameters: Any) -> Any:
    return xgboost.XGBClassifier(**{"n_estimators": 15, "n_jobs": 1, **parameters}).fit(X, y)


def flat(model: Any, X: Float64) -> ForestScorer:
    """Scores equal to XGBoost's to the last bit; contributions as its own, which are float32."""
    scorer = scorer_for(model, NAMES)
    assert isinstance(scorer, ForestScorer), scorer.why_not_flat
    expected = model.predict_proba(X)[:, 1]
    assert scorer.score(X).tolist() == expected.astype(np.float64).tolist()
    assert [scorer.score_one(x) for x in X[:75]] == scorer.score(X[:75]).tolist()
    return scorer


def contributions(model: Any, X: Float64) -> Float64:
    booster = model.get_booster()
    data = xgboost.DMatrix(X, feature_types=booster.feature_types, enable_categorical=True)
    found: Float64 = booster.predict(data, pred_contribs=True)
    return found


@settings(max_examples=20)
@given(
    seed=SEEDS,
    depth=st.integers(1, 12),
    base=st.one_of(st.none(), st.floats(0.01, 0.99)),
    rate=st.floats(0.01, 1.0),
    child=st.sampled_from([0, 1]),
    method=st.sampled_from(["hist", "exact"]),
    null=st.booleans(),
)
def test_any_model_to_the_last_bit(
    seed: int, depth: int, base: float | None, rate: float, child: int, method: str, null: bool
) -> None:
    X, y = problem(seed, null=null)
    model = fit(
        X, y, max_depth=depth, base_score=base, learning_rate=rate, min_child_weight=child, tree_method=method
    )
    scorer = flat(model, X)
    phi, _ = scorer.contributions(X[:50])
    np.testing.assert_allclose(phi, contributions(model, X[:50])[:, :-1], rtol=5e-6, atol=2e-5)


def test_contributions_equal_shaps_own_in_float64() -> None:
    shap = pytest.importorskip("shap")
    X, y = problem(4, null=True)
    model = fit(X, y, max_depth=8)
    explainer = shap.TreeExplainer(model)
    explainer.model.model_type = "internal"  # or it asks XGBoost, which answers in float32
    expected = explainer.shap_values(X[:60], check_additivity=False)
    phi, base = flat(model, X).contributions(X[:60])
    np.testing.assert_allclose(phi, expected, rtol=0, atol=1e-9)
    assert 1 / (1 + np.exp(-base - phi.sum(axis=1))) == pytest.approx(
        model.predict_proba(X[:60])[:, 1], abs=1e-6
    )


@settings(max_examples=12)
@given(seed=SEEDS, null=st.booleans(), one_hot=st.booleans())
def test_categories(seed: int, null: bool, one_hot: bool) -> None:
    X, y = problem(seed, null=null)
    kinds = ["q", "q", "q", "q", "c", "q"]
    model = fit(X, y, enable_categorical=True, feature_types=kinds, max_cat_to_onehot=20 if one_hot else 2)
    X[:18, 4] = [99.0, 3.5, np.nan] * 6
    scorer = flat(model, X)
    phi, _ = scorer.contributions(X[:50])
    np.testing.assert_allclose(phi, contributions(model, X[:50])[:, :-1], rtol=5e-6, atol=2e-5)


def test_inputs_exactly_on_and_beside_a_threshold() -> None:
    X, y = problem(11)
    model = fit(X, y)
    cuts = np.unique(flat(model, X)._forest.splits["threshold"])
    above = np.nextafter(cuts.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    edges = np.concatenate(
        [cuts, above, np.nextafter(cuts, np.inf), np.nextafter(above, -np.inf), [0.0, -0.0]]
    )
    flat(model, np.random.default_rng(0).choice(edges, (3000, len(NAMES))))


@pytest.mark.parametrize(
    "parameters",
    [
        {"grow_policy": "lossguide", "max_leaves": 31, "max_depth": 0},
        {"num_parallel_tree": 3, "subsample": 0.5},
        {"scale_pos_weight": 5.0},
        {"reg_alpha": 2.0, "gamma": 1.0},
        {"gamma": 1e9},
        {"learning_rate": 60.0},
    ],
)
def test_kinds_of_boosting(parameters: dict[str, Any]) -> None:
    X, y = problem(9, null=True)
    flat(fit(X, y, **parameters), X)


def test_early_stopping_keeps_the_best_iteration() -> None:
    X, y = problem(2, 900)
    model = xgboost.XGBClassifier(n_estimators=400, early_stopping_rounds=5, n_jobs=1)
    model.fit(X[:500], y[:500], eval_set=[(X[500:], y[500:])], verbose=False)
    assert 0 < model.best_iteration < 390
    flat(model, X)
    booster = model.get_booster()
    scorer = scorer_for(booster, NAMES)  # a bare booster scores with all its trees
    assert scorer.score(X).tolist() == booster.inplace_predict(X).astype(np.float64).tolist()


@pytest.mark.parametrize(
    ("parameters", "what", "expected", "got"),
    [
        ({"booster": "dart"}, "its booster", "gbtree", "dart"),
        ({"missing": 0.0}, "its missing value", "missing=nan", "missing=0.0"),
        ({"objective": "binary:hinge"}, "its objective", "binary:logistic or reg:logistic", "binary:hinge"),
    ],
)
def test_what_no_flat_forest_can_be_scores_itself(
    parameters: dict[str, Any], what: str, expected: str, got: str
) -> None:
    X, y = problem(2)
    model = fit(X, y, **parameters)
    scorer = scorer_for(model, NAMES)
    assert scorer.kind == "estimator"
    assert scorer.why_not_flat == (
        f"an XGBoost model cannot be scored exactly as a flat forest: {what}\n"
        f"  expected: {expected}\n"
        f"  got:      {got}\n"
        "  do:       change the parameter, or let its own predict_proba score"
    )
    assert scorer.score(X).tolist() == model.predict_proba(X)[:, 1].astype(np.float64).tolist()
