"""When events reach the bank's log: most within seconds, a few hours to two days late.

Kept beside the streams, not in them: an arrival is not a fact that a stream declares. Used by live
replays, which append events in the order of their arrival.
"""

from __future__ import annotations

import numpy as np

from headwater.apps.demo.lender.moves import Float, Int
from headwater.core.instant import DAY, HOUR, MINUTE, SECOND

LATE = 0.005  # share of events that are late


def arrivals(time: Int, rng: np.random.Generator) -> Int:
    """Arrival times for event times, both int64 microseconds, shape (n,).

    Half of all events arrive within 1.5 seconds and nearly all within a minute; one in two hundred is
    between an hour and two days late, evenly in the logarithm.
    """
    n = len(time)
    prompt: Float = np.exp(rng.normal(np.log(1.5 * SECOND), 0.8, size=n)).clip(SECOND / 50, MINUTE)
    late: Float = np.exp(rng.uniform(np.log(HOUR), np.log(2 * DAY), size=n))
    delay = np.where(rng.random(n) < LATE, late, prompt)
    return time + delay.astype(np.int64)
