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

BLOCK = 1 << 18  # events at a time: their outputs stay in the cache until they are put in order
SERIAL = 2_000  # fewer events than this are not worth a second thread


@dataclass(frozen=True, slots=True)
class Rows:
    """Events and readings of one view in the order of the log, as the kernels take them.

    ``kind`` is 0 for an event and 1 for a reading; ``emit`` is the output's row, or -1.
    """

    ids: at.Int64
    time: at.Int64
    offset: at.Int64
    kind: at.UInt8
    emit: at.Int64
    columns: at.Int64
    flags: at.UInt8

    def __getitem__(self, rows: slice) -> Rows:
        return Rows(
            self.ids[rows],
            self.time[rows],
            self.offset[rows],
            self.kind[rows],
            self.emit[rows],
            self.columns[:, rows],
            self.flags[:, rows],
        )


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
        self._works = [work_space() for _ in range(count)]
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
        columns, flags = values.evaluate(self.plan, batch.frame, self.book)
        return Rows(
            ids=self.keys.number(batch.frame[self.view.key], add=True),
            time=batch.time,
            offset=batch.offset,
            kind=np.zeros(n, dtype=np.uint8),
            emit=np.arange(n) if emit else np.full(n, -1),
            columns=columns,
            flags=flags,
        )

    def feed(self, rows: Rows, out: list[at.Float64]) -> None:
        """Run rows through the kernels, block by block; ``out`` holds a column per cell."""
        grouped = np.empty((len(out), min(len(rows.ids), BLOCK)), dtype=np.float64)
        for start in range(0, len(rows.ids), BLOCK):
            self._block(rows[start : start + BLOCK], grouped, out)

    def frame(self, out: list[at.Float64]) -> pl.DataFrame:
        """The kernels' output as the view's columns."""
        return values.decode(self.plan, out, self.book)

    def output(self, rows: int) -> list[at.Float64]:
        """Room for the kernels' output: a column of ``rows`` values per cell."""
        return [np.empty(rows, dtype=np.float64) for _ in range(len(self.plan.tables.cells))]

    def _block(self, rows: Rows, grouped: at.Float64, out: list[at.Float64]) -> None:
        order, runs = _grouped(rows.ids, self.keys.count)
        shards = len(self.memories)
        mine = [runs[runs[:, 0] % shards == s] for s in range(shards)]
        for s, part in enumerate(mine):
            self.memories[s].admit((self.keys.count - s + shards - 1) // shards)
            part[:, 0] //= shards
        emitted = rows.emit[order]
        wanted = emitted >= 0
        some = int(wanted.sum())
        local = np.where(wanted, np.cumsum(wanted) - 1, -1)
        items = _items(rows, order, local)
        bad = self._each(
            [
                (run, self.memories[s], self.plan, items, part, self._works[s], grouped)
                for s, part in enumerate(mine)
                if len(part)
            ],
            parallel=len(order) >= SERIAL,
        )
        for item in bad:
            if item >= 0:
                raise _forgotten(self.view.name, int(items.time[item]))
        if some:
            target = emitted[wanted] if some < len(emitted) else emitted
            self._each(
                [(index.scatter, target, grouped[c, :some], out[c]) for c in range(len(out))],
                parallel=some >= SERIAL,
            )

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


def _grouped(ids: at.Int64, keys: int) -> tuple[at.Int64, at.Int64]:
    """The stable order by key, and rows (key, first, end)."""
    n = len(ids)
    if n == 1:
        return np.zeros(1, dtype=np.int64), np.array([[ids[0], 0, 1]], dtype=np.int64)
    if keys <= 4 * n:
        order = np.empty(n, dtype=np.int64)
        runs = np.empty((min(keys, n), 3), dtype=np.int64)
        return order, runs[: index.group(ids, keys, order, runs)]
    order = np.argsort(ids, kind="stable").astype(np.int64)
    by_key = ids[order]
    first = np.flatnonzero(np.r_[True, by_key[1:] != by_key[:-1]])
    return order, np.column_stack([by_key[first], first, np.r_[first[1:], n]])


def _items(rows: Rows, order: at.Int64, emit: at.Int64) -> at.Items:
    columns = np.take(rows.columns, order, axis=1)
    return at.Items(
        time=rows.time[order],
        offset=rows.offset[order],
        kind=rows.kind[order],
        emit=emit,
        columns=columns,
        values=columns.view(np.float64),
        flags=np.take(rows.flags, order, axis=1),
    )


def _forgotten(view: str, time: int) -> DataError:
    return DataError.of(
        "a reading reaches behind the events that the state still keeps",
        expected="a time within the longest window of the view",
        got=iso(time),
        where=view,
        do="read that moment by replay of the log (headwater features, or hw.asof)",
    )
