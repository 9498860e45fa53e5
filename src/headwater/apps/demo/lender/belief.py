"""What could be known of the hidden life from the bookings alone: Bayes' rule, run forwards.

``risk`` knows the state of life; no model can. This observer sees what a model may see, every booking and
every silence, and knows the tables; hidden from it are the account's temperament and its state of life.
Its belief is exact, so the risk averaged over it is the best score that bookings allow::

    belief[temperament, state]   x   chance of what was seen in a slot    (bookings, and that there was none)
                                 ->  turned by the post each morning      -> made to sum to 1

Called by ``risk``. The forward algorithm of a hidden Markov model: Rabiner, *A tutorial on hidden Markov
models*, Proceedings of the IEEE 77 (1989).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headwater.apps.demo.lender.dynamics import DAYTIME, Dynamics
from headwater.apps.demo.lender.moves import Float, Int, Table
from headwater.apps.demo.lender.people import People
from headwater.apps.demo.lender.purposes import SPENDING, by_month, months
from headwater.apps.demo.lender.standing import Bool, Standing, left
from headwater.apps.demo.lender.terms import (
    CODE,
    DAY_SECONDS,
    DUE,
    INCOME,
    LEVELS,
    LIFE,
    NIGHT,
    PAYDAYS,
    START,
    STATES,
    TEMPERAMENTS,
    TEMPERS,
)
from headwater.apps.demo.lender.walk import Path

HYPOTHESES = len(TEMPERAMENTS) * len(STATES)
_SLOTS = 8


def beliefs(who: People, path: Path, dynamics: Dynamics, there: Standing) -> Float:
    """The belief at each moment, (n, temperaments * states); rows sum to 1.

    Of ``there`` the state and the group's temperament are not read: they are what is being inferred.
    """
    observer = _Observer(who, path, dynamics)
    found = np.full((len(there.account), HYPOTHESES), np.nan)
    order = np.lexsort((there.slot, there.day))
    step = (there.day * (_SLOTS + 1) + there.slot)[order]
    last = int(there.day.max(initial=-1))
    for day in range(last + 1):
        for slot in range(_SLOTS + 1):
            first, stop = np.searchsorted(step, [day * (_SLOTS + 1) + slot, day * (_SLOTS + 1) + slot + 1])
            rows = order[first:stop]
            tables = list(observer.tables(day, slot)) if slot < _SLOTS else []
            if len(rows):
                found[rows] = observer.at(tables, there, rows, slot)
            if slot < _SLOTS:
                observer.see(tables, day, slot)
    sums: Float = found.sum(axis=1, keepdims=True)
    return found / sums


class _Observer:
    """The belief about every account, carried through the days."""

    def __init__(self, who: People, path: Path, dynamics: Dynamics) -> None:
        self.who, self.path, self.dynamics = who, path, dynamics
        self.payday = who.group // len(TEMPERAMENTS)
        self.belief: Float = np.tile(np.outer(TEMPERS, START).ravel(), (len(who), 1))
        self.level = who.opening_level.copy()
        self.step = path.second // DAY_SECONDS * _SLOTS + path.slot  # ascending
        self.month = months(dynamics.calendar, len(path.state))
        self.spending = _spending(dynamics, len(path.state))

    def tables(self, day: int, slot: int) -> Iterator[tuple[Table, Int]]:
        """The tables that rule a slot and the accounts that each rules."""
        dynamics, group = self.dynamics, self.who.group
        there = self.who.opened <= day
        if slot == INCOME and len(paid := dynamics.paid(day)):
            yield dynamics.income(), np.flatnonzero(there & np.isin(group, paid))
        elif slot == DUE:
            yield from self._dues(day, there)
        elif slot in DAYTIME:
            yield dynamics.daytime(slot, day), np.flatnonzero(there)

    def _dues(self, day: int, there: Bool) -> Iterator[tuple[Table, Int]]:
        everybody = self.dynamics.due(day)
        if everybody is not None:
            yield everybody, np.flatnonzero(there)
        if self.dynamics.loans_due(day):
            owed = self.who.instalments[:, self.month[day]]
            for units in (1, 2):
                yield self.dynamics.loan(units), np.flatnonzero(there & (owed == units))
        if len(saving := self.dynamics.saving(day)):
            yield self.dynamics.savings(), np.flatnonzero(there & np.isin(self.who.group, saving))

    def see(self, tables: list[tuple[Table, Int]], day: int, slot: int) -> None:
        """Take in one slot of one day: what was booked, and where nothing was."""
        if slot == LIFE:
            self._post(day)
            return
        now = slice(*np.searchsorted(self.step, [day * _SLOTS + slot, day * _SLOTS + slot + 1]))
        account = self.path.account[now]
        outcome = np.zeros(len(self.who), dtype=np.int64)
        outcome[account] = self.path.outcome[now]
        for table, ruled in tables:
            self.belief[ruled] *= self._evidence(table, ruled, outcome[ruled])
        self.level[account] = self.path.level[now]
        if slot in DAYTIME and len(account):
            self.belief[account] *= self.spending[self.month[day], self.path.kind[now]]
        if slot == NIGHT:
            self.belief /= self.belief.sum(axis=1, keepdims=True)

    def at(self, tables: list[tuple[Table, Int]], there: Standing, rows: Int, slot: int) -> Float:
        """The belief before a slot or, within a band that is still silent, given the silence so far."""
        account = there.account[rows]
        belief: Float = self.belief[account]
        for table, ruled in tables:
            silent = np.flatnonzero(there.waiting[rows] & np.isin(account, ruled))
            quiet = self._evidence(table, account[silent], np.zeros(len(silent), dtype=np.int64))
            share = left(slot, there.second[rows[silent]])[:, None]
            belief[silent] *= quiet + (1.0 - quiet) * share
        return belief

    def _evidence(self, table: Table, account: Int, outcome: Int) -> Float:
        row = (self.payday[account] * LEVELS + self.level[account]) * len(table.names) + outcome
        likelihood: Float = table.evidence[row]
        return likelihood

    def _post(self, day: int) -> None:
        life = self.dynamics.life(day).reshape(len(PAYDAYS), len(TEMPERAMENTS), len(STATES), len(STATES))
        there = self.who.opened <= day
        for payday in range(len(PAYDAYS)):
            rows = np.flatnonzero(there & (self.payday == payday))
            by_temper = self.belief[rows].reshape(len(rows), len(TEMPERAMENTS), len(STATES))
            turned = np.matmul(by_temper.transpose(1, 0, 2), life[payday]).transpose(1, 0, 2)
            self.belief[rows] = turned.reshape(len(rows), HYPOTHESES)


def _spending(dynamics: Dynamics, days: int) -> Float:
    """The likelihood of a purpose, (months, purposes, temperaments * states); 1 where it tells nothing."""
    share = by_month(dynamics.calendar, days)
    likelihood = np.ones((len(share), len(CODE), HYPOTHESES))
    for column, name in enumerate(SPENDING):
        likelihood[:, CODE[name]] = np.tile(share[:, :, column], (1, len(TEMPERAMENTS)))
    return likelihood
