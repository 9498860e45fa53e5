"""The state of one feature view: its keys' memory in shards, and the way events and readings go in.

::

    batch ──► columns (Polars expressions, once per batch) ──► grouped by key ──► shards, in threads
                                                                                      │
    frame ◄── in the order of the log ◄── one column per output ◄─────────────────────┘

Values do not depend on the number of shards, on threads, or on how the log was cut into batches. Called
by ``engine.run`` and ``engine.asof``.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import DataError
from headwater.core.instant import iso
from headwater.definitions.view import FeatureView
from headwater.engine import values
from headwater.engine.block import Block, Rows
from headwater.engine.kernels import layout as at
from headwater.engine.kernels import process
from headwater.engine.keys import Codebook, KeyIndex
from headwater.engine.plan import ViewPlan, compile_view
from headwater.engine.shard import Memory, look, work_space

BLOCK = 1 << 18  # events at a time: long runs of a key, and outputs that still fit in the cache
SERIAL = 2_000  # fewer events than this are not worth a second thread
FEW_READ = 256  # nor are fewer readings
ALONE = 100_000  # events that one thread takes in first, where pages are copied when they are written


class ViewState:
    """All keys of one view.

    Args:
        view: the definition.
        shards: into how many parts the keys are cut, by default one per processor.
        keep_all: never forget an event, so that any past can be read.
    """

    def __init__(self, view: FeatureView, *, shards: int | None = None, keep_all: bool = False) -> None:
        self.view = view
        self.plan: ViewPlan = compile_view(view, keep_all=keep_all)
        self.keys = KeyIndex(view.stream.schema[view.key])
        self.book = Codebook()
        count = shards or min(os.cpu_count() or 1, 8)
        self.memories = [Memory(self.plan) for _ in range(count)]
        self._works = [work_space(self.plan.tables) for _ in range(count)]
        self._pool = ThreadPoolExecutor(count) if count > 1 else None
        self.alone = 0  # events that one thread has yet to take in before others may help

    # --- events -----------------------------------------------------------------------------------

    def begin_alone(self) -> None:
        """Have one thread take in the first events: the arrays are pages of a file, copied when written.

        Each copy interrupts every processor that runs the process; a longer tail finds most of them copied.
        """
        self.alone = min(self.keys.count, ALONE)

    def apply(self, batch: Batch, *, emit: bool) -> pl.DataFrame | None:
        """Take in a batch; with ``emit``, the features after each of its events, one row each."""
        out = self.take(batch, emit=emit)
        return self.frame(list(out)) if emit else None

    def take(self, batch: Batch, *, emit: bool) -> at.Float64:
        """Take in a batch; with ``emit``, the cells after each of its events, float64, shape (cells, events).

        They are those of :meth:`cells`, as of the newest event time of the event's key.
        """
        out = np.empty((len(self.plan.tables.cells), len(batch) if emit else 0), dtype=np.float64)
        self.feed(self.rows(batch, emit=emit), list(out))
        return out

    def rows(self, batch: Batch, *, emit: bool) -> Rows:
        """Evaluate the view's expressions over a batch."""
        n = len(batch)
        keys = batch.frame[self.view.key]
        evaluated, ids = self._each(
            [
                (values.evaluate, self.plan, batch.frame, self.book),
                (partial(self.keys.number, add=True), keys),
            ],
            parallel=n >= SERIAL,
        )
        columns, flags = evaluated
        plain = emit and n > 0 and int(batch.offset[-1] - batch.offset[0]) == n - 1
        return Rows(
            ids=ids,
            time=batch.time,
            offset=batch.offset,
            kind=np.zeros(0 if plain else n, dtype=np.uint8),
            emit=np.arange(0 if plain else n) if emit else np.full(n, -1),
            columns=columns,
            flags=flags,
            plain=plain,
        )

    def feed(self, rows: Rows, out: list[at.Float64]) -> None:
        """Run rows through the kernels, block by block; ``out`` holds a column per cell."""
        n = len(rows.ids)
        size = -(-n // max(1, round(n / BLOCK)))  # blocks of a length, none of them a rest of a few rows
        block = Block(self.plan, rows, size)
        for first in range(0, n, size or 1):
            self._block(block, first, min(first + size, n), out)

    def frame(self, out: list[at.Float64]) -> pl.DataFrame:
        """The kernels' output as the view's columns."""
        return values.decode(self.plan, out, self.book)

    def output(self, rows: int) -> list[at.Float64]:
        """Room for the kernels' output: a column of ``rows`` values per cell, in one piece of memory.

        One large piece lies on large pages, where those are to be had; many smaller ones hardly.
        """
        return list(np.empty((len(self.plan.tables.cells), rows), dtype=np.float64))

    def _block(self, block: Block, first: int, end: int, out: list[at.Float64]) -> None:
        shards = len(self.memories)
        runs, parts = block.group(first, end, self.keys.count, shards)
        for s, memory in enumerate(self.memories):
            memory.admit((self.keys.count - s + shards - 1) // shards)
        mine = [runs[parts[s] : parts[s + 1]] for s in range(shards)]
        parallel = end - first >= SERIAL and self.alone <= 0
        self.alone -= end - first
        bad = self._each(
            [
                (block.run, self.memories[s], self._works[s], part, first)
                for s, part in enumerate(mine)
                if len(part)
            ],
            parallel=parallel,
        )
        for item in bad:
            if item >= 0:
                raise _forgotten(self.view.name, int(block.items.time[item]))
        if len(out[0]):
            self._each([(block.spread, first, end, c, out[c]) for c in range(len(out))], parallel=parallel)

    def _each(self, calls: list[tuple], *, parallel: bool) -> list:  # type: ignore[type-arg]
        if parallel and self._pool is not None and len(calls) > 1:
            futures = [self._pool.submit(*call) for call in calls]
            return [future.result() for future in futures]
        return [call[0](*call[1:]) for call in calls]

    # --- readings ---------------------------------------------------------------------------------

    def read(self, keys: pl.Series, times: at.Int64, *, offset: int = process.NEWEST) -> pl.DataFrame:
        """The features of each key as of (time, offset), one row each. Changes nothing.

        Args:
            keys: shape (n,), in the stream's type; an unknown key reads an empty window.
            times: int64, shape (n,).
            offset: only events up to this place in the log are seen.

        Raises:
            DataError: a time reaches behind what the state still keeps.
        """
        out = np.empty((len(self.plan.blank), len(keys)), dtype=np.float64)
        self.cells(keys, times, out, offset=offset)
        return self.frame(list(out))

    def cells(
        self, keys: pl.Series, times: at.Int64, out: at.Float64, *, offset: int = process.NEWEST
    ) -> None:
        """What :meth:`read` makes its frame of, as the kernels write it.

        Args:
            keys: shape (n,), in the stream's type; an unknown key reads an empty window.
            times: int64, shape (n,).
            out: float64, shape (cells, n), in C order; see ``values`` for what the words mean.
            offset: only events up to this place in the log are seen.

        Raises:
            DataError: a time reaches behind what the state still keeps.
        """
        ids = self.keys.number(keys.cast(self.view.stream.schema[self.view.key]), add=False)
        shards = len(self.memories)
        unknown = np.ones(len(ids), dtype=np.bool_)
        parts: list[at.Int64] = []
        calls = []
        for s, memory in enumerate(self.memories):
            rows = np.flatnonzero((ids >= 0) & (ids % shards == s) & (ids // shards < memory.keys))
            if len(rows):
                unknown[rows] = False
                where = ids[rows] // shards, times[rows], offset, rows
                parts.append(rows)
                calls.append((look, memory, self.plan, *where, self._works[s], out))
        out[:, unknown] = self.plan.blank[:, None]
        for rows, bad in zip(parts, self._each(calls, parallel=len(ids) >= FEW_READ), strict=True):
            if bad >= 0:
                raise _forgotten(self.view.name, int(times[rows[bad]]))

    # --- size -------------------------------------------------------------------------------------

    def events(self) -> int:
        """Events that are retained."""
        return sum(memory.events() for memory in self.memories)

    def bytes_used(self) -> int:
        """Bytes of state that hold something."""
        return sum(memory.bytes_used() for memory in self.memories)


def _forgotten(view: str, time: int) -> DataError:
    return DataError.of(
        "a reading reaches behind the events that the state still keeps",
        expected="a time within the longest window of the view",
        got=iso(time),
        where=view,
        do="read that moment by replay of the log (headwater features, or hw.asof)",
    )
