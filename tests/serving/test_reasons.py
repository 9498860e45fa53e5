"""Reasons: what pushed the score up, in words that are true of the value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwater as hw
from headwater.models.reference import Reference
from headwater.serving.reasons import Reasons, reasons
from headwater.serving.scoring import Scoring
from headwater.store.decision import Reason
from tests.serving.bank import POLICY, RISK, scoring

NAMES = RISK.inputs


@dataclass
class Told:
    """A scorer that moves the score as it is told: a linear one, its slopes chosen for the row at hand."""

    moved: dict[str, float]
    names: tuple[str, ...] = NAMES
    kind: Any = "linear"
    space: Any = "log-odds"
    why_not_flat: str | None = None

    def score(self, X: np.ndarray) -> np.ndarray:
        return np.full(len(X), 0.5)

    def score_one(self, x: np.ndarray) -> float:
        return float(self.score(x[np.newaxis])[0])

    def contributions(self, X: np.ndarray) -> tuple[np.ndarray, float]:
        return np.array([[self.moved.get(name, 0.0) for name in NAMES]] * len(X)), 0.0


def told(
    moved: dict[str, float],
    values: dict[str, float] | None = None,
    usual: dict[str, Reference] | None = None,
    **changes: Any,
) -> tuple[Reason, ...]:
    """The reasons where these inputs moved the score; every value is 2 and usually 1, unless said."""
    ordinary = Reference(100, 0, 1.0, 0.0, (1.0,) * 7)
    artifact = replace(
        scoring().artifact, references={name: (usual or {}).get(name, ordinary) for name in NAMES}
    )
    given = {"way": 0.0, "job": 0.0} | (values or {})
    x = np.array([given.get(name, 2.0) for name in NAMES])
    policy = hw.Policy("lend", RISK, POLICY.bands, changes.pop("texts", POLICY.reasons), **changes)
    return reasons(policy, Scoring(RISK, artifact, "digest", Told(moved)), x)


def texts(found: tuple[Reason, ...]) -> list[str]:
    return [reason.text for reason in found]


def test_the_strongest_first_and_only_what_pushes_up() -> None:
    found = told({"n_7d": 0.1, "largest_30d": 0.5, "income": -0.9, "n_30d": 0.2})
    assert [reason.feature for reason in found] == ["largest_30d", "n_30d", "n_7d"]
    assert found[0] == Reason("Largest (30 days) higher than usual", "largest_30d", 2.0, 1.0, 0.5)


def test_a_text_of_the_policy_comes_with_value_and_reference() -> None:
    assert told({"pace": 0.4}) == (Reason("Much was spent", "pace", 2.0, 1.0, 0.4),)


def test_reasons_of_one_text_are_merged_under_the_heaviest() -> None:
    (reason,) = told({"pace": 0.125, "spent_7d": 0.5, "spent_30d": 0.25})
    assert reason == Reason("Much was spent", "spent_7d", 2.0, 1.0, 0.875)


def test_what_pulls_down_under_the_same_text_counts_against_it() -> None:
    found = told({"pace": 0.5, "spent_7d": -0.4, "n_7d": 0.2})
    assert texts(found) == ["Count of payments (7 days) higher than usual", "Much was spent"]
    assert texts(told({"pace": 0.5, "spent_7d": -0.6})) == []


def test_four_at_most_or_fewer_if_the_policy_says_so() -> None:
    moved = {name: 0.1 + 0.01 * i for i, name in enumerate(NAMES)}
    assert len(told(moved, texts={})) == 4
    assert len(told(moved, texts={}, max_reasons=2)) == 2


def test_a_usual_value_is_no_reason() -> None:
    assert told({"income": 0.5}, {"income": 1.0}) == ()
    found = told({"pace": 0.5, "spent_7d": 0.1}, {"pace": 1.0})
    assert [(reason.feature, reason.contribution) for reason in found] == [("spent_7d", 0.6)]


def test_where_null_is_usual_null_is_no_reason_and_a_value_is_one() -> None:
    mostly_null = {"since_cash": Reference(100, 60, 1.0, 0.0, (1.0,) * 7)}
    assert told({"since_cash": 0.5}, {"since_cash": np.nan}, mostly_null) == ()
    (reason,) = told({"since_cash": 0.5}, {"since_cash": 1.0}, mostly_null)
    assert (reason.text, reason.reference) == ("Time since cash out of the ordinary", None)


def test_a_missing_value_where_there_usually_is_one() -> None:
    (reason,) = told({"income": 0.5}, {"income": np.nan})
    assert (reason.text, reason.value, reason.reference) == ("Income unknown", None, 1.0)


def test_categories_are_named() -> None:
    (reason,) = told({"way": 0.5}, {"way": 1.0}, {"way": Reference(100, 0, 0.0, 0.0, (0.0,) * 7)})
    assert (reason.value, reason.reference) == ("cash", "card")


def test_nothing_moved_no_reasons() -> None:
    assert told({}) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.0, "Largest (30 days) higher than usual"), (0.5, "Largest (30 days) lower than usual")],
)
def test_a_generated_text_says_which_way(value: float, text: str) -> None:
    assert texts(told({"largest_30d": 1.0}, {"largest_30d": value})) == [text]


numbers = st.lists(st.sampled_from([-2.0, -0.0, 0.0, 0.5, 1.0, 2.0, float("nan")]), min_size=len(NAMES))


@given(values=numbers, moved=numbers, most=st.integers(1, 4))
def test_inputs_with_texts_of_their_own_need_no_groups(
    values: list[float], moved: list[float], most: int
) -> None:
    """The short way says what the long one says, ties and usual values included."""
    ordinary = Reference(100, 0, 1.0, 0.0, (1.0,) * 7)
    artifact = replace(scoring().artifact, references=dict.fromkeys(NAMES, ordinary))
    policy = hw.Policy("lend", RISK, POLICY.bands, {}, max_reasons=most)
    told = Reasons(policy, Scoring(RISK, artifact, "digest", Told({})))
    inputs = {"way": 0.0, "job": 1.0}  # categories
    x = np.array([inputs.get(name, value) for name, value in zip(NAMES, values, strict=False)])
    phi = np.array(moved[: len(NAMES)])
    assert told._apart
    assert told._strongest(x, phi) == told._grouped(x, phi)
