"""What all stores of a database have in common: it is not theirs, and is closed by whoever opened it.

The base of ``audit``, ``credentials``, ``dead_letters``, ``decisions`` and ``jobs``.
"""

from __future__ import annotations

from headwater.core.closing import Closing
from headwater.scale.postgres.database import Database


class Borrowed(Closing):
    """A store of a database.

    Args:
        database: open, with tables of this version.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def place(self) -> str:
        """Where it lies."""
        return self._database.place

    def close(self) -> None:
        """Nothing, of its own; the database stays open."""
