"""How often each value occurs in a window, for exact distinct counts.

One small open-addressing table per key and window, in the arena: entries (value, count), linear
probing, deletion by shifting back, so that there are no tombstones and the table is a function of its
contents' size alone. A record in the key's ints is (address, log2 of slots, used). Called by ``cells``.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels import arena
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import Int64, Shard

RECORD = 3
ENTRY = 2
ADDRESS, LOG, USED = range(RECORD)


@kernel("Shard, int, int, int")
def demand(shard: Shard, key: int, at: int, m: int) -> int:
    """Words that ``m`` further values can need."""
    used: int = shard.ints[key, at + USED]
    return 8 * ENTRY * (used + m + 4)


@kernel("int, int")
def _slot(value: int, log: int) -> int:
    """Fibonacci hashing; the product stays below 2^63 so that plain Python agrees."""
    mixed = (value ^ (value >> 32)) & 0x7FFFFFFF
    return ((mixed * 0x9E3779B1) >> 7) & ((1 << log) - 1)


@kernel("Shard, int, int, int")
def _find(shard: Shard, address: int, log: int, value: int) -> int:
    """The slot that holds ``value``, or the empty one where it belongs."""
    words = shard.words
    i = _slot(value, log)
    while words[address + ENTRY * i + 1] != 0 and words[address + ENTRY * i] != value:
        i = (i + 1) & ((1 << log) - 1)
    return i


@kernel("Shard, int, int")
def _room(shard: Shard, key: int, at: int) -> None:
    """Keep the table at most two thirds full."""
    ints, words = shard.ints, shard.words
    address, log, used = ints[key, at + ADDRESS], ints[key, at + LOG], ints[key, at + USED]
    if address != 0 and 3 * (used + 1) <= 2 * (1 << log):
        return
    new_log = max(log + 1, 2)
    new = arena.take_block(shard, new_log + 1)
    for i in range(1 << new_log):
        words[new + ENTRY * i + 1] = 0
    if address != 0:
        for i in range(1 << log):
            if words[address + ENTRY * i + 1] != 0:
                j = _find(shard, new, new_log, words[address + ENTRY * i])
                words[new + ENTRY * j] = words[address + ENTRY * i]
                words[new + ENTRY * j + 1] = words[address + ENTRY * i + 1]
        arena.give_block(shard, log + 1, address)
    ints[key, at + ADDRESS] = new
    ints[key, at + LOG] = new_log


@kernel("Shard, int, int, int")
def put(shard: Shard, key: int, at: int, value: int) -> None:
    """Count one more ``value``."""
    _room(shard, key, at)
    ints, words = shard.ints, shard.words
    address = ints[key, at + ADDRESS]
    i = address + ENTRY * _find(shard, address, ints[key, at + LOG], value)
    if words[i + 1] == 0:
        words[i] = value
        ints[key, at + USED] += 1
    words[i + 1] += 1


@kernel("Shard, int, int, int")
def drop(shard: Shard, key: int, at: int, value: int) -> None:
    """Count one less ``value``, which is inside."""
    ints, words = shard.ints, shard.words
    address, log = ints[key, at + ADDRESS], ints[key, at + LOG]
    mask = (1 << log) - 1
    i = _find(shard, address, log, value)
    words[address + ENTRY * i + 1] -= 1
    if words[address + ENTRY * i + 1] != 0:
        return
    ints[key, at + USED] -= 1
    j = (i + 1) & mask
    while words[address + ENTRY * j + 1] != 0:
        home = _slot(words[address + ENTRY * j], log)
        if ((j - home) & mask) >= ((j - i) & mask):
            words[address + ENTRY * i] = words[address + ENTRY * j]
            words[address + ENTRY * i + 1] = words[address + ENTRY * j + 1]
            words[address + ENTRY * j + 1] = 0
            i = j
        j = (j + 1) & mask


@kernel("Shard, int, int, ints, ints, int", allocates=True)
def after(shard: Shard, key: int, at: int, values: Int64, steps: Int64, n: int) -> int:
    """How many different values there would be after ``n`` steps (+1, -1, 0), without taking them."""
    ints, words = shard.ints, shard.words
    address, log = ints[key, at + ADDRESS], ints[key, at + LOG]
    different: int = ints[key, at + USED]
    order = np.argsort(values[:n])
    k = 0
    while k < n:
        value = values[order[k]]
        net = 0
        while k < n and values[order[k]] == value:
            net += steps[order[k]]
            k += 1
        held = 0
        if address != 0:
            held = words[address + ENTRY * _find(shard, address, log, value) + 1]
        if held == 0 and net > 0:
            different += 1
        elif held > 0 and held + net == 0:
            different -= 1
    return different
