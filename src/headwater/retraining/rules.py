"""What the gate demands: the bounds of every check, with defaults that suit a small lender.

Called by ``gate`` and its checks; a file of them is read by ``headwater gate --rules``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from headwater.core.errors import DataError, Problem


@dataclass(frozen=True)
class Rules:
    """The bounds.

    Attributes:
        least_rows, least_of_a_class, least_entities: fewer matured outcomes give no verdict.
        auc_margin, ap_margin, brier_margin, cost_margin: the candidate may be worse by so much; the interval
            of the difference must not reach farther. The last three are shares of the champion's figure.
        calibration_margin: by how much more the candidate's scores may miss the observed rates than the
            champion's; and without a champion by how much at all.
        slice_margin: in a slice the ROC AUC must not surely be worse by more than this.
        slice_rows, slice_of_a_class: smaller slices are not judged.
        flips: share of standing decisions that may get another band.
        reasons: of decisions outside the best band, the share whose first reason may change.
        flips_if_better, reasons_if_better: the same where the candidate is surely better on the outcomes: to
            decide otherwise is then the point.
        least_standing: fewer standing decisions give no verdict on stability.
        latency_ms: 99 of 100 single rows must be scored within so many milliseconds; or within
            ``latency_ratio`` times what the champion takes.
        least_auc: without a champion, the interval of the ROC AUC must lie above this.
        costs: band to the cost of a decision on a negative and on a positive; empty for none.
        bootstrap, seed, level: of the intervals.
    """

    least_rows: int = 200
    least_of_a_class: int = 30
    least_entities: int = 30
    auc_margin: float = 0.02
    ap_margin: float = 0.1
    brier_margin: float = 0.05
    cost_margin: float = 0.05
    calibration_margin: float = 0.03
    slice_margin: float = 0.02
    slice_rows: int = 100
    slice_of_a_class: int = 20
    flips: float = 0.2
    flips_if_better: float = 0.7
    reasons: float = 0.5
    reasons_if_better: float = 0.8
    least_standing: int = 20
    latency_ms: float = 5.0
    latency_ratio: float = 2.0
    least_auc: float = 0.55
    costs: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    bootstrap: int = 500
    seed: int = 0
    level: float = 0.95

    @classmethod
    def from_json(cls, form: Any, where: str | None = None) -> Self:
        """Rules from plain JSON values; what is not named keeps its default.

        Raises:
            DataError: a name that is no rule, or a value of another kind.

        Example:
            >>> Rules.from_json({"flips": 0.1}).flips
            0.1
        """
        DataError.raise_if(_problems(form, where))
        given = dict(form)
        if "costs" in given:
            given["costs"] = {band: (float(no), float(yes)) for band, (no, yes) in given["costs"].items()}
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        form = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**form, "costs": {band: list(pair) for band, pair in self.costs.items()}}


def _problems(form: Any, where: str | None) -> Iterator[Problem]:
    known = {one.name: type(one.default) for one in fields(Rules)}
    if not isinstance(form, Mapping):
        yield Problem(
            "these are no rules", "a JSON object", type(form).__name__, where, "name rules and bounds"
        )
        return
    for name, value in form.items():
        if name not in known:
            yield Problem(
                f"the gate has no rule {name!r}",
                "one of " + ", ".join(known),
                repr(name),
                where,
                "correct it",
            )
        elif name == "costs":
            yield from _cost_problems(value, where)
        elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            yield Problem(
                f"the rule {name!r} is no bound", "a number, 0 or more", repr(value), where, "give a number"
            )
        elif known[name] is int and not isinstance(value, int):
            yield Problem(
                f"the rule {name!r} is a count", "a whole number", repr(value), where, "give a whole number"
            )


def _cost_problems(value: Any, where: str | None) -> Iterator[Problem]:
    pairs = list(value.values()) if isinstance(value, Mapping) else [None]
    for pair in pairs:
        numbers = list(pair) if isinstance(pair, list | tuple) else []
        if len(numbers) != 2 or not all(
            isinstance(one, int | float) and not isinstance(one, bool) for one in numbers
        ):
            yield Problem(
                "the costs cannot be read",
                "band to the cost of a decision on a negative and on a positive",
                repr(value),
                where,
                'write them like {"pay": [0, 100], "stop": [5, 0]}',
            )
            return
