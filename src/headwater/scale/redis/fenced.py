"""A part in Redis, as its owner alone may change it: whoever comes after an owner fences the one before.

::

    claim ──► epoch ──► write into a generation ──► flip: others read it ──► write ──► write ──► ...
                          │                           │                        │
                          └───────────────────────────┴────────────────────────┴── FencedError: epoch is old
                                                                                   LostError: it is not there

Each is a script, done at once or not at all. What was written of a generation's texts is remembered here, as
states name them by their numbers. Called by ``writing`` alone, which decides what is written and when. Read
``scripts`` for what is done in Redis, and ``names`` for what lies there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis

from headwater.core.errors import FencedError
from headwater.definitions.view import FeatureView
from headwater.scale.redis import names, scripts
from headwater.scale.redis.connection import Address, asking
from headwater.scale.redis.parts import Part
from headwater.scale.redis.preflight import otherwise
from headwater.scale.redis.progress import Memory
from headwater.scale.redis.states import Copied, Held, Item, Positions
from headwater.scale.redis.texts import Texts


class LostError(Exception):
    """Something that was published is gone."""


class Fenced:
    """Changes a part while it is its owner. One thread.

    Args:
        address: of Redis.
        client: of the same; closed by whoever made it.
        clock: now, microseconds UTC.
        part: which.
        memory: who it is.

    Attributes:
        epoch: of this owner; 0 before the first.
        texts: that were written.
    """

    def __init__(
        self, address: Address, client: redis.Redis, clock: Callable[[], int], part: Part, memory: Memory
    ) -> None:
        self.epoch = memory.epoch
        self.texts = Texts(memory.texts, memory.seals)
        self._offset = memory.offset
        self._address, self._client, self._clock, self._part = address, client, clock, part
        self._id, self._run = memory.id, memory.run
        self._claim = client.register_script(scripts.CLAIM)
        self._writing = client.register_script(scripts.WRITE)
        self._there = client.register_script(scripts.THERE)
        self._flip = client.register_script(scripts.FLIP)

    def memory(self, generation: str) -> Memory:
        """Who it is, for another to go on with."""
        texts = self.texts
        known = dict(texts.counts), dict(texts.seals)
        return Memory(self._id, self.epoch, generation, *known, self._offset, self._run)

    def claim(self, project: str, *, again: bool) -> Positions:
        """Become the owner, or go on as such; see :meth:`Writing.claim`."""
        keys = [names.marker(project, self._part), names.layout(project), names.marker(project)]
        with asking(self._address):
            done, found, *before = self._claim(
                keys, [self._id, self.epoch, self._part.layout, "again" if again else ""]
            )
        if done == -2:
            raise otherwise(self._address, self._part.layout, found.decode())
        if done < 0:
            raise self._fenced(int(found))
        self.epoch = int(found)
        positions: Positions = json.loads(before[0] or "{}")
        return positions

    def write(
        self,
        project: str,
        generation: str,
        items: Sequence[Item],
        texts: Mapping[str, Sequence[str]],
        *,
        of: Copied | None = None,
        moving: bool = False,
    ) -> None:
        """One write, at once.

        Args:
            project: its name.
            generation: where to.
            items: the states.
            texts: of each view, those behind the ones that were written.
            of: where they stand; others read this generation then: nothing of it may be missing.
            moving: more as of the same place follows.

        Raises:
            OnlineError: Redis does not answer; whether it was written is not known.
            FencedError: another owns it; nothing was written.
            LostError: something is gone, Redis stands where it stood before, or a part would go back; nothing
                was written.
        """
        places = {names.marker(project, self._part): 1}
        arguments: list[Any] = [
            self.epoch,
            self._id,
            "" if of is None else generation,
            "" if of is None else of.offset,
            self._clock(),
            "1" if moving else "",
            "" if of is None else _text(of.positions),
            "" if of is None or self._offset < 0 else self._offset,
            len(texts),
        ]
        for view, more in texts.items():
            place = places.setdefault(names.texts(project, generation, view), len(places) + 1)
            arguments += [place, self.texts.counts.get(view, 0), len(more), *more]
        for view, name, image, number in items:
            key = names.bucket(project, generation, view, number)
            arguments += [places.setdefault(key, len(places) + 1), name, image]
        with asking(self._address):
            done, found = self._writing(list(places), arguments)
        self._judge(done, found)
        for view, more in texts.items():
            self.texts.wrote(view, more)
        if of is not None and not moving:
            self._offset = of.offset

    def flip(self, generation: str, held: Held, last: Copied, now: int) -> None:
        """Let others read a generation that is whole, instead of the one before."""
        definitions = names.definitions(held.views)
        with asking(self._address):
            done, found = self._flip(
                [names.marker(held.name, self._part)],
                [self.epoch, self._id, generation, definitions, last.offset, now, _text(last.positions)],
            )
        self._judge(done, found)
        self._offset = last.offset

    def sweep(self, project: str, generation: str) -> None:
        """Let go of what earlier generations hold, and of none of a younger owner's."""
        with asking(self._address):
            batch: list[bytes] = []
            for name in self._client.scan_iter(names.every(project, self._part), count=1_000):
                if names.is_older(name, project, generation):
                    batch.append(name)
                if len(batch) == 1_000:
                    self._client.unlink(*batch)
                    batch = []
            if batch:
                self._client.unlink(*batch)

    def see_that_it_is_there(self, project: str, generation: str, views: Sequence[FeatureView]) -> None:
        """Look at every bucket of a generation, and at how the store is cut.

        Raises:
            OnlineError: Redis does not answer.
            LostError: one is gone.
        """
        for view in views:
            numbers = range(self._part.buckets)
            buckets = [names.bucket(project, generation, view.name, number) for number in numbers]
            with asking(self._address):
                if not self._there(buckets):
                    raise LostError
        if self._part.of:
            with asking(self._address):
                if self._client.get(names.layout(project)) != self._part.layout.encode():
                    raise LostError

    def set_apart(self, project: str, fields: set[bytes]) -> int:
        """Note keys that nothing is to be decided of; how many are new."""
        with asking(self._address):
            return int(self._client.sadd(names.strays(project), *fields))

    def _judge(self, done: int, found: bytes) -> None:
        if done < 0:
            raise self._fenced(int(found))
        if not done:
            raise LostError(found.decode())

    def _fenced(self, epoch: int) -> FencedError:
        what, own = "the online store", "let one server own each log; this one publishes nothing any more"
        if self._part.of:
            what = f"part {self._part.number} of the online store"
            own = "let one consumer group publish each project"
        return FencedError.of(
            f"another server owns {what}",
            expected=f"epoch {self.epoch}, which is this server's",
            got=f"epoch {epoch}",
            where=str(self._address),
            do=own,
        )


def _text(positions: Positions) -> str:
    return json.dumps(dict(positions), sort_keys=True) if positions else ""
