"""What a server does for its decision records beside serving: more at once where several servers share them.

Called by ``serving`` and ``deciding``.
"""

from __future__ import annotations

from collections.abc import Callable

from headwater.apps.access.door import Access
from headwater.apps.cli.screen import Screen
from headwater.apps.http.server import FOLD
from headwater.apps.stores import Records
from headwater.serving.edges import Limits
from headwater.store.protocol import Decisions

LOOK = 1.0  # seconds between two looks at the database
_GROUP = 64  # decisions that are recorded at once there: the wait is longer, so more come in it


def limits(records: Records) -> Limits:
    """How much is taken at once."""
    return Limits(group_decisions=_GROUP) if records.shared else Limits()


def shared(records: Records) -> Decisions | None:
    """The decision records that servers share; None where each has its own, in its data folder."""
    return records.decisions() if records.shared else None


def often(
    records: Records, store: Decisions, access: Access
) -> dict[str, tuple[float, Callable[[], object]]]:
    """What is done again and again, by name: seconds between two times, and what."""
    if records.shared:
        return {"database": (LOOK, records.look), "credentials": (LOOK, access.look)}
    return {"fold": (FOLD, store.fold)}


def warn_of_left_keys(screen: Screen, records: Records, access: Access, now: int) -> None:
    """Say that keys of the data folder open nothing, where the database has none that does."""
    left = [key.name for key in records.left_behind() if key.state(now) == "active"]
    if left and not any(key.state(now) == "active" for key in access.credentials.listing()):
        screen.note(
            f"the database has no API keys in force; the {len(left)} of the data folder open nothing"
            " any more: make new ones with `headwater keys create`"
        )
