from __future__ import annotations

from typing import Any

import pytest

import headwater as hw
from headwater.core.errors import DefinitionError
from tests.definitions.bank import model
from tests.letters import says

BANDS = {"healthy": 0.0, "watch": 0.08, "act": 0.25}


def policy(**changes: Any) -> hw.Policy:
    arguments: dict[str, Any] = {"name": "care", "model": model(), "bands": BANDS}
    return hw.Policy(**(arguments | changes))


@pytest.mark.parametrize(
    ("score", "band"),
    [(0.0, "healthy"), (0.0799, "healthy"), (0.08, "watch"), (0.25, "act"), (1.0, "act")],
)
def test_a_score_falls_into_the_last_band_that_it_reaches(score: float, band: str) -> None:
    assert policy().band(score) == band


def test_all_problems_at_once() -> None:
    with says(
        DefinitionError,
        """
        the first band does not start at 0.0
          expected: names with their lowest scores, ascending from 0.0 to at most 1.0
          got:      watch 0.08, act 0.25, alarm 0.25
          where:    care.bands
          do:       write them like {"healthy": 0.0, "watch": 0.08, "act": 0.25}
        the bands do not ascend
          expected: names with their lowest scores, ascending from 0.0 to at most 1.0
          got:      watch 0.08, act 0.25, alarm 0.25
          where:    care.bands
          do:       write them like {"healthy": 0.0, "watch": 0.08, "act": 0.25}
        the column 'n_7' is not in the inputs of early_warning
          expected: one of n_7d, n_30d, spent_30d, amount
          got:      'n_7'
          where:    care.reasons.n_7
          do:       did you mean 'n_7d'?
        a reason has no text
          expected: a sentence
          got:      ' '
          where:    care.reasons.n_30d
          do:       write what the person is told
        a decision cannot name so many reasons
          expected: a number from 1 to 4
          got:      5
          where:    care.max_reasons
          do:       give a number from 1 to 4
        """,
    ):
        policy(
            bands={"watch": 0.08, "act": 0.25, "alarm": 0.25},
            reasons={"n_7": "Little happened", "n_30d": " "},
            max_reasons=5,
        )


def test_scores_are_probabilities() -> None:
    with says(
        DefinitionError,
        """
        a band's lowest score is no score
          expected: names with their lowest scores, ascending from 0.0 to at most 1.0
          got:      nan
          where:    care.bands.act
          do:       write them like {"healthy": 0.0, "watch": 0.08, "act": 0.25}
        """,
    ):
        policy(bands={"healthy": 0, "act": float("nan")})
    with says(
        DefinitionError,
        """
        a policy needs bands
          expected: names with their lowest scores, ascending from 0.0 to at most 1.0
          got:      {}
          where:    care.bands
          do:       write them like {"healthy": 0.0, "watch": 0.08, "act": 0.25}
        a policy needs a model
          expected: an hw.Model
          got:      'early_warning'
          where:    care.model
          do:       give the model whose score it reads
        """,
    ):
        policy(bands={}, model="early_warning")


def test_bands_have_names() -> None:
    with says(
        DefinitionError,
        """
        a band has no name
          expected: names with their lowest scores, ascending from 0.0 to at most 1.0
          got:      ''
          where:    care.bands
          do:       write them like {"healthy": 0.0, "watch": 0.08, "act": 0.25}
        """,
    ):
        policy(bands={"": 0.0})
