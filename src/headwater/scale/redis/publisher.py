"""The owner's half, of an embedded log: the states of the keys that events moved, after each commit.

::

    writer ── events ──► moved keys ──► (engine still) images, offset ──► write ──► whole up to the offset
                                                                            │
              the first time, or after Redis lost something: fill ◄── lost ─┤
              there is a younger owner: stop                     ◄─ fenced ─┘

One thread, beside the writer: an event is answered without waiting for Redis, and what comes while a
publication is on its way shares the next one. Opened by the edges; read ``writing`` for what is done, and
``owners`` for the same of many parts.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Self

from headwater.core.batch import Batch
from headwater.core.errors import FencedError, OnlineError
from headwater.core.handful import Handful
from headwater.scale.redis.connection import Address
from headwater.scale.redis.fenced import LostError
from headwater.scale.redis.moved import Keys, Moved
from headwater.scale.redis.parts import WHOLE
from headwater.scale.redis.preflight import see_that_it_fits
from headwater.scale.redis.states import Copied, Held
from headwater.scale.redis.writing import Writing
from headwater.serving.vectors import Vectors

HEARTBEAT = 1.0  # seconds between two writes, if nothing moves
LONGEST = 2.0  # seconds between two tries
SOON = 0.05  # seconds to the first filling after a loss
_GAP = 5.0  # seconds in which the writer says what it took in


class Publisher:
    """Publishes what an engine holds, as its only owner.

    Args:
        address: of Redis.
        held: gives what is to be published now.
        clock: now, microseconds UTC.
        stopwatch: nanoseconds.
        on_fault: told of what went wrong, as ``online``.
        on_fenced: told once that another owner has taken over; nothing is published from then on.

    Attributes:
        published: what was done so far.
        fenced: why nothing is published any more.
    """

    def __init__(
        self,
        address: Address,
        held: Callable[[], Held],
        clock: Callable[[], int],
        stopwatch: Callable[[], int],
        on_fault: Callable[[str, BaseException], None],
        on_fenced: Callable[[], None] = lambda: None,
    ) -> None:
        self.fenced: FencedError | None = None
        self.on_fenced = on_fenced
        self._address = address
        self._held = held
        self._on_fault = on_fault
        self._moved = Moved()
        self._keys: dict[str, Keys] = {}
        self._of: Vectors | None = None  # what others read is of this
        self._client = address.client()
        self._writing = Writing(address, self._client, clock, stopwatch)
        self.published = self._writing.published
        self._thread = Thread(target=self._run, name="headwater-publisher", daemon=True)

    def start(self) -> Self:
        """Take over, fill Redis and go on; as soon as it answers.

        Raises:
            OnlineError: Redis would throw states away when it is full, or is another kind of owner's.
        """
        see_that_it_fits(self._address, self._client, self._held().name, WHOLE, self._on_fault)
        self._moved.begin(self._held().vectors.offset)
        self._thread.start()
        return self

    def applied(self, events: Batch | Handful) -> None:
        """Events that the engine has just taken in; called in the writer's thread, does not wait."""
        if self.fenced is None:
            self._moved.add(events)

    def close(self) -> None:
        """Publish what there is, and end."""
        self._moved.close()
        self._thread.join()
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # --- The thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause, open_ = 0.0, True
        while open_:
            open_ = self._moved.wait(HEARTBEAT)
            try:
                self._turn()
            except FencedError as error:
                self.fenced = error
                self.published.whole = False
                self._on_fault("online", error)
                self.on_fenced()
                return
            except LostError:
                self._lost()
                pause, open_ = SOON, True
            except Exception as error:  # noqa: BLE001 - told once; what is not published is tried again
                if self.published.up or not pause:
                    self._on_fault("online", error)
                self.published.up = False
                self._moved.take(self._held().views, self._keys)  # so that events do not pile up
                pause = min(max(2 * pause, 0.1), LONGEST)
            else:
                self.published.up, pause = True, 0.0
            if pause:
                self._moved.pause(pause)

    def _lost(self) -> None:
        """What Redis has is not what was published: begin again."""
        self._writing.forget()
        self._on_fault("online", lost(self._address))

    def _turn(self) -> None:
        held, writing = self._held(), self._writing
        if not writing.whole or self._of is not held.vectors:
            writing.claim(held.name)
            self._keys = {}
            writing.fill(held, lambda: self._copied(held))
            self._of = held.vectors
        else:
            writing.patrol(held)
            writing.publish(held.name, self._copied(held))
        self._keys = {}

    def _copied(self, held: Held) -> Copied:
        """The states of the keys that moved, as of an offset up to which the writer has told of them."""
        vectors = held.vectors
        while True:
            with vectors.shut():
                offset = vectors.offset
                if self._moved.upto >= offset:
                    self._moved.take(held.views, self._keys)
                    return self._writing.copy(held, self._keys)
            if not self._moved.reaches(offset, _GAP):
                self._moved.begin(offset)  # the engine was fed by somebody else
                raise LostError


def lost(address: Address) -> OnlineError:
    """The letter for a store that has not all that was written."""
    return OnlineError.of(
        "the online store has lost what was published",
        expected="all that this server wrote",
        got="not all of it",
        where=str(address),
        do="nothing: it is being filled again; look why it was emptied",
    )
