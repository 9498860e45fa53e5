"""Snapshots are made beside what serves: from the newest one and the log behind it, on an engine of its own.

::

    what serves     ── events ── reads ── events ── reads ── events ──►      never waits for a snapshot
    beside it       newest snapshot ──► engine ◄── the log since then
                                           └──► the next snapshot

The state is what the log says and nothing else, so that whoever reads the log has the same bits. The live
engine is written only while nobody uses it: before it serves, and after. To copy it under a lock would hold
events for as long as its memory is large, and a fork inherits locks of threads that it does not have.
Called by ``taking``; read ``rising`` for how an engine comes about.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from headwater.definitions.view import FeatureView, view_hash
from headwater.engine.run import Engine
from headwater.log.protocol import EventLog
from headwater.serving.rising import Risen, rise
from headwater.store.ahead import Ahead
from headwater.store.snapshots import Snapshots


class Keeper:
    """Keeps the snapshots of a service.

    Args:
        folder: of the snapshots.
    """

    def __init__(self, folder: Path) -> None:
        self._snapshots = Snapshots(folder)
        self._lock = Lock()
        self._kept: tuple[list[str], int] = [], -1

    def rise(self, views: Sequence[FeatureView], log: EventLog, ahead: Ahead | None = None) -> Risen:
        """The engine to begin with; see :func:`headwater.serving.rising.rise`."""
        risen = rise(views, log, self._snapshots, ahead)
        self._kept = _hashes(views), risen.from_offset
        return risen

    def has(self, views: Sequence[FeatureView], offset: int) -> bool:
        """Whether a snapshot of these views stands at an offset, or beyond it."""
        hashes, kept = self._kept
        return offset < 0 or (offset <= kept and hashes == _hashes(views))

    def renew(self, views: Sequence[FeatureView], log: EventLog) -> tuple[str, ...]:
        """Keep the state as the log has it now; what serves goes on meanwhile.

        Returns:
            Snapshots that should have been whole and were not, with the reason.

        Raises:
            StoreError: the disk will not have it.
            LogError: the log cannot be read.
        """
        with self._lock:
            risen = rise(views, log, self._snapshots)
            self._save(views, risen.engine)
        risen.engine.let_go()
        return risen.damaged

    def keep(self, views: Sequence[FeatureView], engine: Engine) -> None:
        """Keep an engine that nobody uses meanwhile.

        Raises:
            StoreError: the disk will not have it.
        """
        with self._lock:
            self._save(views, engine)

    def _save(self, views: Sequence[FeatureView], engine: Engine) -> None:
        self._snapshots.save(engine)
        self._kept = _hashes(views), engine.offset


def _hashes(views: Sequence[FeatureView]) -> list[str]:
    return [view_hash(view) for view in views]
