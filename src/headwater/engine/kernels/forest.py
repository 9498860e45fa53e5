"""A tree ensemble as one flat forest, and the kernels that score a row with it.

Filled by ``forest_layout``, whose caller is ``models.forest.flat``; explained by ``treeshap``.

A row is first spread over *columns*, so that a node is nothing but ``column <= threshold`` and a step
down needs no branch that a processor could guess wrongly::

    columns  [ -inf | x0  x0' | x1  x1' | ... | c0 c1 ... ]
                |      |   |                      +-- one per categorical split: -1 goes left, +1 right
                |      |   +-- x0 with null read as -inf: a node that sends null to the left
                |      +-- x0 with null as NaN, which is never <=: a node that sends null to the right
                +-- leaves look here and stay where they are

The two children of a node lie side by side, so a step is ``left + (column > threshold)``; eight trees
walk in lockstep so that their memory loads overlap. Leaf values are added in the order of the trees.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.engine.kernels.forest_jit import kernel

Float64 = npt.NDArray[np.float64]
UInt8 = npt.NDArray[np.uint8]
Records = npt.NDArray[np.void]

LANES = 8  # trees, or rows, that walk together
BLOCK = 32  # rows that are spread at once: they stay in the processor's first cache

# --- what happens to an input before it is compared -----------------------------------------------
SINGLE = 1  # rounded to float32 (scikit-learn's trees, XGBoost)
SNAP = 2  # nearly zero is zero (LightGBM)
ZERO_IS_NULL = 4  # nearly zero is null (LightGBM's zero_as_missing)
CATEGORY = 8  # looked up among the known categories
TRUNCATE = 16  # a category's fraction is cut off first (LightGBM, XGBoost)
UNSIGNED = 32  # a negative category is an unknown one (XGBoost)
REFUSE_NULL = 64  # the library refuses null here: the score is NaN, and the caller raises
NEARLY_ZERO = 1.0000000180025095e-35  # LightGBM's kZeroThreshold: 1e-35 as a float32

# --- from the sum of the leaves to the score ------------------------------------------------------
MEAN, LOGISTIC, LOGISTIC_SINGLE = range(3)  # as it is; 1 / (1 + exp(-m)); XGBoost's, all in float32

NODE = np.dtype([("threshold", "f8"), ("column", "u4"), ("left", "u4")], align=True)
TREE = np.dtype([("root", "u4"), ("depth", "u4"), ("first", "u4"), ("stop", "u4")], align=True)
INPUT = np.dtype([("rule", "u4"), ("first", "u4"), ("stop", "u4")], align=True)
TEST = np.dtype([("input", "u4"), ("first", "u4")], align=True)
SPLIT = np.dtype(
    [
        ("threshold", "f8"),
        ("zero", "f8", (2,)),
        ("ratio", "f8", (2,)),
        ("scale", "f8", (2,)),
        ("column", "u4"),
        ("feature", "u4"),
        ("node", "u4"),
        ("left", "u4"),
        ("anchor", "u4"),
    ],
    align=True,
)


class Forest(NamedTuple):
    """The struct of arrays that the kernels share. Made by ``models.forest.flat.pack``.

    Attributes:
        nodes: NODE, all trees breadth-first. A leaf has its value in ``threshold``, column 0 and itself
            as ``left``.
        trees: TREE: the root's node, the depth, and the tree's range of ``splits``.
        splits: SPLIT: the inner nodes once more with what TreeSHAP needs; see ``treeshap``.
        inputs: INPUT, one per feature: its rule (the flags above) and its range of ``known``.
        known: float64, the known categories of each categorical feature, rising.
        tests: TEST, one per distinct categorical split: its feature, and where its sides start.
        sides: uint8, per test: 1 if left, for null, for an unknown category, then for each known one.
        quadrature: float64, shape (blocks, 4, 8); see ``treeshap``.
        base: what the sum of leaves starts from.
        divisor: what it is divided by (trees of an averaging ensemble).
        slope: what turns it into log-odds.
        link: MEAN, LOGISTIC or LOGISTIC_SINGLE.
        expected: the score (log-odds, or mean) expected when no feature is known.
    """

    nodes: Records
    trees: Records
    splits: Records
    inputs: Records
    known: Float64
    tests: Records
    sides: UInt8
    quadrature: Float64
    base: float
    divisor: float
    slope: float
    link: int
    expected: float


@kernel
def width(forest: Forest) -> int:
    """How many columns a row is spread over."""
    return int(1 + 2 * forest.inputs.shape[0] + forest.tests.shape[0])


@kernel
def category_of(known: Float64, first: int, stop: int, value: float) -> int:
    """The place of a category: 0 null, 1 unknown, 2 and up the known ones."""
    if math.isnan(value):
        return 0
    low, high = np.int64(first), np.int64(stop)
    while low < high:
        middle = (low + high) // 2
        if known[middle] < value:
            low = middle + 1
        else:
            high = middle
    if low < np.int64(stop) and known[low] == value:
        return int(low - np.int64(first) + 2)
    return 1


@kernel
def recode(forest: Forest, feature: int, value: float) -> float:
    """What the library does to an input before its trees see it; categories become their place."""
    entry = forest.inputs[feature]
    rule = entry["rule"]
    if rule & SINGLE:
        value = np.float64(np.float32(value))
    if rule & SNAP and abs(value) <= NEARLY_ZERO:
        value = np.nan if rule & ZERO_IS_NULL else 0.0
    if rule & CATEGORY:
        if rule & UNSIGNED and value < 0:
            return 1.0
        if rule & TRUNCATE:
            value = float(np.trunc(value))
        return float(category_of(forest.known, entry["first"], entry["stop"], value))
    return value


@kernel
def spread(forest: Forest, x: Float64, columns: Float64) -> bool:
    """Spread a row over its columns. False if it holds a null that the library refuses."""
    taken = True
    columns[0] = -np.inf
    for feature in range(x.shape[0]):
        value = x[feature]
        rule = forest.inputs[feature]["rule"]
        if rule:
            if rule & REFUSE_NULL and math.isnan(value):
                taken = False
            value = recode(forest, feature, value)
        columns[2 * feature + 1] = value
        columns[2 * feature + 2] = -np.inf if math.isnan(value) else value
    offset = 2 * x.shape[0] + 1
    for place in range(forest.tests.shape[0]):
        test = forest.tests[place]
        category = np.int64(columns[2 * np.int64(test["input"]) + 1])
        columns[offset + place] = -1.0 if forest.sides[np.int64(test["first"]) + category] else 1.0
    return taken


@kernel
def walk(forest: Forest, columns: Float64, at: npt.NDArray[np.uint64]) -> float:
    """The sum of the leaves that a spread row falls into, in the order of the trees.

    Unsigned indices throughout: signed ones cost a test for "counted from the end" at every load.
    """
    nodes, trees = forest.nodes, forest.trees
    lanes, count = np.uint64(LANES), np.uint64(trees.shape[0])
    total = forest.base
    for first in range(np.uint64(0), count, lanes):
        stop = min(np.uint64(first) + lanes, count)
        depth = np.uint32(0)
        for tree in range(np.uint64(first), stop):
            entry = trees[tree]
            at[tree - first] = entry["root"]
            depth = max(depth, entry["depth"])
        for _ in range(depth):
            for lane in range(stop - np.uint64(first)):
                node = nodes[at[lane]]
                right = not columns[np.uint64(node["column"])] <= node["threshold"]
                at[lane] = np.uint64(node["left"]) + np.uint64(right)
        for lane in range(stop - np.uint64(first)):
            total += nodes[at[lane]]["threshold"]
            if forest.link == LOGISTIC_SINGLE:
                total = np.float64(np.float32(total))
    return total


@kernel
def linked(forest: Forest, total: float) -> float:
    """The score that a sum of leaves stands for: a probability, 0 to 1."""
    if forest.link == MEAN:
        return total / forest.divisor
    if forest.link == LOGISTIC:
        return 1.0 / (1.0 + math.exp(-forest.slope * total / forest.divisor))
    one = np.float32(1.0)
    power = np.float32(math.exp(min(np.float32(-total), np.float32(88.7))))
    return np.float64(one / (power + one))


@kernel
def logit_single(probability: float) -> float:
    """The log-odds of a probability as XGBoost takes them: in float32, with the C library's logarithm.

    Here and not in numpy, whose own float32 logarithm differs in the last bits.
    """
    one = np.float32(1.0)
    return np.float64(-np.float32(math.log(one / np.float32(probability) - one)))


@kernel
def score_row(forest: Forest, x: Float64) -> float:
    """The score of one row, shape (features,); NaN if it holds a null that the library refuses."""
    columns = np.empty(width(forest), np.float64)
    if not spread(forest, x, columns):
        return np.nan
    return linked(forest, walk(forest, columns, np.empty(LANES, np.uint64)))


@kernel
def walk_rows(
    forest: Forest, columns: Float64, rows: int, at: npt.NDArray[np.uint64], total: Float64
) -> None:
    """``walk`` for the first ``rows`` of a block of spread rows, shape (BLOCK, width), into ``total``.

    Rows of one tree walk together here: each tree is fetched once for all of them, and none waits for the
    deepest of its neighbours. Leaves are added in the order of the trees, as in ``walk``.
    """
    nodes, trees = forest.nodes, forest.trees
    lanes, count = np.uint64(LANES), np.uint64(rows)
    for row in range(rows):
        total[row] = forest.base
    for tree in range(np.uint64(trees.shape[0])):
        entry = trees[tree]
        for first in range(np.uint64(0), count, lanes):
            width = min(np.uint64(first) + lanes, count) - np.uint64(first)
            for lane in range(width):
                at[lane] = entry["root"]
            for _ in range(entry["depth"]):
                for lane in range(width):
                    node = nodes[at[lane]]
                    right = not columns[first + lane, np.uint64(node["column"])] <= node["threshold"]
                    at[lane] = np.uint64(node["left"]) + np.uint64(right)
            for lane in range(width):
                sum_ = total[first + lane] + nodes[at[lane]]["threshold"]
                total[first + lane] = np.float64(np.float32(sum_)) if forest.link == LOGISTIC_SINGLE else sum_


@kernel
def score_rows(forest: Forest, X: Float64, out: Float64) -> None:
    """The scores of rows, shape (n, features), into ``out``, shape (n,)."""
    columns = np.empty((BLOCK, width(forest)), np.float64)
    at, total = np.empty(LANES, np.uint64), np.empty(BLOCK, np.float64)
    for first in range(0, X.shape[0], BLOCK):
        rows = min(BLOCK, X.shape[0] - first)
        for row in range(rows):
            out[first + row] = 0.0 if spread(forest, X[first + row], columns[row]) else np.nan
        walk_rows(forest, columns, rows, at, total)
        for row in range(rows):
            if out[first + row] == 0.0:
                out[first + row] = linked(forest, total[row])
