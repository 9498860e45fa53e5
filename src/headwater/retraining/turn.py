"""Whose turn it is: one process at a time changes a model, and the system lets go when it dies.

A file lock in the data folder (``store.holding``). Called by ``run`` and ``promotion``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.core.errors import GateError
from headwater.store.holding import holding


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
    path = folder / "retraining" / f"{model}.{what}-lock"
    with holding(path) as mine:
        if not mine:
            raise GateError.of(
                f"another process is at the {what} of {model}",
                expected="one at a time",
                where=str(path),
                do="wait until it has ended, then run the same command again",
            )
        yield
