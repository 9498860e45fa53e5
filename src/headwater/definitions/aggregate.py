"""Aggregations: what a feature computes over its window. ``hw.count`` to ``hw.quantile``.

An :class:`Aggregate` names an operation, what it reads, which rows count, and its windows. It is checked
by the ``FeatureView`` that takes it (see ``view``), because only there the columns are known. What each
value means is fixed by design note 0001; the kernels are in ``engine.kernels``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from headwater.core.errors import Problem
from headwater.definitions.definition import Definition
from headwater.definitions.expression import columns
from headwater.definitions.spans import Span, read_delay, read_span

Column = str | pl.Expr
Over = Span | Sequence[Span | None] | None

COUNTS = frozenset({"count", "distinct"})  # Int64, never null
OWN_TYPE = frozenset({"min", "max", "first", "last"})  # the type of what they read
NUMERIC = frozenset({"sum", "mean", "std", "var", "trend", "decayed_sum", "quantile", "min", "max"})
COLUMNLESS = frozenset({"count", "since_last", "since_first", "decayed_count"})


@dataclass(frozen=True, eq=False)
class Aggregate(Definition):
    """One aggregation over the windows ``(t - delay - span, t - delay]``.

    Attributes:
        op: the operation, such as ``"sum"``.
        column: what it reads, a row-level expression; ``None`` for those that only count rows.
        where: which rows count, a row-level Boolean expression; ``None`` for all.
        over: the windows' spans in microseconds, one output each; ``None`` means since forever.
        delay: how long before now the windows end, in microseconds.
        half_life: of the decay, in microseconds.
        q: the quantile, from 0 to 1.
        problems: what the constructor found, reported by the view that takes the aggregate.
    """

    hidden: ClassVar[frozenset[str]] = frozenset({"problems"})

    op: str
    column: pl.Expr | None = None
    where: pl.Expr | None = None
    over: tuple[int | None, ...] = (None,)
    delay: int = 0
    half_life: int | None = None
    q: float | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def reads(self) -> list[str]:
        """The columns of the stream that it reads."""
        return columns(self.column, self.where)

    def result(self, read: pl.DataType | None) -> pl.DataType:
        """The output's type, given the type of the column that is read."""
        if self.op in COUNTS:
            return pl.Int64()
        return read if self.op in OWN_TYPE and read is not None else pl.Float64()


def count(*, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None) -> Aggregate:
    """How many events.

    Args:
        where: which events count, a Boolean Polars expression over the stream's columns.
        over: a span such as ``"30d"`` or several, one feature each; ``None`` means since forever.
        delay: the window ends this long before now, for what is only known late.

    Example:
        >>> import headwater as hw
        >>> hw.count(over=["7d", "30d"]).over
        (604800000000, 2592000000000)
    """
    return _aggregate("count", None, where, over, delay)


def sum(  # noqa: A001 - the field's word
    column: Column, *, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None
) -> Aggregate:
    """The sum of a column or expression, rounded once as if added exactly; 0.0 if there is nothing."""
    return _aggregate("sum", column, where, over, delay)


def mean(
    column: Column, *, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None
) -> Aggregate:
    """The arithmetic mean; null if there is nothing."""
    return _aggregate("mean", column, where, over, delay)


def min(  # noqa: A001
    column: Column, *, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None
) -> Aggregate:
    """The smallest value, in the column's own type; null if there is nothing."""
    return _aggregate("min", column, where, over, delay)


def max(  # noqa: A001
    column: Column, *, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None
) -> Aggregate:
    """The largest value, in the column's own type; null if there is nothing."""
    return _aggregate("max", column, where, over, delay)


def std(
    column: Column, *, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None
) -> Aggregate:
    """The standard deviation of the sample (n - 1); null below two values."""
    return _aggregate("std", column, where, over, delay)


def var(
    column: Column, *, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None
) -> Aggregate:
    """The variance of the sample (n - 1); null below two values."""
    return _aggregate("var", column, where, over, delay)


def first(
    column: Column, *, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None
) -> Aggregate:
    """The value of the earliest event that has one, in the column's own type. Ties go by offset."""
    return _aggregate("first", column, where, over, delay)


def last(
    column: Column, *, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None
) -> Aggregate:
    """The value of the latest event that has one, in the column's own type. Ties go by offset."""
    return _aggregate("last", column, where, over, delay)


def distinct(
    column: Column, *, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None
) -> Aggregate:
    """How many different values, exactly; nulls do not count."""
    return _aggregate("distinct", column, where, over, delay)


def since_last(*, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None) -> Aggregate:
    """Seconds from the latest event to now; null if there is none."""
    return _aggregate("since_last", None, where, over, delay)


def since_first(*, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None) -> Aggregate:
    """Seconds from the earliest event to now; null if there is none."""
    return _aggregate("since_first", None, where, over, delay)


def trend(
    column: Column, *, where: pl.Expr | None = None, over: Over = None, delay: Span | None = None
) -> Aggregate:
    """The slope of the least-squares line through the values, per day."""
    return _aggregate("trend", column, where, over, delay)


def decayed_sum(
    column: Column,
    *,
    half_life: Span | None = None,
    where: pl.Expr | None = None,
    over: Over = None,
    delay: Span | None = None,
) -> Aggregate:
    """The sum in which a value weighs half as much after each ``half_life``."""
    return _aggregate("decayed_sum", column, where, over, delay, half_life=half_life)


def decayed_count(
    *,
    half_life: Span | None = None,
    where: pl.Expr | None = None,
    over: Over = None,
    delay: Span | None = None,
) -> Aggregate:
    """The count in which an event weighs half as much after each ``half_life``."""
    return _aggregate("decayed_count", None, where, over, delay, half_life=half_life)


def quantile(
    column: Column,
    *,
    q: float | None = None,
    where: pl.Expr | None = None,
    over: Over = None,
    delay: Span | None = None,
) -> Aggregate:
    """The value below which a share ``q`` of the values lies, with linear interpolation."""
    return _aggregate("quantile", column, where, over, delay, q=q)


def _aggregate(
    op: str,
    column: Column | None,
    where: pl.Expr | None,
    over: Over,
    delay: Span | None,
    *,
    half_life: Span | None = None,
    q: float | None = None,
) -> Aggregate:
    problems: list[Problem] = []
    if op.startswith("decayed"):
        if half_life is None:
            problems.append(_missing(op, "half_life", "a span such as '30d'"))
        else:
            half_life = read_span(half_life, "half_life", problems)
    if op == "quantile":
        problems += _quantile_problems(q)
    return Aggregate(
        op=op,
        column=pl.col(column) if isinstance(column, str) else column,
        where=where,
        over=_spans(over, problems),
        delay=read_delay(delay, "delay", problems),
        half_life=half_life if isinstance(half_life, int) else None,
        q=q,
        problems=tuple(problems),
    )


def _spans(over: Over, problems: list[Problem]) -> tuple[int | None, ...]:
    if over is None:
        return (None,)
    if not isinstance(over, list | tuple):
        return (read_span(over, "over", problems),)  # type: ignore[arg-type]
    if not over:
        problems.append(
            Problem(
                "a list of windows is empty",
                expected="at least one span, or no over= for since forever",
                got="[]",
                where="over",
                do="name a span such as '30d', or leave over= out",
            )
        )
        return (None,)
    return tuple(
        None if item is None else read_span(item, f"over[{i}]", problems) for i, item in enumerate(over)
    )


def _quantile_problems(q: object) -> list[Problem]:
    if q is None:
        return [_missing("quantile", "q", "a number from 0 to 1, such as 0.5 for the median")]
    if isinstance(q, int | float) and not isinstance(q, bool) and 0 <= q <= 1:
        return []
    return [
        Problem(
            "a quantile is out of range",
            expected="a number from 0 to 1, such as 0.5 for the median",
            got=repr(q),
            where="q",
            do="give a number from 0 to 1",
        )
    ]


def _missing(op: str, argument: str, expected: str) -> Problem:
    return Problem(
        f"{op} needs {argument}",
        expected=expected,
        got="nothing",
        where=argument,
        do=f"add {argument}=",
    )
