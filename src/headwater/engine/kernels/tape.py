"""The tape of a window: what leaves it, what enters it and where it is read, in order.

Laid once for a window and run along by each of its cells. ``fill_prompt`` and ``fill_delayed`` lay the
steps, ``gather`` the values of a lane along them. The columns of a tape are described in
``layout.Work``. Called by ``process``.
"""

from __future__ import annotations

from headwater.engine.kernels import timeline
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import (
    CODE,
    G_DELAY,
    L_COLUMN,
    L_FLAG,
    L_KIND,
    LENGTH,
    NULL,
    NUMBER,
    PASS,
    UNIT,
    W_OVER,
    Int64,
    Items,
    Shard,
    Tables,
    Work,
)


@kernel("Tables, Items, Work, int, int")
def _gather_item(tables: Tables, items: Items, work: Work, lane: int, k: int) -> None:
    """Lay a lane's value at step ``k``, which is an item that is not stored, or none at all."""
    kind, column, flag = tables.lanes[lane, L_KIND], tables.lanes[lane, L_COLUMN], tables.lanes[lane, L_FLAG]
    i = -1 - work.place[k, 0]
    step = work.sign[k]
    if flag >= 0 and items.flags[flag, i] == 0:
        step = 0
    if kind == UNIT:
        work.signed[k] = float(step)
        work.bits[k] = 0
    else:
        work.bits[k] = items.columns[column, i]
        value = items.values[column, i]
        if (kind == NUMBER and value != value) or (kind == CODE and work.bits[k] == NULL):
            step = 0
        work.signed[k] = value * step if kind == NUMBER and step != 0 else 0.0
    work.step[k] = step


@kernel("Shard, Tables, Items, Work, int, int")
def gather(shard: Shard, tables: Tables, items: Items, work: Work, lane: int, n: int) -> None:
    """Lay a lane's values along the tape. Each loop is free of branches that depend on the data."""
    kind, column, flag = tables.lanes[lane, L_KIND], tables.lanes[lane, L_COLUMN], tables.lanes[lane, L_FLAG]
    place, sign, step, signed, bits = work.place, work.sign, work.step, work.signed, work.bits
    if flag >= 0:
        for k in range(n):
            step[k] = sign[k] * shard.bytes[place[k, 1] + flag * place[k, 2]]
    else:
        for k in range(n):
            step[k] = sign[k]
    if kind == UNIT:
        for k in range(n):
            signed[k] = step[k]
            bits[k] = 0
    elif kind == NUMBER:
        words, floats = shard.words, shard.floats
        for k in range(n):
            at = timeline.column(place[k, 0], place[k, 2], column)
            at = max(at, 0)
            bits[k] = words[at]
            value = floats[at]
            there = value == value
            step[k] = step[k] if there else 0
            signed[k] = (value if there else 0.0) * step[k]
    else:
        words = shard.words
        for k in range(n):
            bits[k] = words[max(timeline.column(place[k, 0], place[k, 2], column), 0)]
            step[k] = step[k] if bits[k] != NULL else 0
    for k in range(n):
        if place[k, 0] < 0 and sign[k] != 0:
            _gather_item(tables, items, work, lane, k)


@kernel("Work, int, int, int, int, int, int, int, int, bool")
def put(
    work: Work,
    n: int,
    columns: int,
    address: int,
    slot: int,
    capacity: int,
    when: int,
    item: int,
    sign: int,
    end: bool,
) -> int:
    """Write step ``n`` of the tape, whose value is stored at a slot of a chunk; n + 1."""
    work.place[n, 0] = address + slot
    work.place[n, 1] = timeline.flags(address, capacity, columns) + slot
    work.place[n, 2] = capacity
    work.when[n], work.item[n], work.sign[n], work.end[n] = when, item, sign, end
    return n + 1


@kernel("Work, int, int, int, int, int, bool")
def put_item(work: Work, n: int, i: int, when: int, item: int, sign: int, end: bool) -> int:
    """Write step ``n`` of the tape, whose value is that of item ``i`` of the call; n + 1."""
    work.place[n, 0], work.place[n, 1], work.place[n, 2] = -1 - i, 0, 0
    work.when[n], work.item[n], work.sign[n], work.end[n] = when, item, sign, end
    return n + 1


@kernel("Shard, Work, int, int, int, int, int, int, int, int, int, int")
def _walk(
    shard: Shard,
    work: Work,
    columns: int,
    key: int,
    d: int,
    s: int,
    bound: int,
    above: int,
    upto: int,
    n: int,
    item: int,
    sign: int,
) -> tuple[int, int, int, bool]:
    """Put the stored events from (d, s) up to ``bound`` on the tape, as far as there is room.

    Only those with ``above`` < event time <= ``upto`` are put there, the others are passed over. Returns
    the place reached, the tape's length, and whether all were taken.
    """
    words, length = shard.words, shard.ints[key, LENGTH]
    while d < length:
        at = timeline.entry(shard, key, d)
        address, count, capacity = words[at], words[at + 1], words[at + 2]
        while s < count:
            time = words[address + s]
            if time > bound:
                return d, s, n, True
            if above < time <= upto:
                if n >= PASS - 1:
                    return d, s, n, False
                n = put(work, n, columns, address, s, capacity, time, item, sign, False)
            s += 1
        if d + 1 == length:
            break
        d += 1
        s = 0
    return d, s, n, True


@kernel("Shard, Items, Work, int, int, int, four, int, int, int")
def fill_prompt(
    shard: Shard,
    items: Items,
    work: Work,
    columns: int,
    key: int,
    over: int,
    place: tuple[int, int, int, int],
    i: int,
    count: int,
    first: int,
) -> tuple[tuple[int, int, int, int], int, int]:
    """Lay the tape of a window without delay, from item ``i`` on; items are ``first`` + i.

    ``place`` is (entering d, s, leaving d, s). Walking is written out because this is the hot path.
    Returns (place, i, n): the item to go on with (``count``: all done), and the tape's length.
    """
    words, length = shard.words, shard.ints[key, LENGTH]
    hd, hs, d, s = place
    address, slots, capacity = 0, 0, 0
    if over >= 0 and d < length:
        at = timeline.entry(shard, key, d)
        address, slots, capacity = words[at], words[at + 1], words[at + 2]
    enter, enter_slots, enter_capacity = 0, 0, 0
    if hd < length:
        at = timeline.entry(shard, key, hd)
        enter, enter_slots, enter_capacity = words[at], words[at + 1], words[at + 2]
    n = 0
    while i < count and n < PASS - 1:
        now = work.time[i]
        bound = now - over if over >= 0 else NULL
        while over >= 0 and n < PASS - 1:
            if s >= slots:
                if d + 1 >= length:
                    break
                d += 1
                s = 0
                at = timeline.entry(shard, key, d)
                address, slots, capacity = words[at], words[at + 1], words[at + 2]
                continue
            time = words[address + s]
            if time > bound:
                break
            n = put(work, n, columns, address, s, capacity, time, i, -1, False)
            s += 1
        if n >= PASS - 1:
            break
        end = work.emit[i] >= 0
        if items.kind[first + i] == 0:
            if hs >= enter_slots:
                hd += 1
                hs = 0
                at = timeline.entry(shard, key, hd)
                enter, enter_slots, enter_capacity = words[at], words[at + 1], words[at + 2]
            n = put(work, n, columns, enter, hs, enter_capacity, now, i, 1, end)
            hs += 1
        elif end:
            n = put_item(work, n, 0, now, i, 0, True)
        i += 1
    return (hd, hs, d, s), i, n


@kernel("Shard, Work, int, int, ints, ints, int, four, int, int")
def fill_delayed(
    shard: Shard,
    work: Work,
    columns: int,
    key: int,
    group: Int64,
    window: Int64,
    frontier: int,
    place: tuple[int, int, int, int],
    i: int,
    count: int,
) -> tuple[tuple[int, int, int, int], int, int]:
    """Lay the tape of a window that ends ``delay`` ago, from item ``i`` on: leave first, then enter.

    ``place`` is (entering d, s, leaving d, s). An event that would enter and leave at the same item does
    neither. Returns (place, i, n) as ``fill_prompt``.
    """
    delay, over = group[G_DELAY], window[W_OVER]
    hd, hs, d, s = place
    n = 0
    while i < count:
        bound = work.time[i] - delay
        expired = bound - over if over >= 0 else NULL
        if over >= 0:
            entered = (work.time[i - 1] if i > 0 else frontier) - delay
            d, s, n, done = _walk(shard, work, columns, key, d, s, expired, NULL, entered, n, i, -1)
            if not done:
                break
        hd, hs, n, done = _walk(shard, work, columns, key, hd, hs, bound, expired, bound, n, i, 1)
        if not done:
            break
        if work.emit[i] >= 0:
            if n > 0 and work.item[n - 1] == i:
                work.end[n - 1] = 1
            elif n < PASS - 1:
                n = put_item(work, n, 0, 0, i, 0, True)
            else:
                break
        i += 1
    return (hd, hs, d, s), i, n
