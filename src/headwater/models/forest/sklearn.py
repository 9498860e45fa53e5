"""Import the tree ensembles of scikit-learn.

Histogram gradient boosting compares in float64 and knows null and categories; all other trees compare
float32 inputs with float64 thresholds. Called by ``models.scorer``; ``tree`` says what is made here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

from headwater.core.errors import ModelError
from headwater.models.forest.tree import Bool, Ensemble, Float64, Input, NotFlatError, Tree

Histogram = HistGradientBoostingClassifier
Averaging = (RandomForestClassifier, ExtraTreesClassifier)


def knows(estimator: object) -> bool:
    """Whether this module can import the estimator."""
    return isinstance(estimator, (Histogram, *Averaging, GradientBoostingClassifier, DecisionTreeClassifier))


def read(estimator: Any) -> Ensemble:
    """The trees of a fitted binary classifier.

    Raises:
        NotFlatError: a start that depends on the row.
        ModelError: categories that are texts; nothing could score a row of numbers with them.
    """
    if isinstance(estimator, Histogram):
        return _histogram(estimator)
    if isinstance(estimator, GradientBoostingClassifier):
        return _boosting(estimator)
    grown = estimator.estimators_ if isinstance(estimator, Averaging) else [estimator]
    trees = [_tree(one.tree_, one.tree_.value[:, 0, 1]) for one in grown]
    null = bool(estimator.__sklearn_tags__().input_tags.allow_nan)
    return Ensemble(
        trees, [Input(single=True, null=null)] * estimator.n_features_in_, 0.0, len(trees), 1.0, "mean"
    )


def _tree(tree: Any, value: Float64) -> Tree:
    """A Cython tree: ``value`` as given, cover in weighted training rows."""
    return Tree(
        left=tree.children_left.astype(np.int32),
        right=tree.children_right.astype(np.int32),
        feature=tree.feature.astype(np.int32),
        threshold=tree.threshold,
        null_left=tree.missing_go_to_left.astype(bool),
        value=value,
        cover=tree.weighted_n_node_samples,
    )


def _boosting(estimator: Any) -> Ensemble:
    """Gradient boosting: log-odds of the prior (or zero) plus shrunken trees."""
    rate = estimator.learning_rate
    trees = [_tree(one.tree_, rate * one.tree_.value[:, 0, 0]) for one in estimator.estimators_[:, 0]]
    slope = 2.0 if estimator.loss == "exponential" else 1.0
    inputs = [Input(single=True, null=False)] * estimator.n_features_in_
    return Ensemble(trees, inputs, _start(estimator) / slope, 1.0, slope, "logistic")


def _start(estimator: Any) -> float:
    """The log-odds that boosting starts from."""
    start = estimator.init_
    if isinstance(start, str) and start == "zero":
        return 0.0
    if not (isinstance(start, DummyClassifier) and start.strategy == "prior"):
        raise NotFlatError.of(
            "the model starts from another model",
            expected="init=None or init='zero'",
            got=f"init={type(start).__name__}",
            do="fit it without init, or let its own predict_proba score",
        )
    eps = np.finfo(np.float64).eps
    prior = float(np.clip(start.class_prior_[1], eps, 1 - eps))
    return float(np.log(prior / (1 - prior)))


def _histogram(estimator: Any) -> Ensemble:
    """Histogram gradient boosting, with categories."""
    categorical = estimator.is_categorical_
    features = estimator.n_features_in_
    if categorical is None:
        order: npt.NDArray[np.intp] = np.arange(features)
        inputs = [Input()] * features
    else:
        # The encoder puts categorical columns first; trees speak of places in that order.
        order = np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])
        encoder = estimator._preprocessor.named_transformers_["encoder"]  # noqa: SLF001
        known = dict(zip(order, encoder.categories_, strict=False))
        inputs = [
            Input(categories=_numbers(known[place])) if place in known else Input()
            for place in range(features)
        ]
    known_bits, of_feature = estimator._bin_mapper.make_known_categories_bitsets()  # noqa: SLF001
    trees = [
        _histogram_tree(one[0], order, inputs, known_bits, of_feature)
        for one in estimator._predictors  # noqa: SLF001
    ]
    return Ensemble(trees, inputs, float(estimator._baseline_prediction.ravel()[0]))  # noqa: SLF001


def _numbers(categories: npt.NDArray[Any]) -> Float64:
    """The known categories of a feature as rising numbers, null left out."""
    try:
        numbers = categories.astype(np.float64)
    except (TypeError, ValueError):
        raise ModelError.of(
            "a categorical feature of the model was fitted on texts",
            expected="categories as numbers (codes), since a feature vector holds float64",
            got=f"{len(categories)} categories of type {categories.dtype}",
            do="fit the model on codes",
        ) from None
    return np.asarray(numbers[~np.isnan(numbers)])


def _histogram_tree(
    predictor: Any, order: npt.NDArray[np.intp], inputs: list[Input], known_bits: Any, of_feature: Any
) -> Tree:
    """One tree of the histogram kind."""
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    sides = {}
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf):
        encoded = nodes["feature_idx"][node]
        categories = inputs[order[encoded]].categories
        left = _members(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]], len(categories))
        binned = _members(known_bits[of_feature[encoded]], len(categories))
        null_left = bool(nodes["missing_go_to_left"][node])
        # A category that training did not bin is read as null.
        sides[int(node)] = np.concatenate([[null_left, null_left], np.where(binned | left, left, null_left)])
    return Tree(
        left=np.where(leaf, -1, nodes["left"]).astype(np.int32),
        right=np.where(leaf, -1, nodes["right"]).astype(np.int32),
        feature=order[nodes["feature_idx"]].astype(np.int32),
        threshold=nodes["num_threshold"],
        null_left=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"],
        cover=nodes["count"].astype(np.float64),
        sides=sides,
    )


def _members(bits: npt.NDArray[np.uint32], count: int) -> Bool:
    """Which of the first ``count`` places are set in a bitset of eight words."""
    places = np.arange(count, dtype=np.uint32)
    return (bits[places // 32] >> (places % 32) & 1).astype(bool)
