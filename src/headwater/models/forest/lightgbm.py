"""Import LightGBM's models from their text form, which is their documented, complete and exact one.

LightGBM compares in float64 with ``<=``. A node knows one of three readings of null: none (null is zero),
zero (nearly zero is null) and NaN. Called by ``models.scorer``; LightGBM itself is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import HeadwaterError
from headwater.models.forest.tree import Bool, Ensemble, Float64, Input, NotFlatError, Tree

_CATEGORICAL, _DEFAULT_LEFT = 1, 2  # bits of decision_type; bits 2 and 3 hold the reading of null
_NONE, _ZERO, _NAN = range(3)


def knows(estimator: object) -> bool:
    """Whether the estimator is a LightGBM classifier or booster."""
    names = {f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in type(estimator).__mro__}
    return bool(names & {"lightgbm.LGBMClassifier", "lightgbm.Booster"})


def read(estimator: Any) -> Ensemble:
    """The trees of a fitted binary model, up to its best iteration if it stopped early.

    Raises:
        NotFlatError: another objective, linear leaves, or a feature that mixes two readings of zero.
    """
    booster = getattr(estimator, "booster_", estimator)
    header, *blocks = booster.model_to_string().split("\nTree=")
    facts = _facts(header)
    objective = facts.get("objective", "").split()
    words = dict(word.partition(":")[::2] for word in objective[1:])
    if (
        not objective
        or objective[0] not in {"binary", "cross_entropy"}
        or facts["num_tree_per_iteration"] != "1"
    ):
        raise _refused(
            "its objective", "binary or cross_entropy", " ".join(objective) or "none (a custom one)"
        )
    texts = [_facts(block.split("\n\n\n")[0]) for block in blocks]
    if any(text.get("is_linear", "0") != "0" for text in texts):
        raise _refused("its leaves are linear models", "linear_tree=false", "linear_tree=true")
    inputs = _inputs(texts, int(facts["max_feature_idx"]) + 1)
    divisor = float(len(texts)) if "average_output" in facts else 1.0
    trees = [_tree(text, inputs) for text in texts]
    return Ensemble(trees, inputs, 0.0, divisor, float(words.get("sigmoid", 1.0)))


def _refused(what: str, expected: str, got: str) -> HeadwaterError:
    """The letter about a LightGBM model that no flat forest can be."""
    return NotFlatError.of(
        f"a LightGBM model cannot be scored exactly as a flat forest: {what}",
        expected=expected,
        got=got,
        do="change the parameter, or let its own predict_proba score",
    )


def _facts(text: str) -> dict[str, str]:
    """The ``name=value`` lines of a block; a bare word stands for itself."""
    return dict(line.partition("=")[::2] for line in text.splitlines() if line)


def _whole(facts: Mapping[str, str], name: str) -> npt.NDArray[np.int64]:
    return np.array(facts.get(name, "").split(), np.int64)


def _real(facts: Mapping[str, str], name: str) -> Float64:
    return np.array(facts.get(name, "").split(), np.float64)


def _sets(facts: Mapping[str, str]) -> dict[int, Float64]:
    """The categories that go left, per categorical inner node."""
    bounds, words = _whole(facts, "cat_boundaries"), _whole(facts, "cat_threshold").astype(np.uint32)
    kind, threshold = _whole(facts, "decision_type"), _real(facts, "threshold")
    found = {}
    for node in np.flatnonzero(kind & _CATEGORICAL):
        place = int(threshold[node])
        bits = np.unpackbits(words[bounds[place] : bounds[place + 1]].view(np.uint8), bitorder="little")
        found[int(node)] = np.flatnonzero(bits).astype(np.float64)
    return found


def _inputs(texts: Sequence[Mapping[str, str]], features: int) -> list[Input]:
    """The rule of each feature, gathered from all nodes that test it."""
    readings: list[set[bool]] = [set() for _ in range(features)]
    known: dict[int, set[float]] = {}
    for facts in texts:
        kind, feature = _whole(facts, "decision_type"), _whole(facts, "split_feature")
        numeric = kind & _CATEGORICAL == 0
        for one, reading in zip(feature[numeric], kind[numeric] >> 2 & 3, strict=True):
            readings[one].add(bool(reading == _ZERO))
        for node, members in _sets(facts).items():
            known.setdefault(int(feature[node]), set()).update(members)
    if any(len(found) > 1 or (found and place in known) for place, found in enumerate(readings)):
        raise _refused("a feature is read in two ways", "one reading of zero per feature", "two of them")
    return [_input(readings[place], known.get(place)) for place in range(features)]


def _input(readings: set[bool], known: set[float] | None) -> Input:
    if known is not None:
        return Input(categories=np.array(sorted(known)), truncated=True)
    return Input(nearly_zero="null" if True in readings else "zero")


def _tree(facts: Mapping[str, str], inputs: Sequence[Input]) -> Tree:
    """One tree: inner nodes first, leaves behind them."""
    inner = int(facts["num_leaves"]) - 1
    kind, threshold = _whole(facts, "decision_type"), _real(facts, "threshold")
    reading = kind >> 2 & 3
    # A node that has no reading of null takes null for zero.
    null_left = np.where(reading == _NONE, threshold >= 0.0, kind & _DEFAULT_LEFT != 0)
    feature = _whole(facts, "split_feature")
    leaves = np.zeros(inner + 1)
    return Tree(
        left=_children(facts, "left_child", inner),
        right=_children(facts, "right_child", inner),
        feature=np.concatenate([feature, leaves]).astype(np.int32),
        threshold=np.concatenate([threshold, leaves]),
        null_left=np.concatenate([null_left, leaves]).astype(bool),
        value=np.concatenate([np.zeros(inner), _real(facts, "leaf_value")]),
        cover=np.concatenate([_real(facts, "internal_count"), _leaf_count(facts)]),
        sides={node: _sides(members, inputs[feature[node]]) for node, members in _sets(facts).items()},
    )


def _children(facts: Mapping[str, str], name: str, inner: int) -> npt.NDArray[np.int32]:
    """Children by place: LightGBM writes leaf n as -1 - n."""
    child = _whole(facts, name)
    return np.concatenate([np.where(child < 0, inner - 1 - child, child), np.full(inner + 1, -1)]).astype(
        np.int32
    )


def _leaf_count(facts: Mapping[str, str]) -> Float64:
    """Training rows per leaf; a tree that is one leaf does not say."""
    count = _real(facts, "leaf_count")
    return count if len(count) else np.ones(1)


def _sides(members: Float64, entry: Input) -> Bool:
    """Left for the members; right for null, unknown and all others."""
    categories = np.empty(0) if entry.categories is None else entry.categories
    return np.concatenate([[False, False], np.isin(categories, members)])
