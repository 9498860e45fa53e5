"""Lay a library's tree out flat: breadth-first, children side by side, with what TreeSHAP needs.

Called by ``models.forest.flat.pack``, once per tree, when a model is loaded. Read ``forest`` and
``treeshap`` first: they say what the records mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.engine.kernels.forest import Float64, Records
from headwater.engine.kernels.forest_jit import kernel

Int32 = npt.NDArray[np.int32]
UInt32 = npt.NDArray[np.uint32]

FAINTEST = 1e-200  # the share of a path that no training row followed: no zero, so that q has an inverse


class Shape(NamedTuple):
    """What a laid-out tree measures."""

    nodes: int  # that can be reached from the root
    splits: int
    depth: int
    distinct: int  # the most distinct features on one path
    expected: float  # its value when no feature is known


class Plain(NamedTuple):
    """One tree as its library numbers it, shape (nodes,) each; children of a leaf are -1.

    ``value`` is the threshold of an inner node (its row goes left if ``column <= value``) and the value of
    a leaf. ``column`` is the place in a spread row, ``feature`` the place in the feature vector.
    """

    left: Int32
    right: Int32
    feature: UInt32
    column: UInt32
    value: Float64
    cover: Float64


@kernel
def share(part: float, whole: float) -> float:
    """The share of a node's training rows that went into one child; one half where there were none."""
    return part / whole if whole > 0.0 else 0.5


@kernel
def lay_out(tree: Plain, nodes: Records, root: int, splits: Records) -> Shape:
    """Write ``tree`` into ``nodes`` and ``splits``, both at least as long as the tree.

    Args:
        tree: the tree as the library has it; each node has one parent, or none.
        nodes: NODE, written from place 0.
        root: the place of ``nodes[0]`` in the whole forest, added to every ``left``.
        splits: SPLIT, written from place 0; its node numbers count from the tree's own root.
    """
    size = tree.left.shape[0]
    order, parent = np.zeros(size, np.int64), np.zeros(size, np.int64)
    depth, distinct = np.zeros(size, np.int64), np.zeros(size, np.int64)
    zero, weight = np.ones(size), np.ones(size)
    tail, count, deepest, most, expected = 1, 0, 0, 0, 0.0
    for place in range(size):
        if place == tail:
            break
        old = order[place]
        node = nodes[place]
        node["threshold"] = tree.value[old]
        if tree.left[old] < 0:
            node["column"], node["left"] = 0, root + place
            deepest, most = max(deepest, depth[place]), max(most, distinct[place])
            expected += weight[place] * tree.value[old]
            continue
        node["column"], node["left"] = tree.column[old], root + tail
        feature, anchor = tree.feature[old], place
        while anchor != 0 and tree.feature[order[parent[anchor]]] != feature:
            anchor = parent[anchor]
        split = splits[count]
        split["threshold"], split["column"], split["feature"] = tree.value[old], tree.column[old], feature
        split["node"], split["left"], split["anchor"] = place, tail, anchor
        for side in range(2):
            child, new = (tree.right[old] if side else tree.left[old]), tail + side
            order[new], parent[new], depth[new] = child, place, depth[place] + 1
            distinct[new] = distinct[place] + (anchor == 0)
            ratio = share(tree.cover[child], tree.cover[old])
            weight[new] = weight[place] * ratio
            zero[new] = max(zero[anchor] * ratio, FAINTEST)
            split["zero"][side], split["ratio"][side] = zero[new], ratio
            split["scale"][side] = tree.value[child] if tree.left[child] < 0 else 1.0
        tail += 2
        count += 1
    return Shape(tail, count, deepest, most, expected)
