"""Durations counted in buckets that are a thousandth wide, whatever their size: percentiles without a list.

::

    ns      0 1 2 ... 2047 | 2048 2050 2052 ... 4094 | 4096 4100 ... 8188 | ...
    width   1                2                         4                    8       1,024 buckets each

As HdrHistogram (Gil Tene) counts: a record costs a shift and an addition, memory does not grow, and two
histograms can be added. Called by ``tally``.
"""

from __future__ import annotations

import math
from array import array

import numpy as np

_BITS = 10
_FLAT = 1 << (_BITS + 1)  # below this, each nanosecond has a bucket
_LONGEST = (1 << 44) - 1  # nanoseconds, nearly five hours; longer ones count as this
_SIZE = ((44 - _BITS) << _BITS) + (1 << _BITS)


class Histogram:
    """Counts durations in nanoseconds; a percentile is off by a two-thousandth of itself at most.

    Example:
        >>> found = Histogram()
        >>> for microseconds in range(1, 101):
        ...     found.record(microseconds * 1_000)
        >>> round(found.percentile(50) / 1_000), found.longest
        (50, 100000)
    """

    __slots__ = ("_counts", "count", "longest", "total")

    def __init__(self) -> None:
        self._counts = array("q", bytes(8 * _SIZE))
        self.count = 0
        self.total = 0
        self.longest = 0

    def record(self, nanoseconds: int) -> None:
        """Count one; less than nothing counts as nothing."""
        value = min(max(nanoseconds, 0), _LONGEST)
        shift = max(value.bit_length() - _BITS - 1, 0)
        self._counts[(shift << _BITS) + (value >> shift)] += 1
        self.count += 1
        self.total += value
        self.longest = max(self.longest, value)

    def add(self, other: Histogram) -> None:
        """Take another's counts in."""
        mine = np.frombuffer(self._counts, np.int64)
        mine += np.frombuffer(other._counts, np.int64)
        self.count += other.count
        self.total += other.total
        self.longest = max(self.longest, other.longest)

    @property
    def mean(self) -> float:
        """Nanoseconds; NaN of nothing."""
        return self.total / self.count if self.count else math.nan

    def percentile(self, percent: float) -> float:
        """The smallest duration that so many percent do not exceed, in nanoseconds; NaN of nothing."""
        if not self.count:
            return math.nan
        wanted = max(math.ceil(percent / 100 * self.count), 1)
        seen = np.cumsum(np.frombuffer(self._counts, np.int64))
        return min(_middle(int(np.searchsorted(seen, wanted))), float(self.longest))


def _middle(place: int) -> float:
    """The middle of a bucket."""
    if place < _FLAT:
        return float(place)
    shift = (place >> _BITS) - 1
    low = (place - (shift << _BITS)) << shift
    return low + ((1 << shift) - 1) / 2
