"""When a model looks, and when it is trained again: ``hw.every``, ``hw.each``, ``hw.rolling``.

Each observation becomes one row of a training set. Checked by the ``Model`` that takes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from headwater.core.errors import Problem
from headwater.definitions.definition import Definition
from headwater.definitions.spans import Span, read_span
from headwater.definitions.stream import Stream


@dataclass(frozen=True, eq=False)
class Every(Definition):
    """Each entity is observed at regular times, ``span`` microseconds apart."""

    hidden: ClassVar[frozenset[str]] = frozenset({"problems"})

    span: int
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, eq=False)
class Each(Definition):
    """One observation at each event of a stream that fits ``where``, at the event's time."""

    stream: Stream
    where: pl.Expr | None = None


@dataclass(frozen=True, eq=False)
class Rolling(Definition):
    """Train again ``every`` so often on the last ``window``, both in microseconds."""

    hidden: ClassVar[frozenset[str]] = frozenset({"problems"})

    every: int
    window: int
    problems: tuple[Problem, ...] = ()


Observe = Every | Each


def every(span: Span) -> Every:
    """Observe each entity at regular times.

    Example:
        >>> import headwater as hw
        >>> hw.every("30d").span
        2592000000000
    """
    problems: list[Problem] = []
    return Every(read_span(span, "span", problems), tuple(problems))


def each(stream: Stream, where: pl.Expr | None = None) -> Each:
    """Observe at each event of a stream, such as each payment that may be fraud."""
    return Each(stream, where)


def rolling(every: Span, window: Span) -> Rolling:
    """Train again every so often on a window that moves along.

    Example:
        >>> import headwater as hw
        >>> hw.rolling(every="7d", window="730d").every
        604800000000
    """
    problems: list[Problem] = []
    return Rolling(
        read_span(every, "every", problems), read_span(window, "window", problems), tuple(problems)
    )
