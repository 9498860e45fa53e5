"""Whose turn it is: one process at a time changes a model, and the system lets go when it dies.

A file lock in the data folder, so that ``kill -9`` leaves nothing to clean up. Called by ``run`` and
``promotion``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.core.errors import GateError

if sys.platform == "win32":
    import msvcrt

    def _seize(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _seize(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def turn(folder: Path, model: str, what: str) -> Iterator[None]:
    """Hold the lock for what is done to a model.

    Args:
        folder: of the data; made if there is none.
        model: the model's name.
        what: ``retraining`` or ``promotion``.

    Raises:
        GateError: another process is at it.
    """
    home = folder / "retraining"
    home.mkdir(parents=True, exist_ok=True)
    path = home / f"{model}.{what}-lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            _seize(descriptor)
        except OSError:
            raise GateError.of(
                f"another process is at the {what} of {model}",
                expected="one at a time",
                where=str(path),
                do="wait until it has ended, then run the same command again",
            ) from None
        yield
    finally:
        os.close(descriptor)
