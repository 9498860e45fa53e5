"""Labels: what a model learns to foresee. ``hw.happens`` and ``hw.outcome``.

A label is a window that looks forward, ``(t, t + horizon]``, over the same log. It is *mature* when
everything up to ``t + horizon + delay`` has arrived; before that it is neither trained on nor counted.
Checked by the ``Model`` that takes it; computed by ``training``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from headwater.core.errors import Problem
from headwater.definitions.definition import Definition
from headwater.definitions.spans import Span, read_delay, read_span
from headwater.definitions.stream import Stream


@dataclass(frozen=True, eq=False)
class Happens(Definition):
    """1 if an event of the stream that fits ``where`` happens in ``(t, t + within]``, else 0.

    Attributes:
        stream: where the event would be.
        where: which events count; ``None`` for any.
        within: how far the label looks forward, in microseconds.
        delay: how much later such events may become known, in microseconds.
        problems: what the constructor found, reported by the model.
    """

    hidden: ClassVar[frozenset[str]] = frozenset({"problems"})

    stream: Stream
    where: pl.Expr | None
    within: int
    delay: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def horizon(self) -> int:
        """How far the label looks forward, in microseconds."""
        return self.within


@dataclass(frozen=True, eq=False)
class Outcome(Definition):
    """A column of the observed event itself, which becomes known later: a fraud report, a repayment.

    Attributes:
        column: the column of the observed stream; Boolean, or an integer 0 or 1.
        known_after: how long after the event its outcome is known, in microseconds.
        problems: what the constructor found, reported by the model.
    """

    hidden: ClassVar[frozenset[str]] = frozenset({"problems"})

    column: str
    known_after: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def horizon(self) -> int:
        """How far the label looks forward: as long as the outcome takes to be known, in microseconds."""
        return self.known_after

    @property
    def delay(self) -> int:
        """Always 0: ``known_after`` is the horizon already."""
        return 0


Label = Happens | Outcome


def happens(
    stream: Stream, where: pl.Expr | None = None, *, within: Span, delay: Span | None = "0d"
) -> Happens:
    """Whether an event happens within a span after the observation.

    Args:
        stream: where to look for it. It must have the model's key.
        where: which events count, a Boolean expression.
        within: how far to look forward.
        delay: how much later such events may still become known.

    Example:
        >>> import polars as pl
        >>> import headwater as hw
        >>> visits = hw.Stream("visits", {"user": pl.Int64, "time": pl.Datetime("us", "UTC")})
        >>> hw.happens(visits, within="30d").horizon
        2592000000000
    """
    problems: list[Problem] = []
    size = read_span(within, "within", problems)
    late = read_delay(delay, "delay", problems)
    return Happens(stream, where, size, late, tuple(problems))


def outcome(column: str, known_after: Span | None = "0d") -> Outcome:
    """A column of the observed event as the label; the model must observe with ``hw.each(stream)``.

    Args:
        column: Boolean, or an integer 0 or 1.
        known_after: how long after the event the column's value is known.

    Example:
        >>> import headwater as hw
        >>> hw.outcome("is_fraud", known_after="7d").horizon
        604800000000
    """
    problems: list[Problem] = []
    return Outcome(column, read_delay(known_after, "known_after", problems), tuple(problems))
