"""What Spark calls in a worker for each bucket of a micro-batch: the bucket's state, and what it emits.

::

    records of a bucket ──► keeping (the kernel) ──► scores, dead letters, counts ──► sink
           │                    ▲      │
           └──► ``behind`` ─────┤      │ now and then
                ``snapshot`` ───┴──◄───┘            both in RocksDB, versioned by Spark with its offsets

Light, because Spark unpickles it for every task: the work is done in ``keeping``, which is imported once for
each worker. Made by ``stream``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from pyspark import SparkFiles
from pyspark.sql.streaming.stateful_processor import StatefulProcessor, StatefulProcessorHandle

from headwater.scale.spark.worker import machine

# What comes out: ``kind`` is score, letter or end; an end counts what one stream of a bucket did. Or fault,
# whose value says why a bucket was not published.
OUT = "bucket int, stream string, kind string, offset long, name binary, value binary"


class Keeper(StatefulProcessor):
    """Keeps a bucket.

    Args:
        work: the file that holds the project and its scorings, as Spark has sent it to all workers. It is
            not in here: Spark's driver asks a keeper for the names of its state, and cannot ask a large one.
        least: bytes of records behind a snapshot before another is worth it.
    """

    def __init__(self, work: str, least: int) -> None:
        self._work = work
        self.least = least

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Name the state."""
        self.place = handle.getValueState("place", "positions string, behind long, kept long")
        self.snapshot = handle.getValueState("snapshot", "blob binary")
        self.behind = handle.getListState("behind", "stream string, records binary")
        self.online = handle.getValueState("online", "memory string")

    def handleInputRows(self, key: Any, rows: Iterator[Any], timerValues: Any) -> Iterator[Any]:  # noqa: N802, ARG002
        """One bucket's records of a micro-batch."""
        machine()
        keeping = import_module("headwater.scale.spark.keeping").keeping(SparkFiles.get(self._work))
        yield keeping.turn(int(key[0]), list(rows), self)

    def close(self) -> None:
        """Nothing is open."""
