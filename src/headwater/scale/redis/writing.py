"""The states of one part into Redis, as its only owner: claimed, filled, and then what moved, each at once.

::

    claim ──► fill ──► copy ──► publish ──► copy ──► publish ──► ...
      ▲                            │
      └────────── LostError ◄──────┤   FencedError: there is a younger owner, nothing was written

No thread: it is called by whoever holds the engine, between events or while it stands still. What is read in
Redis is always the state as of one place of the log. A filling goes into a generation of its own, so that
others read the one before until the new one is whole. Driven by ``publisher`` (an embedded log), ``owners``
(the partitions of a Kafka host) and ``scale.spark.publishing``; whoever has an engine of one part elsewhere
calls :meth:`Writing.turn`. Read ``states`` for what is copied, ``fenced`` for how it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import redis

from headwater.scale.redis import names
from headwater.scale.redis.connection import Address
from headwater.scale.redis.fenced import Fenced, LostError
from headwater.scale.redis.moved import Keys
from headwater.scale.redis.parts import WHOLE, Part, strays
from headwater.scale.redis.progress import Memory, Published
from headwater.scale.redis.states import Copied, Held, Item, Positions, pieces, reached
from headwater.scale.redis.texts import Texts

PATROL = 10.0  # seconds between two looks at all buckets


class Writing:
    """Writes the states of a part. One thread.

    Args:
        address: of Redis.
        client: of the same; closed by whoever made it.
        clock: now, microseconds UTC.
        stopwatch: nanoseconds.
        part: which.
        memory: of an earlier one, to go on with.

    Attributes:
        published: what was done so far.
    """

    def __init__(
        self,
        address: Address,
        client: redis.Redis,
        clock: Callable[[], int],
        stopwatch: Callable[[], int],
        part: Part = WHOLE,
        memory: Memory | None = None,
    ) -> None:
        memory = memory or Memory()
        self.published = Published(epoch=memory.epoch)
        self.part = part
        self._fenced = Fenced(address, client, clock, part, memory)
        self._clock, self._watch = clock, stopwatch
        self._generation = memory.generation
        self._patrolled = stopwatch()

    @property
    def memory(self) -> Memory:
        """What another has to know to go on."""
        return self._fenced.memory(self._generation)

    @property
    def whole(self) -> bool:
        """Whether others read a generation of this owner's, as far as is known."""
        return bool(self._generation)

    def forget(self) -> None:
        """What was published is not what is held: it has to be filled again."""
        self._generation = ""
        self.published.whole = False

    def turn(self, held: Held, moved: dict[str, Keys]) -> bool:
        """Publish what moved, at once; all that there is the first time, and after Redis lost something.

        For whoever holds the engine alone and has no thread: nothing is applied meanwhile.

        Args:
            held: what is published.
            moved: of each view, the keys that moved since the last turn that came through; emptied then.

        Returns:
            Whether it came through; False while the state is behind what was published before, which others
            go on reading.

        Raises:
            OnlineError: Redis does not answer; try the same again.
            FencedError: another owns the part; this one publishes nothing any more.
        """
        self.go_on(held, moved)
        if not self.whole:
            if not reached(held.place()[1], self.claim(held.name)):
                return False
            self.fill(held, lambda: self.copy(held, {}))
        moved.clear()
        return True

    def go_on(self, held: Held, moved: Mapping[str, Keys]) -> None:
        """Publish what moved, if others read a generation of this owner's; forget it if something is gone.

        Raises:
            OnlineError, FencedError: as :meth:`turn`.
        """
        if self.whole:
            try:
                self.patrol(held)
                self.publish(held.name, self.copy(held, moved))
            except LostError:
                self.forget()

    def claim(self, project: str, *, again: bool = False) -> Positions:
        """Become the owner, or go on as such; up to where the part was published before, by whomever.

        Args:
            project: its name.
            again: with a new epoch, which refuses whoever else goes on from the same memory.

        Raises:
            OnlineError: Redis does not answer, or the project's store is cut otherwise.
            FencedError: another owns it.
        """
        before = self._fenced.claim(project, again=again)
        self.published.epoch = self._fenced.epoch
        return before

    def fill(self, held: Held, rest: Callable[[], Copied]) -> None:
        """Fill a new generation with all that there is, and let others read it instead of the one before.

        Args:
            held: what is published; events may be taken in meanwhile.
            rest: copies what moved since the filling began.
        """
        project, generation = held.name, names.generation(self.published.epoch, self.part)
        self._generation, self._fenced.texts = "", Texts.none_of(held)
        there = range(self.part.buckets)
        for view in held.views:
            self._fenced.write(project, generation, [(view.name, names.THERE, b"", n) for n in there], {})
            for items in self._all(held, view.name):
                with held.vectors.shut():
                    texts = held.texts(self._fenced.texts.counts)
                self._fenced.write(project, generation, items, texts)
        last = rest()
        self._set_apart(project, _keys(last.items))
        texts_left = last.texts
        for piece in pieces(last.items):
            self._fenced.write(project, generation, piece, texts_left)
            texts_left = {}
        now = self._clock()
        self._fenced.flip(generation, held, last, now)
        self._generation, self._patrolled = generation, self._watch()
        published = self.published
        published.whole, published.offset, published.at = True, last.offset, now
        published.fillings += 1
        self._fenced.sweep(project, generation)

    def _all(self, held: Held, view: str) -> Iterator[list[Item]]:
        """The states of all keys of a view, some at a time."""
        for some in held.slices(view):
            self._set_apart(held.name, list(some.values()))
            with held.vectors.shut():
                items = list(held.images(view, some, self.part))
            yield from pieces(items)

    def copy(self, held: Held, moved: Mapping[str, Keys]) -> Copied:
        """The states of the keys that moved, and the texts that are new; while the engine stands still.

        Raises:
            LostError: the texts that were written have other numbers in what is held.
        """
        started = self._watch()
        if not self._fenced.texts.fit(held):
            raise LostError("texts")
        items = [one for view, keys in moved.items() for one in held.images(view, keys, self.part)]
        return Copied(items, held.texts(self._fenced.texts.counts), *held.place(), started)

    def publish(self, project: str, copied: Copied) -> None:
        """Write what moved, and say up to where; what is too large for one write is announced first.

        Raises:
            OnlineError: Redis does not answer; whether it was written is not known.
            FencedError: another owns the part; nothing was written.
            LostError: something is gone; nothing was written.
        """
        items, texts = copied.items, copied.texts
        self._set_apart(project, _keys(items))
        *first, last = pieces(items)
        for piece in first:
            self._fenced.write(project, self._generation, piece, texts, of=copied, moving=True)
            texts = {}
        self._fenced.write(project, self._generation, last, texts, of=copied)
        published = self.published
        published.offset, published.at = copied.offset, self._clock()
        if items:
            published.writes += 1
            published.keys += len(items)
            published.bytes += sum(len(image) for _, _, image, _ in items)
            published.nanoseconds += self._watch() - copied.nanoseconds

    def patrol(self, held: Held) -> None:
        """Now and then, see that no bucket is gone: some are not written to for long.

        Raises:
            OnlineError: Redis does not answer.
            LostError: one is gone.
        """
        if self._watch() - self._patrolled >= PATROL * 1e9:
            self._fenced.see_that_it_is_there(held.name, self._generation, held.views)
            self._patrolled = self._watch()

    def _set_apart(self, project: str, keys: Sequence[Any]) -> None:
        """Note the keys whose events should lie in another part: nothing is decided of those."""
        found = strays(keys, self.part) if self.part.of and keys else []
        if found:
            fields = {names.field(keys[place]) for place in found}
            self.published.strays += self._fenced.set_apart(project, fields)


def _keys(items: Sequence[Item]) -> list[str]:
    return [name[1:].decode() for _, name, _, _ in items]
