"""How one stream flowed while a model was trained: events per day, and how late they came.

A feature that goes astray is often a stream that stopped, doubled or came late; so streams have a reference
of their own. Taken by ``training.dataset``, kept by ``models.baseline``, compared by ``monitoring.streams``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from headwater.core.instant import DAY, HOUR, SECOND
from headwater.models.spread import Rows, Spread, spread

Int64 = npt.NDArray[np.int64]

MOST_DAYS = 364  # whole weeks
MOST_EVENTS = 200_000  # whose lateness is looked at


@dataclass(frozen=True)
class Flow:
    """One stream.

    Attributes:
        first_day: days since 1970 of the first of ``days``.
        days: events per whole day UTC by event time, the last 364 days at most.
        lateness: seconds from event to arrival; None where the history was imported as if each event had
            arrived when it happened, so that nothing is known of it.
    """

    first_day: int
    days: tuple[int, ...]
    lateness: Spread | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        late = None if self.lateness is None else self.lateness.to_json()
        return {"first_day": self.first_day, "days": list(self.days), "lateness": late}

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        late = None if form["lateness"] is None else Spread.from_json(form["lateness"])
        return cls(form["first_day"], tuple(form["days"]), late)


def flow(time: Int64, arrival: Int64) -> Flow:
    """The flow of some events.

    Args:
        time: int64 microseconds, shape (n,): when each happened.
        arrival: int64 microseconds, shape (n,): when each was accepted.

    Example:
        >>> day = np.repeat(np.arange(4), [5, 3, 2, 9])
        >>> flow(day * DAY, day * DAY).days  # the first and the last day may be cut
        (3, 2)
    """
    first, days = per_day(time)
    return Flow(first, tuple(days.tolist()), _lateness(time, arrival))


def flow_of(day: Int64, count: Int64, time: Int64, arrival: Int64) -> Flow:
    """The flow of events that were counted elsewhere.

    Args:
        day: int64, shape (d,): the days since 1970 that had events.
        count: int64, shape (d,): how many.
        time: int64 microseconds, shape (n,): of the events whose lateness is looked at, as :func:`looked_at`
            chooses them; none if nothing is known of it.
        arrival: int64 microseconds, shape (n,).

    Example:
        >>> flow_of(np.array([0, 1, 2, 3]), np.array([5, 3, 2, 9]), np.empty(0), np.empty(0)).days
        (3, 2)
    """
    first, days = _whole_days(day, count)
    late = spread(lateness(time, arrival), hours(arrival)) if len(time) else None
    return Flow(first, tuple(days.tolist()), late)


def looked_at(events: int) -> int:
    """Of so many events every how many-th is looked at, in the order of the log.

    Example:
        >>> looked_at(1_000), looked_at(500_000)
        (1, 3)
    """
    return max(1, -(-events // MOST_EVENTS))


def per_day(time: Int64) -> tuple[int, Int64]:
    """The first whole day, in days since 1970, and the events of each whole day from it on."""
    day = time // DAY
    if not len(day):
        return 0, np.zeros(0, np.int64)
    first, last = int(day.min()) + 1, int(day.max())
    first = max(first, last - MOST_DAYS)
    inside = day[(day >= first) & (day < last)] - first
    return first, np.bincount(inside, minlength=max(last - first, 0)).astype(np.int64)


def _whole_days(day: Int64, count: Int64) -> tuple[int, Int64]:
    if not len(day):
        return 0, np.zeros(0, np.int64)
    first, last = int(day.min()) + 1, int(day.max())
    first = max(first, last - MOST_DAYS)
    days = np.zeros(max(last - first, 0), np.int64)
    inside = (day >= first) & (day < last)
    days[day[inside] - first] = count[inside]
    return first, days


def _lateness(time: Int64, arrival: Int64) -> Spread | None:
    if not len(time) or (arrival <= time).all():
        return None
    step = looked_at(len(time))
    return spread(lateness(time, arrival)[::step], hours(arrival[::step]))


def lateness(time: Int64, arrival: Int64) -> npt.NDArray[np.float64]:
    """Seconds from event to arrival, shape (n,); 0 for what arrived before it happened."""
    return np.asarray(np.maximum(arrival - time, 0) / SECOND, np.float64)


def hours(arrival: Int64) -> Rows:
    """Events of one hour are late together: the hour of arrival stands for the entity."""
    return Rows.of(len(arrival), arrival // HOUR, arrival)
