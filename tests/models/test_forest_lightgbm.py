"""Trees of LightGBM: null in three readings, categories, early stopping, other boosting kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.models.forest.scorer import ForestScorer
from headwater.models.scorer import scorer_for
from tests.models.trees import Float64, problem

lightgbm = pytest.importorskip("lightgbm")

NAMES = ["a", "b", "c", "d", "e", "f"]
SEEDS = st.integers(0, 2**16)


def fit(X: Float64, y: Any, categories: Any = "auto", **parameters: Any) -> Any:
    model = lightgbm.LGBMClassifier(
        **{"n_estimators": 15, "verbose": -1, "min_child_samples": 5, "n_jobs": 1, **parameters}
    )
    return model.fit(X, y, categorical_feature=categories)


def flat(model: Any, X: Float64, *, explained: bool = True) -> ForestScorer:
    """Scores equal to LightGBM's on X, contributions to its own TreeSHAP (which is the one shap asks)."""
    scorer = scorer_for(model, NAMES)
    assert isinstance(scorer, ForestScorer), scorer.why_not_flat
    booster = getattr(model, "booster_", model)
    np.testing.assert_allclose(scorer.score(X), booster.predict(X), rtol=0, atol=1e-12)
    if explained:
        phi, base = scorer.contributions(X[:60])
        expected = booster.predict(X[:60], pred_contrib=True)
        np.testing.assert_allclose(phi, expected[:, :-1], rtol=0, atol=1e-9)
        assert base == pytest.approx(expected[0, -1], abs=1e-9)
    return scorer


@settings(max_examples=20)
@given(
    seed=SEEDS,
    leaves=st.integers(2, 31),
    use_missing=st.booleans(),
    zero_as_missing=st.booleans(),
    null=st.booleans(),
)
def test_null_is_null_zero_or_zero_is_null(
    seed: int, leaves: int, use_missing: bool, zero_as_missing: bool, null: bool
) -> None:
    X, y = problem(seed, null=null)
    model = fit(X, y, num_leaves=leaves, use_missing=use_missing, zero_as_missing=zero_as_missing)
    X[:8, 1] = [1e-35, -1e-35, 1e-36, 1.0000000180025095e-35, -1.1e-35, 1.1e-35, -0.0, np.nan]
    flat(model, X)


@settings(max_examples=15)
@given(seed=SEEDS, null=st.booleans(), one_hot=st.booleans())
def test_categories(seed: int, null: bool, one_hot: bool) -> None:
    X, y = problem(seed, null=null)
    model = fit(X, y, [4], max_cat_to_onehot=20 if one_hot else 1, min_data_per_group=5, cat_smooth=1.0)
    X[:24, 4] = [-1.0, 99.0, 3.5, -0.5, np.nan, 1e6] * 4
    flat(model, X)


@pytest.mark.parametrize(
    "parameters",
    [
        {"is_unbalance": True},
        {"objective": "cross_entropy"},
        {"boosting_type": "dart"},
        {"boosting_type": "goss"},
        {"extra_trees": True, "max_depth": 3},
        {"n_estimators": 1, "num_leaves": 2},
        {"min_child_samples": 10_000},
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # LightGBM on parameters that it renames
def test_kinds_of_boosting(parameters: dict[str, Any]) -> None:
    X, y = problem(9, null=True)
    flat(fit(X, y, **parameters), X)


@pytest.mark.parametrize(
    "parameters", [{"sigmoid": 2.0}, {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}]
)
def test_contributions_are_log_odds_where_lightgbm_gives_another_unit(parameters: dict[str, Any]) -> None:
    X, y = problem(9, null=True)
    scorer = flat(fit(X, y, **parameters), X, explained=False)
    phi, base = scorer.contributions(X)
    np.testing.assert_allclose(1 / (1 + np.exp(-base - phi.sum(axis=1))), scorer.score(X), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:The argument .eval_set. is deprecated")
def test_early_stopping_keeps_the_best_iteration() -> None:
    X, y = problem(2, 900)
    model = lightgbm.LGBMClassifier(n_estimators=400, verbose=-1, early_stopping_round=5, n_jobs=1)
    model.fit(X[:500], y[:500], eval_set=[(X[500:], y[500:])])
    assert 0 < model.best_iteration_ < 400
    flat(model, X)
    flat(model.booster_, X)


def test_a_booster_from_its_text() -> None:
    X, y = problem(2)
    text = fit(X, y).booster_.model_to_string()
    flat(lightgbm.Booster(model_str=text), X)


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        (
            {"linear_tree": True},
            (
                "a LightGBM model cannot be scored exactly as a flat forest: its leaves are linear models\n"
                "  expected: linear_tree=false\n"
                "  got:      linear_tree=true\n"
                "  do:       change the parameter, or let its own predict_proba score"
            ),
        ),
        (
            {"objective": "regression"},
            (
                "a LightGBM model cannot be scored exactly as a flat forest: its objective\n"
                "  expected: binary or cross_entropy\n"
                "  got:      regression\n"
                "  do:       change the parameter, or let its own predict_proba score"
            ),
        ),
    ],
)
def test_what_no_flat_forest_can_be_scores_itself(parameters: dict[str, Any], why: str) -> None:
    X, y = problem(2)
    model = fit(X, y, num_leaves=3, learning_rate=0.01, **parameters)
    scorer = scorer_for(model, NAMES)
    assert (scorer.kind, scorer.why_not_flat) == ("estimator", why)
    np.testing.assert_array_equal(scorer.score(X), model.booster_.predict(X))
