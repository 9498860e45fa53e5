"""The score stream: whoever listens gets every fresh score, or is told how many were missed.

A slow listener never holds up the writer: it loses the oldest ones. Filled by ``commit`` through
``taking``, in the writer's thread; read by the edges.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from headwater.serving.live import Refresh
from headwater.serving.rescored import Rescored


@dataclass(frozen=True, slots=True)
class Heard:
    """What a listener takes at once: refreshes in their order, and how many were lost before them."""

    refreshes: tuple[Refresh, ...]
    lost: int


class Listener:
    """One who listens, with room for ``most`` refreshes.

    Args:
        most: room.
        wanted: whether a refresh is to be kept; None for all.
        wake: called when something came, from the writer's thread; must not wait.
    """

    def __init__(self, most: int, wanted: Callable[[Refresh], bool] | None, wake: Callable[[], None]) -> None:
        self._kept: deque[Refresh] = deque()
        self._most = most
        self._wanted = wanted
        self._wake = wake
        self._lock = Lock()
        self._lost = 0

    def tell(self, rescored: Sequence[Rescored]) -> None:
        """Keep what is wanted."""
        came = [one for batch in rescored for one in batch if self._wanted is None or self._wanted(one)]
        if not came:
            return
        with self._lock:
            self._kept.extend(came)
            while len(self._kept) > self._most:
                self._kept.popleft()
                self._lost += 1
        self._wake()

    def take(self) -> Heard:
        """Everything that is kept, and forget it."""
        with self._lock:
            heard = Heard(tuple(self._kept), self._lost)
            self._kept.clear()
            self._lost = 0
            return heard


class Feed:
    """All who listen."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._listeners)

    def subscribe(
        self,
        wake: Callable[[], None],
        *,
        wanted: Callable[[Refresh], bool] | None = None,
        most: int = 10_000,
    ) -> Listener:
        """Listen from now on; see :class:`Listener`."""
        listener = Listener(most, wanted, wake)
        with self._lock:
            self._listeners = (*self._listeners, listener)
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        """Listen no longer."""
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

    def tell(self, rescored: Sequence[Rescored]) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.tell(rescored)
