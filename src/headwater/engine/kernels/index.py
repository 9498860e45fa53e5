"""Keys to dense numbers, and events to runs of one key.

An open-addressing table maps an int64 key to its number 0, 1, 2, ... in order of appearance. ``group``
is a stable counting sort by number, so inside a key the order of the log stays. Called by
``engine.keys`` and ``engine.state``.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import Float64, Int64, Items, UInt8


@kernel("int, int")
def _slot(key: int, mask: int) -> int:
    mixed = (key ^ (key >> 29) ^ (key >> 47)) & 0x7FFFFFFF
    return ((mixed * 0x9E3779B1) >> 8) & mask


@kernel("ints, ints, ints, int, bool, int, ints")
def lookup(
    keys: Int64, table: Int64, numbers: Int64, count: int, add: bool, start: int, ids: Int64
) -> tuple[int, int]:
    """Write the number of each key from ``start`` on into ``ids``; -1 for an unknown one unless ``add``.

    ``table`` (keys) and ``numbers`` (-1: empty) have 2^n slots. Returns (next, count): ``next`` is short
    of the end when the table is half full and must grow first.
    """
    mask = table.shape[0] - 1
    for i in range(start, keys.shape[0]):
        key = keys[i]
        j = _slot(key, mask)
        while numbers[j] >= 0 and table[j] != key:
            j = (j + 1) & mask
        if numbers[j] < 0 and add:
            if 2 * (count + 1) > table.shape[0]:
                return i, count
            table[j] = key
            numbers[j] = count
            count += 1
        ids[i] = numbers[j]
    return keys.shape[0], count


@kernel("ints, ints, ints, ints")
def rehash(table: Int64, numbers: Int64, new_table: Int64, new_numbers: Int64) -> None:
    """Copy all keys into a larger table."""
    mask = new_table.shape[0] - 1
    for i in range(table.shape[0]):
        if numbers[i] >= 0:
            j = _slot(table[i], mask)
            while new_numbers[j] >= 0:
                j = (j + 1) & mask
            new_table[j] = table[i]
            new_numbers[j] = numbers[i]


@kernel("ints, int, int, int, int, ints, ints2, ints", allocates=True)
def group(
    ids: Int64, first: int, end: int, keys: int, shards: int, order: Int64, runs: Int64, parts: Int64
) -> None:
    """Sort events ``first`` .. ``end`` - 1 by shard and key, stably: a counting sort.

    Writes their places into ``order``; a row (key's number in its shard, first, end) per key into ``runs``,
    as places in ``order``; and into ``parts``, shape (shards + 1,), which runs are whose.
    """
    starts = np.zeros(keys, dtype=np.int64)
    for i in range(first, end):
        starts[ids[i]] += 1
    n, place = 0, 0
    for shard in range(shards):
        parts[shard] = n
        for local in range((keys - shard + shards - 1) // shards):
            k = local * shards + shard
            count = starts[k]
            starts[k] = place
            if count > 0:
                runs[n, 0], runs[n, 1], runs[n, 2] = local, place, place + count
                place += count
                n += 1
    parts[shards] = n
    for i in range(first, end):
        k = ids[i]
        order[starts[k]] = i
        starts[k] += 1


@kernel("ints, ints, ints", inline=True)
def _pick(order: Int64, source: Int64, target: Int64) -> None:
    for i in range(order.shape[0]):
        target[i] = source[np.uint64(order[i])]


@kernel("ints, bytes, bytes", inline=True)
def _pick_bytes(order: Int64, source: UInt8, target: UInt8) -> None:
    for i in range(order.shape[0]):
        target[i] = source[np.uint64(order[i])]


@kernel("ints, int, int, Items, Items, int, ints", entry=True)
def arrange(
    order: Int64, first: int, end: int, source: Items, target: Items, base: int, place: Int64
) -> None:
    """Put the items at ``order[first:end]`` side by side; the readings among them get rows from ``first`` on.

    ``place[o - base]`` notes the row of item ``o``. A column after the other: each fits in the cache.
    """
    mine = order[first:end]
    _pick(mine, source.time, target.time[first:end])
    _pick(mine, source.offset, target.offset[first:end])
    _pick_bytes(mine, source.kind, target.kind[first:end])
    for c in range(source.columns.shape[0]):
        _pick(mine, source.columns[c], target.columns[c, first:end])
    for f in range(source.flags.shape[0]):
        _pick_bytes(mine, source.flags[f], target.flags[f, first:end])
    emit = target.emit[first:end]
    row = first
    for i in range(mine.shape[0]):
        o = mine[i]
        read = int(source.emit[np.uint64(o)] >= 0)
        emit[i] = row if read != 0 else -1
        place[np.uint64(o - base)] = row
        row += read


@kernel("ints, ints, floats, floats")
def spread(emit: Int64, place: Int64, source: Float64, target: Float64) -> None:
    """``target[emit[i]] = source[place[i]]`` for the items that are read, those with ``emit[i] >= 0``."""
    n, row = emit.shape[0], emit[0]
    each = row >= 0
    for i in range(n):
        each = each & (emit[i] == row + i)
    if each:  # every item is read, and in order: a loop without a branch
        rows = target[row : row + n]
        for i in range(n):
            rows[i] = source[np.uint64(place[i])]
        return
    for i in range(n):
        if emit[i] >= 0:
            target[np.uint64(emit[i])] = source[np.uint64(place[i])]
