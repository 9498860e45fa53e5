"""The books of whoever decides: what was decided, and all definitions that it was decided by.

Opened by ``service`` and ``replica``, closed with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.definitions.project import Project
from headwater.store.decisions import DecisionStore
from headwater.store.definitions import DefinitionStore
from headwater.store.folder import DataFolder
from headwater.store.protocol import Decisions


@dataclass(frozen=True, slots=True)
class Books:
    """Two stores that are opened and closed together.

    Attributes:
        decisions: what was decided.
        definitions: all that were ever in force.
    """

    decisions: Decisions
    definitions: DefinitionStore

    @classmethod
    def open(cls, folder: DataFolder, project: Project, now: int, decisions: Decisions | None) -> Books:
        """Open both, and keep the definitions that are in force from now on.

        Args:
            folder: where what is missing is made.
            project: the definitions.
            now: microseconds UTC.
            decisions: the records, closed with the rest, here too if it fails; those of the folder if none
                are given.

        Raises:
            StoreError: one of them cannot be opened.
        """
        decisions = DecisionStore.open(folder.decisions) if decisions is None else decisions
        try:
            definitions = DefinitionStore.open(folder.definitions)
        except BaseException:
            decisions.close()
            raise
        books = cls(decisions, definitions)
        try:
            definitions.keep(project, now=now)
        except BaseException:
            books.close()
            raise
        return books

    def close(self) -> None:
        """Let go of both."""
        self.decisions.close()
        self.definitions.close()
