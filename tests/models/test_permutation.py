"""Shapley values of any function: the definition, and what a sample of permutations keeps of it."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest

from headwater.models.permutation import EXACT, LARGEST, Permutation

Float64 = npt.NDArray[np.float64]


def bent(X: Float64) -> Float64:
    """Not additive: every feature meets another."""
    return np.asarray(np.tanh(X[:, 0] * X[:, 1] - X[:, 2] + X.sum(axis=1) ** 2 / 10))


def walked(row: Float64, background: Float64) -> Float64:
    """The definition: the mean change over all orders, a feature at a time."""
    n = len(row)
    phi = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        rows, before = background.copy(), float(bent(background).mean())
        for feature in order:
            rows[:, feature] = row[feature]
            after = float(bent(rows).mean())
            phi[feature] += (after - before) / len(orders)
            before = after
    return phi


@pytest.mark.parametrize("features", [3, 4, 5])
def test_few_features_equal_the_definition(features: int) -> None:
    random = np.random.default_rng(features)
    background, X = random.normal(size=(7, features)), random.normal(size=(3, features))
    found = Permutation(bent, background).explain(X)
    np.testing.assert_allclose(found, [walked(row, background) for row in X], rtol=0, atol=1e-12)


@pytest.mark.parametrize("features", [1, 5, EXACT, EXACT + 1, 20])
def test_contributions_and_base_add_up_always(features: int) -> None:
    random = np.random.default_rng(features)
    background, X = random.normal(size=(90, features)), random.normal(size=(4, features))
    explainer = Permutation(lambda rows: np.sin(rows).sum(axis=1) ** 2, background)
    expected = np.sin(X).sum(axis=1) ** 2
    np.testing.assert_allclose(explainer.base + explainer.explain(X).sum(axis=1), expected, rtol=0, atol=1e-9)


def test_an_additive_function_is_exact_though_sampled() -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=15)
    background, X = random.normal(size=(LARGEST, 15)), random.normal(size=(3, 15))
    found = Permutation(lambda rows: rows @ weight, background).explain(X)
    np.testing.assert_allclose(found, (X - background.mean(axis=0)) * weight, rtol=0, atol=1e-12)


def test_the_same_row_has_the_same_reasons_every_time() -> None:
    random = np.random.default_rng(0)
    background, X = random.normal(size=(200, 12)), random.normal(size=(3, 12))
    first, again = Permutation(bent, background), Permutation(bent, background)
    assert first.explain(X).tobytes() == again.explain(X).tobytes()
    assert first.explain(X[1:2]).tobytes() == again.explain(X)[1:2].tobytes()


def test_agrees_with_shap() -> None:
    shap = pytest.importorskip("shap")
    random = np.random.default_rng(0)
    background, X = random.normal(size=(20, 4)), random.normal(size=(3, 4))
    expected = shap.ExactExplainer(bent, shap.maskers.Independent(background))(X)
    explainer = Permutation(bent, background)
    np.testing.assert_allclose(explainer.explain(X), expected.values, rtol=0, atol=1e-9)
    assert explainer.base == pytest.approx(expected.base_values[0])
