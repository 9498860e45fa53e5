"""Sums, means and counts over a segment at once: what the edges of their windows have passed by.

A window ``(t - delay - over, t - delay]`` lies between two *edges* that move along its key's events::

             far edge                near edge
    ── e1 ── e2 ──┤── e3 ── e4 ── e5 ──├── e6 ──►        inside = before + passed(near) - passed(far)

For each lane, what an edge passes during a segment is laid out once and added up to *running totals*; a
window's value at a reading is then the difference of two of them, however much came and went in between.

The totals are exact. Each value is split on two grids, ``x = h + l`` with ``h`` a multiple of 2^g and
``l`` of 2^f, so coarse and so fine that no sum of a segment's values leaves the 53 bits of a float64 on
either::

    x      ├──────── h ────────┤──────── l ────────┤
           2^(g+52)            2^g                 2^f

Then ``high + low`` is the sum, rounded once. Where values span too many bits for that, which is seen while
they are split, the lane goes by the tape and the partials of ``exact``: the same bits, for both are rounded
from the exact sum. Called by ``process`` for items in order; everything else goes by the tape.

Source: J. Demmel and H. D. Nguyen, "Parallel Reproducible Summation" (2015), for sums on grids.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels import exact, timeline
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import (
    C_OP,
    C_REALS,
    COUNT,
    CURSORS,
    F_END,
    F_FIRST,
    F_LANE,
    F_TALLY,
    G_DELAY,
    G_END,
    G_FIRST,
    G_FLOW,
    G_FLOW_END,
    L_COLUMN,
    L_FLAG,
    L_KIND,
    LENGTH,
    MEAN,
    SHAPE,
    T_CELL,
    T_WINDOW,
    UNIT,
    W_CURSOR,
    W_OVER,
    Float64,
    Shard,
    Tables,
    Work,
)

NAN = float("nan")
MAGNITUDE = 0x7FFFFFFFFFFFFFFF  # the bits of a float64 without its sign
STRIDE = 4
ONE, TWO, THREE = np.uint64(1), np.uint64(2), np.uint64(3)  # without a sign an index needs no look at it
LOWEST, HIGHEST = -900, 900  # exponents within which no grid leaves the normal numbers


@kernel("Shard, Work, int, int, int, int", inline=True)
def _advance(shard: Shard, work: Work, key: int, edge: int, age: int, moments: int) -> int:
    """Move an edge to ``age`` before each moment, noting how many events it has passed by then."""
    words, moment, passed = shard.words, work.moment, work.passed[edge]
    length: int = shard.ints[key, LENGTH]
    d, s = work.edges[edge, 0], work.edges[edge, 1]
    address, held = 0, 0
    if d < length:
        at = timeline.entry(shard, key, d)
        address, held = words[at], words[at + 1]
    before: int = -s
    for i in range(moments):
        bound = moment[i] - age
        more = 1
        while more != 0:
            next_ = np.uint64(address + s)
            if s + STRIDE <= held:  # how many of the next four: no branch to be guessed wrong
                gone = int(words[next_] <= bound) + int(words[next_ + ONE] <= bound)
                gone += int(words[next_ + TWO] <= bound) + int(words[next_ + THREE] <= bound)
                s += gone
                more = int(gone == STRIDE)
            elif s < held:
                more = int(words[next_] <= bound)
                s += more
            elif d + 1 < length:
                before += s
                d, s = d + 1, 0
                at = timeline.entry(shard, key, d)
                address, held = words[at], words[at + 1]
            else:
                more = 0
        passed[i] = before + s
    work.edges[edge, 2], work.edges[edge, 3] = d, s
    count: int = before + s
    return count


@kernel("Shard, Work, int, int, int, int, int", inline=True)
def _lay_numbers(shard: Shard, work: Work, first: int, there: int, free: int, n: int, m: int) -> int:
    """Lay out ``m`` numbers, 0.0 for those that do not count; the bits of the largest magnitude."""
    numbers, bits, bytes_, value = shard.floats, shard.words, shard.bytes, work.value
    peak = 0
    for k in range(m):
        x = numbers[np.uint64(first + k)]
        some = int(x == x) & (int(bytes_[np.uint64(there + k)] != 0) | free)
        value[np.uint64(n + k)] = x if some != 0 else 0.0
        peak = max(peak, (bits[np.uint64(first + k)] & MAGNITUDE) * some)
    return peak


@kernel("Shard, Work, bool, int, int, int, int, int, int", inline=True)
def _lay_tally(
    shard: Shard, work: Work, unit: bool, first: int, there: int, free: int, count: int, n: int, m: int
) -> int:
    """Count on from ``count`` those of ``m`` that count; ``unit``: no number is asked for."""
    numbers, bytes_, tally = shard.floats, shard.bytes, work.tally
    if unit:
        for k in range(m):
            count += int(bytes_[np.uint64(there + k)] != 0) | free
            tally[np.uint64(n + k)] = count
    else:
        for k in range(m):
            x = numbers[np.uint64(first + k)]
            count += int(x == x) & (int(bytes_[np.uint64(there + k)] != 0) | free)
            tally[np.uint64(n + k)] = count
    return count


@kernel("Shard, Tables, Work, int, int, int, int, int", inline=True)
def _lay(
    shard: Shard, tables: Tables, work: Work, key: int, edge: int, lane: int, count: int, tally: int
) -> int:
    """Lay out a lane's values of the ``count`` events that an edge passed; the largest magnitude's bits."""
    column, flag = tables.lanes[lane, L_COLUMN], tables.lanes[lane, L_FLAG]
    unit, columns = tables.lanes[lane, L_KIND] == UNIT, tables.shape[SHAPE.columns]
    words = shard.words
    d, s, n = work.edges[edge, 0], work.edges[edge, 1], work.edges[edge, 4]
    peak, inside = 0, 0
    work.tally[n] = 0
    n += 1
    while count > 0:
        at = timeline.entry(shard, key, d)
        address, capacity = words[at], words[at + 2]
        m = min(words[at + 1] - s, count)
        # A lane without a condition is free: it is given some bytes and heeds none of them.
        there, free = timeline.flags(address, capacity, columns) + flag * capacity + s, 0
        if flag < 0:
            there, free = 0, 1
        first = timeline.column(address, capacity, column) + s
        if not unit:
            peak = max(peak, _lay_numbers(shard, work, first, there, free, n, m))
        if tally != 0:
            inside = _lay_tally(shard, work, unit, first, there, free, inside, n, m)
        n += m
        count -= m
        d, s = d + 1, 0
    return peak


@kernel("Work, int, int, int, int, float, float", inline=True)
def _total(work: Work, here: int, count: int, there: int, other: int, coarse: float, fine: float) -> bool:
    """Running totals of what two edges passed, on both grids; whether each value lies on them.

    The two are added up side by side, for each sum waits for the one before.
    """
    x, y = work.value[here + 1 : here + 1 + count], work.value[there + 1 : there + 1 + other]
    h, l = work.high[here : here + 1 + count], work.low[here : here + 1 + count]  # noqa: E741
    u, v = work.high[there : there + 1 + other], work.low[there : there + 1 + other]
    hk, lk, uk, vk = 0.0, 0.0, 0.0, 0.0
    h[0], l[0], u[0], v[0] = 0.0, 0.0, 0.0, 0.0
    lost = 0.0
    both = min(count, other)
    for k in range(both):
        a, b = (x[k] + coarse) - coarse, (y[k] + coarse) - coarse
        c, d = x[k] - a, y[k] - b
        lost += abs(((c + fine) - fine) - c) + abs(((d + fine) - fine) - d)
        hk, lk, uk, vk = hk + a, lk + c, uk + b, vk + d
        h[k + 1], l[k + 1], u[k + 1], v[k + 1] = hk, lk, uk, vk
    for k in range(both, count):
        a = (x[k] + coarse) - coarse
        c = x[k] - a
        lost += abs(((c + fine) - fine) - c)
        hk, lk = hk + a, lk + c
        h[k + 1], l[k + 1] = hk, lk
    for k in range(both, other):
        b = (y[k] + coarse) - coarse
        d = y[k] - b
        lost += abs(((d + fine) - fine) - d)
        uk, vk = uk + b, vk + d
        u[k + 1], v[k + 1] = uk, vk
    return lost == 0.0


@kernel("int", inline=True)
def _power(exponent: int) -> int:
    """The bits of 1.5 * 2^exponent."""
    return ((exponent + 1023) << 52) | (1 << 51)


@kernel("Shard, Tables, Work, int, int, int, int", inline=True)
def _grids(shard: Shard, tables: Tables, work: Work, key: int, flow: int, peak: int, count: int) -> bool:
    """Choose the grids of a lane for ``count`` values up to ``peak``; they go to ``line`` 0 and 1.

    False if there are none: more than two partials before, or numbers at the ends of the range.
    """
    work.whole[0] = peak
    bound = work.line[0] * (count + 1)
    for term in range(tables.flows[flow, F_FIRST], tables.flows[flow, F_END]):
        cell = tables.cells[tables.terms[term, T_CELL]]
        if cell[C_OP] == COUNT:
            continue
        at = cell[C_REALS] + int(cell[C_OP] == MEAN)
        partials = shard.bits[key, at]
        if partials > 2:
            return False
        if partials > 0:
            bound = max(bound, 2.0 * abs(shard.reals[key, at + 1 + partials]) + work.line[0] * (count + 1))
    if bound == 0.0:
        bound = 1.0
    work.line[0] = bound
    g = (work.whole[0] >> 52) - 1023 + 1 - 51  # bound < 2^(g + 51)
    room = 2
    while (1 << room) <= count + 1:
        room += 1
    if g < LOWEST or g > HIGHEST:
        return False
    work.whole[0], work.whole[1] = _power(g + 52), _power(g + room)
    return True


@kernel("Shard, Work, int, int, float, float", inline=True)
def _split(shard: Shard, work: Work, key: int, at: int, coarse: float, fine: float) -> bool:
    """Put a cell's sum on the grids, into ``p`` 0 and 1; whether it lies on them."""
    partials = shard.bits[key, at]
    large = shard.reals[key, at + 1 + partials] if partials > 0 else 0.0
    small = shard.reals[key, at + 2] if partials > 1 else 0.0
    high = (large + coarse) - coarse
    low, error = exact.two_sum(large - high, small)
    carry = (low + coarse) - coarse
    low -= carry
    work.p[0], work.p[1] = high + carry, low
    return error == 0.0 and ((low + fine) - fine) == low


@kernel("Shard, int, int, float, float", inline=True)
def _keep(shard: Shard, key: int, at: int, high: float, low: float) -> None:
    """Write a cell's sum back as partials."""
    large, small = exact.two_sum(high, low)
    n = 0
    if small != 0.0:
        shard.reals[key, at + 2] = small
        n = 1
    if large != 0.0:
        shard.reals[key, at + 2 + n] = large
        n += 1
    shard.bits[key, at] = n


@kernel("Shard, Work, int, int, bool, int, int, int, floats2, int, int", inline=True)
def _counts(
    shard: Shard,
    work: Work,
    key: int,
    at: int,
    straight: bool,
    far: int,
    readings: int,
    mean: int,
    out: Float64,
    first: int,
    column: int,
) -> None:
    """Counts at each reading: into ``out``, or into ``whole`` for a mean that divides by them."""
    before = shard.bits[key, at]
    passed, tally, whole, line = work.passed, work.tally, work.whole, work.line
    x, y, edge = work.edges[0, 4], 0, np.uint64(0)
    if far >= 0:
        y, edge = work.edges[far, 4], np.uint64(far)
    here = np.uint64(column)
    last = before + tally[np.uint64(x + passed[0, readings])]
    for e in range(readings):
        gone = x + 1 + e if straight else x + passed[0, e]
        whole[e] = before + tally[np.uint64(gone)]
    if far >= 0:
        last -= tally[np.uint64(y + passed[edge, readings])]
        for e in range(readings):
            whole[e] -= tally[np.uint64(y + passed[edge, e])]
    shard.bits[key, at] = last
    if mean == 0:
        for e in range(readings):
            out[here, np.uint64(first + e)] = line[e]


@kernel("Shard, Work, int, int, bool, int, int, int, floats2, int, int", inline=True)
def _sums(
    shard: Shard,
    work: Work,
    key: int,
    at: int,
    straight: bool,
    far: int,
    readings: int,
    mean: int,
    out: Float64,
    first: int,
    column: int,
) -> None:
    """Sums at each reading; means, if ``whole`` holds the counts."""
    high, low = work.p[0], work.p[1]
    passed, h, l = work.passed, work.high, work.low  # noqa: E741
    x, here = work.edges[0, 4], np.uint64(column)
    if far >= 0:
        y, edge = work.edges[far, 4], np.uint64(far)
        if straight:
            for e in range(readings):
                i, j = np.uint64(x + 1 + e), np.uint64(y + passed[edge, e])
                out[here, np.uint64(first + e)] = (high + h[i] - h[j]) + (low + l[i] - l[j])
        else:
            for e in range(readings):
                i, j = np.uint64(x + passed[0, e]), np.uint64(y + passed[edge, e])
                out[here, np.uint64(first + e)] = (high + h[i] - h[j]) + (low + l[i] - l[j])
        i, j = np.uint64(x + passed[0, readings]), np.uint64(y + passed[edge, readings])
        _keep(shard, key, at, high + h[i] - h[j], low + l[i] - l[j])
    else:
        for e in range(readings):
            i = np.uint64(x + passed[0, e])
            out[here, np.uint64(first + e)] = (high + h[i]) + (low + l[i])
        i = np.uint64(x + passed[0, readings])
        _keep(shard, key, at, high + h[i], low + l[i])
    if mean != 0:
        for e in range(readings):
            place = np.uint64(first + e)
            out[here, place] = out[here, place] / work.whole[e] if work.whole[e] > 0 else NAN


@kernel("Shard, Tables, Work, int, int, int, int, bool, floats2, int", inline=True)
def _lane(
    shard: Shard,
    tables: Tables,
    work: Work,
    key: int,
    g: int,
    flow: int,
    readings: int,
    straight: bool,
    out: Float64,
    first: int,
) -> bool:
    """All sums, means and counts of a lane in a group's windows; False, and nothing done, if it cannot be.

    ``straight``: the near edge passes one event before each reading.
    """
    lane, tally = tables.flows[flow, F_LANE], tables.flows[flow, F_TALLY]
    edges = tables.groups[g, G_END] - tables.groups[g, G_FIRST] + 1
    peak, most = 0, 0
    for edge in range(edges):
        count = work.passed[edge, readings]
        peak = max(peak, _lay(shard, tables, work, key, edge, lane, count, tally))
        most = max(most, count)
    numbers = tables.lanes[lane, L_KIND] != UNIT
    coarse, fine = 0.0, 0.0
    if numbers:
        if not _grids(shard, tables, work, key, flow, peak, most + work.passed[0, readings]):
            return False
        coarse, fine = work.line[0], work.line[1]
        fits = True
        for edge in range(0, edges, 2):
            last = min(edge + 1, edges - 1)
            here, count = work.edges[edge, 4], work.passed[edge, readings]
            there, other = work.edges[last, 4], work.passed[last, readings]
            fits = _total(work, here, count, there, other, coarse, fine) and fits
        for term in range(tables.flows[flow, F_FIRST], tables.flows[flow, F_END]):
            cell = tables.cells[tables.terms[term, T_CELL]]
            at = cell[C_REALS] + int(cell[C_OP] == MEAN)
            fits = (cell[C_OP] == COUNT or _split(shard, work, key, at, coarse, fine)) and fits
        if not fits:
            return False
    for term in range(tables.flows[flow, F_FIRST], tables.flows[flow, F_END]):
        c, window = tables.terms[term, T_CELL], tables.terms[term, T_WINDOW]
        op, at = tables.cells[c, C_OP], tables.cells[c, C_REALS]
        far = window - tables.groups[g, G_FIRST] + 1 if tables.windows[window, W_OVER] >= 0 else -1
        mean = int(op == MEAN)
        if op == COUNT or op == MEAN:
            _counts(shard, work, key, at, straight, far, readings, mean, out, first, c)
        if op != COUNT:
            _split(shard, work, key, at + mean, coarse, fine)
            _sums(shard, work, key, at + mean, straight, far, readings, mean, out, first, c)
    return True


@kernel("Shard, Tables, Work, int, int, int, int, int, int, floats2, int", inline=True)
def run(
    shard: Shard,
    tables: Tables,
    work: Work,
    key: int,
    g: int,
    d: int,
    s: int,
    events: int,
    readings: int,
    out: Float64,
    first: int,
) -> bool:
    """Run the flows of a group over a segment whose readings and end are in ``work.moment``.

    The near edge of a group without delay stands at (d, s) and passes the segment's ``events``, which
    ``work.passed`` 0 counts already. Cursors stay; ``work.edges`` says where they go. ``work.done`` notes
    the lanes that need no tape; returns whether all are.
    """
    group = tables.groups[g]
    delay, windows = group[G_DELAY], group[G_END] - group[G_FIRST]
    work.edges[0, 0], work.edges[0, 1], work.edges[0, 4] = d, s, 0
    count = events if delay == 0 else _advance(shard, work, key, 0, delay, readings + 1)
    room = count + 1
    for edge in range(1, windows + 1):
        window = tables.windows[group[G_FIRST] + edge - 1]
        work.edges[edge, 4] = room
        if window[W_OVER] >= 0:
            cursor = CURSORS + 2 * window[W_CURSOR]
            work.edges[edge, 0], work.edges[edge, 1] = shard.ints[key, cursor], shard.ints[key, cursor + 1]
            room += _advance(shard, work, key, edge, delay + window[W_OVER], readings + 1) + 1
        else:
            work.passed[edge, readings] = 0
            room += 1
    fits, every, straight = room <= work.value.shape[0], True, True
    near = work.passed[0]
    for e in range(readings):
        straight = straight and near[e] == e + 1
    for flow in range(group[G_FLOW], group[G_FLOW_END]):
        done = fits and _lane(shard, tables, work, key, g, flow, readings, straight, out, first)
        work.done[tables.flows[flow, F_LANE]] = int(done)
        every = every and done
    return every
