"""The slow truth about the risk: one account, one moment, plain loops, forwards.

The package solves the risk backwards with matrices over all states at once. Here a single account's
distribution is pushed forwards, slot by slot, in a dictionary; whoever is charged leaves it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from headwater.apps.demo.lender.dynamics import DAYTIME, Dynamics
from headwater.apps.demo.lender.moves import Table
from headwater.apps.demo.lender.terms import BANDS, BEYOND, DUE, INCOME, LIFE, NIGHT, NIGHTS

Where = tuple[int, int, int]  # state, level, nights
Spread = dict[Where, float]


@dataclass(frozen=True)
class Account:
    """What is fixed: group, own seconds, and the instalment of each month."""

    group: int
    night_second: int
    post_second: int
    instalments: list[int]


def tables(dynamics: Dynamics, account: Account, day: int, slot: int) -> list[Table]:
    """What rules a slot of this account."""
    if slot == INCOME and account.group in dynamics.paid(day):
        return [dynamics.income()]
    if slot in DAYTIME:
        return [dynamics.daytime(slot, day)]
    if slot != DUE:
        return []
    found = [table for table in [dynamics.due(day)] if table is not None]
    units = account.instalments[dynamics.calendar.month(day)]
    if dynamics.loans_due(day) and units:
        found.append(dynamics.loan(units))
    if account.group in dynamics.saving(day):
        found.append(dynamics.savings())
    return found


def push(spread: Spread, table: Table, group: int, share: float) -> Spread:
    """One slot of which a share of the seconds is still to come and nothing has happened so far."""
    after: Spread = defaultdict(float)
    for (state, level, nights), weight in spread.items():
        chance = table.chance[group, state, level]
        silent = chance[0] + (1 - chance[0]) * share
        after[state, level, nights] += weight * chance[0] / silent
        for outcome in range(1, len(chance)):
            target = int(table.target[level, outcome])
            after[state, target, nights] += weight * chance[outcome] * share / silent
    return after


def turn(spread: Spread, dynamics: Dynamics, group: int, day: int) -> Spread:
    """The morning's post."""
    after: Spread = defaultdict(float)
    for (state, level, nights), weight in spread.items():
        for becomes, chance in enumerate(dynamics.life(day)[group, state]):
            after[becomes, level, nights] += weight * float(chance)
    return after


def night(spread: Spread) -> tuple[Spread, float]:
    """The night run, and the weight of whoever is charged in it."""
    after: Spread = defaultdict(float)
    charged = 0.0
    for (state, level, nights), weight in spread.items():
        if level >= BEYOND:
            after[state, level, 0] += weight
        elif nights + 1 < NIGHTS:
            after[state, level, nights + 1] += weight
        else:
            charged += weight
    return after, charged


def risk(dynamics: Dynamics, account: Account, at: int, where: Where, busy: bool, seconds: int) -> float:
    """P(charged in ``(at, at + seconds]``); ``at`` in seconds since day 0; ``busy``: the band is spent."""
    spread: Spread = {where: 1.0}
    charged = 0.0
    first, second = divmod(at, 86_400)
    for day in range(first, (at + seconds) // 86_400 + 1):
        for slot, (start, stop) in BANDS.items():
            point = {NIGHT: account.night_second, LIFE: account.post_second}.get(slot)
            over = second >= (stop if point is None else point) if day == first else False
            if over:
                continue
            if slot == NIGHT:
                if day * 86_400 + account.night_second <= at + seconds:
                    spread, now = night(spread)
                    charged += now
            elif slot == LIFE:
                spread = turn(spread, dynamics, account.group, day)
            elif not (day == first and second >= start and busy):
                share = (stop - 1 - second) / (stop - start) if day == first and second >= start else 1.0
                for table in tables(dynamics, account, day, slot):
                    spread = push(spread, table, account.group, share)
    return charged
