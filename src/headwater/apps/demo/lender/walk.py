"""The walk: every account through every day, slot by slot, all accounts at once.

Called by ``simulate``; its :class:`Path` is turned into bookings by ``ledger`` and read by ``risk``.

The shape of a day, and what is hidden (~) or seen (#)::

    00:10      03:00   05:00  06:30  07:30 08:00   12:00   16:00  17:00        23:30
      |--night--|        |income#|--due#--|~post~|morning#|aftern.#|help#|--evening#--|
          |                                  |
          beyond the limit for the third     the state of life may turn:
          night running? sanction interest#  calm, strained, crisis, jobless
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.apps.demo.lender.dynamics import DAYTIME, Dynamics
from headwater.apps.demo.lender.moves import Int, Table
from headwater.apps.demo.lender.people import People
from headwater.apps.demo.lender.terms import (
    BANDS,
    BEYOND,
    CALM,
    CODE,
    DAY_SECONDS,
    DUE,
    HELP,
    INCOME,
    NIGHT,
    NIGHTS,
    START,
    STRAINED,
)

Int8 = npt.NDArray[np.int8]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Path:
    """What happened. Events are in the order of the walk: by day, slot, then account.

    Attributes:
        start: int8 (accounts,), the state of life on the first day before its post.
        state: int8 (days, accounts), the state of life after the day's post.
        nights: int8 (days, accounts), nights running beyond the limit, after the night run.
        account, second, kind, level: int64, one per event: account index, seconds since day 0, code of the
            purpose (every purchase is ``groceries`` until ``purposes`` says what it was for), level after it.
        slot: int64, the slot of each event.
        outcome: int64, the outcome in the slot's table; 0 for what the night run books and for the opening.
        moved: bool, whether the level changed; if not, the event is a small booking.
    """

    start: Int8
    state: Int8
    nights: Int8
    account: Int
    second: Int
    slot: Int
    outcome: Int
    kind: Int
    level: Int
    moved: Bool


@dataclass(frozen=True)
class _Happened:
    """Events of one slot of one day, one per entry: the columns of :class:`Path`."""

    account: Int
    second: Int
    slot: int
    outcome: Int | int
    kind: Int | int
    level: Int
    moved: Bool | bool


def _column(pieces: list[_Happened], name: str) -> npt.NDArray[Any]:
    return np.concatenate([np.broadcast_to(getattr(piece, name), len(piece.account)) for piece in pieces])


def walk(who: People, days: int, dynamics: Dynamics, rng: np.random.Generator) -> Path:
    """Walk all accounts through ``days`` days."""
    walker = _Walker(who, dynamics, rng)
    start = walker.state.astype(np.int8)
    state = np.zeros((days, len(who)), dtype=np.int8)
    nights = np.zeros((days, len(who)), dtype=np.int8)
    for day in range(days):
        walker.live(day)
        state[day], nights[day] = walker.state, walker.nights
    names = ("account", "second", "slot", "outcome", "kind", "level", "moved")
    return Path(start, state, nights, **{name: _column(walker.happened, name) for name in names})


class _Walker:
    """Where every account stands, and the events so far."""

    def __init__(self, who: People, dynamics: Dynamics, rng: np.random.Generator) -> None:
        self.who, self.dynamics, self.rng = who, dynamics, rng
        self.level = who.opening_level.copy()
        self.state: Int = np.where(rng.random(len(who)) < START[CALM], CALM, STRAINED)
        self.nights = np.zeros(len(who), dtype=np.int64)
        self.happened: list[_Happened] = []

    def live(self, day: int) -> None:
        """One day of everybody whose account is open."""
        who, dynamics = self.who, self.dynamics
        there = np.flatnonzero(who.opened <= day)
        self.night(day, there)
        new = np.flatnonzero(who.opened == day)
        self.book(new, day * DAY_SECONDS + who.opening_second[new], "opening")
        self.slot(day, INCOME, dynamics.income(), there[np.isin(who.group[there], dynamics.paid(day))])
        self.dues(day, there)
        self.post(day, there)
        for slot in DAYTIME:
            self.slot(day, slot, dynamics.daytime(slot, day), there)

    def night(self, day: int, there: Int) -> None:
        """The bank's nightly run: count the nights beyond the limit, charge on the third."""
        before = there[self.who.opened[there] < day]
        beyond = self.level[before] < BEYOND
        self.nights[before] = np.where(beyond, self.nights[before] + 1, 0)
        charged = before[self.nights[before] == NIGHTS]
        self.nights[charged] = 0
        second = day * DAY_SECONDS + self.who.night_second[charged]
        self.book(charged, second, "sanction_interest")
        if self.dynamics.calendar.day_of_month(day) == 1:
            owing = before[self.level[before] - BEYOND < self.who.limit[before]]
            second = day * DAY_SECONDS + self.who.night_second[owing] + 1
            self.book(owing, second, "overdraft_interest")

    def book(self, account: Int, second: Int, purpose: str) -> None:
        """A booking of the bank's own, by night."""
        moved = purpose == "opening"
        self.happened.append(_Happened(account, second, NIGHT, 0, CODE[purpose], self.level[account], moved))

    def dues(self, day: int, there: Int) -> None:
        """At most one due a day: rent, energy, the loan's instalment, or putting money aside."""
        dynamics = self.dynamics
        everybody = dynamics.due(day)
        if everybody is not None:
            self.slot(day, DUE, everybody, there)
        if dynamics.loans_due(day):
            owed = self.who.instalments[there, dynamics.calendar.month(day)]
            for units in (1, 2):
                self.slot(day, DUE, dynamics.loan(units), there[owed == units])
        savers = there[np.isin(self.who.group[there], dynamics.saving(day))]
        self.slot(day, DUE, dynamics.savings(), savers)

    def post(self, day: int, there: Int) -> None:
        """The hidden turn of lives."""
        edges = np.cumsum(self.dynamics.life(day), axis=-1)[..., :-1]
        draw = self.rng.random(len(there))
        edge = edges[self.who.group[there], self.state[there]]
        self.state[there] = (draw[:, None] >= edge).sum(axis=1)

    def slot(self, day: int, slot: int, table: Table, there: Int) -> None:
        """One slot of those ``there``: draw the outcome, move, and note what happened."""
        if len(there) == 0:
            return
        level = self.level[there]
        edge = table.cumulative[self.who.group[there], self.state[there], level]
        outcome = (self.rng.random(len(there))[:, None] >= edge).sum(axis=1)
        happened = np.flatnonzero(outcome)
        who, outcome = there[happened], outcome[happened]
        after = table.target[level[happened], outcome]
        second = day * DAY_SECONDS + self.rng.integers(*BANDS[slot], size=len(who))
        kind = _codes(table, slot)[outcome]
        self.level[who] = after
        moved = after != level[happened]
        self.happened.append(_Happened(who, second, slot, outcome, kind, after, moved))


def _codes(table: Table, slot: int) -> Int:
    """The purpose of each outcome of a table."""
    if slot == HELP:
        return np.full(len(table.names), CODE["transfer_in"])
    names = [name.split(":")[0] for name in table.names]
    return np.array([CODE.get("groceries" if name == "purchase" else name, 0) for name in names])
