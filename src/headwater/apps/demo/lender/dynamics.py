"""Which tables rule a day: the calendar and the moves brought together, each table made once.

``walk`` asks it day by day forwards, ``risk`` backwards. Read ``moves`` for what the tables hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headwater.apps.demo.lender import moves
from headwater.apps.demo.lender.calendar import Calendar
from headwater.apps.demo.lender.moves import Float, Int, Table
from headwater.apps.demo.lender.terms import (
    AFTERNOON,
    ENERGY_DAY,
    EVENING,
    GROUPS,
    HELP,
    LOAN_DAY,
    MORNING,
    PAYDAYS,
    RENT_DAY,
    TEMPERAMENTS,
)

DAYTIME = (MORNING, AFTERNOON, HELP, EVENING)
PAYDAY: Int = np.array(PAYDAYS)[np.arange(GROUPS) // len(TEMPERAMENTS)]  # of each group


@dataclass(frozen=True)
class Dynamics:
    """The law of motion of every day, before, within and after the simulated years."""

    calendar: Calendar
    _cache: dict[tuple[object, ...], Table] = field(default_factory=dict)
    _lives: dict[int, Float] = field(default_factory=dict)
    _afternoons: dict[tuple[int, bool], Float] = field(default_factory=dict)

    def paid(self, day: int) -> Int:
        """The groups whose payday it is."""
        return np.flatnonzero(self.calendar.day_of_month(day) == PAYDAY)

    def saving(self, day: int) -> Int:
        """The groups whose payday was yesterday."""
        return np.flatnonzero(self.calendar.day_of_month(day) - 1 == PAYDAY)

    def income(self) -> Table:
        """The table of a payday."""
        if ("income",) not in self._cache:
            self._cache["income",] = moves.income()
        return self._cache["income",]

    def savings(self) -> Table:
        """The table of the morrow of a payday."""
        if ("savings",) not in self._cache:
            self._cache["savings",] = moves.savings()
        return self._cache["savings",]

    def loan(self, units: int) -> Table:
        """The table of a loan's due day for an instalment of so many units."""
        if ("loan", units) not in self._cache:
            self._cache["loan", units] = moves.loan(units)
        return self._cache["loan", units]

    def due(self, day: int) -> Table | None:
        """The direct debit that everybody has on a day, if it is one of those days."""
        number = self.calendar.day_of_month(day)
        if number not in (RENT_DAY, ENERGY_DAY):
            return None
        month = self.calendar.month(day)
        if ("due", number, month) not in self._cache:
            weather = self.calendar.weather(month)
            self._cache["due", number, month] = moves.rent() if number == RENT_DAY else moves.energy(weather)
        return self._cache["due", number, month]

    def loans_due(self, day: int) -> bool:
        """Whether instalments are due."""
        return self.calendar.day_of_month(day) == LOAN_DAY

    def daytime(self, slot: int, day: int) -> Table:
        """The table of a morning, afternoon, hour of help or evening."""
        month, weekend = self.calendar.month(day), self.calendar.weekend(day)
        if (slot, month, weekend) not in self._cache:
            weather = self.calendar.weather(month)
            table = moves.help_in(weather) if slot == HELP else moves.purchase(slot, weather, weekend)
            self._cache[slot, month, weekend] = table
        return self._cache[slot, month, weekend]

    def whole_daytime(self, day: int) -> Float:
        """Morning to evening as one matrix, (groups, states, levels, levels)."""
        key = (self.calendar.month(day), self.calendar.weekend(day))
        if key not in self._afternoons:
            whole = self.daytime(DAYTIME[0], day).matrix
            for slot in DAYTIME[1:]:
                whole = whole @ self.daytime(slot, day).matrix
            self._afternoons[key] = whole
        return self._afternoons[key]

    def life(self, day: int) -> Float:
        """The morning's post, (groups, states, states)."""
        month = self.calendar.month(day)
        if month not in self._lives:
            self._lives[month] = moves.life(self.calendar.weather(month))
        return self._lives[month]
