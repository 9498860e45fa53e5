"""What it takes to change who decides: the registry, the audit trail, and who acts.

Called by ``promotion`` and ``canary``; opened by jobs, the HTTP door and the commands of the loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headwater.models.registry import Registry
from headwater.store.audit import Act
from headwater.store.protocol import Trail

_PAGE = 1_000


@dataclass(frozen=True)
class Office:
    """What a change of champion, or of the canary, needs.

    Attributes:
        registry: of the project.
        trail: the project's audit trail.
        folder: the data folder, for the lock.
        actor: who acts, as the audit trail names people.
        now: microseconds UTC.
    """

    registry: Registry
    trail: Trail
    folder: Path
    actor: str
    now: int

    def acts(self, model: str) -> Iterator[Act]:
        """What was done to a model, the oldest act first."""
        after = 0
        while page := self.trail.page(after=after, limit=_PAGE):
            after = page[-1].number
            yield from (entry.act for entry in page if entry.act.target == model)
