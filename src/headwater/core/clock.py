"""The clock: handed in from the edge, never read below it.

``SystemClock`` is made by ``apps`` alone; tests use ``headwater.testing.ManualClock``, which has the
same shape and moves only when told to.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the present instant in microseconds UTC."""

    def now(self) -> int:
        """The present instant."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> int:
        """The present instant."""
        return time.time_ns() // 1_000
