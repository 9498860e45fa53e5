"""The calendar: which month, weekend, season and regime a day has. Known to everyone, random for no one.

Used by ``moves`` (chances depend on the month), ``walk`` and ``risk`` (what is due on a day).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

RAMP = 3  # months until it has changed

_SPENDING = (0.92, 0.92, 0.97, 1.0, 1.0, 1.04, 1.10, 1.06, 0.97, 1.0, 1.08, 1.30)  # January .. December
_STRAIN = (1.7, 1.3, 1.0, 0.9, 0.9, 0.9, 1.0, 1.0, 1.1, 1.0, 1.0, 1.2)


@dataclass(frozen=True, slots=True)
class Weather:
    """What a month does to everybody.

    Attributes:
        spending: factor on how often people buy.
        strain: factor on how often lives turn for the worse.
        regime: 0 before the change, 1 after it, between during the ramp.
    """

    spending: float
    strain: float
    regime: float


@dataclass(frozen=True)
class Calendar:
    """Days counted from ``start``; days after the end of a simulation are as well defined.

    Attributes:
        start: day 0.
        shift: the month, counted from that of day 0, in which the regime begins to change.

    Example:
        >>> calendar = Calendar(date(2023, 1, 1), shift=24)
        >>> calendar.month(31), calendar.weekend(0), calendar.weather(11).spending
        (1, True, 1.3)
    """

    start: date
    shift: int

    @cached_property
    def epoch_seconds(self) -> int:
        """Midnight UTC of day 0, in seconds since 1970."""
        return (self.start - date(1970, 1, 1)).days * 86_400

    def on(self, day: int) -> date:
        """The date of a day."""
        return self.start + timedelta(days=day)

    def day_of_month(self, day: int) -> int:
        """1 .. 31."""
        return self.on(day).day

    def month(self, day: int) -> int:
        """Months since the month of day 0."""
        moment = self.on(day)
        return (moment.year - self.start.year) * 12 + moment.month - self.start.month

    def weekend(self, day: int) -> bool:
        """Whether a day is a Saturday or a Sunday."""
        return self.on(day).weekday() >= 5

    def weather(self, month: int) -> Weather:
        """Season and regime of a month counted from the start."""
        season = (self.start.month - 1 + month) % 12
        regime = float(np.clip((month - self.shift + 1) / RAMP, 0.0, 1.0))
        return Weather(_SPENDING[season], _STRAIN[season], regime)

    def due_days(self, day_of_month: int, first: int, last: int) -> npt.NDArray[np.int64]:
        """The days in ``first .. last`` (both in) that fall on a day of the month."""
        days = [day for day in range(first, last + 1) if self.day_of_month(day) == day_of_month]
        return np.array(days, dtype=np.int64)
