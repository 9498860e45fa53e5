"""Spans as users write them, with the problem kept for later instead of raised at once.

A constructor such as ``hw.sum`` notes its problems; the view or model that takes the value reports them
all together. Called by ``aggregate``, ``label``, ``observe`` and ``project``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from headwater.core.errors import DefinitionError, Problem
from headwater.core.instant import span

Span = str | timedelta | int

_ZERO = re.compile(r"0+(us|ms|s|m|h|d|w)")


def read_span(value: Span, where: str, problems: list[Problem]) -> int:
    """The span in microseconds; if it cannot be read, 1 microsecond and a noted problem."""
    try:
        return span(value)
    except DefinitionError as error:
        problems.extend(replace(problem, where=where) for problem in error.problems)
        return 1


def read_delay(value: Span | None, where: str, problems: list[Problem]) -> int:
    """Like :func:`read_span`, with zero allowed: ``None``, ``0`` or ``"0d"``."""
    if value is None or value == timedelta(0) or (value == 0 and not isinstance(value, bool)):
        return 0
    if isinstance(value, str) and _ZERO.fullmatch(value):
        return 0
    return read_span(value, where, problems)


def under(path: str, problems: Iterable[Problem]) -> list[Problem]:
    """The problems with ``path`` put in front of where each was found."""
    return [replace(p, where=f"{path}.{p.where}" if p.where else path) for p in problems]
