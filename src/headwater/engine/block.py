"""A block of rows put in order of their keys for the kernels, and what they give back in order of the log.

::

    rows      k3 k1 k3 k2 k1          in order of the log
    items     k1 k1 │ k2 │ k3 k3      in order of shard and key, inside a key that of the log: ``runs``
    grouped   what each cell gives for each item that is read: one row per cell
    out       one column per cell, in order of the log again

Every column is moved by itself and by places of 32 bits, so that what is read at random fits in the cache.
Called by ``engine.state``; the rows come from it and from ``engine.asof``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headwater.engine.kernels import index
from headwater.engine.kernels import layout as at
from headwater.engine.plan import ViewPlan
from headwater.engine.shard import Memory, run


@dataclass(frozen=True, slots=True)
class Rows:
    """Events and readings of one view in the order of the log, as the kernels take them.

    ``kind`` is 0 for an event and 1 for a reading; ``emit`` is the output's row, or -1. ``plain``: all are
    events, each is read, and no offset is left out; then ``kind`` and ``emit`` are empty.
    """

    ids: at.Int64
    time: at.Int64
    offset: at.Int64
    kind: at.UInt8
    emit: at.Int64
    columns: at.Int64
    flags: at.UInt8
    plain: bool = False


class Block:
    """Where the rows of a block are put in order of their keys, and their outputs back in order of the log.

    Args:
        plan: the view's.
        rows: all rows; a block is a range of them.
        size: the longest block.
    """

    def __init__(self, plan: ViewPlan, rows: Rows, size: int) -> None:
        self._plan, self._rows = plan, rows
        self._order = np.empty(size, dtype=np.int32)
        self._place = np.empty(size, dtype=np.int32)
        self._grouped = np.empty((len(plan.tables.cells), size), dtype=np.float64)
        columns = np.empty((len(rows.columns), size), dtype=np.int64)
        self.items = at.Items(
            time=np.empty(size, dtype=np.int64),
            offset=np.empty(size, dtype=np.int64),
            kind=np.empty(size, dtype=np.uint8),
            emit=np.empty(size, dtype=np.int64),
            columns=columns,
            values=columns.view(np.float64),
            flags=np.empty((len(rows.flags), size), dtype=np.uint8),
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
        rows, order = self._rows, self._order
        index.arrange(order, first, end, base, rows.time, self.items, rows.columns, rows.flags)
        if rows.plain:
            index.number(order, first, end, int(rows.offset[base]), self.items, self._place)
        else:
            given = rows.offset, rows.kind, rows.emit
            index.pick(order, first, end, base, *given, self.items, self._place)
        return run(memory, self._plan, self.items, runs, work, self._grouped)

    def spread(self, first: int, end: int, cell: int, out: at.Float64) -> None:
        """Put a cell's outputs for the rows ``first`` .. ``end`` - 1 where they belong."""
        place = self._place[: end - first]
        if self._rows.plain:
            index.gather(place, self._grouped[cell], out[first:end])
        else:
            index.spread(self._rows.emit[first:end], place, self._grouped[cell], out)
