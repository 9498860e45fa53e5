"""What a feature value is, said in plain loops over tuples: the judge of every host of the engine.

Nothing here is fast and nothing here may become fast. Rounding is done once, at the end: sums by
``math.fsum``, variance and slope in ``fractions.Fraction``. Nothing is imported from the engine, and
times are plain integers in microseconds. ``tests/engine/hosts.py`` asks it; ``test_naive.py`` checks
it against numbers worked out by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple

SECOND = 1_000_000
DAY = 86_400 * SECOND
FADED = 64  # half-lives after which a decayed event weighs nothing


class Event(NamedTuple):
    """An event of one key: when, its place in the log, what is aggregated, what ``where`` says."""

    time: int
    offset: int
    value: Any = True
    matches: bool | None = True


class Truth(NamedTuple):
    """The value of a feature, and how far from it an answer may lie (0: not at all)."""

    value: Any
    slack: float = 0.0


def truth(
    op: str,
    events: Iterable[Event],
    t: int,
    o: int,
    *,
    over: int | None = None,
    delay: int = 0,
    half_life: int | None = None,
    q: float | None = None,
) -> Truth:
    """The feature ``op`` of one key as of the pair (time ``t``, log position ``o``)."""
    if half_life is not None:
        over = min(over or FADED * half_life, FADED * half_life)
    contents = window(events, t, o, over, delay)
    values = [event.value for event in contents]
    if op == "count":
        return Truth(len(values))
    if op == "sum":
        return Truth(math.fsum(values))
    if op == "distinct":
        return Truth(len(set(values)))
    if not values:
        return Truth(None)
    if op == "mean":
        return Truth(math.fsum(values) / len(values))
    if op == "min":
        return Truth(min(values))
    if op == "max":
        return Truth(max(values))
    if op == "first":
        return Truth(values[0])
    if op == "last":
        return Truth(values[-1])
    if op == "since_first":
        return Truth((t - contents[0].time) / SECOND)
    if op == "since_last":
        return Truth((t - contents[-1].time) / SECOND)
    if op == "var":
        return variance(values)
    if op == "std":
        return deviation(values)
    if op == "quantile" and q is not None:
        return Truth(quantile(values, q))
    if op == "trend":
        return slope([(event.time, event.value) for event in contents])
    if op in ("decayed_sum", "decayed_count") and half_life is not None:
        return decayed([(t - delay - event.time, event.value) for event in contents], half_life)
    raise ValueError(op)


def window(events: Iterable[Event], t: int, o: int, over: int | None, delay: int) -> list[Event]:
    """What lies in ``(t - delay - over, t - delay]``, was logged by ``o``, matches and is not null; in order.

    ::

                      over               delay
              (---------------------]<----------->t
           no   yes             yes         no      no
    """
    end = t - delay
    contents = []
    for event in events:
        known = event.offset <= o
        inside = event.time <= end and (over is None or event.time > end - over)
        if known and inside and event.matches is True and event.value is not None:
            contents.append(event)
    return sorted(contents, key=lambda event: (event.time, event.offset))


def variance(values: list[Any]) -> Truth:
    """Of the sample (n - 1); null below two values."""
    if len(values) < 2:
        return Truth(None)
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    result = float(sum((value - mean) ** 2 for value in exact) / (len(exact) - 1))
    return Truth(result, 1e-12 * result)


def deviation(values: list[Any]) -> Truth:
    """The square root of the variance."""
    squared = variance(values).value
    return Truth(None) if squared is None else Truth(math.sqrt(squared), 1e-12 * math.sqrt(squared))


def quantile(values: list[Any], q: float) -> float:
    """Between the two values around place ``q (n - 1)``, linearly."""
    ordered = sorted(float(value) for value in values)
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def slope(points: list[tuple[int, Any]]) -> Truth:
    """Least squares of value against time, per day; null if fewer than two moments are there."""
    days = [Fraction(time, DAY) for time, _ in points]
    values = [Fraction(value) for _, value in points]
    middle = sum(days, Fraction(0)) / len(days)
    height = sum(values, Fraction(0)) / len(values)
    squares = sum((day - middle) * (day - middle) for day in days)
    if squares == 0:
        return Truth(None)
    terms = [(day - middle) * (value - height) / squares for day, value in zip(days, values, strict=True)]
    return Truth(float(sum(terms)), 1e-9 * float(sum(abs(term) for term in terms)))


def decayed(aged: list[tuple[int, Any]], half_life: int) -> Truth:
    """The sum of the values, each halved for every half-life of its age."""
    terms = [float(value) * 2.0 ** -(age / half_life) for age, value in aged]
    return Truth(math.fsum(terms), 1e-12 * math.fsum(abs(term) for term in terms))
