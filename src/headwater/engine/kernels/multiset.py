"""How often each value occurs in a window, for exact distinct counts.

Two tables in the arena (``table``): values that occur once, 8 bytes each, and values that occur more often,
with their count, 16 bytes each. At 80 percent full on average that is 10 bytes an event if all values are
different, and at most as much if they are not::

    put  a b a c      once   b c        more often   a: 2        4 events, 3 different values

A value moves from one table to the other when it comes or goes the second time. What stands in the tables
are the values' mixed bits, which are different for different values; the one value whose mixed bits mark an
empty slot is always in the second. A record in the key's ints is (address of the tables' records, different
values). Called by ``cells`` and ``process``.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels import arena, table
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import Int64, Shard

RECORD = 2
TABLES, DIFFERENT = range(RECORD)
TABLES_LOG = 3
NARROW, WIDE = 0, 1


@kernel("Shard, int, int, int")
def demand(shard: Shard, key: int, at: int, m: int) -> int:
    """Words that ``m`` further values can need, whatever leaves."""
    once = shard.ints[key, at + TABLES]
    if once == 0:
        return (1 << TABLES_LOG) + table.demand(0, NARROW, m) + table.demand(0, WIDE, m)
    words, often = shard.words, once + table.RECORD
    few, many = words[once + table.USED], words[often + table.USED]
    need: int = table.demand(words[once + table.SLOTS], NARROW, few + many + m)
    return need + table.demand(words[often + table.SLOTS], WIDE, many + m)


@kernel("Shard, int, int")
def _tables(shard: Shard, key: int, at: int) -> int:
    """The address of the tables' records, which are made if there are none."""
    if shard.ints[key, at + TABLES] == 0:
        address = arena.take_block(shard, TABLES_LOG)
        for i in range(2 * table.RECORD):
            shard.words[address + i] = 0
        shard.ints[key, at + TABLES] = address
    found: int = shard.ints[key, at + TABLES]
    return found


@kernel("Shard, int, int, ints, ints, ints, int")
def prepare(shard: Shard, key: int, at: int, values: Int64, steps: Int64, mixed: Int64, n: int) -> int:
    """Mix the bits of ``n`` values, and fetch what they need of large tables into the cache; some of it.

    Looks that wait for memory one after the other would cost more than all the rest. Steps are +1, -1, or
    0 for a value that neither comes nor goes.
    """
    for k in range(n):
        mixed[k] = table.mix(values[k])
    once = shard.ints[key, at + TABLES]
    found = 0
    if once == 0:
        return found
    words, often = shard.words, once + table.RECORD
    if words[once + table.SLOTS] >= table.COLD:
        for k in range(n):
            if steps[k] != 0:
                found += table.touch(words, once, NARROW, mixed[k])
    if words[often + table.SLOTS] >= table.COLD:
        for k in range(n):
            if steps[k] != 0:
                found += table.touch(words, often, WIDE, mixed[k])
    return found


@kernel("Shard, int, int, int")
def _put_slowly(shard: Shard, key: int, at: int, mixed: int) -> None:
    """Count one more of what does not occur more often yet."""
    once = shard.ints[key, at + TABLES]
    often = once + table.RECORD
    entry = table.find(shard.words, once, NARROW, mixed)
    if entry != 0:
        table.remove(shard, once, NARROW, entry)
        table.insert(shard, often, WIDE, mixed, 2)
        return
    shard.ints[key, at + DIFFERENT] += 1
    if mixed == table.EMPTY:
        table.insert(shard, often, WIDE, mixed, 1)
    else:
        table.insert(shard, once, NARROW, mixed, 1)


@kernel("Shard, int, int, int")
def put(shard: Shard, key: int, at: int, mixed: int) -> None:
    """Count one more of a value, by its mixed bits."""
    words = shard.words
    once = _tables(shard, key, at)
    often = once + table.RECORD
    entry = table.find(words, often, WIDE, mixed)
    if entry != 0:
        words[entry + 1] += 1
        return
    if table.is_full(words, once) or mixed == table.EMPTY:
        _put_slowly(shard, key, at, mixed)
        return
    first, second = table.buckets(words, once, NARROW, mixed)
    entry, empty = table.probe(words, first, second, mixed)
    if entry != 0 or empty == 0:
        _put_slowly(shard, key, at, mixed)
        return
    words[empty] = mixed
    words[once + table.USED] += 1
    shard.ints[key, at + DIFFERENT] += 1


@kernel("Shard, int, int, int")
def drop(shard: Shard, key: int, at: int, mixed: int) -> None:
    """Count one less of a value that is inside."""
    words = shard.words
    once = shard.ints[key, at + TABLES]
    often = once + table.RECORD
    entry = table.find(words, often, WIDE, mixed)
    if entry == 0:
        table.remove(shard, once, NARROW, table.find(words, once, NARROW, mixed))
        shard.ints[key, at + DIFFERENT] -= 1
        return
    left = words[entry + 1] - 1
    if left == 0:
        table.remove(shard, often, WIDE, entry)
        shard.ints[key, at + DIFFERENT] -= 1
    elif left == 1 and mixed != table.EMPTY:
        table.remove(shard, often, WIDE, entry)
        table.insert(shard, once, NARROW, mixed, 1)
    else:
        words[entry + 1] = left


@kernel("Shard, int, int, int")
def _held(shard: Shard, key: int, at: int, value: int) -> int:
    """How often a value is inside."""
    once, mixed = shard.ints[key, at + TABLES], table.mix(value)
    if once == 0:
        return 0
    entry = table.find(shard.words, once + table.RECORD, WIDE, mixed)
    count: int = shard.words[entry + 1] if entry != 0 else 0
    if entry == 0 and table.find(shard.words, once, NARROW, mixed) != 0:
        return 1
    return count


@kernel("Shard, int, int, ints, ints, int", allocates=True)
def after(shard: Shard, key: int, at: int, values: Int64, steps: Int64, n: int) -> int:
    """How many different values there would be after ``n`` steps (+1, -1, 0), without taking them."""
    different: int = shard.ints[key, at + DIFFERENT]
    order = np.argsort(values[:n])
    k = 0
    while k < n:
        value = values[order[k]]
        net = 0
        while k < n and values[order[k]] == value:
            net += steps[order[k]]
            k += 1
        held = _held(shard, key, at, value)
        if held == 0 and net > 0:
            different += 1
        elif held > 0 and held + net == 0:
            different -= 1
    return different
