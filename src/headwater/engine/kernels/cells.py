"""The accumulators: one small loop per operation, along the tape of a window.

``process`` lays out what leaves and enters a window as a tape (``layout.Work``). Each loop here has the
same shape, and no branch that depends on the data in the hottest of them::

    for each step of the tape:  take out or put in  ->  note the value if the window is read here

Every operation is a pure function of what is inside: counts and extremes are exact, sums are held in
partials that lose nothing (``exact``), so taking out undoes putting in. With ``keep`` off nothing is
written back: that is how a reading changes no state. Called by ``process``; the record of each
operation (words in ``reals``/``ints``) is sized in ``engine.plan``.
"""

from __future__ import annotations

import math

from headwater.engine.kernels import decay, deque, exact, lanes, moments, multiset, ranked, timeline
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
    SINCE_FIRST,
    SINCE_LAST,
    STD,
    SUM,
    TREND,
    VAR,
    Float64,
    Int64,
    Shard,
    Tables,
    Work,
)

NAN = float("nan")
MICROSECONDS = 1e6


@kernel("Shard, ints, Work, int, int, bool")
def _count(shard: Shard, cell: Int64, work: Work, key: int, n: int, keep: bool) -> None:
    step, end, whole = work.step, work.end, work.whole
    count = shard.bits[key, cell[C_REALS]]
    e = 0
    for k in range(n):
        count += step[k]
        whole[e] = count
        e += end[k]
    if keep:
        shard.bits[key, cell[C_REALS]] = count


@kernel("Shard, int, Work, int, int, bool")
def _sum(shard: Shard, at: int, work: Work, key: int, n: int, keep: bool) -> None:
    """The hot one: two partials in registers for as long as nothing is lost, then all of them."""
    bits, reals, p = shard.bits[key], shard.reals[key], work.p
    signed, end, line = work.signed, work.end, work.line
    partials = exact.load(reals, bits, at, shard.floats, p)
    high = p[partials - 1] if partials > 0 else 0.0
    low = p[0] if partials == 2 else 0.0
    e = 0
    k = 0
    if partials <= 2:
        while k < n:
            high, error = exact.two_sum(high, signed[k])
            low, rest = exact.two_sum(low, error)
            if rest != 0.0:
                break
            line[e] = high + low
            e += end[k]
            k += 1
        partials = exact.add(p, 0, rest) if k < n else 0
        partials = exact.add(p, partials, low)
        partials = exact.add(p, partials, high)
        if k < n:
            line[e] = exact.rounded(p, partials)
            e += end[k]
            k += 1
    for i in range(k, n):
        if signed[i] != 0.0:
            partials = exact.add(p, partials, signed[i])
        if end[i] != 0:
            line[e] = exact.rounded(p, partials)
            e += 1
    if keep:
        exact.store(reals, bits, at, shard.floats, shard.heap, p, partials)


@kernel("Shard, ints, Work, int, int, bool")
def _mean(shard: Shard, cell: Int64, work: Work, key: int, n: int, keep: bool) -> None:
    """The sum, then divided by the count of values at each reading."""
    at = cell[C_REALS]
    count = shard.bits[key, at]
    _sum(shard, at + 1, work, key, n, keep)
    e = 0
    for k in range(n):
        count += work.step[k]
        if work.end[k] != 0:
            work.line[e] = work.line[e] / count if count > 0 else NAN
            e += 1
    if keep:
        shard.bits[key, at] = count


@kernel("Shard, ints, Work, int, int, bool")
def _var(shard: Shard, cell: Int64, work: Work, key: int, n: int, keep: bool) -> None:
    root = cell[C_OP] == STD
    moments.spread(
        shard.floats, shard.heap, shard.reals[key], shard.bits[key], cell[C_REALS], work, n, root, keep
    )


@kernel("Shard, ints, Work, int, int, bool")
def _trend(shard: Shard, cell: Int64, work: Work, key: int, n: int, keep: bool) -> None:
    over = cell[C_OVER]
    moments.trend(
        shard.floats, shard.heap, shard.reals[key], shard.bits[key], cell[C_REALS], work, n, over, keep
    )


@kernel("int, float, int, int")
def term(time: int, x: float, half: int, rung: int) -> float:
    """The event's side of a decayed term, on the rung ``rung`` of half-lives."""
    k, f = decay.rung(time, half)
    y = x * decay.power(f)
    return math.ldexp(y, int(k - rung))


@kernel("Shard, ints, Work, int, int, bool")
def _decayed(shard: Shard, cell: Int64, work: Work, key: int, n: int, keep: bool) -> None:
    """The terms stand on the rung of the newest of them; a reading fades their sum from there to now."""
    bits, reals, p = shard.bits[key], shard.reals[key], work.p
    at, half = cell[C_REALS], cell[C_HALF]
    count, rung = bits[at], bits[at + 1]
    partials = exact.load(reals, bits, at + 2, shard.floats, p)
    e = 0
    for k in range(n):
        step = work.step[k]
        if step > 0 and (count == 0 or work.when[k] // half > rung):
            top = work.when[k] // half
            for j in range(partials):
                p[j] = math.ldexp(p[j], int(rung - top))
            rung = top
        if step != 0:
            count += step
            partials = exact.add(p, partials, term(work.when[k], work.signed[k], half, rung))
            partials = 0 if count == 0 else partials
        if work.end[k] != 0:
            now = work.time[work.item[k]] - cell[C_DELAY]
            faded = exact.rounded(p, partials) * decay.fade(now, half)
            work.line[e] = math.ldexp(faded, int(rung - now // half)) if count > 0 else NAN
            e += 1
    if keep:
        bits[at], bits[at + 1] = count, rung if count > 0 else 0
        exact.store(reals, bits, at + 2, shard.floats, shard.heap, p, partials)


@kernel("Work, int, int")
def write_nothing(work: Work, e: int, kind: int) -> None:
    """Note that there is no value."""
    if kind == NUMBER:
        work.line[e] = NAN
    else:
        work.whole[e] = NULL


@kernel("Shard, ints, int, Work, int, int, bool")
def _extreme_ever(shard: Shard, cell: Int64, kind: int, work: Work, key: int, n: int, keep: bool) -> None:
    """Minimum or maximum since forever: a single value."""
    bits, at, op = shard.bits[key], cell[C_REALS], cell[C_OP]
    some, best = bits[at], bits[at + 1]
    e = 0
    for k in range(n):
        if work.step[k] != 0:
            rank = lanes.to_rank(work.bits[k], kind, op)
            if some == 0 or rank < best:
                best = rank
            some = 1
        if work.end[k] != 0:
            if some != 0:
                work.whole[e] = lanes.from_rank(best, kind, op)
            else:
                write_nothing(work, e, kind)
            e += 1
    if keep:
        bits[at], bits[at + 1] = some, best


@kernel("Shard, Tables, ints, int, Work, int, int, bool")
def _extreme(
    shard: Shard, tables: Tables, cell: Int64, kind: int, work: Work, key: int, n: int, keep: bool
) -> None:
    """Minimum or maximum of a window, from its queue, which is held in registers along the tape.

    With ``keep`` off nothing enters, and nothing changes.
    """
    words, at, op = shard.words, cell[C_INTS], cell[C_OP]
    reach = cell[C_DELAY] + cell[C_OVER]
    address, space = deque.block(shard, key, at)
    head, end, exact, newest = deque.opened(shard, key, at)
    last = shard.ints[key, at + deque.LAST]
    e = 0
    for k in range(n):
        i = work.item[k]
        bound = work.time[i] - reach
        while exact > 0 and keep and words[address + deque.ENTRY * head] <= bound:
            head += 1
            exact -= 1
        if head < end and keep and words[address + deque.ENTRY * head] <= bound:
            deque.close(shard, key, at, (head, end, exact, newest), last)
            deque.advance(shard, tables, cell, key, at, bound, work.offset[i])
            address, space = deque.block(shard, key, at)
            head, end, exact, newest = deque.opened(shard, key, at)
        if work.step[k] != 0 and work.when[k] > bound and keep:
            time, rank = work.when[k], lanes.to_rank(work.bits[k], kind, op)
            if end == space or (time < last and head < end):
                deque.close(shard, key, at, (head, end, exact, newest), last)
                deque.push(shard, key, at, time, rank)
                address, space = deque.block(shard, key, at)
                head, end, exact, newest = deque.opened(shard, key, at)
                last = shard.ints[key, at + deque.LAST]
            else:
                queue = (head, end, exact, newest)
                head, end, exact, newest = deque.append(words, address, queue, last, time, rank)
                last = time
        if work.end[k] != 0:
            found = head < end
            rank = words[address + deque.ENTRY * head + 1] if found else 0
            if not keep:
                rank, found = deque.glance(shard, tables, cell, key, at, bound, work.offset[i])
            if found:
                work.whole[e] = lanes.from_rank(rank, kind, op)
            else:
                write_nothing(work, e, kind)
            e += 1
    if keep:
        deque.close(shard, key, at, (head, end, exact, newest), last)


@kernel("ints, int, Work, int, int, int, int")
def write_code(cell: Int64, kind: int, work: Work, e: int, now: int, time: int, value: int) -> None:
    """Note a first or last value, or the seconds since it; ``time`` NEVER: there is none."""
    if cell[C_OP] == SINCE_FIRST or cell[C_OP] == SINCE_LAST:
        work.line[e] = (now - time) / MICROSECONDS if time != NEVER else NAN
    elif time != NEVER:
        work.whole[e] = value
    else:
        write_nothing(work, e, kind)


@kernel("Shard, ints, int, Work, int, int, bool")
def _edge(shard: Shard, cell: Int64, kind: int, work: Work, key: int, n: int, keep: bool) -> None:
    """The last value of any window, or the first since forever: a single remembered event."""
    bits, at, over = shard.bits[key], cell[C_REALS], cell[C_OVER]
    time, value = bits[at], bits[at + 1]
    last = cell[C_OP] == LAST or cell[C_OP] == SINCE_LAST
    e = 0
    for k in range(n):
        if work.step[k] != 0:
            t = work.when[k]
            if time == NEVER or (last and t >= time) or (not last and t < time):
                time, value = t, work.bits[k]
        if work.end[k] != 0:
            now = work.time[work.item[k]]
            gone = over >= 0 and time <= now - cell[C_DELAY] - over
            write_code(cell, kind, work, e, now, NEVER if gone else time, value)
            e += 1
    if keep:
        bits[at], bits[at + 1] = time, value


@kernel("Shard, Tables, ints, Work, int, int, int, int")
def _walk_first(
    shard: Shard, tables: Tables, cell: Int64, work: Work, key: int, i: int, d: int, s: int
) -> tuple[int, int, int, int]:
    """From (d, s) on, the first event that counts in the window of item ``i``: (d, s, time, bits)."""
    ints, words, lane = shard.ints, shard.words, cell[C_LANE]
    until = work.time[i] - cell[C_DELAY]
    while True:
        d, s = timeline.normal(shard, key, d, s)
        if d >= ints[key, LENGTH]:
            return d, s, NEVER, 0
        at = timeline.entry(shard, key, d)
        address, capacity = words[at], words[at + 2]
        if s >= words[at + 1] or words[address + s] > until:
            return d, s, NEVER, 0
        if timeline.offset(shard, tables.shape, address, s, capacity) > work.offset[i]:
            return d, s, NEVER, 0
        time = words[address + s]
        if time > until - cell[C_OVER] and lanes.counts(shard, tables, lane, address, s, capacity):
            return d, s, time, lanes.bits(shard, tables, lane, address, s, capacity)
        s += 1


@kernel("Shard, Tables, ints, int, Work, int, int, bool")
def _first(
    shard: Shard, tables: Tables, cell: Int64, kind: int, work: Work, key: int, n: int, keep: bool
) -> None:
    """The first value of a window: a cursor that walks over what left or does not count."""
    ints = shard.ints
    d, s = ints[key, cell[C_INTS]], ints[key, cell[C_INTS] + 1]
    e = 0
    for k in range(n):
        if work.end[k] != 0:
            i = work.item[k]
            d, s, time, value = _walk_first(shard, tables, cell, work, key, i, d, s)
            write_code(cell, kind, work, e, work.time[i], time, value)
            e += 1
    if keep:
        ints[key, cell[C_INTS]], ints[key, cell[C_INTS] + 1] = d, s


@kernel("Shard, ints, Work, int, int")
def _distinct(shard: Shard, cell: Int64, work: Work, key: int, n: int) -> None:
    at, whole = cell[C_INTS], work.whole  # in front what was read, from step k on the mixed bits
    fetched = multiset.prepare(shard, key, at, work.bits, work.step, whole, n)
    work.w[0] = fetched  # else the compiler would not fetch it
    e = 0
    for k in range(n):
        if work.step[k] > 0:
            multiset.put(shard, key, at, whole[k])
        elif work.step[k] < 0:
            multiset.drop(shard, key, at, whole[k])
        if work.end[k] != 0:
            whole[e] = shard.ints[key, at + multiset.DIFFERENT]
            e += 1


@kernel("Shard, Tables, ints, float, Work, int, int")
def _quantile(shard: Shard, tables: Tables, cell: Int64, q: float, work: Work, key: int, n: int) -> None:
    at = cell[C_INTS]
    e = 0
    for k in range(n):
        if work.step[k] > 0:
            ranked.put(shard, key, at, work.signed[k], q, cell[C_OVER] >= 0)
        elif work.step[k] < 0:
            ranked.drop(shard, key, at, -work.signed[k])
        if work.end[k] != 0:
            i = work.item[k]
            work.line[e] = ranked.quantile(shard, tables, cell, key, q, work.time[i], work.offset[i])
            e += 1


@kernel("Shard, Tables, int, Work, int, int, bool")
def _dispatch(shard: Shard, tables: Tables, c: int, work: Work, key: int, n: int, keep: bool) -> None:
    cell = tables.cells[c]
    op, over, kind = cell[C_OP], cell[C_OVER], tables.lanes[cell[C_LANE], L_KIND]
    if op == COUNT:
        _count(shard, cell, work, key, n, keep)
    elif op == SUM:
        _sum(shard, cell[C_REALS], work, key, n, keep)
    elif op == MEAN:
        _mean(shard, cell, work, key, n, keep)
    elif op == VAR or op == STD:
        _var(shard, cell, work, key, n, keep)
    elif op == TREND:
        _trend(shard, cell, work, key, n, keep)
    elif (op == MIN or op == MAX) and over < 0:
        _extreme_ever(shard, cell, kind, work, key, n, keep)
    elif op == MIN or op == MAX:
        _extreme(shard, tables, cell, kind, work, key, n, keep)
    elif op == DECAYED:
        _decayed(shard, cell, work, key, n, keep)
    elif op == DISTINCT:
        _distinct(shard, cell, work, key, n)
    elif op == QUANTILE:
        _quantile(shard, tables, cell, tables.params[c], work, key, n)
    elif (op == FIRST or op == SINCE_FIRST) and over >= 0:
        _first(shard, tables, cell, kind, work, key, n, keep)
    else:
        _edge(shard, cell, kind, work, key, n, keep)


@kernel("Shard, Tables, int, Work, int, int, int, int, bool, floats2")
def run(
    shard: Shard,
    tables: Tables,
    c: int,
    work: Work,
    key: int,
    n: int,
    first: int,
    ends: int,
    keep: bool,
    out: Float64,
) -> None:
    """Run cell ``c`` along a tape of ``n`` steps; its ``ends`` readings go to ``out`` from ``first`` on."""
    _dispatch(shard, tables, c, work, key, n, keep)
    row = tables.cells[c, C_OUT]
    for e in range(ends):
        out[row, first + e] = work.line[e]
