"""Time: int64 microseconds since 1970-01-01T00:00:00Z, and spans in the same unit.

The only place where texts and datetimes become instants. Called by ``definitions`` (spans) and by
every edge that takes a time. Nothing here, or below the edges, reads a clock: see ``core.clock``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from headwater.core.errors import DataError, DefinitionError

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

EARLIEST = -(2**52)  # 1827-04-16: inside float64's exact integers, so that time arithmetic is exact
LATEST = 2**52  # 2112-09-17
NULL = -(2**63)  # the null of int64 columns inside the engine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"us": 1, "ms": 1_000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
_SPAN = re.compile(r"(\d+)(us|ms|s|m|h|d|w)")


def span(text: str | timedelta | int) -> int:
    """A span such as ``"30d"``, ``"12h"``, ``"1h30m"`` or a ``timedelta``, in microseconds.

    Raises:
        DefinitionError: the text is no span, or the span is not positive.

    Example:
        >>> span("1h30m") == 90 * MINUTE
        True
    """
    if isinstance(text, timedelta):
        size = text // timedelta(microseconds=1)
    elif isinstance(text, int) and not isinstance(text, bool):
        size = text
    else:
        parts = _SPAN.findall(text) if isinstance(text, str) else []
        if not parts or "".join(n + unit for n, unit in parts) != text:
            raise DefinitionError.of(
                "a span of time cannot be read",
                expected="a number and a unit: us, ms, s, m, h, d or w, such as '30d' or '1h30m'",
                got=repr(text),
                do="write the span with its unit",
            )
        size = sum(int(n) * _UNITS[unit] for n, unit in parts)
    if not 0 < size <= LATEST:
        raise DefinitionError.of(
            "a span of time must be longer than zero and shorter than 142 years",
            expected="a positive span such as '30d'",
            got=repr(text),
            do="give a positive span",
        )
    return size


def span_text(size: int) -> str:
    """The shortest text of a span: the inverse of :func:`span`.

    Example:
        >>> span_text(90 * DAY), span_text(14 * DAY), span_text(90 * MINUTE)
        ('90d', '14d', '90m')
    """
    for unit in ("d", "h", "m", "s", "ms"):
        if size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return f"{size}us"


def instant(moment: str | datetime | int) -> int:
    """An ISO 8601 text with a zone, an aware ``datetime``, or microseconds, as an instant.

    Raises:
        DataError: no zone, not a time, or outside 1827 to 2112.

    Example:
        >>> instant("1970-01-02T00:00:00Z") == DAY
        True
    """
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise DataError.of(
                "a time cannot be read",
                expected="ISO 8601 with a zone, such as 2026-01-31T12:00:00Z",
                got=repr(moment),
                do="write the time in ISO 8601",
            ) from None
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise DataError.of(
                "a time has no zone",
                expected="a time with a zone, such as 2026-01-31T12:00:00Z",
                got=moment.isoformat(),
                do="add the zone; UTC is written Z",
            )
        moment = (moment - _EPOCH) // timedelta(microseconds=1)
    if not EARLIEST <= moment <= LATEST:
        raise DataError.of(
            "a time is out of range",
            expected="a time between 1827 and 2112",
            got=str(moment),
            do="look whether the unit is microseconds",
        )
    return moment


def iso(time: int) -> str:
    """An instant as ISO 8601 in UTC, with as many digits as it needs.

    Example:
        >>> iso(DAY), iso(1)
        ('1970-01-02T00:00:00Z', '1970-01-01T00:00:00.000001Z')
    """
    second, micros = divmod(time, SECOND)
    return f"{_iso_second(second)}.{micros:06d}Z" if micros else f"{_iso_second(second)}Z"


@lru_cache(1_024)  # what is written together is of the same second, or of few
def _iso_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat().removesuffix("+00:00")
