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
def slot(key: int, mask: int) -> int:
    """Where the search for a key begins."""
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
        j = slot(key, mask)
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
            j = slot(table[i], mask)
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


@kernel("places, given, ints", inline=True)
def _pick(order: Int32, source: Int64, target: Int64) -> None:
    for i in range(order.shape[0]):
        target[i] = source[np.uint64(order[i])]


@kernel("places, bytes, bytes", inline=True)
def _pick_bytes(order: Int32, source: UInt8, target: UInt8) -> None:
    for i in range(order.shape[0]):
        target[i] = source[np.uint64(order[i])]


@kernel("places, int, int, int, given, Items, ints2, bytes2", entry=True)
def arrange(
    order: Int32, first: int, end: int, base: int, time: Int64, target: Items, columns: Int64, flags: UInt8
) -> None:
    """Put the items ``base + order[first:end]`` side by side: their times, columns and flags.

    A column goes after the other: each fits in the cache.
    """
    mine = order[first:end]
    _pick(mine, time[base:], target.time[first:end])
    for c in range(columns.shape[0]):
        _pick(mine, columns[c, base:], target.columns[c, first:end])
    for f in range(flags.shape[0]):
        _pick_bytes(mine, flags[f, base:], target.flags[f, first:end])


@kernel("places, int, int, int, Items, places", entry=True)
def number(order: Int32, first: int, end: int, offset: int, target: Items, place: Int32) -> None:
    """The rest of the items where all are events that are read, with offsets from ``offset`` on, no gap.

    Each is read into the row of its own number, which ``place`` notes.
    """
    mine = order[first:end]
    kind, offsets, emit = target.kind[first:end], target.offset[first:end], target.emit[first:end]
    for i in range(mine.shape[0]):
        kind[i], offsets[i], emit[i] = 0, offset + mine[i], first + i
        place[np.uint64(mine[i])] = first + i


@kernel("places, int, int, int, given, bytes, ints, Items, places", entry=True)
def pick(
    order: Int32,
    first: int,
    end: int,
    base: int,
    offset: Int64,
    kind: UInt8,
    emit: Int64,
    target: Items,
    place: Int32,
) -> None:
    """The rest of the items, whatever they are; those that are read get rows from ``first`` on."""
    mine = order[first:end]
    _pick(mine, offset[base:], target.offset[first:end])
    _pick_bytes(mine, kind[base:], target.kind[first:end])
    rows, read, row = target.emit[first:end], emit[base:], first
    for i in range(mine.shape[0]):
        o = np.uint64(mine[i])
        place[o] = row
        rows[i] = row if read[o] >= 0 else -1
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
