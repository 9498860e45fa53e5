"""What purchases are for: the mark that a state of life leaves on a statement.

``simulate`` draws a purpose for every purchase of the walk; ``belief`` asks how likely that purpose was in
each state. Before the change of regime a crisis shows as cash and gambling, after it as buying now and
paying later: a model that was fitted on the past reads the new statements less well.
"""

from __future__ import annotations

import numpy as np

from headwater.apps.demo.lender.calendar import Calendar
from headwater.apps.demo.lender.moves import Float, Int
from headwater.apps.demo.lender.terms import CODE, DAY_SECONDS
from headwater.apps.demo.lender.walk import Path

SPENDING = ("groceries", "shopping", "leisure", "cash", "gambling", "pay_later")
_CODES: Int = np.array([CODE[name] for name in SPENDING])
_SHARES: Float = np.array([  # by state of life, before the change of regime
    [0.50, 0.25, 0.17, 0.07, 0.01, 0.00],
    [0.34, 0.23, 0.20, 0.17, 0.06, 0.00],
    [0.12, 0.12, 0.16, 0.36, 0.24, 0.00],
    [0.64, 0.10, 0.07, 0.17, 0.02, 0.00],
])  # fmt: skip
_LATER: Float = np.array([0.05, 0.45, 0.75, 0.30])  # by state: moved to pay_later, after the change
_MOVABLE = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])  # shopping, cash, gambling
LARGE = 3  # the outcome of a purchase table that is four units
REPAIR = 0.6  # share of large purchases that are repairs, in every state


def shares(regime: float) -> Float:
    """The chance of each purpose of ``SPENDING`` by state of life, (states, purposes)."""
    moved = _SHARES * _MOVABLE * (_LATER * regime)[:, None]
    result: Float = _SHARES - moved
    result[:, -1] += moved.sum(axis=1)
    return result


def purposes(path: Path, calendar: Calendar, rng: np.random.Generator) -> Int:
    """The code of the purpose of every event, in the order of the path."""
    kind = path.kind.copy()
    bought = np.flatnonzero(kind == CODE["groceries"])
    day = path.second[bought] // DAY_SECONDS
    edges = np.cumsum(by_month(calendar, len(path.state)), axis=-1)[..., :-1]
    edge = edges[months(calendar, len(path.state))[day], path.state[day, path.account[bought]]]
    chosen = _CODES[(rng.random(len(bought))[:, None] >= edge).sum(axis=1)]
    repaired = (path.outcome[bought] == LARGE) & (rng.random(len(bought)) < REPAIR)
    kind[bought] = np.where(repaired, CODE["repair"], chosen)
    return kind


def months(calendar: Calendar, days: int) -> Int:
    """The month of each day."""
    return np.array([calendar.month(day) for day in range(days)], dtype=np.int64)


def by_month(calendar: Calendar, days: int) -> Float:
    """The shares of every month that has one of the days, (months, states, purposes)."""
    last = calendar.month(days - 1)
    return np.stack([shares(calendar.weather(month).regime) for month in range(last + 1)])
