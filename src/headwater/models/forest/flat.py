"""Pack an ensemble into the flat struct of arrays that the kernels walk.

Called by ``forest.scorer``. The layout itself is ``engine.kernels.forest_layout``; what the arrays mean is
told in ``engine.kernels.forest``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from headwater.core.errors import HeadwaterError
from headwater.engine.kernels import forest as kernels
from headwater.engine.kernels.forest import Forest, Records
from headwater.engine.kernels.forest_layout import Plain, Shape, lay_out
from headwater.engine.kernels.treeshap import quadrature
from headwater.models.forest.tree import Bool, Ensemble, Float64, Input, Int32, NotFlatError, Tree

_LINKS = {
    "mean": kernels.MEAN,
    "logistic": kernels.LOGISTIC,
    "logistic-single": kernels.LOGISTIC_SINGLE,
}


def pack(ensemble: Ensemble) -> Forest:
    """The flat forest of an ensemble.

    Raises:
        NotFlatError: a tree that is none, or a value that is not finite.
    """
    tests = _Tests(1 + 2 * len(ensemble.inputs))
    total = sum(len(tree.left) for tree in ensemble.trees)
    nodes, splits = np.zeros(total, kernels.NODE), np.zeros(total, kernels.SPLIT)
    rows, shapes = np.zeros(len(ensemble.trees), kernels.TREE), []
    root = first = 0
    for place, tree in enumerate(ensemble.trees):
        plain = _plain(tree, tests, len(ensemble.inputs), place)
        shape = Shape(*lay_out(plain, nodes[root:], root, splits[first:]))
        rows[place] = root, shape.depth, first, first + shape.splits
        root, first = root + shape.nodes, first + shape.splits
        shapes.append(shape)
    inputs, known = _inputs(ensemble.inputs)
    total_expected = ensemble.base + sum(shape.expected for shape in shapes)
    return Forest(
        nodes=nodes[:root].copy(),
        trees=rows,
        splits=splits[:first].copy(),
        inputs=inputs,
        known=known,
        tests=np.array(tests.records, kernels.TEST),
        sides=np.array(tests.sides, np.uint8),
        quadrature=quadrature(max((shape.distinct for shape in shapes), default=1)),
        base=float(ensemble.base),
        divisor=float(ensemble.divisor),
        slope=float(ensemble.slope),
        link=_LINKS[ensemble.link],
        expected=float(ensemble.slope * total_expected / ensemble.divisor),
    )


@dataclass(slots=True)
class _Tests:
    """The distinct categorical splits of a forest, each a column of its own."""

    offset: int
    records: list[tuple[int, int]] = field(default_factory=list)
    sides: list[bool] = field(default_factory=list)
    seen: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def column(self, feature: int, sides: Bool) -> int:
        """The column where this split is decided, made if it is a new one."""
        key = feature, sides.tobytes()
        if key not in self.seen:
            self.seen[key] = self.offset + len(self.records)
            self.records.append((feature, len(self.sides)))
            self.sides.extend(sides.tolist())
        return self.seen[key]


def _plain(tree: Tree, tests: _Tests, features: int, place: int) -> Plain:
    """The tree with one value per node, and the column where each is decided."""
    inner = tree.left >= 0
    size = len(tree.left)
    children = np.concatenate([tree.left[inner], tree.right[inner]])
    tested = tree.feature[inner]
    if size == 0 or (children.size and not _are_children(children, size)):
        raise _not_a_tree(place)
    if tested.size and not (tested.min() >= 0 and tested.max() < features):
        raise _not_a_tree(place)
    feature = np.where(inner, tree.feature, 0).astype(np.uint32)
    column = (2 * feature + 1 + tree.null_left).astype(np.uint32)
    value = np.where(inner, tree.threshold, tree.value).astype(np.float64)
    for node, sides in tree.sides.items():
        column[node], value[node] = tests.column(int(feature[node]), sides), 0.0
    if np.isnan(value).any() or not np.isfinite(tree.value[~inner]).all():
        raise NotFlatError.of(
            "a tree of the model holds a value that is no number",
            expected="finite leaf values and thresholds",
            where=f"tree {place}",
            do="fit the model again",
        )
    return Plain(
        np.ascontiguousarray(tree.left, np.int32),
        np.ascontiguousarray(tree.right, np.int32),
        feature,
        column,
        value,
        np.ascontiguousarray(tree.cover, np.float64),
    )


def _are_children(children: Int32, size: int) -> bool:
    """Whether all are places in the tree, none the root, each with one parent: then nothing can go round."""
    return bool(children.min() > 0 and children.max() < size and np.bincount(children).max() == 1)


def _not_a_tree(place: int) -> HeadwaterError:
    """The letter about a damaged tree."""
    return NotFlatError.of(
        "a tree of the model is damaged",
        expected="nodes that each have one parent, and features that the model has",
        where=f"tree {place}",
        do="save the model again from where it was fitted",
    )


def _inputs(inputs: Sequence[Input]) -> tuple[Records, Float64]:
    """The rules of the inputs, and the known categories behind each other."""
    records, known = np.zeros(len(inputs), kernels.INPUT), []
    start = 0
    for place, entry in enumerate(inputs):
        categories = np.empty(0) if entry.categories is None else entry.categories
        records[place] = _rule(entry), start, start + len(categories)
        known.append(categories)
        start += len(categories)
    return records, np.concatenate([np.empty(0), *known]).astype(np.float64)


def _rule(entry: Input) -> int:
    """The flags of an input."""
    flags = {
        kernels.SINGLE: entry.single,
        kernels.SNAP: entry.nearly_zero != "itself",
        kernels.ZERO_IS_NULL: entry.nearly_zero == "null",
        kernels.CATEGORY: entry.categories is not None,
        kernels.TRUNCATE: entry.truncated,
        kernels.UNSIGNED: entry.unsigned,
        kernels.REFUSE_NULL: not entry.null,
    }
    return sum(flag for flag, on in flags.items() if on)
