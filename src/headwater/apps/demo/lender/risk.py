"""The true risk: the exact probability of the label, given everything the simulation knows at a moment.

Made by ``simulate`` as ``Lender.risk``. A moment is an account and a time of day; what is known is the
account's level of money, its state of life, its count of nights beyond the limit, its instalments, and
where in the day it stands. What is not known is the future. Read ``backward`` for how it is solved.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from headwater.apps.demo.lender.backward import SLOTS, DayValues, sweep
from headwater.apps.demo.lender.belief import beliefs
from headwater.apps.demo.lender.dynamics import Dynamics
from headwater.apps.demo.lender.moves import Float, Int
from headwater.apps.demo.lender.people import People
from headwater.apps.demo.lender.standing import History, Standing, left
from headwater.apps.demo.lender.terms import DAY_SECONDS, STATES, TEMPERAMENTS
from headwater.apps.demo.lender.walk import Path
from headwater.core.errors import DataError
from headwater.core.instant import SECOND, span


class TrueRisk:
    """Answers how probable sanction interest truly was: to whoever knows all, or only the bookings."""

    def __init__(self, who: People, path: Path, dynamics: Dynamics) -> None:
        self._who, self._path, self._dynamics = who, path, dynamics
        self._history = History(who, path)

    def __call__(self, accounts: npt.ArrayLike, times: npt.ArrayLike, horizon: str | int = "30d") -> Float:
        """P(sanction interest in ``(time, time + horizon]``), given the latent state at ``time``.

        No score can rank or calibrate better, whatever it is made from. About 25 milliseconds for every
        day that has a question, however many questions it has.

        Args:
            accounts: account ids, shape (n,).
            times: microseconds UTC, or datetime64, shape (n,). What happens at a time is known at it.
            horizon: a span such as ``"30d"``, or microseconds.

        Returns:
            float64, shape (n,); NaN where an account is not open yet.

        Raises:
            DataError: an unknown account, or a time outside the simulated years.
        """
        there, rows, risk = self._standing(accounts, times, horizon)
        risk[rows] = self._chance(there, [there])[:, 0].clip(0.0, 1.0)  # sums of chances round
        return risk

    def from_bookings(
        self, accounts: npt.ArrayLike, times: npt.ArrayLike, horizon: str | int = "30d"
    ) -> Float:
        """The same probability, given only the bookings up to ``time``: the best that a model can reach.

        Arguments, result and errors as in calling the object itself. Costs a walk through all days up to the
        last one that is asked about, some seconds, and then as much as the true risk.
        """
        there, rows, risk = self._standing(accounts, times, horizon)
        belief = beliefs(self._who, self._path, self._dynamics, there)
        payday = there.group // len(TEMPERAMENTS)
        supposed = [
            replace(there, group=payday * len(TEMPERAMENTS) + temper, state=np.full_like(there.state, state))
            for temper in range(len(TEMPERAMENTS))
            for state in range(len(STATES))
        ]
        risk[rows] = (self._chance(there, supposed) * belief).sum(axis=1).clip(0.0, 1.0)
        return risk

    def _standing(
        self, accounts: npt.ArrayLike, times: npt.ArrayLike, horizon: str | int
    ) -> tuple[Standing, Int, Float]:
        """The moments of open accounts, which of the rows they are, and NaN for every row."""
        ids = np.asarray(accounts, dtype=np.int64)
        moments = np.asarray(times)
        if np.issubdtype(moments.dtype, np.datetime64):
            moments = moments.astype("datetime64[us]")
        moments = moments.astype(np.int64) - self._dynamics.calendar.epoch_seconds * SECOND
        self._check(ids, moments)
        rows = np.flatnonzero(self._history.opened(ids - 1, moments))
        there = self._history.standing(ids[rows] - 1, moments[rows], span(horizon))
        return there, rows, np.full(len(ids), np.nan)

    def _check(self, ids: Int, moments: Int) -> None:
        days = len(self._path.state)
        unknown = np.flatnonzero((ids < 1) | (ids > len(self._who)))
        if len(unknown):
            raise DataError.of(
                "the true risk is asked for an account that the lender does not have",
                expected=f"an account id from 1 to {len(self._who)}",
                got=str(ids[unknown[0]]),
                where=f"accounts[{unknown[0]}]",
                do="ask for accounts of this simulation",
            )
        outside = np.flatnonzero((moments < 0) | (moments >= days * DAY_SECONDS * SECOND))
        if len(outside):
            calendar = self._dynamics.calendar
            raise DataError.of(
                "the true risk is asked for a time outside the simulation",
                expected=f"a time from {calendar.on(0)}T00:00:00Z to before {calendar.on(days)}T00:00:00Z",
                got=f"{np.datetime64(int(moments[outside[0]]) + calendar.epoch_seconds * SECOND, 'us')}Z",
                where=f"times[{outside[0]}]",
                do="ask within the simulated years, in microseconds UTC",
            )

    def _chance(self, there: Standing, supposed: list[Standing]) -> Float:
        """P(charged by the deadline) for each moment and each supposition about it, (n, suppositions)."""
        chance = np.zeros((len(there.account), len(supposed)))
        for deadline in np.unique(there.deadline):
            rows = np.flatnonzero((there.deadline == deadline) & (there.day <= deadline))
            if len(rows):
                self._solve(there.day[rows], int(deadline), rows, supposed, chance)
        return chance

    def _solve(self, day: Int, deadline: int, rows: Int, supposed: list[Standing], chance: Float) -> None:
        """Fill in the moments that have one deadline, by one sweep."""
        patterns, pattern = self._patterns(supposed[0].account[rows], int(day.min()), deadline)
        kept = sweep(self._dynamics, deadline, set(day.tolist()), patterns)
        for asked, values in kept.items():
            now = np.flatnonzero(day == asked)
            for column, there in enumerate(supposed):
                chance[rows[now], column] = _read(values, there, rows[now], pattern[now])

    def _patterns(self, account: Int, first: int, deadline: int) -> tuple[Int, Int]:
        """The distinct rows of instalments due in a stretch of days, and which row each account has."""
        calendar, book = self._dynamics.calendar, self._who.instalments
        due = [day for day in range(first, deadline + 1) if self._dynamics.loans_due(day)]
        owed = np.zeros((len(account), len(due)), dtype=np.int64)
        for column, day in enumerate(due):
            month = calendar.month(day)
            if month < book.shape[1]:  # the loan book ends a year after the simulation
                owed[:, column] = book[account, month]
        patterns, which = np.unique(owed, axis=0, return_inverse=True)
        return patterns, which.ravel()


def _read(values: DayValues, there: Standing, rows: Int, pattern: Int) -> Float:
    """The value at each moment of one day, (rows,)."""
    risk = np.zeros(len(rows))
    slots = there.slot[rows]
    for slot in range(SLOTS + 1):
        now = np.flatnonzero(slots == slot)
        who = rows[now]
        place = (there.group[who], there.state[who], there.level[who], there.nights[who], pattern[now])
        risk[now] = values.before[slot][place]
        still = np.flatnonzero(there.waiting[who])
        if slot < SLOTS and len(still):
            place = tuple(part[still] for part in place)  # type: ignore[assignment]
            risk[now[still]] = _silent(values, slot, place, there.second[who[still]])
    return risk


def _silent(values: DayValues, slot: int, place: tuple[Int, Int, Int, Int, Int], second: Int) -> Float:
    """The value inside a running band, given that nothing happened in it so far.

    With chance q of a quiet band and a share r of it still to come::

        P(something still happens | nothing yet) = (1 - q) r / (q + (1 - q) r)
    """
    before, after = values.before[slot][place], values.before[slot + 1][place]
    table = values.quiet[slot]
    if table is None:
        return after
    group, state, level, _, pattern = place
    quiet = table[group, state, level, pattern if table.shape[3] > 1 else 0]
    share = left(slot, second)
    result: Float = (quiet * after + (before - quiet * after) * share) / (quiet + (1.0 - quiet) * share)
    return result
