"""The driver: items of a key, in order of the log, through timeline and cells.

Items that come in order are taken in *segments*: all events of a segment are appended to the timeline
first, then each window works out once what leaves it and when, and each cell runs its own tight loop::

    items      i0   i1   i2   i3              t0 <= t1 <= t2 <= t3
    entered     1    2    2    3   (so far; i2 is a reading)
    left        0    0    2    2

A late event is written into its place and handed to the cells of the windows that still cover it. A
reading older than the key's frontier is answered from the window's contents. Called by ``engine.state``.
"""

from __future__ import annotations

from headwater.engine.kernels import cells, contents, deque, exact, multiset, ranked, timeline
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import (
    C_DELAY,
    C_INTS,
    C_LANE,
    C_OP,
    C_OVER,
    CURSORS,
    DISTINCT,
    ENTRY,
    FORGOTTEN,
    FRONTIER,
    G_CURSOR,
    G_DELAY,
    G_END,
    G_FIRST,
    HEAD,
    L_COLUMN,
    L_FLAG,
    L_KIND,
    LARGEST,
    LENGTH,
    MAX,
    MIN,
    NULL,
    NUMBER,
    P_END,
    P_FIRST,
    P_LANE,
    PASS,
    QUANTILE,
    SEGMENT,
    SHAPE,
    UNIT,
    W_CURSOR,
    W_END,
    W_FIRST,
    W_OVER,
)


NEWEST = 2**62  # an offset that is later than any


@kernel("Shard, Tables, int, int")
def demand(shard, tables, key, m):
    """Arena words that ``m`` further items of ``key`` can need at most."""
    shape, ints = tables.shape, shard.ints
    chunks = m // 32 + 3
    need = exact.MOST * shape[SHAPE.exacts] + 64
    if shape[SHAPE.keep] >= 0:
        need += chunks * timeline.chunk_words(shape, LARGEST)
        need += 4 * ENTRY * (ints[key, LENGTH] - ints[key, HEAD] + chunks + 2)
    for c in range(tables.cells.shape[0]):
        op, over = tables.cells[c, C_OP], tables.cells[c, C_OVER]
        at = tables.cells[c, C_INTS]
        if (op == MIN or op == MAX) and over >= 0:
            need += deque.demand(shard, key, at, m)
        elif op == DISTINCT:
            need += multiset.demand(shard, key, at, m)
        elif op == QUANTILE:
            need += ranked.demand(shard, key, at, m)
    return need


@kernel("Tables, Work, Items, int, int, int")
def _enter_item(tables, work, items, i, j, lane):
    """Put item ``i``, an event, at ``j`` of a lane's values that enter."""
    row = tables.lanes[lane]
    ok = row[L_FLAG] < 0 or items.flags[row[L_FLAG], i] != 0
    if row[L_KIND] == UNIT:
        work.x_ok[lane, j] = ok
        work.x_value[lane, j] = 1.0
        work.x_bits[lane, j] = 0
        return
    bits = items.columns[row[L_COLUMN], i]
    work.x_bits[lane, j] = bits
    if row[L_KIND] == NUMBER:
        value = items.values[row[L_COLUMN], i]
        ok = ok and value == value
        work.x_value[lane, j] = value if ok else 0.0
    else:
        ok = ok and bits != NULL
    work.x_ok[lane, j] = ok


@kernel("Shard, Tables, int, ints2, int, floats, ints, bytes")
def _enter_stored(shard, tables, lane, places, n, value_out, bits_out, ok_out):
    """Gather a lane of stored events, given their places."""
    row = tables.lanes[lane]
    kind, columns = row[L_KIND], tables.shape[SHAPE.columns]
    flag, column = row[L_FLAG], row[L_COLUMN]
    for k in range(n):
        address, slot, capacity = places[k, 0], places[k, 1], places[k, 2]
        ok = True
        if flag >= 0:
            ok = shard.bytes[(address + (2 + columns) * capacity) * 8 + flag * capacity + slot] != 0
        value = 1.0
        if kind != UNIT:
            at = address + (2 + column) * capacity + slot
            bits_out[k] = shard.words[at]
            if kind == NUMBER:
                value = shard.floats[at]
                ok = ok and value == value
            else:
                ok = ok and shard.words[at] != NULL
        else:
            bits_out[k] = 0
        value_out[k] = value if ok else 0.0
        ok_out[k] = ok


@kernel("Shard, int, int, int, int, int, int, ints2, ints")
def _walk(shard, key, d, s, bound, skip_after, n, places, times):
    """Collect the places of events up to ``bound``, from (d, s) on, until ``places`` is full.

    Events later than ``skip_after`` are passed over. Returns the new place, the count, and whether all
    were collected.
    """
    words, length = shard.words, shard.ints[key, LENGTH]
    while d < length:
        at = timeline.entry(shard, key, d)
        address, count, capacity = words[at], words[at + 1], words[at + 2]
        while s < count:
            time = words[address + s]
            if time > bound:
                return d, s, n, True
            if time <= skip_after:
                if n == PASS:
                    return d, s, n, False
                places[n, 0], places[n, 1], places[n, 2] = address, s, capacity
                times[n] = time
                n += 1
            s += 1
        if d + 1 == length:
            break
        d += 1
        s = 0
    return d, s, n, True


@kernel("Shard, int, int, int, int, int, int, ints2, ints")
def _walk_in(shard, key, d, s, bound, expired, n, places, times):
    """As ``_walk`` for events that enter: those at or before ``expired`` are passed over."""
    words, length = shard.words, shard.ints[key, LENGTH]
    while d < length:
        at = timeline.entry(shard, key, d)
        address, count, capacity = words[at], words[at + 1], words[at + 2]
        while s < count:
            time = words[address + s]
            if time > bound:
                return d, s, n, True
            if time > expired:
                if n == PASS:
                    return d, s, n, False
                places[n, 0], places[n, 1], places[n, 2] = address, s, capacity
                times[n] = time
                n += 1
            s += 1
        if d + 1 == length:
            break
        d += 1
        s = 0
    return d, s, n, True


@kernel("Work, int, int")
def _frontier_before(work, i, frontier):
    return work.time[i - 1] if i > 0 else frontier


@kernel("Shard, Tables, Work, int, int, int")
def _gather(shard, tables, work, lane, leaving, entering):
    """The values of a lane at the places that leave and enter."""
    if leaving > 0:
        _enter_stored(shard, tables, lane, work.y_place, leaving, work.y_value, work.y_bits, work.y_ok)
    if entering > 0:
        x_value, x_bits, x_ok = work.x_value[lane], work.x_bits[lane], work.x_ok[lane]
        _enter_stored(shard, tables, lane, work.x_place, entering, x_value, x_bits, x_ok)


@kernel("Shard, Tables, ints, Work, int, int, int, int, int, int, bool, bool, floats2, ints2")
def _run_pairs(shard, tables, window, work, key, i0, i1, j, leaving, entering, silent, keep, out, outs):
    """Run every cell of a window over a pass."""
    for pair in range(window[W_FIRST], window[W_END]):
        _gather(shard, tables, work, tables.pairs[pair, P_LANE], leaving, entering)
        for c in range(tables.pairs[pair, P_FIRST], tables.pairs[pair, P_END]):
            cells.run(shard, tables, c, work, key, i0, i1, j, silent, keep, out, outs)


@kernel("Shard, Tables, ints, Work, int, int, floats2, ints2")
def _window_prompt(shard, tables, window, work, key, n, out, outs):
    """A window without delay: items enter as they come."""
    over, cursor = window[W_OVER], CURSORS + 2 * window[W_CURSOR]
    if over < 0:
        for i in range(n):
            work.left[i] = 0
        _run_pairs(shard, tables, window, work, key, 0, n, 0, 0, 0, False, True, out, outs)
        return
    ints = shard.ints
    d, s = ints[key, cursor], ints[key, cursor + 1]
    i0 = 0
    j = 0
    while i0 < n:
        leaving = 0
        done = True
        i = i0
        while i < n:
            t = work.time[i] - over
            d, s, leaving, done = _walk(shard, key, d, s, t, t, leaving, work.y_place, work.y_time)
            work.left[i] = leaving
            if not done:
                break
            i += 1
        i1 = n if done else i + 1
        whole = work.entered[i1 - 1]
        if not done:
            work.entered[i] = work.entered[i - 1] if i > 0 else 0
        _run_pairs(shard, tables, window, work, key, i0, i1, j, leaving, 0, not done, True, out, outs)
        j = work.entered[i1 - 1]
        work.entered[i1 - 1] = whole
        i0 = n if done else i
    ints[key, cursor], ints[key, cursor + 1] = d, s


@kernel("Shard, int, ints, ints, Work, int, int, int, four")
def _fill_delayed(shard, key, group, window, work, frontier, i0, n, place):
    """Work out one pass of a delayed window from item ``i0`` on: leave first, then enter.

    ``place`` is (entering d, s, leaving d, s). An event that enters and leaves at the same item does
    neither. Returns the new places, the item that the pass ends in, the counts, and whether it is whole.
    """
    delay, over = group[G_DELAY], window[W_OVER]
    hd, hs, d, s = place
    leaving = 0
    entering = 0
    i = i0
    while i < n:
        bound = work.time[i] - delay
        expired = bound - over if over >= 0 else NULL
        done = True
        if over >= 0:
            entered_by = _frontier_before(work, i, frontier) - delay
            d, s, leaving, done = _walk(
                shard, key, d, s, expired, entered_by, leaving, work.y_place, work.y_time
            )
        work.left[i] = leaving
        work.entered[i] = entering
        if done:
            hd, hs, entering, done = _walk_in(
                shard, key, hd, hs, bound, expired, entering, work.x_place, work.x_time
            )
            work.entered[i] = entering
        if not done:
            return (hd, hs, d, s), i, leaving, entering, False
        i += 1
    return (hd, hs, d, s), n - 1, leaving, entering, True


@kernel("Shard, Tables, ints, ints, Work, int, int, int, floats2, ints2")
def _window_delayed(shard, tables, group, window, work, key, frontier, n, out, outs):
    """A window that ends ``delay`` ago; the place up to which events have entered."""
    ints = shard.ints
    enter, leave = CURSORS + 2 * group[G_CURSOR], CURSORS + 2 * window[W_CURSOR]
    over = window[W_OVER]
    d, s = (ints[key, leave], ints[key, leave + 1]) if over >= 0 else (0, 0)
    place = (ints[key, enter], ints[key, enter + 1], d, s)
    i0 = 0
    while i0 < n:
        place, last, leaving, entering, done = _fill_delayed(
            shard, key, group, window, work, frontier, i0, n, place
        )
        _run_pairs(
            shard, tables, window, work, key, i0, last + 1, 0, leaving, entering, not done, True, out, outs
        )
        i0 = n if done else last
    if over >= 0:
        ints[key, leave], ints[key, leave + 1] = place[2], place[3]
    return place[0], place[1]


@kernel("Shard, Tables, Items, int, int, int, Work, floats2, ints2")
def _segment(shard, tables, items, key, first, end, work, out, outs):
    """Take in a run of items in order, at most SEGMENT of them; how many."""
    shape, ints = tables.shape, shard.ints
    frontier = ints[key, FRONTIER]
    stores = shape[SHAPE.keep] >= 0
    prompt = tables.groups[0, G_DELAY] == 0
    now = frontier
    n = 0
    events = 0
    while first + n < end and n < SEGMENT and items.time[first + n] >= now:
        i = first + n
        now = items.time[i]
        work.time[n], work.offset[n], work.emit[n] = now, items.offset[i], items.emit[i]
        if items.kind[i] == 0:
            if stores:
                timeline.append(shard, shape, key, items, i)
            else:
                ints[key, FORGOTTEN] = now
            if prompt:
                work.x_time[events] = now
                for lane in range(tables.lanes.shape[0]):
                    _enter_item(tables, work, items, i, events, lane)
            events += 1
        work.entered[n] = events
        n += 1
    for g in range(tables.groups.shape[0]):
        group = tables.groups[g]
        d, s = 0, 0
        for w in range(group[G_FIRST], group[G_END]):
            if group[G_DELAY] == 0:
                _window_prompt(shard, tables, tables.windows[w], work, key, n, out, outs)
            else:
                d, s = _window_delayed(
                    shard, tables, group, tables.windows[w], work, key, frontier, n, out, outs
                )
        if group[G_DELAY] > 0:
            cursor = CURSORS + 2 * group[G_CURSOR]
            ints[key, cursor], ints[key, cursor + 1] = d, s
    ints[key, FRONTIER] = now
    if stores:
        timeline.forget(shard, shape, key, now - shape[SHAPE.keep])
    return n


@kernel("int, int, int, int")
def _covers(over, delay, time, frontier):
    """Whether a window at the frontier covers an event at ``time``."""
    return time <= frontier - delay and (over < 0 or time > frontier - delay - over)


@kernel("Shard, Tables, int, int, int, int, int")
def _settle_cursors(shard, tables, key, time, d, s, frontier):
    """After a late event was written at (d, s): decide for the cursors that stand there."""
    ints = shard.ints
    for g in range(tables.groups.shape[0]):
        delay = tables.groups[g, G_DELAY]
        if delay > 0:
            c = CURSORS + 2 * tables.groups[g, G_CURSOR]
            if ints[key, c] == d and ints[key, c + 1] == s and time <= frontier - delay:
                ints[key, c + 1] += 1
        for w in range(tables.groups[g, G_FIRST], tables.groups[g, G_END]):
            over = tables.windows[w, W_OVER]
            if over >= 0:
                c = CURSORS + 2 * tables.windows[w, W_CURSOR]
                if ints[key, c] == d and ints[key, c + 1] == s and time <= frontier - delay - over:
                    ints[key, c + 1] += 1
    for k in range(tables.firsts.shape[0]):
        cell = tables.cells[tables.firsts[k]]
        c = cell[C_INTS]
        at = timeline.entry(shard, key, d)
        covered = _covers(cell[C_OVER], cell[C_DELAY], time, frontier) and cells.counts(
            shard, tables, cell[C_LANE], shard.words[at], s, shard.words[at + 2]
        )
        behind = ints[key, c] > d or (ints[key, c] == d and ints[key, c + 1] > s)
        if covered and behind:
            ints[key, c], ints[key, c + 1] = d, s
        elif not covered and ints[key, c] == d and ints[key, c + 1] == s:
            ints[key, c + 1] += 1


@kernel("Shard, Tables, Items, int, int, Work, floats2, ints2")
def _late(shard, tables, items, key, i, work, out, outs):
    """Take in an event that is older than the newest of its key."""
    shape, ints = tables.shape, shard.ints
    frontier, time = ints[key, FRONTIER], items.time[i]
    if shape[SHAPE.keep] >= 0:
        if time > frontier - shape[SHAPE.keep]:
            d, s = timeline.insert(shard, shape, key, items, i)
            _settle_cursors(shard, tables, key, time, d, s, frontier)
        elif time > ints[key, FORGOTTEN]:
            ints[key, FORGOTTEN] = time
    elif time > ints[key, FORGOTTEN]:
        ints[key, FORGOTTEN] = time
    work.time[0], work.offset[0], work.emit[0], work.left[0] = frontier, items.offset[i], items.emit[i], 0
    work.x_time[0] = time
    for lane in range(tables.lanes.shape[0]):
        _enter_item(tables, work, items, i, 0, lane)
    for g in range(tables.groups.shape[0]):
        delay = tables.groups[g, G_DELAY]
        for w in range(tables.groups[g, G_FIRST], tables.groups[g, G_END]):
            window = tables.windows[w]
            work.entered[0] = 1 if _covers(window[W_OVER], delay, time, frontier) else 0
            _run_pairs(shard, tables, window, work, key, 0, 1, 0, 0, 0, False, True, out, outs)


@kernel("Shard, Tables, int, int, int, int, Work, floats2, ints2")
def _glance(shard, tables, key, t, o, emit, work, out, outs):
    """Read at ``t``, not before the key's frontier, and change nothing."""
    ints = shard.ints
    frontier = ints[key, FRONTIER]
    known = True
    for g in range(tables.groups.shape[0]):
        group = tables.groups[g]
        enter = CURSORS + 2 * group[G_CURSOR]
        for w in range(group[G_FIRST], group[G_END]):
            window = tables.windows[w]
            leave = CURSORS + 2 * window[W_CURSOR]
            d, s = (ints[key, leave], ints[key, leave + 1]) if window[W_OVER] >= 0 else (0, 0)
            hd, hs = (ints[key, enter], ints[key, enter + 1]) if group[G_DELAY] > 0 else (ints[key, LENGTH], 0)
            work.time[0], work.offset[0], work.emit[0] = t, o, emit
            _, _, leaving, entering, done = _fill_delayed(
                shard, key, group, window, work, frontier, 0, 1, (hd, hs, d, s)
            )
            for pair in range(window[W_FIRST], window[W_END]):
                if done:
                    _gather(shard, tables, work, tables.pairs[pair, P_LANE], leaving, entering)
                for c in range(tables.pairs[pair, P_FIRST], tables.pairs[pair, P_END]):
                    cell = tables.cells[c]
                    op = cell[C_OP]
                    pushes = (op == MIN or op == MAX) and cell[C_OVER] >= 0 and entering > 0
                    if done and not pushes:
                        cells.run(shard, tables, c, work, key, 0, 1, 0, False, False, out, outs)
                        if op == DISTINCT or op == QUANTILE:
                            cells.undo(shard, cell, work, key, tables.pairs[pair, P_LANE])
                    elif not contents.evaluate(shard, tables, c, key, t, o, emit, work, out, outs):
                        known = False
    return known


@kernel("Shard, Tables, int, int, int, int, Work, floats2, ints2")
def look(shard, tables, key, t, o, emit, work, out, outs):
    """Read as of (t, o) without changing anything; False if it reaches behind what is kept."""
    if t >= shard.ints[key, FRONTIER] and o == NEWEST:
        return _glance(shard, tables, key, t, o, emit, work, out, outs)
    known = True
    for c in range(tables.cells.shape[0]):
        if not contents.evaluate(shard, tables, c, key, t, o, emit, work, out, outs):
            known = False
    return known


@kernel("Shard, Tables, ints, ints, int, ints, Work, floats2, ints2, int", entry=True)
def read(shard, tables, keys, times, offset, rows, work, out, outs, start):
    """Read many keys, from number ``start`` on.

    Returns (next, words): all are read when ``next`` is their number; else words is the room that the
    arena must get first, or -1 where a reading reaches behind what is kept.
    """
    for i in range(start, keys.shape[0]):
        need = demand(shard, tables, keys[i], PASS)
        if shard.heap[0] + need > shard.words.shape[0]:
            return i, need
        if not look(shard, tables, keys[i], times[i], offset, rows[i], work, out, outs):
            return i, -1
    return keys.shape[0], 0


@kernel("Shard, Tables, Items, ints2, Work, floats2, ints2, int, int", entry=True)
def process(shard, tables, items, runs, work, out, outs, run, item):
    """Work through the runs of items, one (key, first, end) per key, from (run, item) on.

    Returns (run, item, words): the number of runs when all is done; else where to go on once the arena
    has room for ``words`` more, or words = -1 where a reading reaches behind what is kept.
    """
    for r in range(run, runs.shape[0]):
        key, i, end = runs[r, 0], runs[r, 1], runs[r, 2]
        if r == run and item > i:
            i = item
        while i < end:
            need = demand(shard, tables, key, min(SEGMENT, end - i))
            if shard.heap[0] + need > shard.words.shape[0]:
                return r, i, need
            if items.time[i] >= shard.ints[key, FRONTIER]:
                i += _segment(shard, tables, items, key, i, end, work, out, outs)
            elif items.kind[i] == 0:
                _late(shard, tables, items, key, i, work, out, outs)
                i += 1
            else:
                if not look(
                    shard, tables, key, items.time[i], items.offset[i], items.emit[i], work, out, outs
                ):
                    return r, i, -1
                i += 1
    return runs.shape[0], 0, 0
