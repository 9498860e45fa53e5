"""A part that a Kafka host owns, from the partition's coming to its going: claimed, filled, published, left.

::

    comes ──► resumes, if it stands where it stood as it left ─────────────────────► whole ──► publish ─┐
         └──► claim ──► as far as was published before? ── yes ──► fill ───────────────┘ ▲         │   │
                                 └── no: later, and told after a while             ▲     └─────────┼───┘
                                                                                   └── lost ◄──────┤
    goes ──► left, and remembered ── comes back ──► resumes             fenced: another owns it ◄──┘
                                                    claimed again, once ◄──┘

A partition's state is a function of its records, so that what is published is right before the transaction
of its scores has ended, too. No thread: :class:`Owners` gives each part its turns, one at a time. Read
``writing`` for what is done in a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Protocol

from headwater.core.batch import Batch
from headwater.core.errors import FencedError
from headwater.core.handful import Handful
from headwater.definitions.view import FeatureView
from headwater.scale.redis.moved import Keys, Moved
from headwater.scale.redis.states import SLICE, Copied, Held, Item, Positions, reached
from headwater.scale.redis.writing import Writing
from headwater.serving.vectors import Vectors


class State(Protocol):
    """A partition's state, as ``scale.kafka.partition`` has it.

    Attributes:
        vectors: its engine; shut while records are taken in, and ``positions`` with them.
        positions: each stream to the offset of the next record.
        on_taken: told of new events while it is shut.
    """

    vectors: Vectors
    positions: dict[str, int]
    on_taken: Callable[[Batch | Handful], None]


@dataclass(slots=True)
class Owned:
    """A part, and where its publication stands.

    Attributes:
        held: the engine; None once it was let go of.
        writing: into Redis.
        due: nothing is tried before, nanoseconds.
        since: since when it waits to come up to ``before``; None when that was told.
        start: where the state stood when it came.
        left: the same part as this host had it before, to go on with if the state stands where it stood then.
        ended: where the state stood when the part went; None while it is owned.
        resumed: nothing was written yet by the writing that it goes on with.
        turn: held by whoever is at work on it.
        whole: whether its generation is read; else it is to be filled.
        before: up to where it was published by whoever owned it, once it is claimed.
        moved: what was taken in and is not looked at yet.
        keys: that are to be published.
        fenced: why nothing of it is published any more, and since when.
        reclaimed: when it was claimed again, because the partition stayed this host's.
    """

    held: Held | None
    writing: Writing
    due: int
    since: int | None
    start: Positions
    left: Owned | None = None
    ended: Positions | None = None
    resumed: bool = False
    turn: Lock = field(default_factory=Lock)
    whole: bool = False
    before: Positions | None = None
    moved: Moved = field(default_factory=Moved)
    keys: dict[str, Keys] = field(default_factory=dict)
    fenced: tuple[FencedError, int] | None = None
    reclaimed: int | None = None

    def is_idle(self, now: int, *, filling: bool) -> bool:
        """Whether there is nothing to fill, or to publish, or not yet."""
        gone = self.fenced is not None or self.ended is not None
        return gone or self.whole is filling or now < self.due

    # --- Turns -----------------------------------------------------------------------------------------

    def resume(self, left: Owned) -> bool:
        """Go on as this host left it, if the state stands where it stood then; whether it does."""
        if not left.whole or left.fenced is not None or left.ended != self.start:
            return False
        self.writing, self.keys, self.whole, self.resumed = left.writing, left.keys, True, True
        return True

    def fill(self, project: str) -> Positions | None:
        """Fill it once the state has come up to what was published of it before.

        Returns:
            Where the state stands, if it has not; None if it is whole now, or gone.

        Raises:
            OnlineError: Redis does not answer.
            FencedError: another owns it.
        """
        held = self.held
        if held is None:
            return None
        if self.before is None:
            self.before = self.writing.claim(project)
        self.moved.forget()  # all is copied
        with held.vectors.shut():
            _, positions = held.place()
        if not reached(positions, self.before):
            return positions
        self.keys = {}
        self.writing.fill(held, lambda: self._copied(held))
        self.keys, self.before = {}, None
        self.whole = True
        return None

    def publish(self, project: str) -> None:
        """Publish what moved.

        Raises:
            OnlineError: Redis does not answer.
            FencedError: another owns it.
            LostError: something is gone; it is to be filled again.
        """
        if self.held is None:
            return
        self.writing.patrol(self.held)
        self.writing.publish(project, self._copied(self.held))
        self.keys, self.resumed = {}, False

    # --- What may come of a turn -----------------------------------------------------------------------

    def begin_again(self, writing: Writing | None = None) -> None:
        """It is to be claimed and filled again; by another writing, if another owner had it meanwhile."""
        if writing is None:
            self.writing.forget()
        else:
            self.writing, self.resumed = writing, False
        self.whole, self.before = False, None

    def refuse(self, error: FencedError, now: int) -> None:
        """Another owns it: nothing of it is published any more."""
        self.fenced = error, now
        self.writing.published.whole = False

    def reclaim(self, writing: Writing, now: int) -> None:
        """Nobody said that it is another's: it is to be claimed and filled again, by another writing."""
        self.begin_again(writing)
        self.fenced, self.reclaimed, self.since = None, now, now

    def gather(self, views: Sequence[FeatureView]) -> None:
        """Note the keys of what was taken in, so that events do not pile up."""
        self.moved.take(views, self.keys)

    def let_go(self, views: Sequence[FeatureView]) -> bool:
        """Let go of the engine of a part that went, and remember what is not published; False if done."""
        if self.held is None:
            return False
        self.gather(views)
        self.held = None
        return True

    def _copied(self, held: Held) -> Copied:
        """The states of the keys that moved, all as of one place.

        Many are copied some at a time, while records are taken in, and those that move meanwhile once more.
        """
        self.gather(held.views)
        early: dict[tuple[str, bytes], Item] = {}
        rest = self.keys
        if sum(map(len, self.keys.values())) > SLICE:
            rest = {}
            for view, keys in self.keys.items():
                listed = list(keys.items())
                for first in range(0, len(listed), SLICE):
                    some = dict(listed[first : first + SLICE])
                    with held.vectors.shut():
                        copied = self.writing.copy(held, {view: some})
                    early |= {item[:2]: item for item in copied.items}
        with held.vectors.shut():
            self.moved.take(held.views, rest)
            last = self.writing.copy(held, rest)
        if rest is self.keys:
            return last
        for view, keys in rest.items():
            self.keys.setdefault(view, {}).update(keys)
        early |= {item[:2]: item for item in last.items}
        return replace(last, items=list(early.values()))
