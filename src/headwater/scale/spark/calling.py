"""Parts of the online store to which no record comes: looked at by the driver, and called for.

::

    driver ── look ──► markers in Redis ──► gone, as it was before, or not written by the last batch?
                                                                      │
    worker of the part's bucket, with Spark's state ◄── query ◄── topic ◄── call

Spark calls a worker only for buckets with a record, and only it has a bucket's state. So a call is a record:
of a topic of the project's own, with the part's number as its key, which holds no event. Whoever reads it
does what is done behind any batch: it publishes what moved, and fills what is gone. Held by ``stream``; read
``publishing`` for the workers' half.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from threading import Lock
from typing import Any

from headwater.core.errors import OnlineError
from headwater.definitions.project import Project
from headwater.scale.kafka.cluster import Cluster, Topics, make_topic
from headwater.scale.kafka.sending import Sending
from headwater.scale.redis import names
from headwater.scale.redis.connection import asking
from headwater.scale.redis.parts import Part
from headwater.scale.redis.preflight import see_that_it_fits
from headwater.scale.spark.publishing import Publishing

LOOK = 1.0  # seconds between two looks
_AGAIN = 10.0  # seconds after which a part that is not filled yet is called again
_PATIENCE = 1.0  # seconds for Redis: who looks has other things to do
_FLUSH = 10.0  # seconds for the brokers to take calls
_KEPT = {"cleanup.policy": "compact"}  # no call goes before it is read, and there are no more than parts


class Calling:
    """Looks at the parts, and calls. One thread, but for :meth:`missed`.

    Args:
        publishing: where the parts are published.
        project: the definitions.
        cluster: of Kafka.
        on_fault: told of what was got over, as ``online``.
    """

    def __init__(
        self,
        publishing: Publishing,
        project: Project,
        cluster: Cluster,
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self._to, self._project, self._cluster = publishing, project, cluster
        self._tell, self._told = on_fault, ""
        self._topic = Topics(project).calls
        self._address = publishing.address()
        self._lock = Lock()
        self._missed: set[int] = set()
        self._stood: dict[int, int] = {}  # the last place of each part that was seen
        self._called: dict[int, int] = {}  # when it was called last
        self._next = 0

    def begin(self) -> None:
        """Before a query: see that the store fits, and call for all parts.

        So those are filled whose partitions have no record (any more), and those are caught up that could not
        be written when the query before ended.

        Raises:
            OnlineError: the store is cut otherwise, or throws states away when it is full.
            LogError: the brokers do not take it.
        """
        with self._address.client() as client:
            see_that_it_fits(self._address, client, self._project.name, Part(0, self._to.parts), self._tell)
        make_topic(self._cluster, self._topic, _KEPT)
        self._call(range(self._to.parts))

    def missed(self, parts: Iterable[int]) -> None:
        """Parts that could not be written; told in a thread of the query's."""
        with self._lock:
            self._missed |= set(parts)

    def look(self) -> None:
        """Call for the parts that others cannot read, or only as they were: now and then, as it is asked."""
        now = self._to.stopwatch()
        if now < self._next:
            return
        self._next = now + int(LOOK * 1e9)
        try:
            wanted = self._wanted()
        except OnlineError:
            return  # there is nothing to be filled; who decides says so, and batches do
        for part in self._called.keys() - wanted:
            del self._called[part]
        late = now - int(_AGAIN * 1e9)
        called = {part for part in wanted if self._called.get(part, late) <= late}
        if called:
            with self._lock:
                self._missed -= called
            self._call(called)

    def _wanted(self) -> set[int]:
        parts = range(self._to.parts)
        with asking(self._address), self._address.client(_PATIENCE) as client:
            asked = client.pipeline(transaction=False)
            for number in parts:
                asked.hmget(names.marker(self._project.name, Part(number, len(parts))), ["whole", "offset"])
            found: list[Any] = asked.execute()
        with self._lock:
            wanted = set(self._missed)
        for number, (whole, offset) in zip(parts, found, strict=True):
            place = int(offset or -1)
            if whole is None or place < self._stood.get(number, -1):
                wanted.add(number)
            self._stood[number] = place
        return wanted

    def _call(self, parts: Collection[int]) -> None:
        """Send calls; those that the brokers do not take are sent again."""
        with Sending(self._cluster) as calls:
            for number in parts:
                calls.offer(self._topic, b"call", str(number).encode())
                self._called[number] = self._to.stopwatch()
            left = {int(key) for key in calls.end(_FLUSH)}
        self.missed(left)
        if calls.why not in ("", self._told):
            self._tell("online", self._refused(calls.why))
        self._told = calls.why

    def _refused(self, why: str) -> OnlineError:
        """The letter for calls that the brokers do not take."""
        return OnlineError.of(
            "parts of the online store cannot be called for",
            expected=f"brokers that take records of {self._topic}",
            got=why,
            where=self._cluster.brokers,
            do="let this client write there; a part that Redis lost is filled with its next record, too",
        )
