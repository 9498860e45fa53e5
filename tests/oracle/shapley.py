"""The slow truth of path-dependent Shapley values: by definition, and in fractions.

``by_definition`` asks for the value of every set of known features: obviously right, up to a dozen features.
``in_fractions`` sums over paths in exact rational arithmetic: for trees too deep for that. Both read a
``models.forest.tree.Tree``, know nothing of kernels, and are never optimised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations
from math import factorial, isnan

from headwater.models.forest.tree import Tree

GoesLeft = Callable[[Tree, int, Sequence[float]], bool]


def goes_left(tree: Tree, node: int, x: Sequence[float]) -> bool:
    """Where a row goes at a numeric node."""
    value = x[tree.feature[node]]
    return bool(tree.null_left[node]) if isnan(value) else bool(value <= tree.threshold[node])


def worth(tree: Tree, x: Sequence[float], known: frozenset[int], node: int = 0) -> float:
    """The tree's expected value when only some features of ``x`` are known."""
    left, right = int(tree.left[node]), int(tree.right[node])
    if left < 0:
        return float(tree.value[node])
    if tree.feature[node] in known:
        return worth(tree, x, known, left if goes_left(tree, node, x) else right)
    parts = tree.cover[left] * worth(tree, x, known, left) + tree.cover[right] * worth(tree, x, known, right)
    return float(parts / tree.cover[node])


def by_definition(tree: Tree, x: Sequence[float]) -> list[float]:
    """The mean, over all orders in which features become known, of what each one changes."""
    n = len(x)
    phi = [0.0] * n
    for feature in range(n):
        others = [other for other in range(n) if other != feature]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for chosen in combinations(others, size):
                known = frozenset(chosen)
                phi[feature] += weight * (worth(tree, x, known | {feature}) - worth(tree, x, known))
    return phi


Path = dict[int, tuple[int, Fraction]]  # feature -> (passes all its tests, share of rows that do)


def paths(
    tree: Tree, x: Sequence[float], node: int = 0, path: Path | None = None
) -> Iterator[tuple[Path, Fraction]]:
    """Each leaf's path, and its value."""
    path = path or {}
    if tree.left[node] < 0:
        yield path, Fraction(float(tree.value[node]))
        return
    feature, left = int(tree.feature[node]), goes_left(tree, node, x)
    passes, share = path.get(feature, (1, Fraction(1)))
    for child, taken in ((int(tree.left[node]), left), (int(tree.right[node]), not left)):
        ratio = Fraction(float(tree.cover[child])) / Fraction(float(tree.cover[node]))
        yield from paths(tree, x, child, {**path, feature: (passes * taken, share * ratio)})


def in_fractions(tree: Tree, x: Sequence[float]) -> list[Fraction]:
    """Per leaf and feature: the sum over the sizes of the sets of the other features, in exact numbers."""
    zero = Fraction(0)
    phi = [zero] * len(x)
    for path, value in paths(tree, x):
        d = len(path)
        for feature, (passes, share) in path.items():
            sets = [Fraction(1)]  # by size: the sum over sets of known others of the product of their factors
            for other, (o, z) in path.items():
                if other != feature:
                    sets = [z * a + o * b for a, b in zip([*sets, zero], [zero, *sets], strict=True)]
            weights = [Fraction(factorial(k) * factorial(d - k - 1), factorial(d)) for k in range(d)]
            mean = sum((w * s for w, s in zip(weights, sets, strict=True)), zero)
            phi[feature] += value * (passes - share) * mean
    return phi
