r"""How often one caller may ask: a token bucket each, over a clock that only goes on.

::

    tokens  burst +-----.                    ..---- full again: forgotten
                         \    ..--''\  ..-''
                0         `--''       `'    <- empty: refused, with the seconds until the next token

Called by ``door``. Not shared between processes: each server counts for itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from headwater.core.errors import RateError

_MOST = 10_000  # callers that are remembered; whoever asked longest ago is forgotten first
_SECOND = 1_000_000


class RateLimiter:
    """Token buckets by caller; may be used from several threads.

    Args:
        rate: tokens a second; 0 for no limit.
        burst: how many a bucket holds.
        stopwatch: microseconds since anything, never back.

    Example:
        >>> limiter = RateLimiter(1, 2, lambda: 0)
        >>> limiter.take("ada"), limiter.take("ada"), limiter.take("bob")
        (None, None, None)
        >>> limiter.take("ada")
        Traceback (most recent call last):
            ...
        headwater.core.errors.RateError: too many requests
          expected: at most 1 a second, and 2 at once
          do:       come again in 1 s
    """

    def __init__(self, rate: float, burst: int, stopwatch: Callable[[], int]) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._stopwatch = stopwatch
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, who: str, cost: int = 1, rate: float | None = None) -> None:
        """Take tokens from a caller's bucket.

        Args:
            who: the caller.
            cost: how many.
            rate: the caller's own, tokens a second, with room for two seconds of it; 0 for no limit; None for
                everybody's.

        Raises:
            RateError: there are too few; ``retry_after`` says in seconds when there are enough. A cost that
                no bucket holds is let through when the bucket is full, and empties it.
        """
        burst = self._burst if rate is None else max(1.0, 2 * rate)
        rate = self._rate if rate is None else rate
        if rate <= 0:
            return
        with self._lock:
            now = self._stopwatch()
            level, since = self._buckets.get(who, (burst, now))
            level = min(burst, level + max(0, now - since) * rate / _SECOND)
            needed = min(float(cost), burst)
            granted = level >= needed
            self._buckets[who] = (level - needed if granted else level, now)
            self._buckets.move_to_end(who)
            if len(self._buckets) > _MOST:
                self._buckets.popitem(last=False)
        if not granted:
            raise _refusal(rate, burst, (needed - level) / rate)


def _refusal(rate: float, burst: float, wait: float) -> RateError:
    error = RateError.of(
        "too many requests",
        expected=f"at most {rate:g} a second, and {burst:g} at once",
        do=f"come again in {max(1, round(wait + 0.5))} s" if wait > 1 else "come again in 1 s",
    )
    error.retry_after = wait
    return error
