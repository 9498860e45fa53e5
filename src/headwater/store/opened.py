"""What the stores of one database have in common: made around it, closed, and used with ``with``.

Inherited by those stores that are safe to share between threads because their :class:`Database` is.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from headwater.core.closing import Closing
from headwater.store.database import Database, Kind


class Opened(Closing):
    """A store around one database.

    Attributes:
        KIND: what its file is.
    """

    KIND: ClassVar[Kind]

    def __init__(self, database: Database) -> None:
        """Use :meth:`open`."""
        self._database = database

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the file, made if there is none.

        Raises:
            StoreError: the file holds something else, or cannot be opened.
        """
        return cls(Database(Path(path), cls.KIND))

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
