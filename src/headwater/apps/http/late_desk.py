"""The desk, opened when somebody first comes to it: it imports MLflow, which a server starts without.

Made by ``cli.serving``; see ``desk``.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from headwater.apps.http.site import Loop


class LateDesk:
    """What changes which version decides; ``site.Loop``.

    Args:
        opened: opens the desk.
    """

    def __init__(self, opened: Callable[[], Loop]) -> None:
        self._opened = opened
        self._desk: Loop | None = None
        self._lock = Lock()

    def promote(
        self, model: str, version: str | int | None, *, force: bool, why: str | None, actor: str
    ) -> Any:
        """See ``Desk.promote``."""
        return self._open().promote(model, version, force=force, why=why, actor=actor)

    def rollback(self, model: str, *, why: str | None, actor: str) -> Any:
        """See ``Desk.rollback``."""
        return self._open().rollback(model, why=why, actor=actor)

    def gate(self, model: str, version: str | int | None) -> Any:
        """See ``Desk.gate``."""
        return self._open().gate(model, version)

    def _open(self) -> Loop:
        with self._lock:
            if self._desk is None:
                self._desk = self._opened()
            return self._desk
