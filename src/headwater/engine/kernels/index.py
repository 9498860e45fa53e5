"""Keys to dense numbers, and events to runs of one key.

An open-addressing table maps an int64 key to its number 0, 1, 2, ... in order of appearance. ``group``
is a stable counting sort by number, so inside a key the order of the log stays. Called by
``engine.keys`` and ``engine.state``.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import Float64, Int32, Int64, Items, UInt8


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


@kernel("ints, int, int, places, ints2, ints", allocates=True)
def group(ids: Int64, keys: int, shards: int, order: Int32, runs: Int64, parts: Int64) -> None:
    """Sort events by shard and key, stably: a counting sort.

    Writes their places into ``order``; a row (key's number in its shard, first, end) per key into ``runs``,
    as places in ``order``; and into ``parts``, shape (shards + 1,), which runs are whose.
    """
    starts = np.zeros(keys, dtype=np.int64)
    for i in range(ids.shape[0]):
        starts[np.uint64(ids[i])] += 1
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
    for i in range(ids.shape[0]):
        number = np.uint64(ids[i])
        order[np.uint64(starts[number])] = i
        starts[number] += 1


@kernel("places, ints, ints", inline=True)
def _pick(order: Int32, source: Int64, target: Int64) -> None:
    for i in range(order.shape[0]):
        target[i] = source[np.uint64(order[i])]


@kernel("places, bytes, bytes", inline=True)
def _pick_bytes(order: Int32, source: UInt8, target: UInt8) -> None:
    for i in range(order.shape[0]):
        target[i] = source[np.uint64(order[i])]


@kernel("places, int, int, int, bool, Items, Items, places", entry=True)
def arrange(
    order: Int32, first: int, end: int, base: int, plain: bool, source: Items, target: Items, place: Int32
) -> None:
    """Put the items ``base + order[first:end]`` side by side; those that are read get rows from ``first`` on.

    ``place`` notes each item's row. With ``plain`` all items are events that are read, without a gap in
    their offsets. A column goes after the other: each fits in the cache.
    """
    mine = order[first:end]
    n = mine.shape[0]
    _pick(mine, source.time[base:], target.time[first:end])
    for c in range(source.columns.shape[0]):
        _pick(mine, source.columns[c, base:], target.columns[c, first:end])
    for f in range(source.flags.shape[0]):
        _pick_bytes(mine, source.flags[f, base:], target.flags[f, first:end])
    kind, offset, emit = target.kind[first:end], target.offset[first:end], target.emit[first:end]
    if plain:
        for i in range(n):
            kind[i], offset[i], emit[i] = 0, source.offset[base] + mine[i], first + i
            place[np.uint64(mine[i])] = first + i
        return
    _pick_bytes(mine, source.kind[base:], kind)
    _pick(mine, source.offset[base:], offset)
    row = first
    read = source.emit[base:]
    for i in range(n):
        o = np.uint64(mine[i])
        place[o] = row
        emit[i] = row if read[o] >= 0 else -1
        row += int(read[o] >= 0)


@kernel("ints, places, floats, floats")
def spread(emit: Int64, place: Int32, source: Float64, target: Float64) -> None:
    """``target[emit[i]] = source[place[i]]`` for the items that are read, those with ``emit[i] >= 0``."""
    for i in range(emit.shape[0]):
        if emit[i] >= 0:
            target[np.uint64(emit[i])] = source[np.uint64(place[i])]


@kernel("places, floats, floats")
def gather(place: Int32, source: Float64, target: Float64) -> None:
    """``target[i] = source[place[i]]``."""
    for i in range(place.shape[0]):
        target[i] = source[np.uint64(place[i])]
