"""Fairness: how decisions fall on the groups of a protected attribute, with intervals.

Four questions, each a figure per group. Who is *selected*: the selection rate, and beside the most selected
group the adverse impact ratio (below four fifths is evidence of adverse impact: Uniform Guidelines on
Employee Selection Procedures, 29 CFR 1607.4 D). Who that deserved it is selected: equal opportunity (Hardt,
Price and Srebro, 2016). And whether a score means the same in each group: observed against foretold rate.
The rates are fairlearn's; the intervals are bootstrapped here by whole entities, since people recur. Groups
that are too small are said so, and take no part in a comparison. Needs the extra ``fairness``. Called by
the gate and by reports.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module, util
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import DataError, MissingExtraError
from headwater.models.bootstrap import intervals, resamples
from headwater.models.metrics import Metric
from headwater.monitoring.verdict import Level

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

FOUR_FIFTHS = 0.8
MOST_DIFFERENCE = 0.1  # of equal opportunity
LEAST_ENTITIES = 30
LEAST_DESERVING = 10
UNKNOWN = "unknown"
MOST_NUMBERS = 12  # different numbers that are groups as they are


@dataclass(frozen=True, slots=True)
class Group:
    """One group. A figure that cannot be given is NaN.

    Attributes:
        name: as the data has it; ``unknown`` where it is null.
        rows, entities: how many decisions, of how many.
        matured: of how many the outcome is known; ``deserving`` of them had the favourable one.
        selection: share of the rows that got the favourable decision.
        impact: that share over the share of the most selected group.
        opportunity: share of the deserving that got it.
        foretold: mean score of the matured rows.
        observed: share of them that came true.
        gap: ``observed`` minus ``foretold``.
        too_few: why nothing is concluded from it; None if it takes part.
    """

    name: str
    rows: int
    entities: int
    matured: int
    deserving: int
    selection: Metric
    impact: Metric
    opportunity: Metric
    foretold: float
    observed: Metric
    gap: Metric
    too_few: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; each figure is its value, low and high."""
        form: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            form[name] = value.to_json() if isinstance(value, Metric) else value
        return form | {"foretold": None if math.isnan(self.foretold) else self.foretold}


@dataclass(frozen=True)
class Fairness:
    """Decisions by one protected attribute.

    Attributes:
        attribute: its name.
        groups: the largest first.
        impact: the lowest selection rate over the highest, of the groups that take part.
        opportunity_difference: the highest equal opportunity minus the lowest.
        level: ``alarm`` where even the favourable end of an interval breaks a bound, ``watch`` where only the
            value does, ``too few`` where fewer than two groups take part.
        words: why, one sentence each.
    """

    attribute: str
    groups: tuple[Group, ...]
    impact: Metric
    opportunity_difference: Metric
    level: Level
    words: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "attribute": self.attribute,
            "groups": [group.to_json() for group in self.groups],
            "impact": self.impact.to_json(),
            "opportunity_difference": self.opportunity_difference.to_json(),
            "level": self.level,
            "words": list(self.words),
        }


def audit(
    attribute: str,
    groups: Sequence[object],
    selected: npt.ArrayLike,
    outcomes: npt.ArrayLike,
    scores: npt.ArrayLike,
    entities: npt.ArrayLike,
    *,
    favourable: int = 0,
    least_entities: int = LEAST_ENTITIES,
    bootstrap: int = 200,
    seed: int = 0,
) -> Fairness:
    """Compare the groups of a protected attribute.

    Args:
        attribute: its name.
        groups: length n: the group of each row; None is ``unknown``.
        selected: shape (n,), booleans: who got the favourable decision.
        outcomes: float64, shape (n,): 1, 0, or NaN where it is not known or not mature.
        scores: float64, shape (n,), probabilities of outcome 1.
        entities: shape (n,): whose decision each is, any numbers.
        favourable: the outcome of those who deserve the favourable decision: 0 where the score foretells
            something bad.
        least_entities: groups of fewer take no part.
        bootstrap: resamples of whole entities.
        seed: of the bootstrap.

    Raises:
        MissingExtraError: fairlearn is not installed.
        DataError: the parts differ in length, or there are no rows.
    """
    library = _library()
    table = _Table.of(groups, selected, outcomes, scores, entities, favourable)
    figures = np.array([table.figures(weight) for weight in resamples(table.entity, bootstrap, seed)])
    rates, rows, _ = library.selection(table.selected, table.group)
    point = table.figures(np.ones(len(table.group)))
    point[0] = rates
    mature = table.mature
    if mature.any():
        present = np.unique(table.group[mature])
        point[1, present] = library.opportunity(
            table.deserving[mature], table.selected[mature], table.group[mature]
        )
        point[1] = np.where(table.count(table.deserving) > 0, point[1], np.nan)
    too_few = table.too_few(least_entities)
    taking_part = np.array([reason is None for reason in too_few])
    made = _groups(table, rows, point, figures, too_few, taking_part)
    impact, difference = _between(point, figures, taking_part, table.count(table.deserving))
    level, words = _verdict(impact, difference, made, attribute)
    order = sorted(made, key=lambda group: (-group.rows, group.name))
    return Fairness(attribute, tuple(order), impact, difference, level, words)


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows as numbers. ``figures`` has a row each for selection, opportunity, foretold, observed."""

    names: tuple[str, ...]
    group: Int64
    entity: Int64
    selected: Bool
    mature: Bool
    deserving: Bool
    true: Float64
    score: Float64

    @classmethod
    def of(
        cls,
        groups: Sequence[object],
        selected: npt.ArrayLike,
        outcomes: npt.ArrayLike,
        scores: npt.ArrayLike,
        entities: npt.ArrayLike,
        favourable: int,
    ) -> _Table:
        texts = np.array([UNKNOWN if one is None else str(one) for one in groups], np.str_)
        outcome, score = np.asarray(outcomes, np.float64), np.asarray(scores, np.float64)
        chosen, who = np.asarray(selected, np.bool_), np.asarray(entities)
        sizes = [len(part) for part in (texts, chosen, outcome, score, who)]
        if len(set(sizes)) > 1 or not sizes[0]:
            raise DataError.of(
                "decisions cannot be compared by group",
                expected="a group, a decision, an outcome, a score and an entity for each of some rows",
                got=", ".join(f"{size:,}" for size in sizes),
                do="join them first",
            )
        names, group = np.unique(texts, return_inverse=True)
        mature = ~np.isnan(outcome)
        return cls(
            names=tuple(names.tolist()),
            group=group.astype(np.int64),
            entity=np.unique(who, return_inverse=True)[1].astype(np.int64),
            selected=chosen,
            mature=mature,
            deserving=mature & (outcome == favourable),
            true=np.where(mature, outcome, 0.0),
            score=score,
        )

    def figures(self, weight: Float64) -> Float64:
        """Shape (4, groups); NaN where a group has no such rows."""
        known = weight * self.mature
        deserving = weight * self.deserving
        pairs = (
            (weight * self.selected, weight),
            (deserving * self.selected, deserving),
            (known * self.score, known),
            (known * self.true, known),
        )
        sums = [(self.count(above), self.count(below)) for above, below in pairs]
        return np.array(
            [np.divide(a, b, out=np.full(len(b), np.nan), where=b > 0) for a, b in sums], np.float64
        )

    def count(self, rows: npt.NDArray[Any]) -> Float64:
        """Sums by group."""
        return np.bincount(self.group, weights=rows, minlength=len(self.names)).astype(np.float64)

    def people(self) -> Int64:
        """Entities of each group."""
        pairs = np.unique(np.column_stack([self.group, self.entity]), axis=0)
        return np.bincount(pairs[:, 0], minlength=len(self.names)).astype(np.int64)

    def too_few(self, least: int) -> list[str | None]:
        """Why a group takes no part; None where it does."""
        return [
            f"{count:,} entities; {least:,} are needed" if count < least else None
            for count in self.people().tolist()
        ]


def _groups(
    table: _Table,
    rows: Int64,
    point: Float64,
    figures: Float64,
    too_few: Sequence[str | None],
    taking_part: Bool,
) -> list[Group]:
    best = np.nanmax(np.where(taking_part, point[0], np.nan)) if taking_part.any() else np.nan
    draws = figures.reshape(len(figures), 4, len(table.names))
    with np.errstate(invalid="ignore", divide="ignore"):
        highest = np.where(taking_part, draws[:, 0], -np.inf).max(axis=1, initial=-np.inf)
        impact = np.where(highest[:, None] > 0, draws[:, 0] / highest[:, None], np.nan)
        ratio = point[0] / best if best > 0 else np.full(len(point[0]), np.nan)
    matured, deserving, people = table.count(table.mature), table.count(table.deserving), table.people()
    return [
        Group(
            name=name,
            rows=int(rows[i]),
            entities=int(people[i]),
            matured=int(matured[i]),
            deserving=int(deserving[i]),
            selection=_metric(point[0, i], draws[:, 0, i]),
            impact=_metric(ratio[i], impact[:, i]),
            opportunity=_metric(point[1, i], draws[:, 1, i]),
            foretold=float(point[2, i]),
            observed=_metric(point[3, i], draws[:, 3, i]),
            gap=_metric(point[3, i] - point[2, i], draws[:, 3, i] - draws[:, 2, i]),
            too_few=too_few[i],
        )
        for i, name in enumerate(table.names)
    ]


def _between(
    point: Float64, figures: Float64, taking_part: Bool, deserving: Float64
) -> tuple[Metric, Metric]:
    """The lowest selection over the highest, and the widest difference of opportunity."""
    enough = taking_part & (deserving >= LEAST_DESERVING)
    none = Metric(math.nan)
    impact = none
    if taking_part.sum() > 1:
        draws = np.array([_ratio(one[0][taking_part]) for one in figures])
        impact = _metric(_ratio(point[0][taking_part]), draws)
    if enough.sum() < 2:
        return impact, none
    draws = np.array([np.ptp(one[1][enough]) for one in figures])
    return impact, _metric(float(np.ptp(point[1][enough])), draws)


def _ratio(rates: Float64) -> float:
    return float(rates.min() / rates.max()) if rates.max() > 0 else math.nan


def _metric(value: float, draws: Float64) -> Metric:
    if not len(draws):
        return Metric(float(value))
    low, high = intervals(draws[:, None])
    return Metric(float(value), float(low[0]), float(high[0]))


def _verdict(
    impact: Metric, difference: Metric, groups: Sequence[Group], attribute: str
) -> tuple[Level, tuple[str, ...]]:
    words = [f"{attribute} {one.name!r} is not compared: {one.too_few}." for one in groups if one.too_few]
    part = [one for one in groups if one.too_few is None]
    if len(part) < 2:
        return "too few", (*words, f"Fewer than two groups of {attribute} are large enough.")
    level: Level = "quiet"
    if impact.value < FOUR_FIFTHS:
        level = "alarm" if impact.high < FOUR_FIFTHS else "watch"
        least, most = (find(part, key=lambda one: one.selection.value) for find in (min, max))
        words.append(
            f"{attribute} {least.name!r} is selected {impact.value:.2f} times as often as {most.name!r} "
            f"({impact.low:.2f} to {impact.high:.2f}); four fifths are the bound."
        )
    if difference.value > MOST_DIFFERENCE:
        sure = difference.low > MOST_DIFFERENCE
        level = "alarm" if sure or level == "alarm" else "watch"
        known = [one for one in part if one.deserving >= LEAST_DESERVING]
        least, most = (find(known, key=lambda one: one.opportunity.value) for find in (min, max))
        gap, low, high = (share * 100 for share in (difference.value, difference.low, difference.high))
        words.append(
            f"Of those who deserve it, {least.opportunity.value:.1%} of {attribute} {least.name!r} are "
            f"selected and {most.opportunity.value:.1%} of {most.name!r}: {gap:.1f} points apart "
            f"({low:.1f} to {high:.1f}); {MOST_DIFFERENCE * 100:.0f} are the bound."
        )
    return level, tuple(words)


def quarters(values: pl.Series) -> list[float]:
    """Where a column of many numbers is cut into groups, ascending; nowhere if it is none.

    Example:
        >>> quarters(pl.Series("born", range(1900, 2000)))
        [1924.75, 1949.5, 1974.25]
        >>> quarters(pl.Series("rooms", [1, 2, 3]))
        []
    """
    if not values.dtype.is_numeric() or values.drop_nulls().n_unique() <= MOST_NUMBERS:
        return []
    known = values.cast(pl.Float64).drop_nulls().to_numpy()
    return sorted({float(edge) for edge in np.quantile(known, [0.25, 0.5, 0.75])})


def cut(values: pl.Series, bounds: Sequence[float]) -> pl.Series:
    """Numbers as groups: up to the first bound, over it and up to the next, and so on; null stays null.

    Example:
        >>> cut(pl.Series("age", [20, 40, None, 80]), [30, 60]).to_list()
        ['up to 30', 'over 30 to 60', None, 'over 60']
    """
    told = [f"{one:g}" for one in bounds]
    names = [f"up to {told[0]}", *(f"over {a} to {b}" for a, b in pairwise(told)), f"over {told[-1]}"]
    numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
    places = np.searchsorted(np.array(bounds), numbers, side="left")
    groups = [
        None if np.isnan(number) else names[place] for number, place in zip(numbers, places, strict=True)
    ]
    return pl.Series(values.name, groups, pl.String)


def _library() -> Any:
    if util.find_spec("fairlearn") is None:
        raise MissingExtraError.of(
            "fairlearn is not installed",
            expected="the package fairlearn",
            do="pip install 'headwater[fairness]'",
        )
    return import_module("headwater.monitoring.disaggregation")
