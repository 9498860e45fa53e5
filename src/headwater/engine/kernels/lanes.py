"""What a stored event is to a lane: whether it counts there, with which value, and how values rank.

Called by ``cells``, ``contents``, ``process`` and the structures that look values up in the timeline.
"""

from __future__ import annotations

import math

from headwater.engine.kernels import timeline
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import (
    L_COLUMN,
    L_FLAG,
    L_KIND,
    LENGTH,
    MAX,
    NULL,
    NUMBER,
    SHAPE,
    UNIT,
    Shard,
    Tables,
)


@kernel("Shard, Tables, int, int, int, int")
def counts(shard: Shard, tables: Tables, lane: int, address: int, slot: int, capacity: int) -> bool:
    """Whether the stored event takes part in a lane."""
    kind, column, flag = tables.lanes[lane, L_KIND], tables.lanes[lane, L_COLUMN], tables.lanes[lane, L_FLAG]
    columns = tables.shape[SHAPE.columns]
    if flag >= 0 and shard.bytes[timeline.flags(address, capacity, columns) + flag * capacity + slot] == 0:
        return False
    if kind == UNIT:
        return True
    value = timeline.column(address, capacity, column) + slot
    if kind == NUMBER:
        return not math.isnan(shard.floats[value])
    return bool(shard.words[value] != NULL)


@kernel("Shard, Tables, int, int, int, int")
def bits(shard: Shard, tables: Tables, lane: int, address: int, slot: int, capacity: int) -> int:
    """The bits or code of the stored event's value; 0 in a lane without a column."""
    column = tables.lanes[lane, L_COLUMN]
    value: int = shard.words[timeline.column(address, capacity, column) + slot] if column >= 0 else 0
    return value


@kernel("Shard, Tables, int, int, int, int")
def number(shard: Shard, tables: Tables, lane: int, address: int, slot: int, capacity: int) -> float:
    """The stored event's value, in a lane of numbers."""
    value: float = shard.floats[timeline.column(address, capacity, tables.lanes[lane, L_COLUMN]) + slot]
    return value


@kernel("Shard, Tables, int, int, int, int, int, int")
def following(
    shard: Shard, tables: Tables, lane: int, key: int, d: int, s: int, upto: int, offset: int
) -> tuple[int, int, int, int]:
    """The first event from place (d, s) on that counts, not later than ``upto``, logged by ``offset``.

    Returns (d, s, chunk, capacity) of its place; chunk 0: there is none.
    """
    words, length = shard.words, shard.ints[key, LENGTH]
    while d < length:
        at = timeline.entry(shard, key, d)
        address, count, capacity = words[at], words[at + 1], words[at + 2]
        while s < count:
            if words[address + s] > upto:
                return d, s, 0, 0
            known = timeline.offset(shard, tables.shape, address, s, capacity) <= offset
            if known and counts(shard, tables, lane, address, s, capacity):
                return d, s, address, capacity
            s += 1
        if d + 1 == length:
            break
        d += 1
        s = 0
    return d, s, 0, 0


@kernel("int, int, int")
def to_rank(bits: int, kind: int, op: int) -> int:
    """An int64 that ascends with the value for a minimum and descends for a maximum."""
    if kind == NUMBER and bits < 0:
        bits = bits ^ 0x7FFFFFFFFFFFFFFF  # float64 bits of negative numbers descend
    return ~bits if op == MAX else bits


@kernel("int, int, int")
def from_rank(rank: int, kind: int, op: int) -> int:
    """The value's bits again."""
    bits = ~rank if op == MAX else rank
    return bits ^ 0x7FFFFFFFFFFFFFFF if kind == NUMBER and bits < 0 else bits
