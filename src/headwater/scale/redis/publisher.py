"""The owner's half: the states of the keys that events moved, into Redis, after each commit.

::

    writer ── events ──► moved keys ──► (engine still) images, offset ──► WRITE ──► whole up to the offset
                                                                            │
              the first time, or after Redis lost something: FILL ◄── lost ─┤
              there is a younger owner: stop                     ◄─ fenced ─┘

One thread, beside the writer: an event is answered without waiting for Redis, and what comes while a
publication is on its way shares the next one. What is read in Redis is always the state as of one offset. A
filling goes into a generation of its own, so that others read the one before until the new one is whole.
Opened by the edges; read ``names`` for what is written, ``scripts`` for how.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import Any, Self

import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import FencedError, OnlineError
from headwater.core.handful import Handful
from headwater.definitions.view import FeatureView
from headwater.engine.image import images
from headwater.scale.redis import names, scripts
from headwater.scale.redis.connection import Address, asking
from headwater.scale.redis.moved import Keys, Moved
from headwater.serving.vectors import Vectors

HEARTBEAT = 1.0  # seconds between two writes, if nothing moves
PATROL = 10.0  # seconds between two looks at all buckets
SLICE = 1_000  # keys that are copied at once while a generation is filled
PART = 8 << 20  # bytes that are written at once
LONGEST = 2.0  # seconds between two tries
_SOON = 0.05  # seconds to the first filling after a loss
_GAP = 5.0  # seconds in which the writer says what it took in

Item = tuple[str, bytes, bytes, int]  # view, field, image, bucket


@dataclass(slots=True)
class Published:
    """What a publisher did so far, for whoever measures.

    Attributes:
        up: whether the last try came through.
        whole: whether others can read a whole state that is of this owner.
        epoch: of this owner; 0 before the first.
        offset: the last place in the log that is published.
        at: when that was seen last, microseconds UTC.
        writes, keys, bytes: publications, the states in them, and their size.
        nanoseconds: that they took, from the copy to Redis' answer.
        fillings: generations that were filled.
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


@dataclass(frozen=True, slots=True)
class Held:
    """What is published.

    Attributes:
        name: of the project.
        views: whose states.
        vectors: the engine.
    """

    name: str
    views: Sequence[FeatureView]
    vectors: Vectors


class _LostError(Exception):
    """Something that was published is gone."""


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
        self.published = Published()
        self.fenced: FencedError | None = None
        self.on_fenced = on_fenced
        self._address = address
        self._held = held
        self._clock, self._watch = clock, stopwatch
        self._on_fault = on_fault
        self._id = secrets.token_hex(8)
        self._moved = Moved()
        self._keys: dict[str, Keys] = {}
        self._texts: dict[str, int] = {}
        self._whole: tuple[str, Held] | None = None  # the generation that others read, and what it is of
        self._patrolled = 0
        self._client = client = address.client()
        self._claim = client.register_script(scripts.CLAIM)
        self._writing = client.register_script(scripts.WRITE)
        self._there = client.register_script(scripts.THERE)
        self._flip = client.register_script(scripts.FLIP)
        self._thread = Thread(target=self._run, name="headwater-publisher", daemon=True)

    def start(self) -> Self:
        """Take over, fill Redis and go on; as soon as it answers.

        Raises:
            OnlineError: Redis would throw states away when it is full.
        """
        self._see_that_nothing_is_evicted()
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
            except _LostError:
                self._lost()
                pause, open_ = _SOON, True
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
        self._whole = None
        self.published.whole = False
        error = OnlineError.of(
            "the online store has lost what was published",
            expected="all that this server wrote",
            got="not all of it",
            where=str(self._address),
            do="nothing: it is being filled again; look why it was emptied",
        )
        self._on_fault("online", error)

    def _turn(self) -> None:
        held = self._held()
        if self._whole is None or self._whole[1].vectors is not held.vectors:
            self._fill(held)
            return
        generation = self._whole[0]
        self._patrol(generation, held)
        started = self._watch()
        items, texts, offset = self._copied(held)
        self._publish(generation, items, texts, offset)
        self._keys = {}
        self._count(items, self._watch() - started)

    def _publish(
        self, generation: str, items: Sequence[Item], texts: Mapping[str, Sequence[str]], offset: int
    ) -> None:
        """Write what moved, and say up to where; what is too large for one write is announced first."""
        *first, last = _parts(items)
        for part in first:
            self._write(generation, part, texts, whole=True, offset=offset, moving=True)
            texts = {}
        self._write(generation, last, texts, whole=True, offset=offset)
        self.published.offset, self.published.at = offset, self._clock()

    def _count(self, items: Sequence[Item], took: int) -> None:
        if items:
            published = self.published
            published.writes += 1
            published.keys += len(items)
            published.bytes += sum(len(image) for _, _, image, _ in items)
            published.nanoseconds += took

    # --- What is published -----------------------------------------------------------------------------

    def _copied(self, held: Held) -> tuple[list[Item], dict[str, list[str]], int]:
        """The states of the keys that moved, the texts that are new, and the offset that they are of."""
        vectors = held.vectors
        while True:
            with vectors.shut():
                offset = vectors.offset
                if self._moved.upto >= offset:
                    self._moved.take(held.views, self._keys)
                    items = [one for view, keys in self._keys.items() for one in _images(held, view, keys)]
                    return items, self._new_texts(held), offset
            if not self._moved.reaches(offset, _GAP):
                self._moved.begin(offset)  # the engine was fed by somebody else
                raise _LostError

    def _new_texts(self, held: Held) -> dict[str, list[str]]:
        found = {}
        for name, state in held.vectors.engine.states.items():
            more = state.book.texts[self._texts.setdefault(name, 0) :]
            if more:
                found[name] = more
        return found

    def _fill(self, held: Held) -> None:
        """Fill a new generation with all that there is, and let others read it instead of the one before."""
        project = held.name
        with asking(self._address):
            done, epoch = self._claim([names.marker(project)], [self._id, self.published.epoch])
        if done < 0:
            raise self._fenced(int(epoch))
        self.published.epoch = int(epoch)
        generation = names.generation(self.published.epoch)
        self._keys, self._texts = {}, {}
        for view in held.views:
            self._write(generation, [(view.name, names.THERE, b"", n) for n in range(names.BUCKETS)], {})
            for items in self._slices(held, view.name):
                with held.vectors.shut():
                    texts = self._new_texts(held)
                self._write(generation, items, texts)
        items, texts, offset = self._copied(held)
        for part in _parts(items):
            self._write(generation, part, texts)
            texts = {}
        self._keys = {}
        self._flip_to(generation, held, offset)
        self._sweep(project, generation)

    def _slices(self, held: Held, view: str) -> Iterator[list[Item]]:
        """All keys of a view, so many at a time that events hardly wait."""
        with held.vectors.shut():
            keys = held.vectors.engine.states[view].keys.keys()
        for first in range(0, len(keys), SLICE):
            some = {names.field(key): key for key in keys[first : first + SLICE].to_list()}
            with held.vectors.shut():
                items = list(_images(held, view, some))
            yield from _parts(items)

    def _flip_to(self, generation: str, held: Held, offset: int) -> None:
        definitions = names.definitions(held.views)
        now = self._clock()
        with asking(self._address):
            done, found = self._flip(
                [names.marker(held.name)],
                [self.published.epoch, self._id, generation, definitions, offset, now],
            )
        self._judge(done, found)
        self._whole = generation, held
        self._patrolled = self._watch()
        published = self.published
        published.whole, published.offset, published.at = True, offset, now
        published.fillings += 1

    def _sweep(self, project: str, generation: str) -> None:
        """Let go of what earlier generations hold, and of none of a younger owner's."""
        with asking(self._address):
            batch: list[bytes] = []
            for name in self._client.scan_iter(names.every(project), count=1_000):
                if names.is_older(name, project, generation):
                    batch.append(name)
                if len(batch) == 1_000:
                    self._client.unlink(*batch)
                    batch = []
            if batch:
                self._client.unlink(*batch)

    def _patrol(self, generation: str, held: Held) -> None:
        """Now and then, see that no bucket is gone: some are not written to for long."""
        if self._watch() - self._patrolled < PATROL * 1e9:
            return
        for view in held.views:
            buckets = [names.bucket(held.name, generation, view.name, n) for n in range(names.BUCKETS)]
            with asking(self._address):
                if not self._there(buckets):
                    raise _LostError
        self._patrolled = self._watch()

    # --- Redis -----------------------------------------------------------------------------------------

    def _write(
        self,
        generation: str,
        items: Sequence[Item],
        texts: Mapping[str, Sequence[str]],
        *,
        whole: bool = False,
        offset: int | None = None,
        moving: bool = False,
    ) -> None:
        """One write, at once.

        Args:
            generation: where to.
            items: the states.
            texts: of each view, those behind the ones that were written.
            whole: others read this generation: nothing of it may be missing.
            offset: what it is of then.
            moving: more of the same offset follows.

        Raises:
            OnlineError: Redis does not answer; whether it was written is not known.
            FencedError: another owns it; nothing was written.
            _LostError: something is gone; nothing was written.
        """
        project = self._held().name
        places = {names.marker(project): 1}
        arguments: list[Any] = [
            self.published.epoch,
            self._id,
            generation if whole else "",
            "" if offset is None else offset,
            self._clock(),
            "1" if moving else "",
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
            raise _LostError(found.decode())

    def _fenced(self, epoch: int) -> FencedError:
        return FencedError.of(
            "another server owns the online store",
            expected=f"epoch {self.published.epoch}, which is this server's",
            got=f"epoch {epoch}",
            where=str(self._address),
            do="let one server own each log; this one publishes nothing any more",
        )

    def _see_that_nothing_is_evicted(self) -> None:
        try:
            with asking(self._address):
                memory: dict[str, Any] = self._client.info("memory")
        except OnlineError as error:
            self._on_fault("online", error)
            return
        policy = str(memory.get("maxmemory_policy", "noeviction"))
        if memory.get("maxmemory") and policy.startswith("allkeys"):
            raise OnlineError.of(
                "the online store throws states away when it is full",
                expected="maxmemory-policy noeviction",
                got=policy,
                where=str(self._address),
                do="set maxmemory-policy noeviction, and give it enough memory",
            )


def _images(held: Held, view: str, keys: Keys) -> Iterator[Item]:
    """The states of some keys, while the engine stands still."""
    state = held.vectors.engine.states[view]
    column = pl.Series(list(keys.values()), dtype=state.keys.dtype)
    for name, image in zip(keys, images(state, column), strict=True):
        if image is not None:
            yield view, name, image, names.number_of(name)


def _parts(items: Sequence[Item]) -> Iterator[list[Item]]:
    """At least one part, each of PART bytes or a single state that is larger."""
    part: list[Item] = []
    size = 0
    for item in items:
        if part and size + len(item[2]) > PART:
            yield part
            part, size = [], 0
        part.append(item)
        size += len(item[2])
    yield part
