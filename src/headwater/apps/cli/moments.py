"""Times as the command line takes them, and "now" against a log whose newest event may be old.

Called by the commands that look at the log as of a moment.
"""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.screen import Screen
from headwater.core.instant import DAY, instant, span
from headwater.log.protocol import EventLog

_DATE = len("2026-01-31")
NEWEST = "newest"


class _Moment(click.ParamType[int]):
    name = "time"

    def convert(self, value: Any, param: object, ctx: object) -> int:  # noqa: ARG002 - click's shape
        return value if isinstance(value, int) else read_moment(str(value))


class _Span(click.ParamType[int]):
    name = "span"

    def convert(self, value: Any, param: object, ctx: object) -> int:  # noqa: ARG002 - click's shape
        return value if isinstance(value, int) else span(str(value))


MOMENT = _Moment()
SPAN = _Span()


def read_moment(text: str) -> int:
    """An ISO 8601 time with a zone, or a date, which is midnight UTC, as microseconds.

    Raises:
        DataError: it is no time, or has no zone.

    Example:
        >>> read_moment("1970-01-02") == DAY
        True
    """
    return instant(text + "T00:00:00Z" if len(text) == _DATE else text)


def moment_of(text: str | None, now: int, log: EventLog, screen: Screen) -> int:
    """The moment that ``--at`` names: a time, ``newest`` for the log's last arrival, or now.

    Tells the user where the log ends, if that is long ago and nothing was named.

    Raises:
        DataError: it is no time.
    """
    last = log.arrival()
    if text == NEWEST:
        return last if log.end() else now
    if text is not None:
        return read_moment(text)
    if log.end() and now - last > DAY:
        days = (now - last) // DAY
        screen.note(f"the newest event arrived {days:,} days ago; `--at {NEWEST}` looks at that moment")
    return now
