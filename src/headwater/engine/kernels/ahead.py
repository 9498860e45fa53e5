"""Memory asked for ahead: what the next keys need is on its way while this one is worked on.

A key's state lies anywhere in the arena, and finding it takes three steps, each of which would wait for
memory. So they are taken for three keys at once, while the kernel runs a fourth::

    run r       worked on
    run r + 1   its events at the edges of its windows        (their chunks are known by now)
    run r + 2   its directory's entries at those edges        (its cursors are known by now)
    run r + 3   its rows of cursors and sums

Asking changes nothing and may name places that do not exist. Called by ``process``.
"""

from __future__ import annotations

from headwater.engine.kernels import timeline
from headwater.engine.kernels.jit import fetch, kernel
from headwater.engine.kernels.layout import CURSORS, ENTRY, LENGTH, SHAPE, Int64, Shard

LINE = 8  # words that come at once
MOST = 128  # events at an edge that are asked for: more would push out what is worked on


@kernel("Shard, int", inline=True)
def rows(shard: Shard, key: int) -> None:
    """Ask for a key's rows."""
    width = shard.ints.shape[1]
    for k in range(0, width, LINE):
        fetch(shard.ints, key * width + k)
    width = shard.reals.shape[1]
    for k in range(0, width, LINE):
        fetch(shard.reals, key * width + k)


@kernel("Shard, ints, int", inline=True)
def entries(shard: Shard, shape: Int64, key: int) -> None:
    """Ask for the directory's entries where a key's cursors stand, and for its last."""
    for c in range(shape[SHAPE.cursors]):
        at = timeline.entry(shard, key, shard.ints[key, CURSORS + 2 * c])
        fetch(shard.words, at)
        fetch(shard.words, at + 2 * ENTRY - 1)
    fetch(shard.words, timeline.entry(shard, key, shard.ints[key, LENGTH] - 1))


@kernel("Shard, ints, int, int, int, int", inline=True)
def _chunk(shard: Shard, shape: Int64, address: int, capacity: int, s: int, count: int) -> None:
    """Ask for ``count`` events of a chunk from slot ``s`` on."""
    for row in range(1 + shape[SHAPE.columns]):
        first = address + row * capacity + s
        for k in range(first, first + count + LINE - 1, LINE):
            fetch(shard.words, k)
    first = timeline.flags(address, capacity, shape[SHAPE.columns]) + s
    for flag in range(shape[SHAPE.flags]):
        fetch(shard.bytes, first + flag * capacity)


@kernel("Shard, ints, int, int")
def events(shard: Shard, shape: Int64, key: int, count: int) -> None:
    """Ask for up to ``count`` events at each cursor of a key, and for the room behind its last event."""
    words, length = shard.words, shard.ints[key, LENGTH]
    count = min(count, MOST)
    for c in range(shape[SHAPE.cursors]):
        d, s, left = shard.ints[key, CURSORS + 2 * c], shard.ints[key, CURSORS + 2 * c + 1], count
        while left > 0 and d < length:
            at = timeline.entry(shard, key, d)
            m = min(words[at + 1] - s, left)
            _chunk(shard, shape, words[at], words[at + 2], s, m)
            left -= m
            d, s = d + 1, 0
    if length > 0:
        at = timeline.entry(shard, key, length - 1)
        m = min(words[at + 2] - words[at + 1], count)
        _chunk(shard, shape, words[at], words[at + 2], words[at + 1], m)
