"""The service's own log: one JSON object a line on stderr. No personal data: no bodies, keys or values.

Set up by ``server``; written to by ``middleware`` and ``hooks`` through ``logging``.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import TextIO

from headwater.apps.masking import LogMask, Mask
from headwater.core.instant import iso
from headwater.core.tracing import current

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """A log record as one line of JSON: time, level, logger, message, and what came as ``extra``.

    Of an exception the type and the places are told, not the text, which may quote a value.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": iso(int(record.created * 1e6)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (trace := current()) is not None:
            line["trace_id"] = trace.id
        line |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info and record.exc_info[1] is not None:
            line |= _told(record.exc_info[1])
        return json.dumps(line, default=str)


class _Places(logging.Filter):
    """Turns an exception into its type and places, before anybody writes its text into the record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record; never drops one."""
        if record.exc_info and record.exc_info[1] is not None:
            record.__dict__ |= _told(record.exc_info[1])
        record.exc_info = record.exc_text = None
        return True


def _told(error: BaseException) -> dict[str, object]:
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error": type(error).__name__,
        "where": [f"{frame.filename}:{frame.lineno}" for frame in frames],
    }


def set_up(level: str = "info", stream: TextIO | None = None, mask: Mask | None = None) -> LogMask:
    """Send the service's log, and uvicorn's, to a stream as JSON lines.

    Args:
        level: the least.
        stream: stderr, if none is given.
        mask: what is personal. Secrets are hidden in any case.

    Returns:
        The mask on the log, which is to follow the project when that is loaded again.
    """
    hidden = LogMask(mask)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(_Places())
    handler.addFilter(hidden)
    for name in ("headwater", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())
    return hidden
