"""The arena: blocks of a shard's memory, handed out by size class and taken back to be used again.

Address 0 means "no block". The caller makes sure that the arena has room (see ``process.demand``), so
handing out never fails half-way. Called by ``timeline``, ``deque``, ``multiset``, ``table`` and ``ranked``.
"""

from __future__ import annotations

from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import BLOCK_LISTS, Shard

LINE = 8  # words of a cache line
LINE_START = 6  # where one begins: large arrays lie 16 bytes behind the start of a page


@kernel("Shard, int, int")
def take(shard: Shard, slot: int, size: int) -> int:
    """A block of ``size`` words from the free list ``slot``, or fresh from the heap."""
    address: int = shard.heap[slot]
    if address != 0:
        shard.heap[slot] = shard.words[address]
        return address
    address = shard.heap[0]
    shard.heap[0] = address + size
    return address


@kernel("Shard, int, int")
def give(shard: Shard, slot: int, address: int) -> None:
    """Put a block back on its free list."""
    shard.words[address] = shard.heap[slot]
    shard.heap[slot] = address


@kernel("int")
def size_class(size: int) -> int:
    """The smallest n with 2^n >= size."""
    n = 0
    while (1 << n) < size:
        n += 1
    return n


@kernel("Shard, int")
def take_block(shard: Shard, size_log: int) -> int:
    """A block of 2^size_log words."""
    return take(shard, BLOCK_LISTS + size_log, 1 << size_log)


@kernel("Shard, int, int")
def give_block(shard: Shard, size_log: int, address: int) -> None:
    """Put a block of 2^size_log words back."""
    give(shard, BLOCK_LISTS + size_log, address)


@kernel("Shard")
def align(shard: Shard) -> None:
    """Let the next fresh block begin with a cache line, as a rule; up to seven words are lost."""
    shard.heap[0] += (LINE_START - shard.heap[0]) & (LINE - 1)


@kernel("Shard, int, int, int")
def move(shard: Shard, source: int, target: int, count: int) -> None:
    """Copy ``count`` words; the ranges may overlap."""
    words = shard.words
    if source > target:
        for i in range(count):
            words[target + i] = words[source + i]
    elif source < target:
        for i in range(count - 1, -1, -1):
            words[target + i] = words[source + i]
