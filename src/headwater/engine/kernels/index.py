"""Keys to dense numbers, and events to runs of one key.

An open-addressing table maps an int64 key to its number 0, 1, 2, ... in order of appearance. ``group``
is a stable counting sort by number, so inside a key the order of the log stays. Called by
``engine.keys`` and ``engine.state``.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import Float64, Int64


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


@kernel("ints, int, ints, ints2", allocates=True)
def group(ids: Int64, keys: int, order: Int64, runs: Int64) -> int:
    """Stable order by number into ``order``; rows (number, first, end) into ``runs``; how many rows."""
    starts = np.zeros(keys + 1, dtype=np.int64)
    for i in range(ids.shape[0]):
        starts[ids[i] + 1] += 1
    n = 0
    for k in range(keys):
        if starts[k + 1] > 0:
            runs[n, 0] = k
            runs[n, 1] = starts[k]
            runs[n, 2] = starts[k] + starts[k + 1]
            n += 1
        starts[k + 1] += starts[k]
    for i in range(ids.shape[0]):
        order[starts[ids[i]]] = i
        starts[ids[i]] += 1
    return n


@kernel("ints, int, int, ints2, ints2")
def arrange(order: Int64, first: int, end: int, source: Int64, target: Int64) -> None:
    """``target[:, i] = source[:, order[i]]`` for i in first .. end-1; both two-dimensional."""
    for row in range(source.shape[0]):
        for i in range(first, end):
            target[row, i] = source[row, order[i]]


@kernel("ints, floats, floats")
def scatter(order: Int64, source: Float64, target: Float64) -> None:
    """``target[order[i]] = source[i]``."""
    for i in range(order.shape[0]):
        target[order[i]] = source[i]
