"""One call that makes a lender: its customers, their events, and the true risk behind them.

Called by ``headwater demo`` and by tests. Read ``walk`` for how a day goes, ``risk`` for the true risk and
``docs/explanation/simulated-lender.md`` for why it is made so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl

from headwater.apps.demo.lender.arrivals import arrivals
from headwater.apps.demo.lender.calendar import Calendar
from headwater.apps.demo.lender.dynamics import Dynamics
from headwater.apps.demo.lender.ledger import transactions
from headwater.apps.demo.lender.moves import Int
from headwater.apps.demo.lender.people import people
from headwater.apps.demo.lender.purposes import purposes
from headwater.apps.demo.lender.risk import TrueRisk
from headwater.apps.demo.lender.streams import loan_status, loans, profiles
from headwater.apps.demo.lender.walk import walk
from headwater.core.errors import DataError, Problem
from headwater.core.instant import DAY, span

TIMES = {
    "transactions": "booked_at",
    "loans": "granted_at",
    "loan_status": "changed_at",
    "profiles": "changed_at",
}
_WIDE = 2**33  # more seconds than any time


@dataclass(frozen=True)
class Lender:
    """A bank that never was.

    Attributes:
        events: one frame per stream (``transactions``, ``loans``, ``loan_status``, ``profiles``), each
            ascending by its time column, see ``TIMES``.
        arrival: per stream, int64 microseconds, one per row: when a live log would have received it.
        risk: the true probability of the label, see :class:`TrueRisk`.
        start: the first instant, microseconds UTC.
        stop: the first instant after the end.
    """

    events: Mapping[str, pl.DataFrame]
    arrival: Mapping[str, Int]
    risk: TrueRisk
    start: int
    stop: int

    def labels(
        self, observations: pl.DataFrame, horizon: str | int = "30d", time: str = "time"
    ) -> pl.DataFrame:
        """What came true, straight from the events: an oracle for tests, knowing the future.

        Args:
            observations: columns ``account_id`` and ``time`` (Datetime us UTC).
            horizon: how far the label looks.
            time: the name of the time column.

        Returns:
            The observations with ``happened``, whether sanction interest was booked in
            ``(time, time + horizon]``, and ``mature``, whether the simulation reaches that far.
        """
        booked = self.events["transactions"].filter(pl.col("purpose") == "sanction_interest")
        charged = np.sort(_key(booked["account_id"], booked["booked_at"].to_physical().to_numpy()))
        moment = observations[time].cast(pl.Datetime("us", "UTC")).to_physical().to_numpy()
        until = moment + span(horizon)
        upto = np.searchsorted(charged, _key(observations["account_id"], until), side="right")
        before = np.searchsorted(charged, _key(observations["account_id"], moment), side="right")
        return observations.with_columns(
            pl.Series("happened", upto > before), pl.Series("mature", until < self.stop)
        )


def simulate(accounts: int = 4_000, years: int = 3, seed: int = 7, start: str = "2023-01-01") -> Lender:
    """A lender's events and their true risk; the same arguments give the same bits.

    The regime changes at the beginning of the last year. The default gives about a million transactions.

    Args:
        accounts: how many current accounts, at least one.
        years: whole years, 1 to 20.
        seed: any non-negative integer.
        start: the first day, ISO 8601, on the first to the twenty-eighth of a month.

    Raises:
        DataError: an argument out of range; all of them are named.

    Example:
        >>> lender = simulate(accounts=20, years=1)
        >>> lender.events["transactions"].columns[:3]
        ['transaction_id', 'account_id', 'booked_at']
        >>> first = lender.events["transactions"].tail(1)
        >>> bool(0.0 <= lender.risk(first["account_id"], first["booked_at"], "30d")[0] <= 1.0)
        True
    """
    day = _first_day(accounts, years, seed, start)
    calendar = Calendar(day, shift=12 * (years - 1))
    days = (day.replace(year=day.year + years) - day).days
    parts = [np.random.Generator(np.random.PCG64(part)) for part in np.random.SeedSequence(seed).spawn(9)]
    dynamics = Dynamics(calendar)
    who = people(accounts, days, calendar, parts[0])
    path = walk(who, days, dynamics, parts[1])
    path = replace(path, kind=purposes(path, calendar, parts[4]))
    grants = loans(who, calendar)
    events = {
        "transactions": transactions(who, path, calendar, parts[2]),
        "loans": grants,
        "loan_status": loan_status(path, grants, calendar),
        "profiles": profiles(who, path, calendar, parts[3]),
    }
    when = {name: frame[TIMES[name]].to_physical().to_numpy() for name, frame in events.items()}
    arrival = {name: arrivals(time, rng) for (name, time), rng in zip(when.items(), parts[5:], strict=True)}
    first = calendar.epoch_seconds * 1_000_000
    return Lender(events, arrival, TrueRisk(who, path, dynamics), first, first + days * DAY)


def _first_day(accounts: int, years: int, seed: int, start: str) -> date:
    """The start as a date, all arguments checked."""
    problems = []
    if accounts < 1:
        problems.append(_out_of_range("accounts", "at least 1", accounts))
    if not 1 <= years <= 20:
        problems.append(_out_of_range("years", "1 to 20", years))
    if seed < 0:
        problems.append(_out_of_range("seed", "0 or more", seed))
    try:
        day = date.fromisoformat(start)
    except ValueError:
        day = date(1, 1, 29)
    if day.day > 28 or not 1900 <= day.year <= 2090:
        expected = "an ISO date from 1900 to 2090 on day 1 to 28 of a month, such as 2023-01-01"
        problems.append(_out_of_range("start", expected, start))
    DataError.raise_if(problems)
    return day


def _out_of_range(name: str, expected: str, got: object) -> Problem:
    what = f"the simulated lender cannot be made with this {name}"
    return Problem(what, expected=expected, got=repr(got), where=name, do=f"choose another {name}")


def _key(account: pl.Series, time: Int) -> Int:
    """Account and time as one ascending number; events fall on whole seconds, so whole seconds decide."""
    key: Int = account.to_numpy() * _WIDE + time // 1_000_000
    return key
