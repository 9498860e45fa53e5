"""A bucket's part of the online store, published by the worker that keeps the bucket.

::

    state of a bucket after a micro-batch ──► claim, with a new epoch ──► the keys that moved, and positions
                 ▲                                     │  is it as far as what was published before?
    memory: who, epoch, generation ── in Spark's state ┘  is the generation gone? fill another

What is published is a function of the bucket's records, so that a batch which Spark repeats writes equal
bits. Any worker may have a bucket next, so what it has to know lies in Spark's state. Each try of a batch has
an epoch of its own: a try that is thought dead and is not is refused, or finds that the part is ahead of it,
and writes nothing. Called by ``keeping``; read ``scale.redis.writing`` for what is written, and ``calling``
for buckets to which no record comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from headwater.core.errors import FencedError, OnlineError
from headwater.definitions.project import Project
from headwater.scale.kafka.partition import Partition
from headwater.scale.redis.connection import Address
from headwater.scale.redis.moved import Keys
from headwater.scale.redis.parts import Part
from headwater.scale.redis.progress import Memory
from headwater.scale.redis.states import Held, reached
from headwater.scale.redis.writing import Writing

_TRIES = 3  # of a batch that another try of the same was quicker than
_PAUSES = (0.1, 0.4, 1.5, 3.0)  # seconds between tries, where Redis does not answer


@dataclass(frozen=True)
class Publishing:
    """Where to, as it is sent to the workers.

    Attributes:
        address: asked in each worker, which has the password in its own surroundings: it is not sent.
        now: microseconds UTC.
        stopwatch: nanoseconds.
        parts: how many partitions the topics have.
        run: another one each time that the query is started.
    """

    address: Callable[[], Address]
    now: Callable[[], int]
    stopwatch: Callable[[], int]
    parts: int = 0
    run: str = ""


class Publisher:
    """Publishes the buckets that a worker keeps.

    Args:
        publishing: where to.
        project: the definitions.
    """

    def __init__(self, publishing: Publishing, project: Project) -> None:
        self._to, self._project = publishing, project
        self._address = publishing.address()
        self._client = self._address.client()
        self._writing: dict[int, Writing] = {}
        self._answers = True  # Redis, as far as is known

    def turn(
        self, number: int, state: Partition, moved: dict[str, Keys], memory: str
    ) -> tuple[str, OnlineError | None]:
        """Publish what moved in a bucket; all of it if what others read is not whole, or not its own.

        Args:
            number: of the bucket.
            state: of it, behind the batch.
            moved: of each view, the keys that moved in the batch.
            memory: what was given back after the batch before; "" after none.

        Returns:
            What is to be known after the next batch; and why nothing was published, if Redis does not answer.

        Raises:
            FencedError: another query or host publishes the part.
        """
        held = Held(self._project.name, self._project.views, state.vectors, lambda: state.positions)
        writing = self._of(number, memory)
        try:
            for tried in range(_TRIES):
                try:
                    self._patiently(writing, held, moved)
                except FencedError:  # perhaps by another try of this batch; if not, to claim says so
                    if tried == _TRIES - 1:
                        raise
                else:
                    return _text(writing.memory), None
        except FencedError:
            raise
        except OnlineError as error:
            writing.forget()  # what moved in this batch is missing there
            return _text(writing.memory), error
        raise AssertionError("tried, and neither done nor refused")

    def _of(self, number: int, memory: str) -> Writing:
        """As whoever published the bucket last; the one in memory, if that was this worker."""
        known = self._writing.get(number)
        if known is None or not memory or _text(known.memory) != memory:
            before = msgspec.json.decode(memory, type=Memory) if memory else Memory()
            if before.run != self._to.run:  # it begins, as whoever begins later takes the parts over
                before = replace(before, run=self._to.run, epoch=0)
            part = Part(number, self._to.parts)
            known = Writing(self._address, self._client, self._to.now, self._to.stopwatch, part, before)
            self._writing[number] = known
        return known

    def _patiently(self, writing: Writing, held: Held, moved: dict[str, Keys]) -> None:
        """Publish; a Redis that was there just now gets some seconds: to fill a part later costs more."""
        for pause in _PAUSES if self._answers else ():
            try:
                self._publish(writing, held, moved)
            except FencedError:
                raise
            except OnlineError:
                time.sleep(pause)
            else:
                return
        self._answers = False
        self._publish(writing, held, moved)
        self._answers = True

    def _publish(self, writing: Writing, held: Held, moved: dict[str, Keys]) -> None:
        before = writing.claim(held.name, again=True)
        if not reached(held.place()[1], before):
            writing.forget()  # others read what is right, further on; filled once this has come up to it
            return
        writing.go_on(held, moved)
        if not writing.whole:
            writing.fill(held, lambda: writing.copy(held, {}))


def _text(memory: Memory) -> str:
    found: dict[str, Any] = asdict(memory)
    return msgspec.json.encode(found, order="sorted").decode()
