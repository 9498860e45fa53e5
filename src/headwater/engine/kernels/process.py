"""The driver: items of a key, in order of the log, through timeline and cells.

Items that come in order are taken in *segments*: all events of a segment are appended to the timeline
first; then each window lays out once, as a tape, what leaves and enters it and where it is read
(see ``tape``), and each cell runs its own tight loop along the tape. A late event is written into its
place and handed to the windows that still cover it. A reading older than the key's frontier is answered
from the window's contents. Called by ``engine.state``.
"""

from __future__ import annotations

from headwater.engine.kernels import (
    ahead,
    cells,
    contents,
    deque,
    exact,
    flow,
    lanes,
    multiset,
    ranked,
    tape,
    timeline,
)
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import (
    C_DELAY,
    C_INTS,
    C_LANE,
    C_OP,
    C_OUT,
    C_OVER,
    CURSORS,
    DISTINCT,
    FORGOTTEN,
    FRONTIER,
    G_CURSOR,
    G_DELAY,
    G_END,
    G_FIRST,
    G_FLOW,
    G_FLOW_END,
    HEAD,
    LENGTH,
    MAX,
    MIN,
    P_END,
    P_FIRST,
    P_LANE,
    P_REST,
    PASS,
    QUANTILE,
    SEGMENT,
    SHAPE,
    W_CURSOR,
    W_END,
    W_FIRST,
    W_OVER,
    W_TAPE,
    Float64,
    Int64,
    Items,
    Shard,
    Tables,
    Work,
)

NEWEST = 2**62  # an offset that is later than any


@kernel("Shard, Tables, int, int", inline=True)
def demand(shard: Shard, tables: Tables, key: int, m: int) -> int:
    """Arena words that ``m`` further items of ``key`` can need at most."""
    shape = tables.shape
    need: int = exact.MOST * shape[SHAPE.exacts] + 64 + timeline.demand(shard, shape, key, m)
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


@kernel("Shard, Tables, ints, Items, Work, int, int, bool, floats2")
def _run_window(
    shard: Shard,
    tables: Tables,
    window: Int64,
    items: Items,
    work: Work,
    key: int,
    n: int,
    flowed: bool,
    out: Float64,
) -> None:
    """Run the cells of a window along the tape: all, or those that ``flow`` has left."""
    ends = 0
    first = 0
    for k in range(n):
        if work.end[k] != 0:
            if ends == 0:
                first = work.emit[work.item[k]]
            ends += 1
    for pair in range(window[W_FIRST], window[W_END]):
        lane = tables.pairs[pair, P_LANE]
        start = tables.pairs[pair, P_REST if flowed and work.done[lane] != 0 else P_FIRST]
        if start < tables.pairs[pair, P_END]:
            tape.gather(shard, tables, items, work, lane, n)
        for c in range(start, tables.pairs[pair, P_END]):
            cells.run(shard, tables, c, work, key, n, first, ends, True, out)


@kernel("Shard, int, int", inline=True)
def _behind(shard: Shard, key: int, events: int) -> tuple[int, int]:
    """The place of the event that has ``events`` - 1 others behind it; the end for none."""
    d = shard.ints[key, LENGTH] - 1
    while d > shard.ints[key, HEAD] and shard.words[timeline.entry(shard, key, d) + 1] < events:
        events -= shard.words[timeline.entry(shard, key, d) + 1]
        d -= 1
    if d < 0:
        return 0, 0
    return d, shard.words[timeline.entry(shard, key, d) + 1] - events


@kernel("Shard, Tables, ints, Items, Work, int, int, int, pair, floats2")
def _window_prompt(
    shard: Shard,
    tables: Tables,
    window: Int64,
    items: Items,
    work: Work,
    key: int,
    first: int,
    count: int,
    newest: tuple[int, int],
    out: Float64,
) -> None:
    """A window without delay: the timeline's events from ``newest`` on enter as they come."""
    ints, over, cursor = shard.ints, window[W_OVER], CURSORS + 2 * window[W_CURSOR]
    columns = tables.shape[SHAPE.columns]
    hd, hs = newest
    d, s = (ints[key, cursor], ints[key, cursor + 1]) if over >= 0 else (0, 0)
    place = (hd, hs, d, s)
    i = 0
    while i < count:
        place, i, n = tape.fill_prompt(shard, items, work, columns, key, over, place, i, count, first)
        _run_window(shard, tables, window, items, work, key, n, True, out)
    if over >= 0:
        ints[key, cursor], ints[key, cursor + 1] = place[2], place[3]


@kernel("Shard, Tables, ints, ints, Items, Work, int, int, int, floats2")
def _window_delayed(
    shard: Shard,
    tables: Tables,
    group: Int64,
    window: Int64,
    items: Items,
    work: Work,
    key: int,
    frontier: int,
    count: int,
    out: Float64,
) -> tuple[int, int]:
    """A window that ends ``delay`` ago; the place up to which events have entered."""
    ints, over = shard.ints, window[W_OVER]
    enter, leave = CURSORS + 2 * group[G_CURSOR], CURSORS + 2 * window[W_CURSOR]
    d, s = (ints[key, leave], ints[key, leave + 1]) if over >= 0 else (0, 0)
    place = (ints[key, enter], ints[key, enter + 1], d, s)
    i = 0
    columns = tables.shape[SHAPE.columns]
    while i < count:
        place, i, n = tape.fill_delayed(shard, work, columns, key, group, window, frontier, place, i, count)
        _run_window(shard, tables, window, items, work, key, n, True, out)
    if over >= 0:
        ints[key, leave], ints[key, leave + 1] = place[2], place[3]
    return place[0], place[1]


@kernel("Shard, Items, int, int, int, Work", inline=True)
def _lay_items(
    shard: Shard, items: Items, key: int, first: int, end: int, work: Work
) -> tuple[int, int, int]:
    """Lay out a run of items in order, at most SEGMENT; how many items, events and readings."""
    now: int = shard.ints[key, FRONTIER]
    n, events, readings = 0, 0, 0
    moment, passed = work.moment, work.passed[0]
    while first + n < end and n < SEGMENT and items.time[first + n] >= now:
        now = items.time[first + n]
        work.time[n], work.offset[n], work.emit[n] = now, items.offset[first + n], items.emit[first + n]
        events += int(items.kind[first + n] == 0)
        moment[readings], passed[readings] = now, events
        readings += int(items.emit[first + n] >= 0)
        n += 1
    moment[readings], passed[readings] = now, events
    return n, events, readings


@kernel("Shard, Tables, Items, int, int, int, Work, floats2", inline=True)
def _segment(
    shard: Shard, tables: Tables, items: Items, key: int, first: int, end: int, work: Work, out: Float64
) -> int:
    """Take in a run of items in order, at most SEGMENT of them; how many."""
    shape, ints = tables.shape, shard.ints
    frontier = ints[key, FRONTIER]
    n, events, readings = _lay_items(shard, items, key, first, end, work)
    row = 0
    while readings > 0 and work.emit[row] < 0:
        row += 1
    row = work.emit[row] if readings > 0 else 0
    timeline.append_events(shard, shape, key, items, first, first + n, events)
    for g in range(tables.groups.shape[0]):
        group = tables.groups[g]
        cursor = CURSORS + 2 * group[G_CURSOR]
        if group[G_DELAY] > 0:
            d, s = ints[key, cursor], ints[key, cursor + 1]
        else:
            d, s = _behind(shard, key, events)
        flows = group[G_FLOW] < group[G_FLOW_END]
        every = flows and flow.run(shard, tables, work, key, g, d, s, events, readings, out, row)
        for w in range(group[G_FIRST], group[G_END]):
            window = tables.windows[w]
            if every and window[W_TAPE] == 0:
                if window[W_OVER] >= 0:
                    edge = w - group[G_FIRST] + 1
                    leave = CURSORS + 2 * window[W_CURSOR]
                    ints[key, leave], ints[key, leave + 1] = work.edges[edge, 2], work.edges[edge, 3]
            elif group[G_DELAY] == 0:
                _window_prompt(shard, tables, window, items, work, key, first, n, (d, s), out)
            else:
                place = _window_delayed(shard, tables, group, window, items, work, key, frontier, n, out)
                work.edges[0, 2], work.edges[0, 3] = place
        if group[G_DELAY] > 0:
            ints[key, cursor], ints[key, cursor + 1] = work.edges[0, 2], work.edges[0, 3]
    ints[key, FRONTIER] = work.time[n - 1]
    timeline.forget(shard, shape, key, work.time[n - 1] - shape[SHAPE.keep])
    return n


@kernel("int, int, int, int")
def _covers(over: int, delay: int, time: int, frontier: int) -> bool:
    """Whether a window at the frontier covers an event at ``time``."""
    return time <= frontier - delay and (over < 0 or time > frontier - delay - over)


@kernel("Shard, Tables, int, int, int, int, int")
def _settle_cursors(shard: Shard, tables: Tables, key: int, time: int, d: int, s: int, frontier: int) -> None:
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
        covered = _covers(cell[C_OVER], cell[C_DELAY], time, frontier) and lanes.counts(
            shard, tables, cell[C_LANE], shard.words[at], s, shard.words[at + 2]
        )
        behind = ints[key, c] > d or (ints[key, c] == d and ints[key, c + 1] > s)
        if covered and behind:
            ints[key, c], ints[key, c + 1] = d, s
        elif not covered and ints[key, c] == d and ints[key, c + 1] == s and time <= frontier - cell[C_DELAY]:
            ints[key, c + 1] += 1


@kernel("Shard, Tables, Items, int, int, Work, floats2")
def _late(shard: Shard, tables: Tables, items: Items, key: int, i: int, work: Work, out: Float64) -> None:
    """Take in an event that is older than the newest of its key."""
    shape, ints = tables.shape, shard.ints
    frontier, time = ints[key, FRONTIER], items.time[i]
    if time > frontier - shape[SHAPE.keep]:
        d, s = timeline.insert(shard, shape, key, items, i)
        _settle_cursors(shard, tables, key, time, d, s, frontier)
    elif time > ints[key, FORGOTTEN]:
        ints[key, FORGOTTEN] = time
    work.time[0], work.offset[0], work.emit[0] = frontier, items.offset[i], items.emit[i]
    for g in range(tables.groups.shape[0]):
        delay = tables.groups[g, G_DELAY]
        for w in range(tables.groups[g, G_FIRST], tables.groups[g, G_END]):
            window = tables.windows[w]
            sign = 1 if _covers(window[W_OVER], delay, time, frontier) else 0
            tape.put_item(work, 0, i, time, 0, sign, items.emit[i] >= 0)
            _run_window(shard, tables, window, items, work, key, 1, False, out)


@kernel("Shard, Tables, Items, int, int, int, int, Work, floats2")
def _glance(
    shard: Shard, tables: Tables, items: Items, key: int, t: int, o: int, emit: int, work: Work, out: Float64
) -> bool:
    """Read at ``t``, not before the key's frontier, and change nothing."""
    ints, columns = shard.ints, tables.shape[SHAPE.columns]
    known = True
    for g in range(tables.groups.shape[0]):
        group = tables.groups[g]
        enter = CURSORS + 2 * group[G_CURSOR]
        hd, hs = (ints[key, enter], ints[key, enter + 1]) if group[G_DELAY] > 0 else (ints[key, LENGTH], 0)
        for w in range(group[G_FIRST], group[G_END]):
            window = tables.windows[w]
            leave = CURSORS + 2 * window[W_CURSOR]
            d, s = (ints[key, leave], ints[key, leave + 1]) if window[W_OVER] >= 0 else (0, 0)
            work.time[0], work.offset[0], work.emit[0] = t, o, emit
            place = (hd, hs, d, s)
            frontier = ints[key, FRONTIER]
            _, done, n = tape.fill_delayed(shard, work, columns, key, group, window, frontier, place, 0, 1)
            enters = False
            for k in range(n):
                enters = enters or work.sign[k] > 0
            for pair in range(window[W_FIRST], window[W_END]):
                if done == 1:
                    tape.gather(shard, tables, items, work, tables.pairs[pair, P_LANE], n)
                for c in range(tables.pairs[pair, P_FIRST], tables.pairs[pair, P_END]):
                    cell = tables.cells[c]
                    op = cell[C_OP]
                    pushes = (op == MIN or op == MAX) and cell[C_OVER] >= 0 and enters
                    at = cell[C_INTS]
                    middle, told = 0.0, False
                    if done == 1 and op == QUANTILE:
                        q = tables.params[c]
                        middle, told = ranked.after(shard, key, at, q, work.signed, work.step, n)
                    if done == 1 and op == DISTINCT:
                        work.whole[0] = multiset.after(shard, key, at, work.bits, work.step, n)
                        out[cell[C_OUT], emit] = work.line[0]
                    elif told:
                        out[cell[C_OUT], emit] = middle
                    elif done == 1 and not pushes and op != QUANTILE:
                        cells.run(shard, tables, c, work, key, n, emit, 1, False, out)
                    elif not contents.evaluate(shard, tables, c, key, t, o, emit, work, out):
                        known = False
    return known


@kernel("Shard, Tables, Items, int, int, int, int, Work, floats2")
def look(
    shard: Shard, tables: Tables, items: Items, key: int, t: int, o: int, emit: int, work: Work, out: Float64
) -> bool:
    """Read as of (t, o) without changing anything; False if it reaches behind what is kept."""
    if t >= shard.ints[key, FRONTIER] and o == NEWEST:
        return _glance(shard, tables, items, key, t, o, emit, work, out)
    known = True
    for c in range(tables.cells.shape[0]):
        if not contents.evaluate(shard, tables, c, key, t, o, emit, work, out):
            known = False
    return known


@kernel("Shard, Tables, Items, ints, ints, int, ints, Work, floats2, int", entry=True)
def read(
    shard: Shard,
    tables: Tables,
    items: Items,
    keys: Int64,
    times: Int64,
    offset: int,
    rows: Int64,
    work: Work,
    out: Float64,
    start: int,
) -> tuple[int, int]:
    """Read many keys, from number ``start`` on; ``items`` is empty.

    Returns (next, words): all are read when ``next`` is their number; else words is the room that the
    arena must get first, or -1 where a reading reaches behind what is kept.
    """
    for i in range(start, keys.shape[0]):
        need = demand(shard, tables, keys[i], PASS)
        if shard.heap[0] + need > shard.words.shape[0]:
            return i, need
        if not look(shard, tables, items, keys[i], times[i], offset, rows[i], work, out):
            return i, -1
    return keys.shape[0], 0


@kernel("Shard, Tables, Items, ints2, Work, floats2, int, int", entry=True)
def process(
    shard: Shard, tables: Tables, items: Items, runs: Int64, work: Work, out: Float64, run: int, item: int
) -> tuple[int, int, int]:
    """Work through the runs of items, one (key, first, end) per key, from (run, item) on.

    Returns (run, item, words): the number of runs when all is done; else where to go on once the arena
    has room for ``words`` more, or words = -1 where a reading reaches behind what is kept.
    """
    for r in range(run, runs.shape[0]):
        if r + 3 < runs.shape[0]:
            ahead.rows(shard, runs[r + 3, 0])
            ahead.entries(shard, tables.shape, runs[r + 2, 0])
            ahead.events(shard, tables.shape, runs[r + 1, 0], runs[r + 1, 2] - runs[r + 1, 1])
        key, i, end = runs[r, 0], runs[r, 1], runs[r, 2]
        if r == run and item > i:
            i = item
        while i < end:
            need = demand(shard, tables, key, min(SEGMENT, end - i))
            if shard.heap[0] + need > shard.words.shape[0]:
                return r, i, need
            if items.time[i] >= shard.ints[key, FRONTIER]:
                i += _segment(shard, tables, items, key, i, end, work, out)
            elif items.kind[i] == 0:
                _late(shard, tables, items, key, i, work, out)
                i += 1
            else:
                t, o, emit = items.time[i], items.offset[i], items.emit[i]
                if not look(shard, tables, items, key, t, o, emit, work, out):
                    return r, i, -1
                i += 1
    return runs.shape[0], 0, 0
