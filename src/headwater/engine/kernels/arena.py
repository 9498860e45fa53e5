"""The arena: blocks of a shard's memory, handed out by size class and taken back to be used again.

Address 0 means "no block". The caller makes sure that the arena has room (see ``process.demand``), so
handing out never fails half-way. Called by ``timeline``, ``deque``, ``multiset`` and ``ranked``.
"""

from __future__ import annotations

from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import BLOCK_LISTS


@kernel("Shard, int, int")
def take(shard, slot, size):
    """A block of ``size`` words from the free list ``slot``, or fresh from the heap."""
    address = shard.heap[slot]
    if address != 0:
        shard.heap[slot] = shard.words[address]
        return address
    address = shard.heap[0]
    shard.heap[0] = address + size
    return address


@kernel("Shard, int, int")
def give(shard, slot, address):
    """Put a block back on its free list."""
    shard.words[address] = shard.heap[slot]
    shard.heap[slot] = address


@kernel("int")
def size_class(size):
    """The smallest n with 2^n >= size."""
    n = 0
    while (1 << n) < size:
        n += 1
    return n


@kernel("Shard, int")
def take_block(shard, size_log):
    """A block of 2^size_log words."""
    return take(shard, BLOCK_LISTS + size_log, 1 << size_log)


@kernel("Shard, int, int")
def give_block(shard, size_log, address):
    """Put a block of 2^size_log words back."""
    give(shard, BLOCK_LISTS + size_log, address)


@kernel("Shard, int, int, int")
def move(shard, source, target, count):
    """Copy ``count`` words; the ranges may overlap."""
    words = shard.words
    if source > target:
        for i in range(count):
            words[target + i] = words[source + i]
    elif source < target:
        for i in range(count - 1, -1, -1):
            words[target + i] = words[source + i]
