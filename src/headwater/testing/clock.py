"""A clock that moves only when told to: the same shape as ``core.clock.SystemClock``."""

from __future__ import annotations

from datetime import datetime

from headwater.core.errors import DataError
from headwater.core.instant import instant, iso, span
from headwater.definitions.spans import Span


class ManualClock:
    """A clock for tests.

    Args:
        start: the first instant: ISO 8601 with a zone, an aware datetime, or microseconds.

    Example:
        >>> clock = ManualClock("2026-01-01T00:00:00Z")
        >>> clock.advance("1h30m")
        1767231000000000
        >>> clock.now()
        1767231000000000
    """

    def __init__(self, start: str | datetime | int = 0) -> None:
        self._now = instant(start)

    def now(self) -> int:
        """The present instant, microseconds UTC."""
        return self._now

    def advance(self, by: Span) -> int:
        """Move on by a span, such as ``"30d"``; returns the new present."""
        self._now = instant(self._now + span(by))
        return self._now

    def set(self, moment: str | datetime | int) -> int:
        """Move to an instant that is not in the past; returns the new present.

        Raises:
            DataError: the instant lies before the present.
        """
        moment = instant(moment)
        if moment < self._now:
            raise DataError.of(
                "a clock does not go back",
                expected=f"{iso(self._now)} or later",
                got=iso(moment),
                do="make a new clock",
            )
        self._now = moment
        return self._now
