"""Import XGBoost's models from their JSON form.

XGBoost does everything in float32: inputs and thresholds are compared with ``<``, leaves are added tree by
tree, and so is its logistic function. All of it is done the same way here, which is why scores agree to the
last bit. Called by ``models.scorer``; XGBoost itself is not imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import HeadwaterError
from headwater.engine.kernels.forest import logit_single
from headwater.models.forest.tree import Bool, Ensemble, Float64, Input, NotFlatError, Tree

_OBJECTIVES = {"binary:logistic", "reg:logistic"}


def knows(estimator: object) -> bool:
    """Whether the estimator is an XGBoost classifier or booster."""
    names = {f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in type(estimator).__mro__}
    return bool(names & {"xgboost.XGBClassifier", "xgboost.Booster"})


def read(estimator: Any) -> Ensemble:
    """The trees of a fitted binary model; a classifier's up to its best iteration if it stopped early.

    Raises:
        NotFlatError: another objective or booster, a missing value other than NaN, or vector leaves.
    """
    classifier = hasattr(estimator, "get_booster")
    if classifier and not np.isnan(estimator.missing):
        raise _refused("its missing value", "missing=nan", f"missing={estimator.missing}")
    booster = estimator.get_booster() if classifier else estimator
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    _check(learner)
    model = learner["gradient_booster"]["model"]
    trees = model["trees"][: _last(booster, model) if classifier else None]
    inputs = _inputs(trees, int(learner["learner_model_param"]["num_feature"]))
    margin = logit_single(float(_bare(learner["learner_model_param"]["base_score"])))
    return Ensemble([_tree(tree, inputs) for tree in trees], inputs, margin, link="logistic-single")


def _bare(text: str) -> str:
    """A number that newer versions write in brackets."""
    return text.strip("[]")


def _last(booster: Any, model: Mapping[str, Any]) -> int:
    """How many trees a classifier scores with."""
    best = booster.attr("best_iteration")
    bounds = model["iteration_indptr"]
    return int(bounds[-1] if best is None else bounds[int(best) + 1])


def _check(learner: Mapping[str, Any]) -> None:
    """Refuse what a flat forest cannot say."""
    objective, booster = learner["objective"]["name"], learner["gradient_booster"]["name"]
    if objective not in _OBJECTIVES:
        raise _refused("its objective", " or ".join(sorted(_OBJECTIVES)), objective)
    if booster != "gbtree":
        raise _refused("its booster", "gbtree", booster)
    if learner["learner_model_param"].get("num_target", "1") != "1":
        raise _refused("it has several targets", "one target", learner["learner_model_param"]["num_target"])


def _refused(what: str, expected: str, got: str) -> HeadwaterError:
    """The letter about an XGBoost model that no flat forest can be."""
    return NotFlatError.of(
        f"an XGBoost model cannot be scored exactly as a flat forest: {what}",
        expected=expected,
        got=got,
        do="change the parameter, or let its own predict_proba score",
    )


def _sets(tree: Mapping[str, Any]) -> dict[int, Float64]:
    """The categories that go right, per categorical node."""
    all_members = np.array(tree["categories"], np.float64)
    spans = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    return {node: all_members[start : start + size] for node, start, size in spans}


def _inputs(trees: Sequence[Mapping[str, Any]], features: int) -> list[Input]:
    """Everything is rounded to float32; features with categorical splits are looked up."""
    known: dict[int, set[float]] = {}
    for tree in trees:
        for node, members in _sets(tree).items():
            known.setdefault(tree["split_indices"][node], set()).update(members)
    plain = Input(single=True)
    return [
        Input(single=True, categories=np.array(sorted(known[place])), truncated=True, unsigned=True)
        if place in known
        else plain
        for place in range(features)
    ]


def _tree(tree: Mapping[str, Any], inputs: Sequence[Input]) -> Tree:
    """One tree. ``x < t`` in float32 is ``x <= the float32 before t``."""
    left = np.array(tree["left_children"], np.int32)
    feature = np.array(tree["split_indices"], np.int32)
    condition = np.array(tree["split_conditions"], np.float32)
    null_left = np.array(tree["default_left"], bool)
    return Tree(
        left=left,
        right=np.array(tree["right_children"], np.int32),
        feature=feature,
        threshold=np.nextafter(condition, np.float32(-np.inf)).astype(np.float64),
        null_left=null_left,
        value=condition.astype(np.float64),
        cover=np.array(tree["sum_hessian"], np.float32).astype(np.float64),
        sides={
            node: _sides(members, inputs[feature[node]], null_left[node])
            for node, members in _sets(tree).items()
        },
    )


def _sides(members: Float64, entry: Input, null_left: np.bool_) -> Bool:
    """Right for the members; left for unknown and all others; null as the node says."""
    categories: npt.NDArray[np.float64] = np.empty(0) if entry.categories is None else entry.categories
    return np.concatenate([[bool(null_left), True], ~np.isin(categories, members)])
