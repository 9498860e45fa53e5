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
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import DataError
from headwater.core.instant import iso
from headwater.definitions.view import FeatureView
from headwater.engine import values
from headwater.engine.kernels import index, process
from headwater.engine.kernels import layout as at
from headwater.engine.keys import Codebook, KeyIndex
from headwater.engine.plan import ViewPlan, compile_view
from headwater.engine.shard import Memory, look, run, work_space

BLOCK = 1 << 18  # events at a time: long runs of a key, and outputs that still fit in the cache
SERIAL = 2_000  # fewer events than this are not worth a second thread


@dataclass(frozen=True, slots=True)
class Rows:
    """Events and readings of one view in the order of the log, as the kernels take them.

    ``kind`` is 0 for an event and 1 for a reading; ``emit`` is the output's row, or -1. ``plain``: all are
    events, each is read, and no offset is left out.
    """

    ids: at.Int64
    time: at.Int64
    offset: at.Int64
    kind: at.UInt8
    emit: at.Int64
    columns: at.Int64
    flags: at.UInt8
    plain: bool = False


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

    # --- events -----------------------------------------------------------------------------------

    def apply(self, batch: Batch, *, emit: bool) -> pl.DataFrame | None:
        """Take in a batch; with ``emit``, the features after each of its events, one row each."""
        rows = self.rows(batch, emit=emit)
        out = self.output(len(batch)) if emit else self.output(0)
        self.feed(rows, out)
        return self.frame(out) if emit else None

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
        return Rows(
            ids=ids,
            time=batch.time,
            offset=batch.offset,
            kind=np.zeros(n, dtype=np.uint8),
            emit=np.arange(n) if emit else np.full(n, -1),
            columns=columns,
            flags=flags,
            plain=emit and n > 0 and int(batch.offset[-1] - batch.offset[0]) == n - 1,
        )

    def feed(self, rows: Rows, out: list[at.Float64]) -> None:
        """Run rows through the kernels, block by block; ``out`` holds a column per cell."""
        bench = _Bench(self.plan, rows, min(len(rows.ids), BLOCK))
        for first in range(0, len(rows.ids), BLOCK):
            self._block(bench, first, min(first + BLOCK, len(rows.ids)), out)

    def frame(self, out: list[at.Float64]) -> pl.DataFrame:
        """The kernels' output as the view's columns."""
        return values.decode(self.plan, out, self.book)

    def output(self, rows: int) -> list[at.Float64]:
        """Room for the kernels' output: a column of ``rows`` values per cell."""
        return [np.empty(rows, dtype=np.float64) for _ in range(len(self.plan.tables.cells))]

    def _block(self, bench: _Bench, first: int, end: int, out: list[at.Float64]) -> None:
        shards = len(self.memories)
        runs, parts = bench.group(first, end, self.keys.count, shards)
        for s, memory in enumerate(self.memories):
            memory.admit((self.keys.count - s + shards - 1) // shards)
        mine = [runs[parts[s] : parts[s + 1]] for s in range(shards)]
        parallel = end - first >= SERIAL
        bad = self._each(
            [
                (bench.run, self.memories[s], self._works[s], part, first)
                for s, part in enumerate(mine)
                if len(part)
            ],
            parallel=parallel,
        )
        for item in bad:
            if item >= 0:
                raise _forgotten(self.view.name, int(bench.items.time[item]))
        if len(out[0]):
            self._each([(bench.spread, first, end, c, out[c]) for c in range(len(out))], parallel=parallel)

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
        n = len(keys)
        out = np.repeat(self.plan.blank[:, None], n, axis=1)
        ids = self.keys.number(keys.cast(self.view.stream.schema[self.view.key]), add=False)
        shards = len(self.memories)
        for s, memory in enumerate(self.memories):
            rows = np.flatnonzero((ids >= 0) & (ids % shards == s) & (ids // shards < memory.keys))
            if not len(rows):
                continue
            bad = look(memory, self.plan, ids[rows] // shards, times[rows], offset, rows, self._works[s], out)
            if bad >= 0:
                raise _forgotten(self.view.name, int(times[rows[bad]]))
        return self.frame(list(out))

    # --- size -------------------------------------------------------------------------------------

    def events(self) -> int:
        """Events that are retained."""
        return sum(memory.events() for memory in self.memories)

    def bytes_used(self) -> int:
        """Bytes of state that hold something."""
        return sum(memory.bytes_used() for memory in self.memories)


class _Bench:
    """Where the rows of a block are put in order of their keys, and their outputs back in order of the log.

    Args:
        plan: the view's.
        rows: all rows; a block is a range of them.
        size: the longest block.
    """

    def __init__(self, plan: ViewPlan, rows: Rows, size: int) -> None:
        self._plan, self._rows = plan, rows
        self._source = _items(rows.time, rows.offset, rows.kind, rows.emit, rows.columns, rows.flags)
        self._order = np.empty(size, dtype=np.int32)
        self._place = np.empty(size, dtype=np.int32)
        self._grouped = np.empty((len(plan.tables.cells), size), dtype=np.float64)
        self.items = _items(
            *(np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64), np.empty(size, dtype=np.uint8)),
            np.empty(size, dtype=np.int64),
            np.empty((len(rows.columns), size), dtype=np.int64),
            np.empty((len(rows.flags), size), dtype=np.uint8),
        )

    def group(self, first: int, end: int, keys: int, shards: int) -> tuple[at.Int64, at.Int64]:
        """The block's runs, rows (key in its shard, first, end), and which of them are each shard's."""
        ids, n = self._rows.ids, end - first
        if keys <= 4 * n:
            runs = np.empty((min(keys, n), 3), dtype=np.int64)
            parts = np.empty(shards + 1, dtype=np.int64)
            index.group(ids[first:end], keys, shards, self._order, runs, parts)
            return runs, parts
        mine = ids[first:end]
        order = np.argsort(mine % shards * keys + mine // shards, kind="stable")
        by_key = mine[order]
        self._order[:n] = order
        starts = np.flatnonzero(np.r_[True, by_key[1:] != by_key[:-1]])
        found = by_key[starts]
        runs = np.column_stack([found // shards, starts, np.r_[starts[1:], n]])
        return runs, np.searchsorted(found % shards, np.arange(shards + 1))

    def run(self, memory: Memory, work: at.Work, runs: at.Int64, base: int) -> int:
        """Run a shard's part; -1, or the item that reaches behind what is kept."""
        first, end = int(runs[0, 1]), int(runs[-1, 2])
        plain = self._rows.plain
        index.arrange(self._order, first, end, base, plain, self._source, self.items, self._place)
        return run(memory, self._plan, self.items, runs, work, self._grouped)

    def spread(self, first: int, end: int, cell: int, out: at.Float64) -> None:
        """Put a cell's outputs for the rows ``first`` .. ``end`` - 1 where they belong."""
        place = self._place[: end - first]
        if self._rows.plain:
            index.gather(place, self._grouped[cell], out[first:end])
        else:
            index.spread(self._rows.emit[first:end], place, self._grouped[cell], out)


def _items(
    time: at.Int64, offset: at.Int64, kind: at.UInt8, emit: at.Int64, columns: at.Int64, flags: at.UInt8
) -> at.Items:
    values = columns.view(np.float64)
    return at.Items(time, offset, kind, emit, columns, values, flags)


def _forgotten(view: str, time: int) -> DataError:
    return DataError.of(
        "a reading reaches behind the events that the state still keeps",
        expected="a time within the longest window of the view",
        got=iso(time),
        where=view,
        do="read that moment by replay of the log (headwater features, or hw.asof)",
    )
