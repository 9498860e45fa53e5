"""A policy: from a score to a band, and from contributions to reasons in words.

Written by the user; applied by ``serving.decide`` and ``serving.reasons``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

from headwater.core.errors import DefinitionError, Problem
from headwater.definitions.definition import Definition, frozen, name_problems, path
from headwater.definitions.model import Model
from headwater.definitions.stream import unknown

MOST_REASONS = 4  # as adverse-action practice has it


@dataclass(frozen=True, init=False, eq=False)
class Policy(Definition):
    """Bands of the score, and texts for its reasons.

    Args:
        name: an identifier, unique in the project.
        model: whose score it reads.
        bands: outcome to the lowest score that gets it, ascending; the first is 0.0.
        reasons: input of the model to the text that explains it. Two inputs may share a text; they are
            then one reason.
        max_reasons: how many reasons a decision names at most, 1 to 4.

    Raises:
        DefinitionError: with all problems at once.

    Example:
        >>> import polars as pl
        >>> import headwater as hw
        >>> from sklearn.linear_model import LogisticRegression
        >>> visits = hw.Stream("visits", {"user": pl.Int64, "time": pl.Datetime("us", "UTC")})
        >>> activity = hw.FeatureView("activity", visits, "user", {"n": hw.count(over="7d")})
        >>> soon = hw.happens(visits, within="7d")
        >>> returns = hw.Model("returns", [activity], soon, hw.every("7d"), LogisticRegression())
        >>> Policy("greet", returns, bands={"wait": 0.0, "write": 0.4}).band(0.4)
        'write'
    """

    refers: ClassVar[frozenset[str]] = frozenset({"model"})

    name: str
    model: Model
    bands: Mapping[str, float]
    reasons: Mapping[str, str]
    max_reasons: int

    def __init__(
        self,
        name: str,
        model: Model,
        bands: Mapping[str, float],
        reasons: Mapping[str, str] | None = None,
        max_reasons: int = MOST_REASONS,
    ) -> None:
        where = path(name, Policy)
        reasons = {} if reasons is None else reasons
        problems = name_problems(name, f"{where}.name", "policy")
        problems += _band_problems(bands, f"{where}.bands")
        problems += _reason_problems(model, reasons, where)
        problems += _limit_problems(max_reasons, f"{where}.max_reasons")
        DefinitionError.raise_if(problems)
        scores = {band: float(score) for band, score in bands.items()}
        self._set(
            name=name, model=model, bands=frozen(scores), reasons=frozen(reasons), max_reasons=max_reasons
        )

    def band(self, score: float) -> str:
        """The outcome of a score: the last band whose lowest score it reaches."""
        names, lowest = self._steps
        return names[bisect_right(lowest, score) - 1]

    @cached_property
    def _steps(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        return tuple(self.bands), tuple(self.bands.values())


def _band_problems(bands: Any, where: str) -> list[Problem]:
    if not isinstance(bands, Mapping) or not bands:
        return [_problem("a policy needs bands", repr(bands), where)]
    problems = []
    for band, score in bands.items():
        if not isinstance(band, str) or not band:
            problems.append(_problem("a band has no name", repr(band), where))
        if not _probability(score):
            problems.append(_problem("a band's lowest score is no score", repr(score), f"{where}.{band}"))
    if problems:
        return problems
    if next(iter(bands.values())) != 0:
        problems.append(_problem("the first band does not start at 0.0", _shown(bands), where))
    if any(low >= high for low, high in pairwise(bands.values())):
        problems.append(_problem("the bands do not ascend", _shown(bands), where))
    return problems


def _reason_problems(model: Any, reasons: Any, where: str) -> list[Problem]:
    if not isinstance(model, Model):
        return [
            Problem(
                "a policy needs a model",
                expected="an hw.Model",
                got=repr(model),
                where=f"{where}.model",
                do="give the model whose score it reads",
            )
        ]
    problems = []
    for name, text in reasons.items():
        place = f"{where}.reasons.{name}"
        known = dict.fromkeys(model.inputs)
        problems += unknown(name, known, place, f"the inputs of {model.name}")
        if not isinstance(text, str) or not text.strip():
            problems.append(
                Problem(
                    "a reason has no text", "a sentence", repr(text), place, "write what the person is told"
                )
            )
    return problems


def _limit_problems(max_reasons: object, where: str) -> list[Problem]:
    if (
        isinstance(max_reasons, int)
        and not isinstance(max_reasons, bool)
        and 1 <= max_reasons <= MOST_REASONS
    ):
        return []
    return [
        Problem(
            "a decision cannot name so many reasons",
            expected=f"a number from 1 to {MOST_REASONS}",
            got=repr(max_reasons),
            where=where,
            do=f"give a number from 1 to {MOST_REASONS}",
        )
    ]


def _probability(score: object) -> bool:
    return (
        isinstance(score, int | float)
        and not isinstance(score, bool)
        and math.isfinite(score)
        and 0 <= score <= 1
    )


def _shown(bands: Mapping[str, float]) -> str:
    return ", ".join(f"{band} {score}" for band, score in bands.items())


def _problem(what: str, got: str, where: str) -> Problem:
    return Problem(
        what,
        expected="names with their lowest scores, ascending from 0.0 to at most 1.0",
        got=got,
        where=where,
        do='write them like {"healthy": 0.0, "watch": 0.08, "act": 0.25}',
    )
