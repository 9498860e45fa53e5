"""The keys that events moved and that are still to be published, in the writer's order.

The writer says what it has taken in, right after it did (``add``); the publisher takes what there is, while
it holds the engine still. So it may come between the two: then the engine stands further than what was said
(``upto``), and it waits for the rest. Called by ``publisher`` and ``owners``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import Condition
from typing import Any

from headwater.core.batch import Batch
from headwater.core.handful import Handful
from headwater.definitions.view import FeatureView
from headwater.scale.redis.names import field

Keys = dict[bytes, Any]  # the field of each key in Redis, and the key


class Moved:
    """What is to be published.

    Attributes:
        upto: the last offset that the writer has told of.
    """

    def __init__(self) -> None:
        self.upto = -1
        self._events: deque[Batch | Handful] = deque()
        self._changed = Condition()
        self._closed = False

    def add(self, events: Batch | Handful) -> None:
        """Events that the engine has just taken in."""
        with self._changed:
            self._events.append(events)
            self.upto = max(self.upto, int(events.offset[-1]))
            self._changed.notify_all()

    def begin(self, offset: int) -> None:
        """Everything up to an offset was taken in before anybody listened."""
        with self._changed:
            self.upto = max(self.upto, offset)

    def wait(self, seconds: float) -> bool:
        """Until there is something, or nothing more will come; whether it goes on."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._closed, seconds)
            return not self._closed

    def pause(self, seconds: float) -> None:
        """Do nothing for a while, unless nothing more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)

    def reaches(self, offset: int, seconds: float) -> bool:
        """Wait until the writer has told of everything up to an offset; whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self.upto >= offset, seconds)

    def close(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def forget(self) -> None:
        """What there is need not be told apart: all keys are published."""
        with self._changed:
            self._events.clear()

    def take(self, views: Sequence[FeatureView], into: dict[str, Keys]) -> None:
        """Add the keys of what there is to those of each view."""
        with self._changed:
            events, self._events = list(self._events), deque()
        for one in events:
            for view in views:
                if view.stream.name == one.stream:
                    into.setdefault(view.name, {}).update((field(key), key) for key in _keys(one, view.key))


def _keys(events: Batch | Handful, column: str) -> Sequence[Any]:
    if isinstance(events, Handful):
        return events.values[column]
    found: list[Any] = events.frame[column].unique().to_list()
    return found
