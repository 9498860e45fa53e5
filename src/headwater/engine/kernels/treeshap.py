"""Path-dependent TreeSHAP by quadrature: what each feature added to a score, exactly.

Called by ``models.forest.scorer`` with the forest of ``kernels.forest``.

The Shapley value of feature i at one leaf with value v, whose path tests d distinct features, is::

    v (o_i - z_i)  *  integral over t in [0, 1] of  prod_{j != i} ( t o_j + (1 - t) z_j )

where o_j is 1 if the row passes all tests of j on the path, else 0, and z_j is the share of the
training rows that follow them (the products of child cover / parent cover). The integrand is a
polynomial of degree d - 1, so Gauss-Legendre quadrature with n points is exact for d <= 2n: eight
points for sixteen distinct features on one path, sixteen points in two blocks for thirty-two, and so
on. All factors are positive: nothing cancels and nothing is interpolated, at any depth.

One pass down a tree carries ``w``: the product of the factors q_j = t_k o_j + (1 - t_k) z_j at the
eight points, times the quadrature weights. A feature that is tested again replaces its factor: divide
by the one at its *anchor*, the node where its last test on the path ended, and multiply by the new
one. Leaves multiply by their value. The pass up sums ``w`` over each subtree and adds, per split::

    hot child   (passes)  + w (1 - z) / (t + (1 - t) z)
    cold child  (fails)   - w / (1 - t)                     z cancels
    the anchor  (replaced)- w (1 - z_a) / (t + (1 - t) z_a)   of both children together

Below a cold edge of the same feature nothing more can be lost: the three terms cancel, and children only
share ``w`` by cover. Cost: a fixed number of operations per node, whatever the depth.

This is Quadrature-TreeSHAP (Wettenstein, Mitchell and Yu 2026, arXiv:2605.04497), which puts Linear
TreeSHAP (Yu et al. 2022) on quadrature points. Linear TreeSHAP itself interpolates and loses all digits
from about thirty features on a path; FastTreeSHAP v1 keeps the d^2 per leaf, and v2 tables of 2^d.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels.forest import Float64, Forest, Records, UInt8, spread, width
from headwater.engine.kernels.forest_jit import kernel

POINTS = 8
UInt64 = np.uint64


def quadrature(distinct: int) -> Float64:
    """Gauss-Legendre points on [0, 1] that are exact for paths of ``distinct`` features.

    Returns:
        float64, shape (blocks, 4, 8): t, 1 - t, the weights, and -1 / (1 - t). From 128 distinct features
        on, sixty-four points are used: exact to the last digit, though no longer by theorem.

    Example:
        >>> quadrature(5).shape, quadrature(17).shape
        ((1, 4, 8), (2, 4, 8))
    """
    blocks = min(max(-(-distinct // (2 * POINTS)), 1), 8)
    point, weight = np.polynomial.legendre.leggauss(blocks * POINTS)
    t, rest = (1 + point) / 2, (1 - point) / 2
    table = np.stack([t, rest, weight / 2, -1 / rest])
    return np.ascontiguousarray(table.reshape(4, blocks, POINTS).swapaxes(0, 1))


@kernel
def descend(
    splits: Records, table: Float64, columns: Float64, w: Float64, inverse: Float64, hot: UInt8
) -> None:
    """Carry ``w`` from the root to the leaves of one tree; note 1 / q and whether each edge is passed."""
    for place in range(splits.shape[0]):
        split = splits[UInt64(place)]
        node, left, anchor = UInt64(split["node"]), UInt64(split["left"]), UInt64(split["anchor"])
        side = UInt64(not columns[UInt64(split["column"])] <= split["threshold"])
        other = UInt64(1) - side
        passed, failed = left + side, left + other
        hot[failed] = 0
        hot[passed] = hot[anchor]
        if hot[anchor]:
            zero, scale = split["zero"][side], split["scale"][side]
            lost = split["zero"][other] * split["scale"][other]
            for k in range(POINTS):
                q = table[0, k] + table[1, k] * zero
                above = w[node, k] * inverse[anchor, k]
                w[passed, k] = above * q * scale
                w[failed, k] = above * (table[1, k] * lost)
                inverse[passed, k] = 1.0 / q
        else:
            kept, shared = (
                split["ratio"][side] * split["scale"][side],
                split["ratio"][other] * split["scale"][other],
            )
            for k in range(POINTS):
                w[passed, k] = w[node, k] * kept
                w[failed, k] = w[node, k] * shared


@kernel
def ascend(
    splits: Records, table: Float64, w: Float64, inverse: Float64, hot: UInt8, gain: Float64, phi: Float64
) -> None:
    """Sum ``w`` from the leaves to the root of one tree and add each split's share to ``phi``.

    ``gain`` is scratch, shape (nodes,): 1 - z of passed edges; 0 at the root.
    """
    for place in range(splits.shape[0]):
        split = splits[UInt64(place)]
        left = UInt64(split["left"])
        gain[left] = 1.0 - split["zero"][0]
        gain[left + UInt64(1)] = 1.0 - split["zero"][1]
    count = UInt64(splits.shape[0])
    for place in range(splits.shape[0]):
        split = splits[count - UInt64(1) - UInt64(place)]
        node, left, anchor = UInt64(split["node"]), UInt64(split["left"]), UInt64(split["anchor"])
        right = left + UInt64(1)
        if hot[anchor]:
            passed, failed = (left, right) if hot[left] else (right, left)
            feature, won, held = UInt64(split["feature"]), gain[passed], gain[anchor]
            for k in range(POINTS):
                both = w[passed, k] + w[failed, k]
                phi[feature, k] += (
                    w[passed, k] * (won * inverse[passed, k])
                    + w[failed, k] * table[3, k]
                    - both * (held * inverse[anchor, k])
                )
                w[node, k] = both
        else:
            for k in range(POINTS):
                w[node, k] = w[left, k] + w[right, k]


@kernel
def explain_rows(forest: Forest, X: Float64, out: Float64) -> None:
    """Contributions of rows, shape (n, features), into ``out`` of the same shape.

    In the unit of ``forest.expected``: log-odds, or mean. A row with a null that the library refuses gives
    a row of NaN.
    """
    features = X.shape[1]
    largest = 1
    for entry in forest.trees:
        nodes = 2 * (np.int64(entry["stop"]) - np.int64(entry["first"])) + 1
        if nodes > largest:
            largest = int(nodes)
    columns = np.empty(width(forest), np.float64)
    w, inverse = np.empty((largest, POINTS)), np.empty((largest, POINTS))
    gain, hot = np.empty(largest), np.empty(largest, np.uint8)
    inverse[0, :] = 1.0
    gain[0] = 0.0
    hot[0] = 1
    phi = np.empty((features, POINTS))
    unit = forest.slope / forest.divisor
    for row in range(X.shape[0]):
        if not spread(forest, X[row], columns):
            out[row, :] = np.nan
            continue
        phi[:, :] = 0.0
        for tree in range(forest.trees.shape[0]):
            splits = forest.splits[forest.trees[tree]["first"] : forest.trees[tree]["stop"]]
            for block in range(forest.quadrature.shape[0]):
                table = forest.quadrature[block]
                w[0, :] = table[2]
                descend(splits, table, columns, w, inverse, hot)
                ascend(splits, table, w, inverse, hot, gain, phi)
        for feature in range(features):
            total = 0.0
            for k in range(POINTS):
                total += phi[feature, k]
            out[row, feature] = total * unit
