"""The states of one part into Redis, as its only owner: claimed, filled, and then what moved, each at once.

::

    claim ──► fill ──► copy ──► publish ──► copy ──► publish ──► ...
      ▲                            │
      └────────── LostError ◄──────┤   FencedError: there is a younger owner, nothing was written

No thread: it is called by whoever holds the engine, between events or while it stands still. What is read in
Redis is always the state as of one place of the log. A filling goes into a generation of its own, so that
others read the one before until the new one is whole. Driven by ``publisher`` (an embedded log) and
``owners`` (the partitions of a Kafka host); whoever has an engine of one part elsewhere calls
:meth:`Writing.turn`. Read ``names`` for what is written, ``scripts`` for how.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import redis

from headwater.core.errors import FencedError, OnlineError
from headwater.definitions.view import FeatureView
from headwater.engine.image import images
from headwater.scale.redis import names, scripts
from headwater.scale.redis.connection import Address, asking
from headwater.scale.redis.moved import Keys
from headwater.scale.redis.parts import WHOLE, Part, strays
from headwater.serving.vectors import Vectors

PATROL = 10.0  # seconds between two looks at all buckets
SLICE = 1_000  # keys that are copied at once while a generation is filled
PIECE = 8 << 20  # bytes that are written at once

Item = tuple[str, bytes, bytes, int]  # view, field, image, bucket
Positions = Mapping[str, int]  # stream to the offset of the next record


@dataclass(slots=True)
class Published:
    """What an owner did so far, for whoever measures.

    Attributes:
        up: whether the last try came through.
        whole: whether others can read a whole state that is of this owner.
        epoch: of this owner; 0 before the first.
        offset: the last place in the log that is published.
        at: when that was seen last, microseconds UTC.
        writes, keys, bytes: publications, the states in them, and their size.
        nanoseconds: that they took, from the copy to Redis' answer.
        fillings: generations that were filled.
        strays: keys that were found in a part that theirs is not.
    """

    up: bool = False
    whole: bool = False
    epoch: int = 0
    offset: int = -1
    at: int = 0
    writes: int = 0
    keys: int = 0
    bytes: int = 0
    nanoseconds: int = 0
    fillings: int = 0
    strays: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """What is published.

    Attributes:
        name: of the project.
        views: whose states.
        vectors: the engine.
        positions: of a part, each stream to the offset of the next record; asked while the engine is shut.
    """

    name: str
    views: Sequence[FeatureView]
    vectors: Vectors
    positions: Callable[[], Positions] | None = None

    def place(self) -> tuple[int, Positions]:
        """Where the engine stands, while it is shut: one number that only grows, and a part's positions.

        The number is the last offset; of a part, the records that it has taken in, less one.
        """
        if self.positions is None:
            return self.vectors.offset, {}
        found = dict(self.positions())
        return sum(found.values()) - 1, found


@dataclass(frozen=True, slots=True)
class Copied:
    """States as of one place.

    Attributes:
        items: the states.
        texts: of each view, those behind the ones that were written.
        offset, positions: of :meth:`Held.place`.
        nanoseconds: when they were copied.
    """

    items: Sequence[Item]
    texts: Mapping[str, Sequence[str]]
    offset: int
    positions: Positions
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What an owner has to know to go on in another process, where it left off.

    Attributes:
        id, epoch: who it is.
        generation: that others read; "" if none is whole.
        texts: of each view, how many were written.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    epoch: int = 0
    generation: str = ""
    texts: Mapping[str, int] = field(default_factory=dict)


class LostError(Exception):
    """Something that was published is gone."""


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
        self._address, self._client = address, client
        self._clock, self._watch = clock, stopwatch
        self._id = memory.id
        self._generation = memory.generation
        self._texts = dict(memory.texts)
        self._patrolled = stopwatch()
        self._claim = client.register_script(scripts.CLAIM)
        self._writing = client.register_script(scripts.WRITE)
        self._there = client.register_script(scripts.THERE)
        self._flip = client.register_script(scripts.FLIP)

    @property
    def memory(self) -> Memory:
        """What another has to know to go on."""
        return Memory(self._id, self.published.epoch, self._generation, dict(self._texts))

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
        if self.whole:
            try:
                self.patrol(held)
                self.publish(held.name, self.copy(held, moved))
            except LostError:
                self.forget()
        if not self.whole:
            if not reached(held.place()[1], self.claim(held.name)):
                return False
            self.fill(held, lambda: self.copy(held, {}))
        moved.clear()
        return True

    # --- Claimed and filled ----------------------------------------------------------------------------

    def claim(self, project: str, *, again: bool = False) -> Positions:
        """Become the owner, or go on as such; up to where the part was published before, by whomever.

        Args:
            project: its name.
            again: with a new epoch, which refuses whoever else goes on from the same memory.

        Raises:
            OnlineError: Redis does not answer, or the project's store is cut otherwise.
            FencedError: another owns it.
        """
        keys = [names.marker(project, self.part), names.layout(project), names.marker(project)]
        with asking(self._address):
            done, found, *before = self._claim(
                keys, [self._id, self.published.epoch, self.part.layout, "again" if again else ""]
            )
        if done == -2:
            raise _otherwise(self._address, self.part.layout, found.decode())
        if done < 0:
            raise self._fenced(int(found))
        self.published.epoch = int(found)
        positions: Positions = json.loads(before[0] or "{}")
        return positions

    def fill(self, held: Held, rest: Callable[[], Copied]) -> None:
        """Fill a new generation with all that there is, and let others read it instead of the one before.

        Args:
            held: what is published; events may be taken in meanwhile.
            rest: copies what moved since the filling began.
        """
        project, generation = held.name, names.generation(self.published.epoch, self.part)
        self._generation, self._texts = "", {}
        there = range(self.part.buckets)
        for view in held.views:
            self._write(project, generation, [(view.name, names.THERE, b"", n) for n in there], {})
            for items in self._slices(held, view.name):
                with held.vectors.shut():
                    texts = self._new_texts(held)
                self._write(project, generation, items, texts)
        last = rest()
        texts_left = last.texts
        for piece in _pieces(last.items):
            self._write(project, generation, piece, texts_left)
            texts_left = {}
        self._flip_to(generation, held, last)
        self._sweep(project, generation)

    def _slices(self, held: Held, view: str) -> Iterator[list[Item]]:
        """All keys of a view, so many at a time that events hardly wait."""
        with held.vectors.shut():
            keys = held.vectors.engine.states[view].keys.keys()
        for first in range(0, len(keys), SLICE):
            some = {names.field(key): key for key in keys[first : first + SLICE].to_list()}
            self._set_apart(held.name, list(some.values()))
            with held.vectors.shut():
                items = list(self._images(held, view, some))
            yield from _pieces(items)

    def _flip_to(self, generation: str, held: Held, last: Copied) -> None:
        definitions = names.definitions(held.views)
        now = self._clock()
        who = self.published.epoch, self._id
        with asking(self._address):
            done, found = self._flip(
                [names.marker(held.name, self.part)],
                [*who, generation, definitions, last.offset, now, _text(last.positions)],
            )
        self._judge(done, found)
        self._generation = generation
        self._patrolled = self._watch()
        published = self.published
        published.whole, published.offset, published.at = True, last.offset, now
        published.fillings += 1

    def _sweep(self, project: str, generation: str) -> None:
        """Let go of what earlier generations hold, and of none of a younger owner's."""
        with asking(self._address):
            batch: list[bytes] = []
            for name in self._client.scan_iter(names.every(project, self.part), count=1_000):
                if names.is_older(name, project, generation):
                    batch.append(name)
                if len(batch) == 1_000:
                    self._client.unlink(*batch)
                    batch = []
            if batch:
                self._client.unlink(*batch)

    # --- What moved ------------------------------------------------------------------------------------

    def copy(self, held: Held, moved: Mapping[str, Keys]) -> Copied:
        """The states of the keys that moved, and the texts that are new; while the engine stands still."""
        started = self._watch()
        items = [one for view, keys in moved.items() for one in self._images(held, view, keys)]
        return Copied(items, self._new_texts(held), *held.place(), started)

    def publish(self, project: str, copied: Copied) -> None:
        """Write what moved, and say up to where; what is too large for one write is announced first.

        Raises:
            OnlineError: Redis does not answer; whether it was written is not known.
            FencedError: another owns the part; nothing was written.
            LostError: something is gone; nothing was written.
        """
        items, texts = copied.items, copied.texts
        self._set_apart(project, [name[1:].decode() for _, name, _, _ in items])
        *first, last = _pieces(items)
        for piece in first:
            self._write(project, self._generation, piece, texts, of=copied, moving=True)
            texts = {}
        self._write(project, self._generation, last, texts, of=copied)
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
        if self._watch() - self._patrolled < PATROL * 1e9:
            return
        of = held.name, self._generation
        for view in held.views:
            buckets = [names.bucket(*of, view.name, number) for number in range(self.part.buckets)]
            with asking(self._address):
                if not self._there(buckets):
                    raise LostError
        if self.part.of:
            with asking(self._address):
                if self._client.get(names.layout(held.name)) != self.part.layout.encode():
                    raise LostError
        self._patrolled = self._watch()

    def _new_texts(self, held: Held) -> dict[str, list[str]]:
        found = {}
        for name, state in held.vectors.engine.states.items():
            more = state.book.texts[self._texts.setdefault(name, 0) :]
            if more:
                found[name] = more
        return found

    def _images(self, held: Held, view: str, keys: Keys) -> Iterator[Item]:
        """The states of some keys, while the engine stands still."""
        state = held.vectors.engine.states[view]
        column = pl.Series(list(keys.values()), dtype=state.keys.dtype)
        for name, image in zip(keys, images(state, column), strict=True):
            if image is not None:
                yield view, name, image, names.number_of(name, self.part)

    def _set_apart(self, project: str, keys: Sequence[Any]) -> None:
        """Note the keys whose events should lie in another part: nothing is decided of those."""
        found = strays(keys, self.part) if self.part.of and keys else []
        if found:
            fields = {names.field(keys[place]) for place in found}
            with asking(self._address):
                self.published.strays += int(self._client.sadd(names.strays(project), *fields))

    # --- Redis -----------------------------------------------------------------------------------------

    def _write(
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
            LostError: something is gone, or a part would go back; nothing was written.
        """
        places = {names.marker(project, self.part): 1}
        arguments: list[Any] = [
            self.published.epoch,
            self._id,
            "" if of is None else generation,
            "" if of is None else of.offset,
            self._clock(),
            "1" if moving else "",
            "" if of is None else _text(of.positions),
            len(texts),
        ]
        for view, more in texts.items():
            place = places.setdefault(names.texts(project, generation, view), len(places) + 1)
            arguments += [place, self._texts[view], len(more), *more]
        for view, name, image, number in items:
            key = names.bucket(project, generation, view, number)
            arguments += [places.setdefault(key, len(places) + 1), name, image]
        with asking(self._address):
            done, found = self._writing(list(places), arguments)
        self._judge(done, found)
        for view, more in texts.items():
            self._texts[view] += len(more)

    def _judge(self, done: int, found: bytes) -> None:
        if done < 0:
            raise self._fenced(int(found))
        if not done:
            raise LostError(found.decode())

    def _fenced(self, epoch: int) -> FencedError:
        what, own = "the online store", "let one server own each log; this one publishes nothing any more"
        if self.part.of:
            what = f"part {self.part.number} of the online store"
            own = "let one consumer group publish each project; this one publishes nothing of it any more"
        return FencedError.of(
            f"another server owns {what}",
            expected=f"epoch {self.published.epoch}, which is this server's",
            got=f"epoch {epoch}",
            where=str(self._address),
            do=own,
        )


def reached(positions: Positions, before: Positions) -> bool:
    """Whether a state has come up to what was published of the part before."""
    return all(positions.get(stream, 0) >= offset for stream, offset in before.items())


def see_that_it_fits(
    address: Address,
    client: redis.Redis,
    project: str,
    part: Part,
    on_fault: Callable[[str, BaseException], None],
) -> None:
    """See that Redis keeps what it is given, and is not another kind of owner's; say if it does not answer.

    Raises:
        OnlineError: it would throw states away when it is full, or the project's store is cut otherwise.
    """
    try:
        with asking(address):
            memory: Any = client.info("memory")
            found: Any = client.get(names.layout(project))
            one = bool(client.exists(names.marker(project)))
    except OnlineError as error:
        on_fault("online", error)
        return
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if memory.get("maxmemory") and policy.startswith("allkeys"):
        raise OnlineError.of(
            "the online store throws states away when it is full",
            expected="maxmemory-policy noeviction",
            got=policy,
            where=str(address),
            do="set maxmemory-policy noeviction, and give it enough memory",
        )
    there = (found or b"").decode()
    if there != part.layout and (there or one):
        raise _otherwise(address, part.layout, there)


def _otherwise(address: Address, wanted: str, found: str) -> OnlineError:
    return OnlineError.of(
        "the project's online store is another kind of owner's",
        expected=_told(wanted),
        got=_told(found),
        where=str(address),
        do="let one of them publish; to change over, end the other and delete its keys, hw:{PROJECT}:*",
    )


def _told(layout: str) -> str:
    """How a store is cut, in words."""
    return (
        f"{layout.split()[0]} parts, of the partitions of Kafka's topics"
        if layout
        else "one, of an embedded log"
    )


def _text(positions: Positions) -> str:
    return json.dumps(dict(positions), sort_keys=True) if positions else ""


def _pieces(items: Sequence[Item]) -> Iterator[list[Item]]:
    """At least one piece, each of PIECE bytes or a single state that is larger."""
    piece: list[Item] = []
    size = 0
    for item in items:
        if piece and size + len(item[2]) > PIECE:
            yield piece
            piece, size = [], 0
        piece.append(item)
        size += len(item[2])
    yield piece
