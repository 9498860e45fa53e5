"""How often the gate errs: what counts as an error, and how errors are summed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.gate import KINDS, MODEL, summed, worse
from headwater.retraining.rules import Rules

CHAMPION = np.array([0.9, 0.8, 0.002])


@pytest.mark.parametrize(
    ("gap", "is_worse"),
    [
        ((0.0, 0.0, 0.0), False),
        ((-0.019, -0.079, 0.00009), False),
        ((-0.021, 0.0, 0.0), True),
        ((0.0, -0.081, 0.0), True),
        ((0.0, 0.0, 0.00011), True),
    ],
)
def test_worse_is_worse_by_more_than_a_margin_of_the_gate(gap: tuple[float, ...], is_worse: bool) -> None:
    assert worse(np.array(gap), CHAMPION, Rules()) is is_worse


def one(kind: str, *, promoted: bool, worse: bool, held_by: tuple[str, ...] = ()) -> dict[str, Any]:
    facts = {"promoted": promoted, "worse": worse, "held_by": list(held_by)}
    return {"kind": kind, "share": 4, "positives": 100, "truth": [0.0, 0.0, 0.0], **facts}


def test_a_promotion_and_a_refusal_may_be_false() -> None:
    found = [
        one("same", promoted=True, worse=False),
        one("same", promoted=True, worse=True),
        one("same", promoted=False, worse=False, held_by=("outcomes brier", "outcomes roc_auc")),
        one("lost", promoted=False, worse=True, held_by=("outcomes brier",)),
    ]
    same, lost = summed(found)
    assert (same["gates"], same["promoted"], same["falsely_promoted"], same["falsely_held"]) == (3, 2, 1, 1)
    assert (lost["gates"], lost["promoted"], lost["falsely_promoted"], lost["falsely_held"]) == (1, 0, 0, 0)
    assert same["held_by"] == {"outcomes brier": 1, "outcomes roc_auc": 1}


def test_a_spoiled_candidate_is_spoiled_in_what_it_learns() -> None:
    rng = np.random.default_rng(0)
    y, X = (rng.random(1_000) < 0.2).astype(np.float64), rng.normal(size=(1_000, len(MODEL.inputs)))
    for name, kind in KINDS.items():
        labels, inputs = kind.spoil(y, X, np.random.default_rng(1))
        changed = not np.array_equal(labels, y) or not np.array_equal(inputs, X, equal_nan=True)
        assert changed or bool(kind.more) or kind.sound, name
        assert not (kind.sound and changed), name
    assert np.isfinite(X).all()
    assert np.isin(y, (0.0, 1.0)).all()
