"""Packing: trees that are none are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headwater.models.forest.flat import pack
from headwater.models.forest.tree import Ensemble, Input, NotFlatError, Tree
from tests.letters import says
from tests.models.trees import grow

GOOD = grow(np.random.default_rng(1), 2, 4)
DAMAGED = """
    a tree of the model is damaged
      expected: nodes that each have one parent, and features that the model has
      where:    tree 1
      do:       save the model again from where it was fitted
    """


def packed(tree: Tree) -> None:
    pack(Ensemble([GOOD, tree], [Input(), Input()]))


@pytest.mark.parametrize(
    "tree",
    [
        replace(GOOD, left=np.where(GOOD.left > 0, 99, -1).astype(np.int32)),
        replace(GOOD, right=np.where(GOOD.left > 0, 0, -1).astype(np.int32)),
        replace(GOOD, left=np.where(GOOD.left > 0, 1, -1).astype(np.int32)),
        replace(GOOD, feature=np.full(7, 2, np.int32)),
        replace(GOOD, left=np.empty(0, np.int32), right=np.empty(0, np.int32), feature=np.empty(0, np.int32)),
    ],
    ids=["beyond the end", "back to the root", "bites its tail", "unknown feature", "empty"],
)
def test_a_tree_that_is_none(tree: Tree) -> None:
    with says(NotFlatError, DAMAGED):
        packed(tree)


@pytest.mark.parametrize(
    "tree", [replace(GOOD, value=np.full(7, np.nan)), replace(GOOD, threshold=np.full(7, np.nan))]
)
def test_a_value_that_is_no_number(tree: Tree) -> None:
    letter = """
        a tree of the model holds a value that is no number
          expected: finite leaf values and thresholds
          where:    tree 1
          do:       fit the model again
        """
    with says(NotFlatError, letter):
        packed(tree)


def test_nodes_that_nothing_leads_to_are_left_out() -> None:
    alone = replace(GOOD, left=np.full(7, -1, np.int32), right=np.full(7, -1, np.int32))
    forest = pack(Ensemble([alone, GOOD], [Input(), Input()]))
    assert len(forest.nodes) == 8
    assert len(forest.splits) == 3
    assert forest.trees["depth"][0] == 0
