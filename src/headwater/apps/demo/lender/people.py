"""The customers: what is fixed about each account before the first day, loans included.

Drawn once by ``simulate``. The loan book is drawn up front too: a grant is agreed, its first instalment
falls at least thirty days later, and ``risk`` may therefore treat instalments as known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from headwater.apps.demo.lender.calendar import Calendar
from headwater.apps.demo.lender.moves import Float, Int
from headwater.apps.demo.lender.terms import (
    BANDS,
    BEYOND,
    DAY_SECONDS,
    LIFE,
    LOAN_DAY,
    NIGHT,
    OPENING,
    PAYDAYS,
    SALARY,
    TEMPERAMENTS,
    TEMPERS,
)

_HOUR = 3_600
_NOTICE = 30  # days between a grant and its first instalment, at least
_DURATIONS = (12, 18, 24, 36)


@dataclass(frozen=True)
class People:
    """One entry per account in every array; account ids are 1 .. n, in order.

    Attributes:
        unit: cents in a unit, a twelfth of the monthly income.
        limit: overdraft limit in units (half a unit more in money).
        group: payday and temperament, see ``terms``.
        opened: day of the first booking; -1 is never.
        opening_second, night_second, post_second: the account's own seconds of the day.
        opening_level: the level after the first booking.
        instalments: int64 (accounts, months): units due on the loan day of each month from day 0's.
        loans: one row per loan (account index, granted second since day 0, units, duration, first month).
    """

    unit: Int
    limit: Int
    group: Int
    opened: Int
    opening_second: Int
    night_second: Int
    post_second: Int
    opening_level: Int
    instalments: Int
    loans: pl.DataFrame

    def __len__(self) -> int:
        return len(self.unit)


def people(accounts: int, days: int, calendar: Calendar, rng: np.random.Generator) -> People:
    """Draw the customers of ``days`` days."""
    temper = rng.choice(len(TEMPERAMENTS), size=accounts, p=TEMPERS)
    payday = rng.choice(len(PAYDAYS), size=accounts, p=[0.25, 0.10, 0.15, 0.15, 0.35])
    limit = rng.choice([0, 2, 4, 8], size=accounts, p=[0.30, 0.30, 0.25, 0.15])
    income = np.exp(rng.normal(np.log(2_400.0), 0.38, size=accounts)).clip(1_000.0, 9_000.0)
    late = rng.random(accounts) < 0.20
    opened = np.where(late, rng.integers(1, max(2, days // 2), size=accounts), 0)
    granted, units, duration = _wishes(temper, opened, days, rng)
    first = _first_month(granted, calendar)
    months = calendar.month(days) + 1
    number = np.arange(months + 13)[None, :] - first[:, None]
    owing = (granted >= 0)[:, None] & (number >= 0) & (number < duration[:, None])
    has = np.flatnonzero(granted >= 0)
    return People(
        unit=np.rint(income * 100 / SALARY).astype(np.int64),
        limit=limit,
        group=payday * len(TEMPERAMENTS) + temper,
        opened=opened,
        opening_second=rng.integers(*OPENING, size=accounts),
        night_second=np.sort(rng.integers(*BANDS[NIGHT], size=accounts)),
        post_second=rng.integers(*BANDS[LIFE], size=accounts),
        opening_level=BEYOND + limit + _opening(temper, rng),
        instalments=np.where(owing, units[:, None], 0),
        loans=pl.DataFrame({
            "account": has, "granted": granted[has], "units": units[has],
            "duration": duration[has], "first_month": first[has],
        }),
    )  # fmt: skip


def _opening(temper: Int, rng: np.random.Generator) -> Int:
    """Own money brought in, in units: at least one."""
    typical: Float = np.array([11.0, 8.0, 5.0])[temper]
    return 1 + rng.poisson(typical)


def _wishes(temper: Int, opened: Int, days: int, rng: np.random.Generator) -> tuple[Int, Int, Int]:
    """When each account's loan is granted (seconds since day 0; -1 never), its instalment and months."""
    n = len(temper)
    wants = rng.random(n) < np.array([0.20, 0.32, 0.45])[temper]
    earliest = opened + 60
    day = earliest + (rng.random(n) * np.maximum(days - earliest, 1)).astype(np.int64)
    second = rng.integers(9 * _HOUR, 17 * _HOUR, size=n)
    granted = np.where(wants & (day < days), day * DAY_SECONDS + second, -1)
    units = rng.choice([1, 2], size=n, p=[0.7, 0.3])
    duration = rng.choice(_DURATIONS, size=n, p=[0.25, 0.25, 0.35, 0.15])
    return granted, units, duration


def _first_month(granted: Int, calendar: Calendar) -> Int:
    """The month of the first loan day that is at least the notice away."""
    first = np.full(len(granted), 10_000, dtype=np.int64)
    for row in np.flatnonzero(granted >= 0):
        day = int(granted[row]) // DAY_SECONDS + _NOTICE + 1
        first[row] = calendar.month(day) + (calendar.day_of_month(day) > LOAN_DAY)
    return first
