"""From measurements to a verdict: quiet, watch or alarm; and "too few" instead of a guess.

A finding must pass two bars. It must not be chance: its p-value is corrected for all that was looked at in
this window (Benjamini and Hochberg, 1995) and held against an ``alpha`` that is small enough for windows to
be looked at again and again. And it must matter: its effect must reach a floor, since with enough rows any
difference is proved. Called by ``drift`` and ``streams``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from headwater.core.instant import DAY

Float64 = npt.NDArray[np.float64]
Level = Literal["too few", "quiet", "watch", "alarm"]
Measure = Literal["psi", "ks", "missing", "unseen", "vanished", "range", "volume", "lateness"]

LEVELS: tuple[Level, ...] = ("too few", "quiet", "watch", "alarm")
MONTH = 30 * DAY

FLOORS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "psi": (0.05, 0.1),  # PSI beyond what chance gives
        "ks": (0.05, 0.1),  # widest gap of the distribution functions
        "missing": (0.02, 0.05),  # change of the share
        "unseen": (0.002, 0.01),  # share of rows with a category never seen
        "vanished": (0.01, 0.02),  # usual share of the categories that are gone
        "range": (0.005, 0.02),  # share of rows outside what was ever seen
        "volume": (0.2, 0.5),  # share of events that is lacking; doubled counts like halved
        "lateness": (0.1, 0.2),  # widest gap of the distribution functions
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """When to say what.

    Attributes:
        every: how often a window is looked at, microseconds: how far one window begins after another.
        false_alarms: how often quiet data may raise an alarm: so many in thirty days.
        watch: ``watch`` may be said so many times as often.
        floors: measure to the effects from which ``watch`` and ``alarm`` are said.
        least_rows: a feature with fewer independent rows in a window gets no verdict.
        least_entities: nor does one with rows of fewer entities.
    """

    every: int = DAY
    false_alarms: float = 0.01
    watch: float = 10.0
    floors: Mapping[str, tuple[float, float]] = field(default_factory=lambda: FLOORS)
    least_rows: int = 50
    least_entities: int = 30

    @property
    def alpha(self) -> float:
        """The chance that one window of quiet data raises an alarm.

        Example:
            >>> round(1 / Rule().alpha)  # daily windows, and one false alarm in a hundred months
            3000
        """
        return min(self.false_alarms * self.every / MONTH, 0.05)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was measured of one subject.

    Attributes:
        subject: the feature, ``score``, or the stream.
        measure: which of the measures.
        effect: how large, in the unit of its floor.
        p: how likely so large an effect is if nothing has changed; by itself.
        words: what was found, as one sentence without the subject.
        adjusted: ``p`` corrected for everything that was looked at.
        severity: effect over the floor of ``alarm``.
        level: the verdict.
    """

    subject: str
    measure: Measure
    effect: float
    p: float
    words: str
    adjusted: float = 1.0
    severity: float = 0.0
    level: Level = "quiet"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


def judge(findings: Sequence[Finding], rule: Rule, tests: int | None = None) -> list[Finding]:
    """The findings with their verdicts, in their order.

    Args:
        findings: everything that was looked at in one window.
        rule: when to say what.
        tests: how many p-values they stand for, at least as many as findings.

    Example:
        >>> seen = [Finding("age", "psi", 0.3, 1e-9, "moved"), Finding("income", "psi", 0.3, 0.02, "moved")]
        >>> [finding.level for finding in judge(seen, Rule())]
        ['alarm', 'quiet']
    """
    adjusted = benjamini_hochberg(np.array([finding.p for finding in findings], np.float64), tests)
    return [_judged(finding, float(p), rule) for finding, p in zip(findings, adjusted, strict=True)]


def benjamini_hochberg(p: Float64, tests: int | None = None) -> Float64:
    """Adjusted p-values: rejecting those at or below q keeps the share of false rejections at q.

    Args:
        p: shape (n,).
        tests: how many there were, with those that are not given, which count as 1.

    Example:
        >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(3).tolist()
        [0.03, 0.04, 0.04]
    """
    count = max(len(p), tests or 0)
    order = np.argsort(p, kind="stable")
    steps = p[order] * count / np.arange(1, len(p) + 1)
    falling = np.minimum.accumulate(steps[::-1])[::-1]
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(falling, 1.0)
    return adjusted


def worst(levels: Iterable[Level]) -> Level:
    """The gravest level; ``too few`` where there is none."""
    return max(levels, key=LEVELS.index, default="too few")


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The gravest first: by level, then by how far the effect lies over its floor."""
    return tuple(sorted(findings, key=lambda one: (-LEVELS.index(one.level), -one.severity)))


def _judged(finding: Finding, adjusted: float, rule: Rule) -> Finding:
    watch, alarm = rule.floors[finding.measure]
    level: Level = "quiet"
    if adjusted <= rule.alpha and finding.effect >= alarm:
        level = "alarm"
    elif adjusted <= rule.alpha * rule.watch and finding.effect >= watch:
        level = "watch"
    return replace(finding, adjusted=adjusted, severity=finding.effect / alarm, level=level)
