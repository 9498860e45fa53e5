"""The middle of a window's values in ascending order, for exact quantiles.

The rank that a quantile asks for moves by at most one with each value that comes or goes. So only values
around it are kept, in order; of those outside two *fences* it is enough to know how many there are::

    values     .  . .  .   . .| 1 2 2   3 5 8 9   11 12 |.  .   . ..  .       ascending ─►
    counted    below     low ─┘ └───── in order ─────┘  └─ high    above
    directory                 [ 1 2 2 | 3 5 8 9 | 11 12 ]     blocks of at most 32 values
    finger                              └ block 1, whose first value has rank 3 in here

A value outside costs two comparisons. A value inside finds its block by bisection and moves at most one
block. While the window grows, the block that is farthest from the wanted rank is dropped over its fence
whenever more than 64 values and a quarter of all are inside. Should the wanted rank ever come to a fence
(it has to pass an eighth of the window for that), the values around it are collected from the timeline
anew: n steps after n / 8 events, amortised constant.

Since forever, the timeline does not hold the values, so there are no fences: all are kept in order.

Blocks are two thirds full on average, so a quarter of the values costs 3 bytes for each in the window, and
the directory half a byte. A record in the key's ints is (address, log2 of words, blocks, values, finger,
rank of the finger, address of the fences); a directory entry is (address, count). Called by ``cells``.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels import arena, lanes, timeline
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import (
    C_DELAY,
    C_INTS,
    C_LANE,
    C_OVER,
    EVENTS,
    NEVER,
    Float64,
    Int64,
    Shard,
    Tables,
)

RECORD = 7
ENTRY = 2
BLOCK_LOG = 5
BLOCK = 1 << BLOCK_LOG
ADDRESS, LOG, BLOCKS, VALUES, FINGER, RANK, FENCES = range(RECORD)
LOW, HIGH, BELOW, AT_LOW, AT_HIGH, ABOVE = range(6)  # words of the fences: two values, four counts
FENCES_LOG = 3
FEW = 2 * BLOCK  # so many values are kept in any case
FILL = 24  # values in a block that is laid anew
SAMPLE = 1024  # values by which fences are chosen
NAN = float("nan")


@kernel("Shard, int, int, int")
def demand(shard: Shard, key: int, at: int, m: int) -> int:
    """Words that ``m`` further values, and collecting anew, can need."""
    blocks: int = shard.ints[key, at + BLOCKS]
    fresh: int = m // (BLOCK // 2) + 2 + (shard.ints[key, EVENTS] + m) // (3 * FILL)
    return fresh * BLOCK + 4 * ENTRY * (blocks + fresh + 4) + (1 << FENCES_LOG)


@kernel("Shard, int, int")
def _sizes(shard: Shard, key: int, at: int) -> tuple[int, int]:
    """How many values are in the window, inside the fences and outside; and how many left of the inside."""
    n: int = shard.ints[key, at + VALUES]
    fences = shard.ints[key, at + FENCES]
    if fences == 0:
        return n, 0
    words = shard.words
    left = words[fences + BELOW] + words[fences + AT_LOW]
    return n + left + words[fences + AT_HIGH] + words[fences + ABOVE], left


@kernel("Shard, int, int, float, int")
def _outside(shard: Shard, key: int, at: int, value: float, step: int) -> bool:
    """Whether a value is at a fence or beyond it; there it is counted, by ``step``."""
    fences = shard.ints[key, at + FENCES]
    if fences == 0:
        return False
    low, high = shard.floats[fences + LOW], shard.floats[fences + HIGH]
    if value <= low:
        shard.words[fences + (AT_LOW if value == low else BELOW)] += step
        return True
    if value >= high:
        shard.words[fences + (AT_HIGH if value == high else ABOVE)] += step
        return True
    return False


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


@kernel("Shard, int, int, int")
def _remove_block(shard: Shard, key: int, at: int, b: int) -> None:
    """Give block ``b`` back; the finger, if it was on it or behind it, steps over to what is there then."""
    ints, words = shard.ints, shard.words
    entry = ints[key, at + ADDRESS] + ENTRY * b
    count, blocks = words[entry + 1], ints[key, at + BLOCKS] - 1
    arena.give_block(shard, BLOCK_LOG, words[entry])
    arena.move(shard, entry + ENTRY, entry, ENTRY * (blocks - b))
    ints[key, at + BLOCKS] = blocks
    ints[key, at + VALUES] -= count
    if b < ints[key, at + FINGER]:
        ints[key, at + FINGER] -= 1
        ints[key, at + RANK] -= count
    elif b == ints[key, at + FINGER] and b == blocks:  # it was on the last one: step to the one before
        ints[key, at + FINGER] = max(b - 1, 0)
        ints[key, at + RANK] -= words[entry - ENTRY + 1] if b > 0 else ints[key, at + RANK]


# --- dropping what is far from the wanted rank -------------------------------------------------------


@kernel("Shard, int, int")
def _fences(shard: Shard, key: int, at: int) -> int:
    """The address of the fences, which are put up far outside if there are none."""
    ints, words = shard.ints, shard.words
    if ints[key, at + FENCES] == 0:
        fences = arena.take_block(shard, FENCES_LOG)
        for i in range(BELOW, ABOVE + 1):
            words[fences + i] = 0
        shard.floats[fences + LOW] = shard.floats[fences + HIGH] = NAN
        ints[key, at + FENCES] = fences
    address: int = ints[key, at + FENCES]
    return address


@kernel("Shard, int, int, int")
def _drop_first(shard: Shard, key: int, at: int, fences: int) -> None:
    """Move the low fence up to the last value of the first block, and let go of all up to there."""
    ints, words, floats = shard.ints, shard.words, shard.floats
    entry = ints[key, at + ADDRESS]
    low = floats[words[entry] + words[entry + 1] - 1]
    words[fences + BELOW] += words[fences + AT_LOW]
    words[fences + AT_LOW] = 0
    floats[fences + LOW] = low
    while ints[key, at + BLOCKS] > 0 and floats[words[entry]] <= low:
        address, count = words[entry], words[entry + 1]
        under = 0
        while under < count and floats[address + under] < low:
            under += 1
        upto = _place(shard, address, count, low)
        words[fences + BELOW] += under
        words[fences + AT_LOW] += upto - under
        if upto == count:
            _remove_block(shard, key, at, 0)
        else:
            arena.move(shard, address + upto, address, count - upto)
            words[entry + 1] = count - upto
            ints[key, at + VALUES] -= upto
            if ints[key, at + FINGER] > 0:
                ints[key, at + RANK] -= upto


@kernel("Shard, int, int, int")
def _drop_last(shard: Shard, key: int, at: int, fences: int) -> None:
    """Move the high fence down to the first value of the last block, and let go of all from there on."""
    ints, words, floats = shard.ints, shard.words, shard.floats
    directory = ints[key, at + ADDRESS]
    high = floats[words[directory + ENTRY * (ints[key, at + BLOCKS] - 1)]]
    words[fences + ABOVE] += words[fences + AT_HIGH]
    words[fences + AT_HIGH] = 0
    floats[fences + HIGH] = high
    while ints[key, at + BLOCKS] > 0:
        b = ints[key, at + BLOCKS] - 1
        address, count = words[directory + ENTRY * b], words[directory + ENTRY * b + 1]
        if floats[address + count - 1] < high:
            return
        over = _place(shard, address, count, high)
        first = over
        while first > 0 and floats[address + first - 1] == high:
            first -= 1
        words[fences + ABOVE] += count - over
        words[fences + AT_HIGH] += over - first
        if first == 0:
            _remove_block(shard, key, at, b)
        else:
            words[directory + ENTRY * b + 1] = first
            ints[key, at + VALUES] -= count - first


@kernel("Shard, int, int, float")
def _shed(shard: Shard, key: int, at: int, q: float) -> None:
    """Drop the block that is farthest from the wanted rank."""
    fences = _fences(shard, key, at)
    n, left = _sizes(shard, key, at)
    if 2 * (int(q * (n - 1)) - left) > shard.ints[key, at + VALUES]:
        _drop_first(shard, key, at, fences)
    else:
        _drop_last(shard, key, at, fences)


# --- values that come and go -------------------------------------------------------------------------


@kernel("Shard, int, int, float, float, bool")
def put(shard: Shard, key: int, at: int, value: float, q: float, window: bool) -> None:
    """Take in a value; what is wanted is the quantile ``q``, of a window or since forever."""
    if _outside(shard, key, at, value, 1):
        return
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
    if window and ints[key, at + VALUES] > FEW and 4 * ints[key, at + VALUES] > _sizes(shard, key, at)[0]:
        _shed(shard, key, at, q)


@kernel("Shard, int, int, float")
def drop(shard: Shard, key: int, at: int, value: float) -> None:
    """Take out a value, which is inside the window."""
    if _outside(shard, key, at, value, -1):
        return
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
    if count == 1:
        _remove_block(shard, key, at, b)


# --- collecting anew ---------------------------------------------------------------------------------


@kernel("Shard, Tables, ints, int, int, int, floats")
def _gather(
    shard: Shard, tables: Tables, cell: Int64, key: int, now: int, offset: int, values: Float64
) -> int:
    """All values of the window as of (now, offset) from the timeline, in order of time; how many."""
    lane, until = cell[C_LANE], now - cell[C_DELAY]
    d, s = timeline.seek(shard, key, until - cell[C_OVER] if cell[C_OVER] >= 0 else NEVER)
    n = 0
    while True:
        d, s, chunk, capacity = lanes.following(shard, tables, lane, key, d, s, until, offset)
        if chunk == 0:
            return n
        values[n] = lanes.number(shard, tables, lane, chunk, s, capacity)
        n += 1
        s += 1


@kernel("Shard, floats, int, int, float, float")
def _fence_off(shard: Shard, values: Float64, n: int, fences: int, low: float, high: float) -> int:
    """Count what lies at the fences and beyond, and move the rest to the front; how many these are."""
    words = shard.words
    shard.floats[fences + LOW], shard.floats[fences + HIGH] = low, high
    below, at_low, at_high, above = 0, 0, 0, 0
    inside = 0
    for i in range(n):
        value = values[i]
        if value <= low:
            at_low += value == low
            below += value < low
        elif value >= high:
            at_high += value == high
            above += value > high
        else:
            values[i] = values[inside]
            values[inside] = value
            inside += 1
    words[fences + BELOW], words[fences + AT_LOW] = below, at_low
    words[fences + AT_HIGH], words[fences + ABOVE] = at_high, above
    return inside


@kernel("Shard, floats, int, int, float, bool", allocates=True)
def _choose(shard: Shard, values: Float64, n: int, fences: int, q: float, rises: bool) -> int:
    """Put up fences around the wanted rank, with more room ahead of it than behind.

    The values inside, at most a third, are moved to the front; how many these are.
    """
    if n <= FEW:
        return _fence_off(shard, values, n, fences, NAN, NAN)
    wanted = int(q * (n - 1))
    step = max(n // SAMPLE, 4) if n > 4 * FEW else 1
    while True:
        sample = np.sort(values[:n:step])
        m = sample.shape[0]
        width = max(m // 5, 3 * FEW // (4 * step))
        first = wanted // step - (width // 4 if rises else width - width // 4)
        low = sample[first] if first >= 0 else NAN
        last = first + width + 2
        high = sample[last] if last < m else NAN
        inside = _fence_off(shard, values, n, fences, low, high)
        left, right = shard.words[fences + BELOW], n - shard.words[fences + ABOVE]
        if step == 1 or (left <= wanted and min(wanted + 1, n - 1) < right and 3 * inside <= n):
            return inside
        step = 1


@kernel("Shard, Tables, ints, int, int, float, int, int", allocates=True)
def _collect(
    shard: Shard, tables: Tables, cell: Int64, key: int, at: int, q: float, now: int, offset: int
) -> None:
    """Lay the blocks anew, around the wanted rank."""
    ints, floats = shard.ints, shard.floats
    n, left = _sizes(shard, key, at)
    rises = int(q * (n - 1)) >= left
    while ints[key, at + BLOCKS] > 0:
        _remove_block(shard, key, at, ints[key, at + BLOCKS] - 1)
    values = np.empty(ints[key, EVENTS])
    n = _gather(shard, tables, cell, key, now, offset, values)
    inside = _choose(shard, values, n, _fences(shard, key, at), q, rises)
    ordered = np.sort(values[:inside])
    for first in range(0, inside, FILL):
        count = min(FILL, inside - first)
        address = arena.take_block(shard, BLOCK_LOG)
        for i in range(count):
            floats[address + i] = ordered[first + i]
        _insert_entry(shard, key, at, ints[key, at + BLOCKS], address, count)
    ints[key, at + VALUES] = inside
    ints[key, at + FINGER] = 0
    ints[key, at + RANK] = 0


# --- reading -----------------------------------------------------------------------------------------


@kernel("Shard, int, int, int, bool")
def _inside(shard: Shard, key: int, at: int, rank: int, keep: bool) -> tuple[float, float]:
    """The value of a rank inside, and the next (the same if it was the last).

    With ``keep`` the finger stays there for the next time.
    """
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
    address, count = words[directory + ENTRY * b], words[directory + ENTRY * b + 1]
    value: float = shard.floats[address + rank - first]
    if rank - first + 1 < count:
        return value, shard.floats[address + rank - first + 1]
    if b + 1 < ints[key, at + BLOCKS]:
        return value, shard.floats[words[directory + ENTRY * (b + 1)]]
    return value, value


@kernel("Shard, int, int, int, bool")
def _at_rank(shard: Shard, key: int, at: int, rank: int, keep: bool) -> tuple[float, bool]:
    """The value of a rank in the window, and whether it is known."""
    fences, inside = shard.ints[key, at + FENCES], shard.ints[key, at + VALUES]
    if fences == 0:
        return _inside(shard, key, at, rank, keep)[0], True
    words = shard.words
    rank -= words[fences + BELOW]
    if rank < words[fences + AT_LOW]:
        return shard.floats[fences + LOW], rank >= 0
    rank -= words[fences + AT_LOW]
    if rank < inside:
        return _inside(shard, key, at, rank, keep)[0], True
    return shard.floats[fences + HIGH], rank - inside < words[fences + AT_HIGH]


@kernel("float, float, float")
def interpolate(low: float, high: float, fraction: float) -> float:
    """Between two neighbours, as numpy's ``linear`` has it."""
    if fraction == 0.0:
        return low
    return low + (high - low) * fraction


@kernel("Shard, int, int, float")
def _read(shard: Shard, key: int, at: int, q: float) -> tuple[float, bool]:
    """The quantile of the values, and whether it is known; NaN if there is none."""
    n, left = _sizes(shard, key, at)
    if n == 0:
        return NAN, True
    position = q * (n - 1)
    rank = int(position)
    if rank >= left and min(rank + 1, n - 1) < left + shard.ints[key, at + VALUES]:
        low, high = _inside(shard, key, at, rank - left, True)
        return interpolate(low, high, position - rank), True
    low, known = _at_rank(shard, key, at, rank, True)
    high, also = _at_rank(shard, key, at, min(rank + 1, n - 1), True)
    return interpolate(low, high, position - rank), known and also


@kernel("Shard, Tables, ints, int, float, int, int")
def quantile(shard: Shard, tables: Tables, cell: Int64, key: int, q: float, now: int, offset: int) -> float:
    """The ``q`` quantile with linear interpolation, NaN if there is no value.

    The values must be those of the window as of (now, offset).
    """
    at = cell[C_INTS]
    value, known = _read(shard, key, at, q)
    if not known:
        _collect(shard, tables, cell, key, at, q, now, offset)
        value, known = _read(shard, key, at, q)
    return value


@kernel("Shard, int, int, float, floats, ints, int", allocates=True)
def after(
    shard: Shard, key: int, at: int, q: float, signed: Float64, steps: Int64, n: int
) -> tuple[float, bool]:
    """The quantile after ``n`` steps (values times +1, -1, 0), without taking them; whether it is known.

    Only the ranks that the steps can move across the wanted one are looked at: with E values entering and
    L leaving, those from E below it to L above it.
    """
    before, _ = _sizes(shard, key, at)
    enter, leave = 0, 0
    for k in range(n):
        enter += 1 if steps[k] > 0 else 0
        leave += 1 if steps[k] < 0 else 0
    size = before + enter - leave
    if size == 0:
        return NAN, True
    position = q * (size - 1)
    rank = int(position)
    first, last = max(rank - enter, 0), min(rank + 1 + leave, before - 1)
    near = np.empty(max(last - first + 1, 0) + enter)
    m = 0
    for i in range(first, last + 1):
        near[m], known = _at_rank(shard, key, at, i, False)
        m += 1
        if not known:
            return NAN, False
    floor = near[0] if m > 0 else float("-inf")
    below = first if m > 0 else before
    for k in range(n):
        if steps[k] > 0:
            near[m] = signed[k]
            m += 1
    near = np.sort(near[:m])
    for k in range(n):
        if steps[k] < 0:
            i = np.searchsorted(near[:m], -signed[k])
            if i < m and near[i] == -signed[k]:
                for j in range(i, m - 1):
                    near[j] = near[j + 1]
                m -= 1
            elif -signed[k] <= floor:  # of values that are the same, some may stand below
                below -= 1
    low: float = near[rank - below]
    if rank + 1 >= size:
        return low, True
    return interpolate(low, near[rank + 1 - below], position - rank), True
