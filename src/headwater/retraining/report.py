"""What a gate found: each check with its numbers, bounds and verdict, in words and as canonical JSON.

Made by ``gate``; kept with the candidate in MLflow; read again by ``promotion``, which trusts its digest.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headwater.core.instant import iso

Verdict = Literal["pass", "fail", "too few", "not looked at", "for information"]
Outcome = Literal["promote", "hold"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        family: ``outcomes``, ``calibration``, ``slices``, ``fairness``, ``stability``, ``latency`` or
            ``shadow``.
        name: within its family.
        verdict: ``fail`` and ``too few`` hold the candidate.
        words: what was found, one sentence or two.
        numbers: what was measured, plain JSON values.
        bounds: what it was held against.
    """

    family: str
    name: str
    verdict: Verdict
    words: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    bounds: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether it holds the candidate back."""
        return self.verdict in ("fail", "too few")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; NaN is null."""
        form = {name: getattr(self, name) for name in self.__slots__}
        plain: dict[str, Any] = _finite(form)
        return plain


@dataclass(frozen=True)
class GateReport:
    """A candidate against the champion.

    Attributes:
        model: the model's name.
        candidate, candidate_digest: the version, and the seal of its artifact.
        champion, champion_digest: the same; None where there is no champion.
        as_of: what had arrived by then counts, microseconds UTC.
        rows, positives, entities: of the matured outcomes that both were judged on.
        start, stop: when these rows were observed, microseconds; 0 where there are none.
        asked: who answered for each side: ``itself`` or ``stand-in``.
        checks: in the order in which they were made.
        notes: sentences that a reader should know.
    """

    model: str
    candidate: int
    candidate_digest: str
    champion: int | None
    champion_digest: str | None
    as_of: int
    rows: int
    positives: int
    entities: int
    start: int
    stop: int
    asked: Mapping[str, str]
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Outcome:
        """``promote`` if no check holds the candidate back."""
        return "hold" if any(check.holds for check in self.checks) else "promote"

    @property
    def held_by(self) -> tuple[Check, ...]:
        """The checks that hold the candidate back."""
        return tuple(check for check in self.checks if check.holds)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 hex digits."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def canonical(self) -> str:
        """One line of JSON with sorted keys."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        names = [name for name in self.__dataclass_fields__ if name not in ("checks", "notes", "asked")]
        form = {name: getattr(self, name) for name in names}
        return {
            **form,
            "asked": dict(self.asked),
            "verdict": self.verdict,
            "checks": [check.to_json() for check in self.checks],
            "notes": list(self.notes),
            "words": self.words(),
        }

    def summary(self) -> str:
        """The verdict in one sentence."""
        against = f"against version {self.champion}" if self.champion is not None else "with no champion yet"
        if self.verdict == "promote":
            return f"{self.model} version {self.candidate}, {against}: promote."
        why = "; ".join(f"{check.family}, {check.name}: {check.words}" for check in self.held_by)
        return f"{self.model} version {self.candidate}, {against}: hold. {why}"

    def words(self) -> str:
        """Everything in words, a line each: the verdict, the rows, each check, the notes."""
        lines = [self.summary(), self.judged_on()]
        lines += [f"{one.verdict:<15} {one.family}, {one.name}: {one.words}" for one in self.checks]
        return "\n".join([*lines, *self.notes])

    def judged_on(self) -> str:
        """Which rows both were judged on, one sentence."""
        if not self.rows:
            return "There are no matured outcomes that they have not learned from."
        return (
            f"Judged on {self.rows:,} matured outcomes of {self.entities:,} entities, {self.positives:,} of "
            f"them positive, observed from {iso(self.start)} to {iso(self.stop)}."
        )


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
