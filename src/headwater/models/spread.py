"""How one input was spread over the training rows: what a later window is held against.

A :class:`Spread` is a histogram fine enough for the Kolmogorov-Smirnov distance and coarse enough for the
population stability index::

    points    x0   x1   x2   x3   x4   x5   x6        up to 256 values that occurred, the last the largest
    below     .02  .10  .11  .20  .35  .90  1.0       the share of known rows at or below each
    bins      0    0    1    1    2    3    4         about ten, each of a tenth or more; a heavy value alone

and it knows two things that no list of shares tells: how many *independent* rows it rests on
(``models.clusters``), and how much the shares move from week to week while all is well (``variation``). The
latter is estimated as a variance component between the weeks of the training rows (moments: DerSimonian
and Laird, 1986): a payday, a season, a slow growth of the business are no alarm later, because they were
there before.

Taken by ``training.fit``, kept by ``models.baseline``, compared by ``monitoring.drift``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from headwater.core.instant import WEEK
from headwater.models.clusters import effective, tally

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Kind = Literal["number", "category"]

POINTS = 256
BINS = 10
MOST_BINS = 30  # of categories
LEAST_SHARE = 0.005  # of a category that has a bin of its own
LEAST_WEEKS = 8  # to say how much is usual from week to week
MOST_ROWS = 100_000  # that the variances are taken from: those of whole entities, drawn at random,
LEAST_ENTITIES = 1_000  # of at least so many


@dataclass(frozen=True)
class Spread:
    """One input, or the score, over the rows that a model was trained or judged on.

    Attributes:
        kind: ``category`` where the values are codes of ``categories`` and their order means nothing.
        rows, nulls: how many rows, and how many of them without a value.
        lowest: the smallest value; NaN where there is none. The largest is the last of ``points``.
        points, below: see the module.
        effective: ``known`` rows worth so many independent ones.
        effective_nulls: the same for the share of nulls.
        variation: variance of the bins' shares from week to week beyond chance, in units of one
            independent row's: a window is never worth more than ``1 / variation`` rows.
        variation_nulls: the same for the share of nulls.
        weeks: how many weeks that was taken from; 0 where there were too few.
        singles: categories that occurred once.
        categories: the texts behind the codes.
    """

    kind: Kind
    rows: int
    nulls: int
    lowest: float
    points: tuple[float, ...]
    below: tuple[float, ...]
    effective: float
    effective_nulls: float
    variation: float = 0.0
    variation_nulls: float = 0.0
    weeks: int = 0
    singles: int = 0
    categories: tuple[str, ...] = ()

    @property
    def known(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    @property
    def highest(self) -> float:
        """The largest value; NaN where there is none."""
        return self.points[-1] if self.points else math.nan

    @cached_property
    def points_array(self) -> Float64:
        """``points`` as float64."""
        return np.array(self.points, np.float64)

    @cached_property
    def bins(self) -> Int64:
        """The bin of each point, shape (points + 1,); the last is for whatever lies above all points."""
        return _coarse(self.kind, np.array(self.below, np.float64))

    @property
    def bin_count(self) -> int:
        """How many bins there are; at least one."""
        return int(self.bins.max()) + 1

    @cached_property
    def shares(self) -> Float64:
        """The share of known rows in each bin, shape (bin_count,)."""
        each = np.diff(np.array(self.below, np.float64), prepend=0.0)
        return np.asarray(np.bincount(self.bins[:-1], each, self.bin_count), np.float64)

    def edges(self) -> tuple[float, ...]:
        """The largest value of each bin but the last; of a category the codes say nothing."""
        last = np.flatnonzero(np.diff(self.bins[:-1]))
        return tuple(self.points_array[last].tolist())

    def places(self, values: Float64) -> Int64:
        """The place of each value among the points, shape (n,); ``len(points)`` for one above all.

        Args:
            values: float64, shape (n,), without NaN.
        """
        return np.asarray(np.searchsorted(self.points_array, values, side="left"), np.int64)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; null for NaN."""
        form = asdict(self)
        return form | {"lowest": None if math.isnan(self.lowest) else self.lowest}

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        arrays = {name: tuple(form[name]) for name in ("points", "below", "categories")}
        lowest = math.nan if form["lowest"] is None else form["lowest"]
        return cls(**{**form, **arrays, "lowest": lowest})


def spreads(
    X: Float64,
    names: Sequence[str],
    *,
    categories: Mapping[str, Sequence[str]] | None = None,
    entities: Int64 | None = None,
    times: Int64 | None = None,
) -> dict[str, Spread]:
    """The spread of each input.

    Args:
        X: float64, shape (n, f); NaN is null.
        names: length f.
        categories: input to its known categories, where the values are their codes.
        entities: int64, shape (n,): whose row each is, any numbers; None where no entity recurs.
        times: int64 microseconds, shape (n,); None where the rows have no time.

    Example:
        >>> spread = spreads(np.array([[1.0], [3.0], [3.0], [np.nan]]), ["amount"])["amount"]
        >>> spread.points, spread.known, spread.nulls
        ((1.0, 3.0), 3, 1)
    """
    texts = categories or {}
    rows = Rows.of(len(X), entities, times)
    return {name: spread(X[:, i], rows, texts.get(name)) for i, name in enumerate(names)}


@dataclass(frozen=True, slots=True)
class Rows:
    """Whose rows these are and in which week they lie, of as many entities as the variances need.

    Attributes:
        chosen: int64, shape (m,): the places of these rows; None for all.
        entity: int64, shape (m,), numbered from 0 without gaps; the others alike.
        week: int64, shape (m,); all 0 where there are too few weeks.
        both: int64, shape (m,): a number for each pair of entity and week.
        entities, weeks, pairs: how many there are.
    """

    chosen: Int64 | None
    entity: Int64
    week: Int64
    both: Int64
    entities: int
    weeks: int
    pairs: int

    @classmethod
    def of(cls, rows: int, entities: Int64 | None, times: Int64 | None = None, most: int = MOST_ROWS) -> Rows:
        """Number them; of more than ``most`` rows, those of some entities."""
        entity = np.arange(rows) if entities is None else _numbered(entities)
        week = np.zeros(rows, np.int64) if times is None else _weeks(times)
        chosen = _whole_entities(entity, most) if rows > most else None
        if chosen is not None:
            entity, week = _numbered(entity[chosen]), week[chosen]
        both = _numbered(entity * (int(week.max(initial=0)) + 1) + week)
        size = [int(part.max(initial=-1)) + 1 for part in (entity, week, both)]
        return cls(chosen, entity, week, both, *size)


def spread(values: Float64, rows: Rows, categories: Sequence[str] | None = None) -> Spread:
    """The spread of one column, shape (n,); see :func:`spreads`."""
    missing = np.isnan(values)
    known = np.sort(values[~missing])
    kind: Kind = "number" if categories is None else "category"
    points, below = _points(known, categories)
    bins = _coarse(kind, below)
    size = int(bins.max()) + 1
    column = np.full(len(values), size)
    column[~missing] = bins[np.searchsorted(points, values[~missing], side="left")]
    some = column if rows.chosen is None else column[rows.chosen]
    table = tally(some, size + 1, rows.entity, rows.entities)
    share, scale = effective(table), len(column) / max(len(some), 1)
    moves = _variation(kind, some, size, rows) if rows.weeks > 1 else (0.0, 0.0)
    counts = np.diff(below, prepend=0.0) * len(known)
    return Spread(
        kind=kind,
        rows=len(values),
        nulls=int(missing.sum()),
        lowest=float(known[0]) if len(known) else math.nan,
        points=tuple(points.tolist()),
        below=tuple(below.tolist()),
        effective=min(share.known * scale, float(len(known))),
        effective_nulls=share.nulls * scale,
        variation=moves[0],
        variation_nulls=moves[1],
        weeks=rows.weeks if rows.weeks > 1 else 0,
        singles=0 if categories is None else int((np.rint(counts) == 1).sum()),
        categories=tuple(categories or ()),
    )


def _points(known: Float64, categories: Sequence[str] | None) -> tuple[Float64, Float64]:
    """Up to 256 values that occurred, and the share at or below each; of categories all codes."""
    if categories is not None:
        points = np.arange(len(categories), dtype=np.float64)
    elif len(known) == 0:
        points = known
    else:
        first = np.append(True, known[1:] != known[:-1])
        points = known[first]
        if len(points) > POINTS:
            ranks = np.ceil(np.arange(1, POINTS + 1) / POINTS * len(known)).astype(np.int64) - 1
            points = np.unique(known[ranks])
    below = np.searchsorted(known, points, side="right") / max(len(known), 1)
    return points, np.asarray(below, np.float64)


def _coarse(kind: Kind, below: Float64) -> Int64:
    """The bin of each point, and of what lies above all."""
    if len(below) == 0:
        return np.zeros(1, np.int64)
    if kind == "category":
        bins = _by_size(np.diff(below, prepend=0.0))
        return np.append(bins, bins.max())
    ends = np.searchsorted(below, np.arange(1, BINS) / BINS - 1e-9)
    bins = np.searchsorted(np.unique(ends), np.arange(len(below)), side="left")
    bins = np.unique(bins, return_inverse=True)[1]
    return np.append(bins, bins[-1]).astype(np.int64)


def _by_size(shares: Float64) -> Int64:
    """A bin for each large category; the others share the last."""
    order = np.argsort(-shares, kind="stable")
    large = order[: MOST_BINS - 1][shares[order[: MOST_BINS - 1]] >= LEAST_SHARE]
    bins = np.full(len(shares), len(large))
    bins[large] = np.arange(len(large))
    return bins.astype(np.int64)


def _variation(kind: Kind, column: Int64, size: int, rows: Rows) -> tuple[float, float]:
    """Between the weeks, beyond chance: of the bins' shares, and of the share of nulls.

    Of numbers also of the cumulated shares, if that is more: what moves all rows a little to one side hardly
    shows in any bin.
    """
    weekly = tally(column, size + 1, rows.week, rows.weeks)
    inside = effective(tally(column, size + 1, rows.both, rows.pairs))
    total = weekly.sum()
    known = weekly[:, :size]
    nulls = np.column_stack([known.sum(axis=1), weekly[:, size]])
    each = inside.known / max(known.sum(), 1.0)  # independent rows for each row
    shares = _component(known, each)
    if kind == "number":
        shares = max(shares, _component_below(known, each))
    return shares, _component(nulls, inside.nulls / max(total, 1.0))


def _component(counts: Float64, worth: float) -> float:
    """The variance component of shares between rows of ``counts``, shape (weeks, bins)."""
    counts = counts[counts.sum(axis=1) > 0]
    shares = counts.sum(axis=0) / max(counts.sum(), 1.0)
    seen = shares > 0
    if len(counts) < 2 or seen.sum() < 2 or worth <= 0:
        return 0.0
    size = counts.sum(axis=1)
    gaps = (counts[:, seen] / size[:, None] - shares[seen]) / np.sqrt(shares[seen])
    weight = size / size.sum()
    chance = float(weight @ (1 / (size * worth)))
    mean = float(weight @ (gaps**2).sum(axis=1)) / (seen.sum() - 1) - chance
    # What moves the shares together all goes one way, which a mean over all ways would hide. Chance alone
    # would give the largest of so many ways this much (Marchenko and Pastur, 1967).
    largest = np.linalg.eigvalsh((gaps * weight[:, None]).T @ gaps)[-1]
    one_way = largest - chance * (1 + np.sqrt((seen.sum() - 1) / len(counts))) ** 2
    return float(max(0.0, mean, one_way))


def _component_below(counts: Float64, worth: float) -> float:
    """The same of the cumulated shares."""
    counts = counts[counts.sum(axis=1) > 0]
    size = counts.sum(axis=1)
    below = np.cumsum(counts.sum(axis=0) / max(size.sum(), 1.0))[:-1]
    chance = (below * (1 - below)).sum()
    if len(counts) < 2 or chance <= 0 or worth <= 0:
        return 0.0
    gaps = np.cumsum(counts / size[:, None], axis=1)[:, :-1] - below
    distance = (gaps**2).sum(axis=1) / chance
    return float(max(0.0, (size @ (distance - 1 / (size * worth))) / size.sum()))


def _weeks(times: Int64) -> Int64:
    """The week of each row, counted from the first; all 0 if there are fewer than eight."""
    if not len(times):
        return np.zeros(0, np.int64)
    week = (times - times.min()) // WEEK
    return week if week.max() + 1 >= LEAST_WEEKS else np.zeros(len(times), np.int64)


def _whole_entities(entity: Int64, most: int) -> Int64:
    """Places of the rows of entities drawn at random, about ``most``; in their order."""
    size = np.bincount(entity)
    drawn = np.random.default_rng(0).permutation(len(size))
    enough = max(int(np.searchsorted(np.cumsum(size[drawn]), most)) + 1, LEAST_ENTITIES)
    kept = np.zeros(len(size), np.bool_)
    kept[drawn[:enough]] = True
    return np.flatnonzero(kept[entity])


def _numbered(values: Int64) -> Int64:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
