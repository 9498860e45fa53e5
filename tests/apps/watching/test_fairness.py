"""Fairness by a column that is replayed from the log."""

from __future__ import annotations

import pytest

from tests.apps.cli.conftest import Headwater

pytestmark = pytest.mark.usefixtures("lender")
STRETCH = ("--from", "2026-05-01", "--to", "2026-05-15", "--bootstrap", "20")


def test_groups_are_compared(headwater: Headwater) -> None:
    pytest.importorskip("fairlearn.metrics")
    ended = headwater("fairness", "--by", "spent_30d", "--cut", "1000", *STRETCH, "--json")
    found = ended.json
    assert "error" not in found, found
    low, high = sorted(found["groups"], key=lambda one: one["name"] != "up to 1000")
    assert (low["name"], high["name"]) == ("up to 1000", "over 1000")
    assert low["selection"][0] > high["selection"][0]  # who spends much is scored higher
    assert (found["favourable"], found["report"]) == (["calm"], 1)
    assert ended.code == (9 if found["level"] == "alarm" else 0)
    assert "impact ratio" in headwater("fairness", "--by", "spent_30d", "--cut", "1000", *STRETCH).out


def test_a_column_that_is_none(headwater: Headwater) -> None:
    headwater("fairness", "--by", "sex", *STRETCH).fails(
        4,
        """
        the model has no column 'sex'
          expected: one of n_7d, n_30d, spent_30d, amount
          where:    risk
          do:       name one of them; a protected one is declared with hw.Model(protected=[...])
        """,
    )


def test_a_column_with_too_many_values(headwater: Headwater) -> None:
    ended = headwater("fairness", "--by", "spent_30d", *STRETCH)
    assert ended.code == 4
    assert "the column has too many values to be groups" in ended.err


def test_a_band_that_is_none(headwater: Headwater) -> None:
    headwater("fairness", "--by", "n_7d", "--favourable", "lend", *STRETCH).fails(
        4,
        """
        the policy has no such band
          expected: some of calm, watch
          got:      lend
          where:    risk_policy
          do:       name the bands that are the favourable decision
        """,
    )
