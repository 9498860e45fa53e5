"""TreeSHAP by quadrature against the slow truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.engine.kernels.treeshap import quadrature
from headwater.models.forest.scorer import ForestScorer
from headwater.models.forest.tree import Ensemble, Input, Tree
from tests.models.trees import chain, grow, rows
from tests.oracle.shapley import by_definition, in_fractions, worth


def scorer(*trees: Tree, features: int) -> ForestScorer:
    return ForestScorer(
        Ensemble(trees, [Input()] * features, link="mean"), [f"x{place}" for place in range(features)]
    )


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), features=st.integers(1, 4), leaves=st.integers(1, 16))
def test_any_tree_equals_the_definition_to_1e_12(seed: int, features: int, leaves: int) -> None:
    random = np.random.default_rng(seed)
    tree = grow(random, features, leaves)
    X = rows(random, 2, features)
    phi, base = scorer(tree, features=features).contributions(X)
    for x, found in zip(X, phi, strict=True):
        np.testing.assert_allclose(found, by_definition(tree, list(x)), rtol=0, atol=1e-12)
    assert base == pytest.approx(worth(tree, list(X[0]), frozenset()), abs=1e-12)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), features=st.integers(6, 40), leaves=st.integers(17, 40))
def test_wide_trees_equal_exact_fractions_to_1e_12(seed: int, features: int, leaves: int) -> None:
    random = np.random.default_rng(seed)
    tree = grow(random, features, leaves)
    x = rows(random, 1, features)
    phi, _ = scorer(tree, features=features).contributions(x)
    exact = [float(value) for value in in_fractions(tree, list(x[0]))]
    np.testing.assert_allclose(phi[0], exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("depth", [1, 8, 16, 17, 33])
def test_a_path_may_be_as_deep_as_it_likes(depth: int) -> None:
    random = np.random.default_rng(depth)
    tree = chain(random, depth)
    x = random.normal(size=(1, depth))
    phi, _ = scorer(tree, features=depth).contributions(x)
    exact = [float(value) for value in in_fractions(tree, list(x[0]))]
    np.testing.assert_allclose(phi[0], exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("depth", [70, 140, 400])
def test_beyond_any_real_depth_contributions_still_add_up(depth: int) -> None:
    random = np.random.default_rng(depth)
    one = scorer(chain(random, depth), features=depth)
    x = random.normal(size=(1, depth))
    phi, base = one.contributions(x)
    assert base + phi.sum() == pytest.approx(one.score(x)[0], abs=1e-12)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), leaves=st.integers(2, 30))
def test_contributions_and_base_add_up_even_where_no_training_row_went(seed: int, leaves: int) -> None:
    random = np.random.default_rng(seed)
    trees = [grow(random, 4, leaves, empty=True) for _ in range(3)]
    X = rows(random, 20, 4)
    one = scorer(*trees, features=4)
    phi, base = one.contributions(X)
    np.testing.assert_allclose(base + phi.sum(axis=1), one.score(X), rtol=0, atol=1e-12)


def test_contributions_of_a_row_do_not_depend_on_the_rows_beside_it() -> None:
    random = np.random.default_rng(3)
    one = scorer(*[grow(random, 4, 20) for _ in range(9)], features=4)
    X = rows(random, 12, 4)
    together, _ = one.contributions(X)
    alone = np.concatenate([one.contributions(row[np.newaxis])[0] for row in X])
    assert together.tobytes() == alone.tobytes()


@pytest.mark.parametrize(
    ("distinct", "blocks"), [(0, 1), (16, 1), (17, 2), (32, 2), (33, 3), (128, 8), (500, 8)]
)
def test_quadrature_grows_with_the_features_on_a_path(distinct: int, blocks: int) -> None:
    table = quadrature(distinct)
    assert table.shape == (blocks, 4, 8)
    assert table[:, 2].sum() == pytest.approx(1.0, abs=1e-14)
    degree = min(max(distinct - 1, 0), 16 * blocks - 1)
    integral = (table[:, 2] * table[:, 0] ** degree).sum()
    assert integral == pytest.approx(1 / (degree + 1), rel=1e-13)
