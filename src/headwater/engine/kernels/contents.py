"""A value straight from what its window holds: for readings of the past and other rare questions.

The same bits as the accumulators give, because every operation is a function of the window's contents;
only slower, in proportion to the window. Sees events with ``offset <= o`` and event time in
``(t - delay - over, t - delay]``. Called by ``process``.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels import cells, decay, exact, lanes, moments, ranked, timeline
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import (
    C_DELAY,
    C_HALF,
    C_LANE,
    C_OP,
    C_OUT,
    C_OVER,
    COUNT,
    DECAYED,
    DISTINCT,
    EVENTS,
    FIRST,
    FORGOTTEN,
    L_KIND,
    LAST,
    LENGTH,
    MAX,
    MEAN,
    MIN,
    NEVER,
    PASS,
    SINCE_FIRST,
    SINCE_LAST,
    STD,
    SUM,
    TREND,
    UNIT,
    VAR,
    Float64,
    Int64,
    Shard,
    Tables,
    Work,
)


@kernel("Shard, Tables, ints, int, int, int, ints, ints")
def collect(
    shard: Shard, tables: Tables, cell: Int64, key: int, t: int, o: int, bits: Int64, times: Int64
) -> int:
    """Write the values of the window, in order, into ``bits`` and ``times``; how many."""
    ints, words = shard.ints, shard.words
    lane = cell[C_LANE]
    until = t - cell[C_DELAY]
    d, s = timeline.seek(shard, key, until - cell[C_OVER] if cell[C_OVER] >= 0 else NEVER)
    n = 0
    while True:
        d, s = timeline.normal(shard, key, d, s)
        if d >= ints[key, LENGTH]:
            break
        at = timeline.entry(shard, key, d)
        if s >= words[at + 1]:
            break
        address, capacity = words[at], words[at + 2]
        if words[address + s] > until:
            break
        seen = timeline.offset(shard, tables.shape, address, s, capacity) <= o
        if seen and lanes.counts(shard, tables, lane, address, s, capacity):
            times[n] = words[address + s]
            bits[n] = lanes.bits(shard, tables, lane, address, s, capacity)
            n += 1
        s += 1
    return n


@kernel("floats, ints, int, int, Work", allocates=True)
def _moments(values: Float64, times: Int64, n: int, op: int, work: Work) -> float:
    """Variance and trend: their accumulators, from nothing, along the values, laid over the tape."""
    reals = np.zeros(moments.TREND)
    bits = reals.view(np.int64)
    floats = np.zeros(1 + 4 * exact.MOST)  # where they may spill to
    heap = np.ones(1, dtype=np.int64)
    for first in range(0, n, PASS):
        m = min(PASS, n - first)
        for k in range(m):
            work.signed[k], work.step[k], work.when[k] = values[first + k], 1, times[first + k]
            work.end[k] = 1 if first + k == n - 1 else 0
        if op == TREND:
            moments.trend(floats, heap, reals, bits, 0, work, m, -1, True)
        else:
            moments.spread(floats, heap, reals, bits, 0, work, m, op == STD, True)
    value: float = work.line[0]
    return value


@kernel("floats, ints, int, int, int, bool, Work")
def _decayed(values: Float64, times: Int64, n: int, now: int, half: int, unit: bool, work: Work) -> float:
    top = now // half
    count = 0
    for i in range(n):
        x = 1.0 if unit else values[i]
        count = exact.add(work.p, count, cells.term(times[i], x, half, top))
    return exact.rounded(work.p, count) * decay.fade(now, half)


@kernel("floats, int, float", allocates=True)
def _quantile(values: Float64, n: int, q: float) -> float:
    ordered = np.sort(values[:n])
    position = q * (n - 1)
    rank = int(position)
    low: float = ordered[rank]
    if rank + 1 >= n:
        return low
    return ranked.interpolate(low, ordered[rank + 1], position - rank)


@kernel("ints, int", allocates=True)
def _distinct(bits: Int64, n: int) -> int:
    if n == 0:
        return 0
    ordered = np.sort(bits[:n])
    distinct = 1
    for i in range(1, n):
        if ordered[i] != ordered[i - 1]:
            distinct += 1
    return distinct


@kernel("floats, ints, int, int, ints, float, bool, Work", allocates=True)
def _number(
    values: Float64, times: Int64, n: int, t: int, cell: Int64, q: float, unit: bool, work: Work
) -> float:
    """The operations that give a float64 and are null over nothing, for n >= 1."""
    op = cell[C_OP]
    if op == SUM or op == MEAN:
        count = 0
        for i in range(n):
            count = exact.add(work.p, count, values[i])
        total = exact.rounded(work.p, count)
        return total / n if op == MEAN else total
    if op == VAR or op == STD or op == TREND:
        return _moments(values, times, n, op, work)
    if op == DECAYED:
        return _decayed(values, times, n, t - cell[C_DELAY], cell[C_HALF], unit, work)
    return _quantile(values, n, q)


@kernel("ints, int, int, int, Work")
def _extreme(bits: Int64, n: int, kind: int, op: int, work: Work) -> None:
    if n == 0:
        cells.write_nothing(work, 0, kind)
        return
    best = lanes.to_rank(bits[0], kind, op)
    for i in range(1, n):
        best = min(best, lanes.to_rank(bits[i], kind, op))
    work.whole[0] = lanes.from_rank(best, kind, op)


@kernel("Shard, Tables, int, int, int, int, int, Work, floats2", allocates=True)
def evaluate(
    shard: Shard, tables: Tables, c: int, key: int, t: int, o: int, emit: int, work: Work, out: Float64
) -> bool:
    """Write cell ``c`` as of (t, o) to row ``emit``; False if some of its events are no longer kept."""
    cell = tables.cells[c]
    op, over = cell[C_OP], cell[C_OVER]
    start = t - cell[C_DELAY] - over if over >= 0 else NEVER
    if start < shard.ints[key, FORGOTTEN]:
        return False
    size = shard.ints[key, EVENTS]
    bits = np.empty(size, dtype=np.int64)
    times = np.empty(size, dtype=np.int64)
    n = collect(shard, tables, cell, key, t, o, bits, times)
    kind = tables.lanes[cell[C_LANE], L_KIND]
    values = bits.view(np.float64)
    if op == COUNT:
        work.whole[0] = n
    elif op == DISTINCT:
        work.whole[0] = _distinct(bits, n)
    elif op == FIRST or op == SINCE_FIRST or op == LAST or op == SINCE_LAST:
        i = 0 if op == FIRST or op == SINCE_FIRST else n - 1
        cells.write_code(cell, kind, work, 0, t, times[i] if n else NEVER, bits[i] if n else 0)
    elif op == MIN or op == MAX:
        _extreme(bits, n, kind, op, work)
    elif n > 0:
        work.line[0] = _number(values, times, n, t, cell, tables.params[c], kind == UNIT, work)
    else:
        work.line[0] = 0.0 if op == SUM else cells.NAN
    out[cell[C_OUT], emit] = work.line[0]
    return True
