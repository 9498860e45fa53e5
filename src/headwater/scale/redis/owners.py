"""The owner's half, of a Kafka host: a part of the store for each partition that it is given.

::

    partition comes ──► own ──► a part ──┬── not whole ──► the filler's thread
    records taken in ──► moved ──────────┤
    partition goes ──► gone              └── whole ──────► the publisher's thread

The host's turn waits while keys are copied, some thousand at a time, and for no more. Two threads, whatever
the number of parts: one fills those that are not whole, one publishes what moved in those that are. Opened by
``headwater stream``; read ``owned`` for the life of one part, ``writing`` for what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import Event, Lock, Thread
from typing import Self

from headwater.core.batch import Batch
from headwater.core.errors import FencedError, OnlineError
from headwater.core.handful import Handful
from headwater.definitions.view import FeatureView
from headwater.scale.redis.connection import Address
from headwater.scale.redis.fenced import LostError
from headwater.scale.redis.owned import Owned, State
from headwater.scale.redis.parts import Part
from headwater.scale.redis.preflight import see_that_it_fits
from headwater.scale.redis.progress import Published, together
from headwater.scale.redis.publisher import HEARTBEAT, LONGEST, SOON, lost
from headwater.scale.redis.states import Held, Positions
from headwater.scale.redis.writing import Writing

PATIENCE = 15.0  # seconds in which a host may learn that a partition is another's
TRUCE = 600.0  # seconds in which a part is claimed again once: of two groups, one must end
_BEHIND = 10.0  # seconds after which it is told that a part waits for its host to catch up
_AGAIN = 5.0  # seconds after which the same is told again


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
        self._owned: dict[int, Owned] = {}
        self._left: dict[int, Owned] = {}
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
            again = None if left is None else left.reclaimed
            self._owned[number] = Owned(held, self._writing(number), now, now, start, left, reclaimed=again)
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
            found = together([self._done, *now, *(one.writing.published for one in self._left.values())])
        found.up = self._up
        found.whole = all(one.whole for one in now)
        found.epoch = max((one.epoch for one in now), default=0)
        found.offset = sum(one.offset + 1 for one in now) - 1
        found.at = min((one.at for one in now), default=0)
        return found

    def check(self) -> None:
        """See that the parts are this host's; between two turns of the host, which hears what its group says.

        A part that was fenced, while the group goes on to say that its partition is this host's, is claimed
        again: perhaps a claim came late, by a host that owned it before and hung meanwhile.

        Raises:
            FencedError: it was fenced again thereafter, for as long: another group publishes the project.
        """
        for one in list(self._owned.values()):
            now, fenced = self._watch(), one.fenced
            if fenced is None or now - fenced[1] <= PATIENCE * 1e9:
                continue
            if one.reclaimed is not None and fenced[1] - one.reclaimed <= TRUCE * 1e9:
                raise fenced[0]
            with one.turn:
                self._count(one)
                one.reclaim(self._writing(one.writing.part.number), now)
            self._news[True].set()

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
            if one.is_idle(self._watch(), filling=filling):
                continue  # without waiting for the other thread, which may be filling it
            with one.turn:
                if not one.is_idle(self._watch(), filling=filling):
                    self._turn(one, filling=filling)

    def _turn(self, one: Owned, *, filling: bool) -> None:
        try:
            if filling:
                self._fill(one)
            else:
                one.publish(self._project)
        except FencedError as error:
            if one.resumed:  # another had it meanwhile
                one.begin_again(self._writing(one.writing.part.number))
                self._news[True].set()
                return
            one.refuse(error, self._watch())
            self._on_fault("online", error)
        except LostError:
            one.begin_again()
            one.due = self._watch() + int(SOON * 1e9)
            self._on_fault("online", lost(self._address))
            self._news[True].set()
        except Exception:
            one.gather(self._views)  # so that events do not pile up
            raise
        self._up = True

    def _fill(self, one: Owned) -> None:
        """Take a part over, and fill it once the state has come up to what was published of it before."""
        if one.left is not None:
            left, one.left = one.left, None
            with left.turn:
                self._take_leave(left)
            if one.resume(left):
                self._news[False].set()
                return
        if self._closed.is_set():
            return  # what others read is right; whoever comes next fills what is not there
        behind = one.fill(self._project)
        if behind is not None:
            self._tell_behind(one, behind)
        else:
            self._news[False].set()  # what was taken in since the copy was told to the filler

    def _take_leave(self, one: Owned) -> None:
        """Let go of the engine of a part that went, and keep the counts of what was done."""
        if one.let_go(self._views):
            self._count(one)

    def _count(self, one: Owned) -> None:
        """Keep the counts of a writing that ends."""
        with self._lock:
            self._done = together([self._done, one.writing.published.handed_over()])

    def _writing(self, number: int) -> Writing:
        return Writing(self._address, self._client, self._clock, self._watch, Part(number, self._parts))

    def _tell_behind(self, one: Owned, positions: Positions) -> None:
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
