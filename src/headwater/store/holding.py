"""Holding a file: one process at a time, and the system lets go when it dies, however it dies.

So ``kill -9`` leaves nothing to clean up, and whoever gets hold knows that nobody else is at it. Called by
``retraining.turn`` and by jobs (``apps.jobs.turn``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _seize(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _seize(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def holding(path: Path) -> Iterator[bool]:
    """Try to hold a file until the end of the block; whether it is held. Never waits.

    Args:
        path: made, with its folder, if there is none; it stays.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "it"
        >>> with holding(path) as first, holding(path) as second:
        ...     first, second
        (True, False)
        >>> folder.cleanup()
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            _seize(descriptor)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
