"""What a server does for its decision records beside serving: more at once where several servers share them.

Called by ``serving`` and ``deciding``.
"""

from __future__ import annotations

from collections.abc import Callable

from headwater.apps.http.server import FOLD
from headwater.apps.stores import Records
from headwater.serving.service import Limits
from headwater.store.protocol import Decisions

LOOK = 1.0  # seconds between two looks at the database
_GROUP = 64  # decisions that are recorded at once there: the wait is longer, so more come in it


def limits(records: Records) -> Limits:
    """How much is taken at once."""
    return Limits(group_decisions=_GROUP) if records.shared else Limits()


def shared(records: Records) -> Decisions | None:
    """The decision records that servers share; None where each has its own, in its data folder."""
    return records.decisions() if records.shared else None


def often(records: Records, store: Decisions) -> dict[str, tuple[float, Callable[[], object]]]:
    """What is done again and again, by name: seconds between two times, and what."""
    if records.shared:
        return {"database": (LOOK, records.look)}
    return {"fold": (FOLD, store.fold)}
