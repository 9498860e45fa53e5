"""Being asked to end: Ctrl-C and TERM as a flag, for commands that finish what they are at.

Called by ``lake follow`` and ``stream``.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType


@contextmanager
def asked_to_end() -> Iterator[Event]:
    """Set when Ctrl-C or a TERM comes, so that a turn is finished first."""
    end = Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        end.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
