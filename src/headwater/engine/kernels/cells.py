"""The accumulators: one small loop per operation, over a segment of items of one key.

``process`` lays out, per item ``i``, how many values have left the window (``work.left``) and entered it
(``work.entered``) by then. Each loop here follows the same shape::

    for each item:  take out what left  ->  put in what entered  ->  write the value, if it is asked for

Every operation is a pure function of what is inside: counts and extremes are exact, sums are held in
partials that lose nothing (``exact``), so taking out undoes putting in. With ``keep`` off nothing is
written back: that is how a reading changes no state. Called by ``process``; the record of each
operation (words in ``reals``/``ints``) is sized in ``engine.plan``.
"""

from __future__ import annotations

import math

from headwater.engine.kernels import decay, deque, exact, multiset, ranked, timeline
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import (
    C_DELAY,
    C_HALF,
    C_INTS,
    C_LANE,
    C_OP,
    C_OUT,
    C_OVER,
    C_REALS,
    COUNT,
    DECAYED,
    DISTINCT,
    FIRST,
    L_COLUMN,
    L_FLAG,
    L_KIND,
    LAST,
    LENGTH,
    MAX,
    MEAN,
    MIN,
    NEVER,
    NULL,
    NUMBER,
    QUANTILE,
    SHAPE,
    SINCE_FIRST,
    SINCE_LAST,
    STD,
    SUM,
    TREND,
    UNIT,
    VAR,
)

NAN = float("nan")
HUGE = 1e150  # the square of anything larger overflows: variance and trend are then infinite
ANCHOR = 946_684_800_000_000  # 2000-01-01: times minus this are exact float64 integers
MICROSECONDS = 1e6
DAY = 86_400e6


@kernel("Shard, ints, Work, int, int, int, int, int, bool, bool, ints2")
def _count(shard, cell, work, key, lane, i0, i1, j, silent, keep, outs):
    at = cell[C_REALS]
    n = shard.bits[key, at]
    entered, left, emit = work.entered, work.left, work.emit
    e = 0
    for i in range(i0, i1):
        while e < left[i]:
            n -= work.y_ok[e]
            e += 1
        while j < entered[i]:
            n += work.x_ok[lane, j]
            j += 1
        if emit[i] >= 0 and not (silent and i == i1 - 1):
            outs[cell[C_OUT], emit[i]] = n
    if keep:
        shard.bits[key, at] = n


@kernel("Shard, ints, Work, int, int, int, int, int, bool, bool, floats2")
def _sum(shard, cell, work, key, lane, i0, i1, j, silent, keep, out):
    """The hot one: two partials in registers for as long as nothing is lost, then all of them."""
    bits, reals = shard.bits[key], shard.reals[key]
    mean = cell[C_OP] == MEAN
    at = cell[C_REALS]
    record = at + 1 if mean else at
    count = bits[at] if mean else 0
    p = work.p
    n = exact.load(reals, bits, record, shard.floats, p)
    row = cell[C_OUT]
    x, y, entered, left, emit = work.x_value, work.y_value, work.entered, work.left, work.emit
    narrow = n <= 2
    high = p[n - 1] if n > 0 else 0.0
    low = p[0] if n == 2 else 0.0
    e = 0
    for i in range(i0, i1):
        while e < left[i] or j < entered[i]:
            if e < left[i]:
                v = -y[e]
                if mean:
                    count -= work.y_ok[e]
                e += 1
            else:
                v = x[lane, j]
                if mean:
                    count += work.x_ok[lane, j]
                j += 1
            if narrow:
                high, error = exact.two_sum(high, v)
                low, rest = exact.two_sum(low, error)
                if rest != 0.0:
                    narrow = False
                    n = exact.add(p, 0, rest)
                    n = exact.add(p, n, low)
                    n = exact.add(p, n, high)
            elif v != 0.0:
                n = exact.add(p, n, v)
        if emit[i] >= 0 and not (silent and i == i1 - 1):
            value = high + low if narrow else exact.rounded(p, n)
            if mean:
                value = value / count if count > 0 else NAN
            out[row, emit[i]] = value
    if keep:
        if narrow:
            n = exact.add(p, 0, low)
            n = exact.add(p, n, high)
        exact.store(reals, bits, record, shard.floats, shard.heap, p, n)
        if mean:
            bits[at] = count


@kernel("Work, pair, float, float")
def _moments_add(work, n, x, sign):
    """Add ``sign * x`` and ``sign * x^2`` to the partials in p and q; their counts."""
    np_, nq = n
    np_ = exact.add(work.p, np_, sign * x)
    nq = exact.add_product(work.q, nq, sign * x, x)
    return np_, nq


@kernel("int, int, Work, pair")
def variance(count, huge, work, n):
    """The sample variance from exact moments in p and q; NaN below two values."""
    if count < 2:
        return NAN
    if huge > 0:
        return float("inf")
    spread = exact.scaled_difference(float(count), work.q, n[1], work.p, n[0], work.p, n[0], work.w)
    return spread / (float(count) * float(count - 1))


@kernel("Shard, ints, Work, int, int, int, int, int, bool, bool, floats2")
def _var(shard, cell, work, key, lane, i0, i1, j, silent, keep, out):
    bits, reals = shard.bits[key], shard.reals[key]
    at = cell[C_REALS]
    count, huge = bits[at], bits[at + 1]
    n = (
        exact.load(reals, bits, at + 2, shard.floats, work.p),
        exact.load(reals, bits, at + 2 + exact.RECORD, shard.floats, work.q),
    )
    e = 0
    for i in range(i0, i1):
        while e < work.left[i]:
            if work.y_ok[e]:
                count -= 1
                if abs(work.y_value[e]) > HUGE:
                    huge -= 1
                else:
                    n = _moments_add(work, n, work.y_value[e], -1.0)
            e += 1
        while j < work.entered[i]:
            if work.x_ok[lane, j]:
                count += 1
                if abs(work.x_value[lane, j]) > HUGE:
                    huge += 1
                else:
                    n = _moments_add(work, n, work.x_value[lane, j], 1.0)
            j += 1
        if work.emit[i] >= 0 and not (silent and i == i1 - 1):
            value = variance(count, huge, work, n)
            out[cell[C_OUT], work.emit[i]] = math.sqrt(value) if cell[C_OP] == STD else value
    if keep:
        bits[at], bits[at + 1] = count, huge
        exact.store(reals, bits, at + 2, shard.floats, shard.heap, work.p, n[0])
        exact.store(reals, bits, at + 2 + exact.RECORD, shard.floats, shard.heap, work.q, n[1])


@kernel("Work, four, int, float, float")
def trend_add(work, n, time, x, sign):
    """Add one point to sum(t), sum(t^2), sum(x), sum(tx), held in p, q, r, s; their counts."""
    t = float(time - ANCHOR)
    return (
        exact.add(work.p, n[0], sign * t),
        exact.add_product(work.q, n[1], sign * t, t),
        exact.add(work.r, n[2], sign * x),
        exact.add_product(work.s, n[3], sign * t, x),
    )


@kernel("int, int, Work, four")
def slope(count, huge, work, n):
    """The least-squares slope per day; NaN below two distinct times."""
    if count < 2 or huge > 0:
        return NAN
    spread = exact.scaled_difference(float(count), work.q, n[1], work.p, n[0], work.p, n[0], work.w)
    if spread <= 0.0:
        return NAN
    joint = exact.scaled_difference(float(count), work.s, n[3], work.p, n[0], work.r, n[2], work.w)
    return joint / spread * DAY


@kernel("Shard, ints, Work, int, int, int, int, int, bool, bool, floats2")
def _trend(shard, cell, work, key, lane, i0, i1, j, silent, keep, out):
    bits, reals = shard.bits[key], shard.reals[key]
    at, size = cell[C_REALS], exact.RECORD
    count, huge = bits[at], bits[at + 1]
    n = (
        exact.load(reals, bits, at + 2, shard.floats, work.p),
        exact.load(reals, bits, at + 2 + size, shard.floats, work.q),
        exact.load(reals, bits, at + 2 + 2 * size, shard.floats, work.r),
        exact.load(reals, bits, at + 2 + 3 * size, shard.floats, work.s),
    )
    e = 0
    for i in range(i0, i1):
        while e < work.left[i]:
            if work.y_ok[e]:
                count -= 1
                if abs(work.y_value[e]) > HUGE:
                    huge -= 1
                else:
                    n = trend_add(work, n, work.y_time[e], work.y_value[e], -1.0)
            e += 1
        while j < work.entered[i]:
            if work.x_ok[lane, j]:
                count += 1
                if abs(work.x_value[lane, j]) > HUGE:
                    huge += 1
                else:
                    n = trend_add(work, n, work.x_time[j], work.x_value[lane, j], 1.0)
            j += 1
        if work.emit[i] >= 0 and not (silent and i == i1 - 1):
            out[cell[C_OUT], work.emit[i]] = slope(count, huge, work, n)
    if keep:
        bits[at], bits[at + 1] = count, huge
        exact.store(reals, bits, at + 2, shard.floats, shard.heap, work.p, n[0])
        exact.store(reals, bits, at + 2 + size, shard.floats, shard.heap, work.q, n[1])
        exact.store(reals, bits, at + 2 + 2 * size, shard.floats, shard.heap, work.r, n[2])
        exact.store(reals, bits, at + 2 + 3 * size, shard.floats, shard.heap, work.s, n[3])


@kernel("int, float, int, int")
def term(time, x, half, rung):
    """The event's side of a decayed term, on the rung ``rung`` of half-lives."""
    k, f = decay.rung(time, half)
    y = x * decay.power(f)
    return math.ldexp(y, k - rung)


@kernel("Shard, ints, Work, int, int, int, int, int, bool, bool, floats2")
def _decayed(shard, cell, work, key, lane, i0, i1, j, silent, keep, out):
    bits, reals = shard.bits[key], shard.reals[key]
    at, half = cell[C_REALS], cell[C_HALF]
    count, rung = bits[at], bits[at + 1]
    p = work.p
    n = exact.load(reals, bits, at + 2, shard.floats, p)
    e = 0
    for i in range(i0, i1):
        while e < work.left[i]:
            if work.y_ok[e]:
                count -= 1
                n = exact.add(p, n, -term(work.y_time[e], work.y_value[e], half, rung))
            e += 1
        now = work.time[i] - cell[C_DELAY]
        quiet = silent and i == i1 - 1
        if j < work.entered[i] or not quiet:
            if count == 0:
                n = 0
            top = now // half
            if top != rung:
                for k in range(n):
                    p[k] = math.ldexp(p[k], rung - top)
                rung = top
        while j < work.entered[i]:
            if work.x_ok[lane, j]:
                count += 1
                n = exact.add(p, n, term(work.x_time[j], work.x_value[lane, j], half, rung))
            j += 1
        if work.emit[i] >= 0 and not quiet:
            value = exact.rounded(p, n) * decay.fade(now, half) if count > 0 else NAN
            out[cell[C_OUT], work.emit[i]] = value
    if keep:
        bits[at], bits[at + 1] = count, rung
        exact.store(reals, bits, at + 2, shard.floats, shard.heap, p, n)


@kernel("Shard, ints, Work, int, int, int, int, int, bool, bool, floats2")
def _extreme(shard, cell, work, key, lane, i0, i1, j, silent, keep, out):
    """Minimum and maximum of a window; one since forever is a single number."""
    ints, reals = shard.ints, shard.reals
    sign = 1.0 if cell[C_OP] == MIN else -1.0
    at, over = cell[C_INTS], cell[C_OVER]
    best = reals[key, cell[C_REALS]] if over < 0 else NAN
    head = ints[key, at + deque.HEAD] if over >= 0 else 0
    for i in range(i0, i1):
        bound = work.time[i] - cell[C_DELAY] - over
        if over >= 0:
            head = deque.front(shard, key, at, bound)
            if keep:
                ints[key, at + deque.HEAD] = head
        while j < work.entered[i]:
            if work.x_ok[lane, j]:
                v = sign * work.x_value[lane, j]
                if over < 0:
                    if not (best <= v):
                        best = v
                elif work.x_time[j] > bound:
                    deque.push(shard, key, at, work.x_time[j], v)
                    head = ints[key, at + deque.HEAD]
            j += 1
        if work.emit[i] >= 0 and not (silent and i == i1 - 1):
            if over >= 0:
                inside = head < ints[key, at + deque.END]
                address = ints[key, at + deque.ADDRESS] + deque.ENTRY * head + 1
                best = shard.floats[address] if inside else NAN
            out[cell[C_OUT], work.emit[i]] = sign * best
    if keep and over < 0:
        reals[key, cell[C_REALS]] = best


@kernel("ints, int, Work, int, int, int, floats2, ints2")
def write_code(cell, kind, work, i, time, value, out, outs):
    """A first or last value, or the seconds since it; ``time`` NEVER: there is none."""
    row, e = cell[C_OUT], work.emit[i]
    since = cell[C_OP] == SINCE_FIRST or cell[C_OP] == SINCE_LAST
    if since:
        out[row, e] = (work.time[i] - time) / MICROSECONDS if time != NEVER else NAN
    elif time != NEVER:
        outs[row, e] = value
    elif kind == NUMBER:
        out[row, e] = NAN
    else:
        outs[row, e] = NULL


@kernel("Shard, ints, Work, int, int, int, int, int, int, bool, bool, floats2, ints2")
def _edge(shard, cell, work, key, lane, kind, i0, i1, j, silent, keep, out, outs):
    """The last value of any window, or the first since forever: a single remembered event."""
    bits = shard.bits[key]
    at, over = cell[C_REALS], cell[C_OVER]
    time, value = bits[at], bits[at + 1]
    last = cell[C_OP] == LAST or cell[C_OP] == SINCE_LAST
    for i in range(i0, i1):
        while j < work.entered[i]:
            if work.x_ok[lane, j]:
                t = work.x_time[j]
                if time == NEVER or (last and t >= time) or (not last and t < time):
                    time, value = t, work.x_bits[lane, j]
            j += 1
        if work.emit[i] >= 0 and not (silent and i == i1 - 1):
            gone = over >= 0 and time <= work.time[i] - cell[C_DELAY] - over
            write_code(cell, kind, work, i, NEVER if gone else time, value, out, outs)
    if keep:
        bits[at], bits[at + 1] = time, value


@kernel("Shard, Tables, int, int, int, int")
def counts(shard, tables, lane, address, slot, capacity):
    """Whether the stored event takes part in a lane."""
    row = tables.lanes[lane]
    columns = tables.shape[SHAPE.columns]
    if row[L_FLAG] >= 0:
        if shard.bytes[(address + (2 + columns) * capacity) * 8 + row[L_FLAG] * capacity + slot] == 0:
            return False
    if row[L_KIND] == UNIT:
        return True
    value = address + (2 + row[L_COLUMN]) * capacity + slot
    if row[L_KIND] == NUMBER:
        return shard.floats[value] == shard.floats[value]
    return shard.words[value] != NULL


@kernel("Shard, Tables, ints, Work, int, int, int, int, int, bool, bool, floats2, ints2")
def _first(shard, tables, cell, work, key, lane, kind, i0, i1, silent, keep, out, outs):
    """The first value of a window: a cursor that walks over what left or does not count."""
    ints, words = shard.ints, shard.words
    d, s = ints[key, cell[C_INTS]], ints[key, cell[C_INTS] + 1]
    column = tables.lanes[lane][L_COLUMN]
    for i in range(i0, i1):
        until = work.time[i] - cell[C_DELAY]
        time, value = NEVER, 0
        while True:
            d, s = timeline.normal(shard, key, d, s)
            if d >= ints[key, LENGTH]:
                break
            at = timeline.entry(shard, key, d)
            if s >= words[at + 1]:
                break
            address, capacity = words[at], words[at + 2]
            if words[address + s] > until or words[address + capacity + s] > work.offset[i]:
                break
            if words[address + s] > until - cell[C_OVER] and counts(
                shard, tables, lane, address, s, capacity
            ):
                time = words[address + s]
                value = words[address + (2 + column) * capacity + s] if kind != UNIT else 0
                break
            s += 1
        if work.emit[i] >= 0 and not (silent and i == i1 - 1):
            write_code(cell, kind, work, i, time, value, out, outs)
    if keep:
        ints[key, cell[C_INTS]], ints[key, cell[C_INTS] + 1] = d, s


@kernel("Shard, ints, Work, int, int, int, int, int, bool, ints2")
def _distinct(shard, cell, work, key, lane, i0, i1, j, silent, outs):
    e = 0
    at = cell[C_INTS]
    for i in range(i0, i1):
        while e < work.left[i]:
            if work.y_ok[e]:
                multiset.drop(shard, key, at, work.y_bits[e])
            e += 1
        while j < work.entered[i]:
            if work.x_ok[lane, j]:
                multiset.put(shard, key, at, work.x_bits[lane, j])
            j += 1
        if work.emit[i] >= 0 and not (silent and i == i1 - 1):
            outs[cell[C_OUT], work.emit[i]] = shard.ints[key, at + multiset.USED]


@kernel("Shard, ints, Work, int, int")
def undo(shard, cell, work, key, lane):
    """Take back what ``run`` did to a table or ranking over a single item: readings leave no trace."""
    at = cell[C_INTS]
    for j in range(work.entered[0]):
        if work.x_ok[lane, j]:
            if cell[C_OP] == DISTINCT:
                multiset.drop(shard, key, at, work.x_bits[lane, j])
            else:
                ranked.drop(shard, key, at, work.x_value[lane, j])
    for e in range(work.left[0]):
        if work.y_ok[e]:
            if cell[C_OP] == DISTINCT:
                multiset.put(shard, key, at, work.y_bits[e])
            else:
                ranked.put(shard, key, at, work.y_value[e])


@kernel("Shard, ints, float, Work, int, int, int, int, int, bool, floats2")
def _quantile(shard, cell, q, work, key, lane, i0, i1, j, silent, out):
    e = 0
    at = cell[C_INTS]
    for i in range(i0, i1):
        while e < work.left[i]:
            if work.y_ok[e]:
                ranked.drop(shard, key, at, work.y_value[e])
            e += 1
        while j < work.entered[i]:
            if work.x_ok[lane, j]:
                ranked.put(shard, key, at, work.x_value[lane, j])
            j += 1
        if work.emit[i] >= 0 and not (silent and i == i1 - 1):
            out[cell[C_OUT], work.emit[i]] = ranked.quantile(shard, key, at, q)


@kernel("Shard, Tables, int, Work, int, int, int, int, bool, bool, floats2, ints2")
def run(shard, tables, c, work, key, i0, i1, j, silent, keep, out, outs):
    """Run cell ``c`` over items i0 .. i1-1; ``j`` values have entered before. ``outs`` is ``out`` as int64."""
    cell = tables.cells[c]
    op, lane = cell[C_OP], cell[C_LANE]
    kind = tables.lanes[lane, L_KIND]
    if op == COUNT:
        _count(shard, cell, work, key, lane, i0, i1, j, silent, keep, outs)
    elif op == SUM or op == MEAN:
        _sum(shard, cell, work, key, lane, i0, i1, j, silent, keep, out)
    elif op == VAR or op == STD:
        _var(shard, cell, work, key, lane, i0, i1, j, silent, keep, out)
    elif op == TREND:
        _trend(shard, cell, work, key, lane, i0, i1, j, silent, keep, out)
    elif op == MIN or op == MAX:
        _extreme(shard, cell, work, key, lane, i0, i1, j, silent, keep, out)
    elif op == DECAYED:
        _decayed(shard, cell, work, key, lane, i0, i1, j, silent, keep, out)
    elif op == DISTINCT:
        _distinct(shard, cell, work, key, lane, i0, i1, j, silent, outs)
    elif op == QUANTILE:
        _quantile(shard, cell, tables.params[c], work, key, lane, i0, i1, j, silent, out)
    elif (op == FIRST or op == SINCE_FIRST) and cell[C_OVER] >= 0:
        _first(shard, tables, cell, work, key, lane, kind, i0, i1, silent, keep, out, outs)
    else:
        _edge(shard, cell, work, key, lane, kind, i0, i1, j, silent, keep, out, outs)
