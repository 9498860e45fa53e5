"""A bounded queue that is emptied in groups: what waits while a group is being committed is the next group.

::

    few come      ─ a ──────── b ────────── c      each taken at once
    many come     ─ abcd ─ gap ─ efghi ─ gap ─     a group each so often: what a group costs, whatever its
                                                   size, is paid for more of them

Never grows beyond its bounds: whoever comes when it is full is told to come again (``Overloaded``). Used by
``commit`` for events and by ``record`` for decisions, one thread each.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import Generic, TypeVar

from headwater.core.errors import HeadwaterError

T = TypeVar("T")

COMPANY = 4  # items of a group after which more are waited for
ENOUGH = 32  # items for whose sake nobody waits any longer


class OverloadedError(HeadwaterError):
    """More is waiting than may wait; nothing was taken.

    Attributes:
        retry_after: seconds after which it is worth to come again.
    """

    code = "overloaded"
    retry_after = 1


class ClosingError(HeadwaterError):
    """The service is going down and takes nothing more."""

    code = "closing"


class Waiting(Generic[T]):
    """A queue with a bound on the number and on the bytes of what waits.

    Args:
        what: what waits, for the error.
        most: how many may wait.
        most_bytes: how many bytes they may have together.
        group: how many are taken at once, unless a single item is larger.
        gap: nanoseconds from one group to the next, if the one was of several items and the next is not large
            already; one sender, or a few, are never held up.
        stopwatch: nanoseconds; where there is a gap.

    Attributes:
        count, bytes: what waits.

    Example:
        >>> waiting = Waiting("events", most=3, most_bytes=100, group=2)
        >>> for item in "abc":
        ...     waiting.put(item, 1, 10)
        >>> waiting.take(), waiting.take(), waiting.count
        (['a', 'b'], ['c'], 0)
    """

    def __init__(
        self,
        what: str,
        most: int,
        most_bytes: int,
        group: int,
        *,
        gap: int = 0,
        stopwatch: Callable[[], int] = lambda: 0,
    ) -> None:
        self._what, self._most, self._most_bytes, self._group = what, most, most_bytes, group
        self._gap, self._watch = gap, stopwatch
        self._taken, self._last = 0, 0  # when the last group was taken, and its items
        self._items: deque[tuple[T, int, int]] = deque()
        self._changed = Condition()
        self._closed = False
        self.count = 0
        self.bytes = 0

    def put(self, item: T, count: int, size: int) -> None:
        """Add an item that stands for ``count`` things of ``size`` bytes together.

        Raises:
            OverloadedError: it does not fit; nothing was added.
            ClosingError: the queue takes nothing more.
        """
        with self._changed:
            if self._closed:
                raise ClosingError.of("the service is going down", do="send it again to the next one")
            if self._items and (self.count + count > self._most or self.bytes + size > self._most_bytes):
                raise OverloadedError.of(
                    f"too many {self._what} are waiting",
                    expected=f"at most {self._most:,} and {self._most_bytes:,} bytes waiting",
                    got=f"{self.count:,} and {self.bytes:,} bytes",
                    do=f"send it again in {OverloadedError.retry_after} s",
                )
            self._items.append((item, count, size))
            self.count += count
            self.bytes += size
            self._changed.notify()

    def take(self) -> list[T]:
        """The next group, as soon as there is one; empty once the queue is closed and nothing is left.

        One thread alone may call this.
        """
        with self._changed:
            while not self._items and not self._closed:
                self._changed.wait()
            crowded = self._last >= COMPANY and len(self._items) < ENOUGH and not self._closed
        if self._gap:
            now = self._watch()
            if crowded and now < self._taken + self._gap:
                time.sleep((self._taken + self._gap - now) / 1e9)
            self._taken = self._watch()
        with self._changed:
            group: list[T] = []
            taken = 0
            while self._items and (not group or taken + self._items[0][1] <= self._group):
                item, count, size = self._items.popleft()
                group.append(item)
                taken += count
                self.count -= count
                self.bytes -= size
            self._last = len(group)
            return group

    @property
    def closed(self) -> bool:
        """Whether it takes nothing more."""
        return self._closed

    def close(self) -> None:
        """Take nothing more; what waits is still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
