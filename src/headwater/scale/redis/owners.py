"""The owner's half, of a Kafka host: a part of the store for each partition that it is given.

::

    partition comes ──► own ──► claim ──► as far as was published before? ──► fill ──► whole ─┐
    records taken in ──► moved ──────────────────────────────────────────► copy, write ◄──────┘
    partition goes  ──► gone: whoever claims it next fences this one; if it comes back as it went, it goes on

A partition's state is a function of its records, so that what is published is right before the transaction
of its scores has ended, too. The host's turn waits while keys are copied, some thousand at a time, and for no
more. Two threads, whatever the number of parts: one fills those that are not whole, one publishes what moved
in those that are. Opened by ``headwater stream``; read ``writing`` for what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event, Lock, Thread
from typing import Any, Protocol, Self

from headwater.core.batch import Batch
from headwater.core.errors import FencedError, OnlineError
from headwater.core.handful import Handful
from headwater.definitions.view import FeatureView
from headwater.scale.redis.connection import Address
from headwater.scale.redis.moved import Keys, Moved
from headwater.scale.redis.parts import Part
from headwater.scale.redis.publisher import HEARTBEAT, LONGEST, SOON, lost
from headwater.scale.redis.writing import (
    SLICE,
    Copied,
    Held,
    Item,
    LostError,
    Positions,
    Published,
    Writing,
    reached,
    see_that_it_fits,
)
from headwater.serving.vectors import Vectors

PATIENCE = 15.0  # seconds in which a host may learn that a partition is another's
_BEHIND = 10.0  # seconds after which it is told that a part waits for its host to catch up
_AGAIN = 5.0  # seconds after which the same is told again
_SUMMED = ("writes", "keys", "bytes", "nanoseconds", "fillings", "strays")


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
class _Owned:
    """A part, and where its publication stands.

    Attributes:
        whole: whether its generation is read; else it is to be filled.
        before: up to where it was published by whoever owned it, once it is claimed.
        keys: that are to be published.
        due: nothing is tried before, nanoseconds.
        since: since when it waits to come up to ``before``; None when that was told.
        fenced: why nothing of it is published any more, and since when.
        start: where the state stood when it came.
        left: the same part as this host had it before, to go on with if the state stands where it stood then.
        ended: where the state stood when the part went; None while it is owned.
        resumed: nothing was written yet by the writing that it goes on with.
        turn: held by whoever is at work on it.
    """

    held: Held | None
    writing: Writing
    due: int
    since: int | None
    start: Positions
    left: _Owned | None = None
    ended: Positions | None = None
    resumed: bool = False
    turn: Lock = field(default_factory=Lock)
    whole: bool = False
    before: Positions | None = None
    moved: Moved = field(default_factory=Moved)
    keys: dict[str, Keys] = field(default_factory=dict)
    fenced: tuple[FencedError, int] | None = None


class Owners:
    """Publishes the parts of a project's store that a host owns.

    Args:
        address: of Redis.
        project: its name.
        views: the definitions.
        clock: now, microseconds UTC.
        stopwatch: nanoseconds.
        on_fault: told of what went wrong, as ``online``; in a thread of its own.
    """

    def __init__(
        self,
        address: Address,
        project: str,
        views: Sequence[FeatureView],
        clock: Callable[[], int],
        stopwatch: Callable[[], int],
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self._address, self._project, self._views, self._parts = address, project, views, 0
        self._clock, self._watch, self._tell = clock, stopwatch, on_fault
        self._client = address.client()
        self._owned: dict[int, _Owned] = {}
        self._left: dict[int, _Owned] = {}
        self._done = Published()  # of the parts that went
        self._up = True
        self._told = "", 0
        self._lock = Lock()
        self._closed = Event()
        self._news = {filling: Event() for filling in (False, True)}
        self._threads = [
            Thread(target=self._run, args=(filling,), name=f"headwater-{name}", daemon=True)
            for filling, name in ((False, "publisher"), (True, "filler"))
        ]

    def start(self, parts: int) -> Self:
        """Begin; as soon as Redis answers.

        Args:
            parts: how many partitions the project's topics have.

        Raises:
            OnlineError: Redis would throw states away when it is full, or the store is cut otherwise.
        """
        self._parts, part = parts, Part(0, parts)
        see_that_it_fits(self._address, self._client, self._project, part, self._on_fault)
        for thread in self._threads:
            thread.start()
        return self

    def own(self, number: int, state: State) -> None:
        """A partition came, or its state was built anew; before anything is taken in."""
        self.gone(number)
        held = Held(self._project, self._views, state.vectors, lambda: state.positions)
        now, start = self._watch(), dict(state.positions)
        with self._lock:
            left = self._left.pop(number, None)
            self._owned[number] = _Owned(held, self._writing(number), now, now, start, left)
        state.on_taken = partial(self._moved, number)
        self._news[True].set()

    def _moved(self, number: int, events: Batch | Handful) -> None:
        """Events that a partition has just taken in: told in its thread, which does not wait."""
        one = self._owned.get(number)
        if one is not None and one.fenced is None:
            one.moved.add(events)
            self._news[not one.whole].set()

    def gone(self, number: int) -> None:
        """A partition went; what others read of it stays, for whoever owns it next."""
        with self._lock:
            one = self._owned.pop(number, None)
            if one is not None and one.held is not None:
                one.ended = dict(one.held.place()[1])
                self._left[number] = one
        self._news[True].set()

    @property
    def published(self) -> Published:
        """What was done so far: of all parts together, and of those that went."""
        with self._lock:
            now = [one.writing.published for one in self._owned.values()]
            found = _sum([self._done, *now, *(one.writing.published for one in self._left.values())])
        found.up = self._up
        found.whole = all(one.whole for one in now)
        found.epoch = max((one.epoch for one in now), default=0)
        found.offset = sum(one.offset + 1 for one in now) - 1
        found.at = min((one.at for one in now), default=0)
        return found

    def check(self) -> None:
        """See that the parts are this host's.

        Raises:
            FencedError: one is another's, for longer than a group needs to say so of its partition.
        """
        for one in list(self._owned.values()):
            if one.fenced is not None and self._watch() - one.fenced[1] > PATIENCE * 1e9:
                raise one.fenced[0]

    def close(self) -> None:
        """Publish what there is, and end."""
        self._closed.set()
        for news in self._news.values():
            news.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # --- The threads -----------------------------------------------------------------------------------

    def _run(self, filling: bool) -> None:
        news, pause, last = self._news[filling], 0.0, False
        while not last:
            news.wait(pause or (SOON if filling and self._to_fill() else HEARTBEAT))
            news.clear()
            last = self._closed.is_set()
            try:
                self._round(filling=filling)
            except Exception as error:  # noqa: BLE001 - told once; what is not published is tried again
                if self._up:
                    self._on_fault("online", error)
                self._up, pause = False, min(max(2 * pause, 0.1), LONGEST)
                self._closed.wait(pause)
            else:
                pause = 0.0

    def _to_fill(self) -> bool:
        return any(not one.whole and one.fenced is None for one in list(self._owned.values()))

    def _round(self, *, filling: bool) -> None:
        """Each part's turn."""
        if filling:
            for one in list(self._left.values()):
                with one.turn:
                    self._take_leave(one)
        for one in list(self._owned.values()):
            if self._is_idle(one, filling=filling):
                continue  # without waiting for the other thread, which may be filling it
            with one.turn:
                if not self._is_idle(one, filling=filling):
                    self._turn(one, filling=filling)

    def _is_idle(self, one: _Owned, *, filling: bool) -> bool:
        gone = one.fenced is not None or one.ended is not None
        return gone or one.whole is filling or self._watch() < one.due

    def _turn(self, one: _Owned, *, filling: bool) -> None:
        try:
            if filling:
                self._fill(one)
            else:
                self._publish(one)
        except FencedError as error:
            if one.resumed:  # another had it meanwhile
                one.writing, one.resumed = self._writing(one.writing.part.number), False
                one.whole, one.before = False, None
                self._news[True].set()
                return
            one.fenced = error, self._watch()
            one.writing.published.whole = False
            self._on_fault("online", error)
        except LostError:
            one.writing.forget()
            one.whole, one.before = False, None
            one.due = self._watch() + int(SOON * 1e9)
            self._on_fault("online", lost(self._address))
            self._news[True].set()
        except Exception:
            one.moved.take(self._views, one.keys)  # so that events do not pile up
            raise
        self._up = True

    def _fill(self, one: _Owned) -> None:
        """Take a part over, and fill it once the state has come up to what was published of it before."""
        if one.left is not None:
            left, one.left = one.left, None
            with left.turn:
                self._take_leave(left)
            if left.whole and left.fenced is None and left.ended == one.start:
                one.writing, one.keys, one.whole, one.resumed = left.writing, left.keys, True, True
                self._news[False].set()
                return
        if self._closed.is_set() or one.held is None:
            return  # what others read is right; whoever comes next fills what is not there
        if one.before is None:
            one.before = one.writing.claim(self._project)
        one.moved.forget()  # all is copied
        held = one.held
        with held.vectors.shut():
            _, positions = held.place()
        if not reached(positions, one.before):
            self._tell_behind(one, positions)
            return
        one.keys = {}
        one.writing.fill(held, lambda: self._copied(one, held))
        one.keys, one.before = {}, None
        one.whole = True

    def _publish(self, one: _Owned) -> None:
        if one.held is None:
            return
        one.writing.patrol(one.held)
        one.writing.publish(self._project, self._copied(one, one.held))
        one.keys, one.resumed = {}, False

    def _take_leave(self, one: _Owned) -> None:
        """Let go of the engine of a part that went, and remember what of it is not published."""
        if one.held is None:
            return
        one.moved.take(self._views, one.keys)
        one.held = None
        done = one.writing.published
        with self._lock:
            self._done = _sum([self._done, done])
            for name in _SUMMED:
                setattr(done, name, 0)

    def _writing(self, number: int) -> Writing:
        return Writing(self._address, self._client, self._clock, self._watch, Part(number, self._parts))

    def _copied(self, one: _Owned, held: Held) -> Copied:
        """The states of the keys that moved, all as of one place.

        Many are copied some at a time, while records are taken in, and those that move meanwhile once more.
        """
        writing = one.writing
        one.moved.take(self._views, one.keys)
        early: dict[tuple[str, bytes], Item] = {}
        rest = one.keys
        if sum(map(len, one.keys.values())) > SLICE:
            rest = {}
            for view, keys in one.keys.items():
                listed = list(keys.items())
                for first in range(0, len(listed), SLICE):
                    some = dict(listed[first : first + SLICE])
                    with held.vectors.shut():
                        copied = writing.copy(held, {view: some})
                    early |= {item[:2]: item for item in copied.items}
        with held.vectors.shut():
            one.moved.take(self._views, rest)
            last = writing.copy(held, rest)
        if rest is one.keys:
            return last
        for view, keys in rest.items():
            one.keys.setdefault(view, {}).update(keys)
        early |= {item[:2]: item for item in last.items}
        return replace(last, items=list(early.values()))

    def _tell_behind(self, one: _Owned, positions: Positions) -> None:
        one.due = self._watch() + int(SOON * 1e9)
        if one.since is None or self._watch() - one.since < _BEHIND * 1e9:
            return
        one.since = None
        before = one.before or {}
        self._on_fault(
            "online",
            OnlineError.of(
                f"part {one.writing.part.number} of the online store is ahead of this host",
                expected=_told({stream: positions.get(stream, 0) for stream in before}),
                got=_told(before),
                where=str(self._address),
                do="nothing: it is published once the host has read that far; if the topics were made anew, "
                "delete the project's keys, hw:{PROJECT}:*",
            ),
        )

    def _on_fault(self, where: str, error: BaseException) -> None:
        """Tell; what was told just now is not told for each part again."""
        text, now = str(error), self._watch()
        if text != self._told[0] or now - self._told[1] > _AGAIN * 1e9:
            self._told = text, now
            self._tell(where, error)


def _told(positions: Positions) -> str:
    return ", ".join(f"{stream} {offset:,}" for stream, offset in sorted(positions.items()))


def _sum(each: Sequence[Published]) -> Published:
    found: dict[str, Any] = {name: sum(getattr(one, name) for one in each) for name in _SUMMED}
    return Published(**found)
