"""The common language of the importers: a tree, an input's rule, an ensemble.

Spoken by ``sklearn``, ``lightgbm`` and ``xgboost`` in this package; understood by ``flat``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from headwater.core.errors import ModelError

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]

Space = Literal["log-odds", "probability"]
Link = Literal["mean", "logistic", "logistic-single"]


class NotFlatError(ModelError):
    """The ensemble cannot be told exactly as a flat forest; its own ``predict_proba`` still can score it."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree as its library numbers it. Node 0 is the root; all arrays have shape (nodes,).

    Attributes:
        left: int32, the child of rows with ``x <= threshold`` or a category of the left side; -1 at leaves.
        right: int32, the other child.
        feature: int32, the place in the feature vector; anything at leaves.
        threshold: float64; anything at leaves and categorical nodes.
        null_left: bool, whether null goes left; nothing is read from it at categorical nodes.
        value: float64, the value of a leaf; anything elsewhere.
        cover: float64, training rows (or their weight) that reached the node.
        sides: per categorical node, bool: whether null, an unknown category, then each known category of
            its feature goes left.
    """

    left: Int32
    right: Int32
    feature: Int32
    threshold: Float64
    null_left: Bool
    value: Float64
    cover: Float64
    sides: Mapping[int, Bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Input:
    """What the library does to a feature before its trees see it.

    Attributes:
        single: it is rounded to float32.
        nearly_zero: what a value nearer to zero than 1e-35 is: itself, zero, or null.
        null: whether null is taken at all.
        categories: the known categories, rising, if the feature is categorical.
        truncated: a category's fraction is cut off.
        unsigned: a negative category is an unknown one.
    """

    single: bool = False
    nearly_zero: Literal["itself", "zero", "null"] = "itself"
    null: bool = True
    categories: Float64 | None = None
    truncated: bool = False
    unsigned: bool = False


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Trees and how their leaves become a score: ``link(slope * (base + sum of leaves) / divisor)``."""

    trees: Sequence[Tree]
    inputs: Sequence[Input]
    base: float = 0.0
    divisor: float = 1.0
    slope: float = 1.0
    link: Link = "logistic"

    @property
    def space(self) -> Space:
        """What contributions are measured in."""
        return "probability" if self.link == "mean" else "log-odds"
