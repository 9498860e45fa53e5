"""The values of a window in ascending order, for exact quantiles.

A directory of blocks of at most 64 sorted values. A value finds its block by bisection, log n, and
moves at most one block. A finger remembers a block and the rank of its first value; since the rank that
a quantile asks for moves by at most one per event, reading is constant::

    directory  [ 1 2 2 | 3 5 8 9 | 11 12 ]        finger: block 1, whose first value has rank 3

A record in the key's ints is (address, log2 of words, blocks, values, finger, rank of the finger); a
directory entry is (address, count). Called by ``cells``.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels import arena
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import Float64, Int64, Shard

RECORD = 6
ENTRY = 2
BLOCK_LOG = 6
BLOCK = 1 << BLOCK_LOG
ADDRESS, LOG, BLOCKS, VALUES, FINGER, RANK = range(RECORD)


@kernel("Shard, int, int, int")
def demand(shard: Shard, key: int, at: int, m: int) -> int:
    """Words that ``m`` further values can need."""
    blocks: int = shard.ints[key, at + BLOCKS]
    return (m // 32 + 2) * BLOCK + 4 * ENTRY * (blocks + m // 32 + 4)


@kernel("Shard, int, int, float")
def _block_of(shard: Shard, key: int, at: int, value: float) -> int:
    """The last block whose first value is at most ``value``, or the first block."""
    ints, words, floats = shard.ints, shard.words, shard.floats
    directory = ints[key, at + ADDRESS]
    low, high = 0, ints[key, at + BLOCKS]
    while high - low > 1:
        middle = (low + high) // 2
        if floats[words[directory + ENTRY * middle]] <= value:
            low = middle
        else:
            high = middle
    return low


@kernel("Shard, int, int, float")
def _place(shard: Shard, address: int, count: int, value: float) -> int:
    """The first slot whose value is greater than ``value``."""
    floats = shard.floats
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if floats[address + middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


@kernel("Shard, int, int, int, int, int")
def _insert_entry(shard: Shard, key: int, at: int, b: int, address: int, count: int) -> None:
    ints, words = shard.ints, shard.words
    blocks, log = ints[key, at + BLOCKS], ints[key, at + LOG]
    if ints[key, at + ADDRESS] == 0 or ENTRY * (blocks + 1) > (1 << log):
        new_log = log + 1 if ints[key, at + ADDRESS] != 0 else 2
        new = arena.take_block(shard, new_log)
        if ints[key, at + ADDRESS] != 0:
            arena.move(shard, ints[key, at + ADDRESS], new, ENTRY * blocks)
            arena.give_block(shard, log, ints[key, at + ADDRESS])
        ints[key, at + ADDRESS] = new
        ints[key, at + LOG] = new_log
    directory = ints[key, at + ADDRESS]
    arena.move(shard, directory + ENTRY * b, directory + ENTRY * (b + 1), ENTRY * (blocks - b))
    words[directory + ENTRY * b] = address
    words[directory + ENTRY * b + 1] = count
    ints[key, at + BLOCKS] = blocks + 1


@kernel("Shard, int, int, float")
def put(shard: Shard, key: int, at: int, value: float) -> None:
    """Take in a value."""
    ints, words, floats = shard.ints, shard.words, shard.floats
    if ints[key, at + BLOCKS] == 0:
        _insert_entry(shard, key, at, 0, arena.take_block(shard, BLOCK_LOG), 0)
        ints[key, at + FINGER] = 0
        ints[key, at + RANK] = 0
    b = _block_of(shard, key, at, value)
    entry = ints[key, at + ADDRESS] + ENTRY * b
    if words[entry + 1] == BLOCK:
        new = arena.take_block(shard, BLOCK_LOG)
        half = BLOCK // 2
        arena.move(shard, words[entry] + half, new, half)
        words[entry + 1] = half
        _insert_entry(shard, key, at, b + 1, new, half)
        if ints[key, at + FINGER] > b:
            ints[key, at + FINGER] += 1
        if floats[new] <= value:
            b += 1
        entry = ints[key, at + ADDRESS] + ENTRY * b
    address, count = words[entry], words[entry + 1]
    place = _place(shard, address, count, value)
    arena.move(shard, address + place, address + place + 1, count - place)
    floats[address + place] = value
    words[entry + 1] = count + 1
    ints[key, at + VALUES] += 1
    if b < ints[key, at + FINGER]:
        ints[key, at + RANK] += 1


@kernel("Shard, int, int, float")
def drop(shard: Shard, key: int, at: int, value: float) -> None:
    """Take out a value, which is inside."""
    ints, words = shard.ints, shard.words
    b = _block_of(shard, key, at, value)
    entry = ints[key, at + ADDRESS] + ENTRY * b
    address, count = words[entry], words[entry + 1]
    place = _place(shard, address, count, value) - 1
    arena.move(shard, address + place + 1, address + place, count - place - 1)
    words[entry + 1] = count - 1
    ints[key, at + VALUES] -= 1
    if b < ints[key, at + FINGER]:
        ints[key, at + RANK] -= 1
    if count > 1:
        return
    arena.give_block(shard, BLOCK_LOG, address)
    blocks = ints[key, at + BLOCKS]
    arena.move(shard, entry + ENTRY, entry, ENTRY * (blocks - b - 1))
    ints[key, at + BLOCKS] = blocks - 1
    if ints[key, at + FINGER] > b:
        ints[key, at + FINGER] -= 1
    elif b == blocks - 1:  # the finger's block was the last one: step to the one before
        ints[key, at + FINGER] = max(b - 1, 0)
        ints[key, at + RANK] = ints[key, at + VALUES] - words[entry - ENTRY + 1] if b > 0 else 0


@kernel("Shard, int, int, int, bool")
def at_rank(shard: Shard, key: int, at: int, rank: int, keep: bool) -> float:
    """The value of a rank counted from 0. With ``keep`` the finger stays there for the next time."""
    ints, words = shard.ints, shard.words
    directory = ints[key, at + ADDRESS]
    b, first = ints[key, at + FINGER], ints[key, at + RANK]
    while rank < first:
        b -= 1
        first -= words[directory + ENTRY * b + 1]
    while rank >= first + words[directory + ENTRY * b + 1]:
        first += words[directory + ENTRY * b + 1]
        b += 1
    if keep:
        ints[key, at + FINGER] = b
        ints[key, at + RANK] = first
    value: float = shard.floats[words[directory + ENTRY * b] + rank - first]
    return value


@kernel("float, float, float")
def interpolate(low: float, high: float, fraction: float) -> float:
    """Between two neighbours, as numpy's ``linear`` has it."""
    if fraction == 0.0:
        return low
    return low + (high - low) * fraction


@kernel("Shard, int, int, float")
def quantile(shard: Shard, key: int, at: int, q: float) -> float:
    """The ``q`` quantile with linear interpolation, NaN if there is no value."""
    n = shard.ints[key, at + VALUES]
    if n == 0:
        return float("nan")
    position = q * (n - 1)
    rank = int(position)
    low = at_rank(shard, key, at, rank, True)
    if rank + 1 >= n:
        return low
    return interpolate(low, at_rank(shard, key, at, rank + 1, True), position - rank)


@kernel("Shard, int, int, float, floats, ints, int", allocates=True)
def after(shard: Shard, key: int, at: int, q: float, signed: Float64, steps: Int64, n: int) -> float:
    """The quantile after ``n`` steps (values times +1, -1, 0), without taking them.

    Only the ranks that the steps can move across the wanted one are looked at: with E values entering and
    L leaving, those from E below it to L above it.
    """
    held = shard.ints[key, at + VALUES]
    enter, leave = 0, 0
    for k in range(n):
        enter += 1 if steps[k] > 0 else 0
        leave += 1 if steps[k] < 0 else 0
    size = held + enter - leave
    if size == 0:
        return float("nan")
    position = q * (size - 1)
    rank = int(position)
    first, last = max(rank - enter, 0), min(rank + 1 + leave, held - 1)
    near = np.empty(max(last - first + 1, 0) + enter)
    m = 0
    for i in range(first, last + 1):
        near[m] = at_rank(shard, key, at, i, False)
        m += 1
    floor = near[0] if m > 0 else float("-inf")
    below = first if m > 0 else held
    for k in range(n):
        if steps[k] > 0:
            near[m] = signed[k]
            m += 1
    near = np.sort(near[:m])
    for k in range(n):
        if steps[k] < 0 and -signed[k] < floor:
            below -= 1
        elif steps[k] < 0:
            i = np.searchsorted(near[:m], -signed[k])
            if i < m and near[i] == -signed[k]:
                for j in range(i, m - 1):
                    near[j] = near[j + 1]
                m -= 1
    low: float = near[rank - below]
    if rank + 1 >= size:
        return low
    return interpolate(low, near[rank + 1 - below], position - rank)
