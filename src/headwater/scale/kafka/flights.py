"""A host's transactions in flight: told beside the work, each ended only behind the one before.

::

    turn n         take in, records ─ offsets ─ end
    turn n + 1               take in, records ─ ─ ─ offsets ─ end      begins to end when n has come through
    turn n + 2                                      take in, records ─ ─ ─ ...

Records go out at once and are seen by nobody before their transaction's end, so these overlap. Offsets and
ends do not, for two reasons: of a group's offsets the brokers keep the ones that were appended last, so those
of n + 1 must not come before those of n; and what n + 1 says rests on the state behind n, so that where n
fails, n + 1 and all behind it are undone. Called by ``host``; read ``producer`` next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from headwater.scale.kafka.cluster import Cluster
from headwater.scale.kafka.producer import Place, Teller

FLYING = 1  # transactions that are told while the next turn is taken in; more would wait for each other
ABREAST = FLYING + 2  # producers: one is filled, and one rests until its last markers are written


class GroundedError(Exception):
    """A transaction that was not ended, because the one before it did not come through."""


@dataclass(slots=True)
class _Flight:
    """A transaction that was begun: by whom, when it has come through, and who is to know."""

    teller: Teller
    end: Future[None] | None = None
    landed: Callable[[], None] = lambda: None


class Flights:
    """Transactions in order. One thread calls it; the ends are waited for by threads of its own.

    Args:
        cluster: where.
        name: the first transactional id, from which the others follow; another client that takes one of
            them fences that producer.

    Raises:
        KafkaException: the brokers do not take it.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        names = [name, *(f"{name}-{number}" for number in range(1, ABREAST))]
        self._tellers = deque(Teller(cluster, one) for one in names)
        self._pool = ThreadPoolExecutor(FLYING + 1, "headwater-commits")
        self._flying: deque[_Flight] = deque()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._flying)

    @property
    def last(self) -> Future[None] | None:
        """The end of the last one that is in flight, or None."""
        return self._flying[-1].end if self._flying else None

    def begin(self) -> Teller:
        """Begin a transaction, to be filled and then sent off by :meth:`depart`."""
        self._tellers.rotate(-1)
        teller = self._tellers[0]
        self._flying.append(_Flight(teller))
        teller.begin()
        return teller

    def depart(
        self,
        ends: Mapping[Place, int],
        group: Any,
        note: str,
        landed: Callable[[], None],
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        """Have the transaction that was begun committed, behind all before it.

        Args:
            ends: topic and partition to the offset of the next record.
            group: the consumer's metadata; see :meth:`~headwater.scale.kafka.producer.Teller.commit`.
            note: in few words, beside each offset.
            landed: called by :meth:`land` when it has come through.
            committed: called at once then, in another thread; must not raise.
        """
        flight = self._flying[-1]
        before = self._flying[-2].end if len(self._flying) > 1 else None

        def fly() -> None:
            if before is not None and before.exception() is not None:
                raise GroundedError
            flight.teller.commit(ends, group, note)
            committed()

        flight.landed = landed
        flight.end = self._pool.submit(fly)

    def land(self, most: int = FLYING) -> None:
        """Tell of those that have come through; wait until no more than ``most`` are in flight.

        Raises:
            KafkaException: the first one left did not come through, and none behind it will: undo those that
                are :meth:`left`.
        """
        while self._flying and (end := self._flying[0].end) is not None:
            if len(self._flying) <= most and not end.done():
                return
            end.result()
            self._flying.popleft().landed()

    def left(self) -> list[Teller]:
        """Wait until nothing is under way, and forget what did not come through: whose that is.

        What did, ahead of it, is told.
        """
        wait([flight.end for flight in self._flying if flight.end is not None])
        while self._flying and (end := self._flying[0].end) is not None and end.exception() is None:
            self._flying.popleft().landed()
        left = [flight.teller for flight in self._flying]
        self._flying.clear()
        return left

    def rest(self) -> None:
        """Wait half a second."""
        self._tellers[0].wait()

    def close(self) -> None:
        """Wait, and let go of the threads and of what did not come through."""
        try:
            self.left()
        finally:
            self._pool.shutdown()
            for teller in self._tellers:
                teller.close()
