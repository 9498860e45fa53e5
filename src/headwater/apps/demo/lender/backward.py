"""Backward recursion: the exact chance of sanction interest before a deadline, from any state of a day.

Called by ``risk``. One :func:`sweep` starts at a deadline's night run and walks back day by day through the
same tables that made the events. Where a sweep passes a day that is asked about, it keeps the values
between the slots, so that a question at noon is answered for noon::

    value[group, state, level, nights, pattern] = P(charged in a night run up to the deadline's | there)

    night run:  beyond the limit    value(nights) <- value(nights + 1), and 1 on the last of NIGHTS
                within the limit    value(nights) <- value(0)
    a band:     value <- chance-weighted value of the levels led to         (level x level matrix)
    the post:   value <- chance-weighted value of the states turned to      (state x state matrix)

``pattern`` is the row of instalments due between now and the deadline: known, and the same for many.
See any text on absorbing Markov chains, such as Norris, *Markov Chains* (1997), section 1.3.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from headwater.apps.demo.lender.dynamics import DAYTIME, Dynamics
from headwater.apps.demo.lender.moves import Float, Int, Table
from headwater.apps.demo.lender.terms import BEYOND, DUE, GROUPS, INCOME, LEVELS, LIFE, NIGHT, NIGHTS, STATES

SLOTS = 8


@dataclass(frozen=True)
class DayValues:
    """One day of a sweep.

    Attributes:
        before: nine arrays (groups, states, levels, nights, patterns): the value before each slot,
            and at last that after the evening.
        quiet: per slot, the chance that nothing happens (groups, states, levels, patterns), or None for 1.
    """

    before: list[Float]
    quiet: list[Float | None]


def sweep(dynamics: Dynamics, deadline: int, days: AbstractSet[int], patterns: Int) -> dict[int, DayValues]:
    """The values of the days asked about, for the night run of day ``deadline`` being the last that counts.

    Args:
        dynamics: the law of motion.
        deadline: the last day whose night run counts.
        days: the days to keep, none after the deadline.
        patterns: int64 (patterns, loan days), units due on each loan day from the first kept
            day to the deadline.
    """
    kept: dict[int, DayValues] = {}
    value = np.zeros((GROUPS, len(STATES), LEVELS, NIGHTS, len(patterns)))
    due = patterns.shape[1]
    for day in range(deadline, min(days) - 1, -1):
        units = None
        if dynamics.loans_due(day):
            due -= 1
            units = patterns[:, due]
        if day == deadline:
            values = _last_day(value)
        elif day in days:
            values = _whole_day(dynamics, day, units, value)
        else:
            value = _night(_morning_hours(dynamics, day, units, _through(dynamics.whole_daytime(day), value)))
            continue
        value = values.before[NIGHT]
        if day in days:
            kept[day] = values
    return kept


def _last_day(nothing: Float) -> DayValues:
    """The deadline's day: after its night run nothing counts."""
    return DayValues([_night(nothing), *[nothing] * SLOTS], [None] * SLOTS)


def _whole_day(dynamics: Dynamics, day: int, units: Int | None, value: Float) -> DayValues:
    """One day, slot by slot."""
    before: list[Float] = [value] * (SLOTS + 1)
    quiet: list[Float | None] = [None] * SLOTS
    for slot in reversed(DAYTIME):
        table = dynamics.daytime(slot, day)
        before[slot] = _through(table.matrix, before[slot + 1])
        quiet[slot] = table.quiet[..., None]
    before[LIFE] = _post(dynamics, day, before[LIFE + 1])
    before[DUE], quiet[DUE] = _due(dynamics, day, units, before[LIFE])
    before[INCOME], quiet[INCOME] = _some(dynamics.income(), dynamics.paid(day), before[DUE])
    before[NIGHT] = _night(before[INCOME])
    return DayValues(before, quiet)


def _morning_hours(dynamics: Dynamics, day: int, units: Int | None, value: Float) -> Float:
    """Back from eight o'clock to the end of the night run."""
    value, _ = _due(dynamics, day, units, _post(dynamics, day, value))
    return _some(dynamics.income(), dynamics.paid(day), value)[0]


def _through(matrix: Float, value: Float) -> Float:
    """A level-to-level matrix applied to every night count and pattern."""
    flat = value.reshape(*value.shape[:3], -1)
    result: Float = (matrix @ flat).reshape(value.shape)
    return result


def _post(dynamics: Dynamics, day: int, value: Float) -> Float:
    flat = value.reshape(GROUPS, len(STATES), -1)
    result: Float = (dynamics.life(day) @ flat).reshape(value.shape)
    return result


def _some(table: Table, groups: Int, value: Float) -> tuple[Float, Float | None]:
    """A table that only some groups have today."""
    if len(groups) == 0:
        return value, None
    after = value.copy()
    after[groups] = _through(table.matrix[groups], value[groups])
    quiet = np.ones((GROUPS, len(STATES), LEVELS, 1))
    quiet[groups] = table.quiet[groups][..., None]
    return after, quiet


def _due(dynamics: Dynamics, day: int, units: Int | None, value: Float) -> tuple[Float, Float | None]:
    """Rent, energy, instalments by pattern, or savings: at most one of them on a day."""
    everybody = dynamics.due(day)
    if everybody is not None:
        return _through(everybody.matrix, value), everybody.quiet[..., None]
    if units is None:
        return _some(dynamics.savings(), dynamics.saving(day), value)
    after = value.copy()
    quiet = np.ones((GROUPS, len(STATES), LEVELS, len(units)))
    for size in np.unique(units[units > 0]):
        columns = np.flatnonzero(units == size)
        table = dynamics.loan(int(size))
        after[..., columns] = _through(table.matrix, np.ascontiguousarray(value[..., columns]))
        quiet[..., columns] = table.quiet[..., None]
    return after, quiet


def _night(value: Float) -> Float:
    """The night run: count on beyond the limit, charge on the last count, forget within it."""
    before = np.empty_like(value)
    before[:, :, BEYOND:] = value[:, :, BEYOND:, :1]
    before[:, :, :BEYOND, :-1] = value[:, :, :BEYOND, 1:]
    before[:, :, :BEYOND, -1] = 1.0
    return before
