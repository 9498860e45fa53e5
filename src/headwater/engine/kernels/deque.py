"""Monotone queues: the extreme of a sliding window.

Only the events that are not overshadowed by a later and better one can become the extreme. For a minimum
their values ascend from front to back and the front is the minimum::

    values   5 3 8 4 6 7 9 8 ...          time ─►
    queue      3   4 6 7   8              5, 8 and 9 can never be the minimum again

Of rising values all are such events. So only the first few are held by themselves; behind them an entry
stands for a *run* of about 32 events, with their extreme as its rank, and is broken up, by a look at the
timeline, when the end of the window gets there::

    window              (------------------------------------------]
    entries              · · · · · · · ├───── run ─────┼───── run ──
                         exact, at most 16 of them

An entry is (time, rank), 16 bytes. With n events in a window there are at most 16 + n / 32 entries, half a
byte an event, in a block that is at least a third full; at 1,000 events that is one byte, and another one
for the smaller blocks that it grew through. A rank is an int64 that ascends with the value, so that integers
and numbers share the code and stay exact; maxima are minima of the complement (``lanes.to_rank``).

A late event finds its place by bisection. It moves at most the shorter side of the queue, one entry for 32
events.

A record in the key's ints is (address, log2 of words, first entry, end, exact entries, time of the newest
event, events in the last run). Runs are cut between moments, never between events of the same time. Called
by ``cells``.
"""

from __future__ import annotations

from headwater.engine.kernels import arena, lanes, timeline
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import (
    C_LANE,
    C_OP,
    EVENTS,
    L_FLAG,
    L_KIND,
    LENGTH,
    NEVER,
    Int64,
    Shard,
    Tables,
)

RECORD = 7  # words in ints
ENTRY = 2
ADDRESS, LOG, HEAD, END, EXACT, LAST, NEWEST = range(RECORD)
ALONE = 16  # events at the front that have an entry of their own
RUN = 32  # events that share an entry


@kernel("Shard, int, int, int")
def demand(shard: Shard, key: int, at: int, m: int) -> int:
    """Words that ``m`` further entries, and the runs broken up on the way, can need."""
    ints = shard.ints
    held: int = ints[key, at + END] - ints[key, at + HEAD]
    runs: int = (ints[key, EVENTS] + m) // RUN
    return 8 * ENTRY * (held + runs + m + ALONE + 4)


@kernel("Shard, int, int, int, int")
def _room(shard: Shard, key: int, at: int, front: int, back: int) -> None:
    """Make room for entries before the first and behind the last: slide them, or move to a larger block."""
    ints = shard.ints
    old, log = ints[key, at + ADDRESS], ints[key, at + LOG]
    head, end = ints[key, at + HEAD], ints[key, at + END]
    space = (1 << log) // ENTRY if old != 0 else 0
    if head >= front and end + back <= space:
        return
    live = end - head
    need = live + front + back
    new = old
    if 4 * need > 3 * space:
        new_log = max(arena.size_class(ENTRY * need * 4 // 3), 3)
        new = arena.take_block(shard, new_log)
        ints[key, at + LOG] = new_log
        space = (1 << new_log) // ENTRY
    first = front + min((space - need) // 4, ALONE)
    arena.move(shard, old + ENTRY * head, new + ENTRY * first, ENTRY * live)
    if old != 0 and new != old:
        arena.give_block(shard, log, old)
    ints[key, at + ADDRESS] = new
    ints[key, at + HEAD] = first
    ints[key, at + END] = first + live


@kernel("Shard, int, int")
def block(shard: Shard, key: int, at: int) -> tuple[int, int]:
    """The address of the entries, and for how many there is space."""
    address = shard.ints[key, at + ADDRESS]
    return address, (1 << shard.ints[key, at + LOG]) // ENTRY if address != 0 else 0


@kernel("Shard, int, int")
def opened(shard: Shard, key: int, at: int) -> tuple[int, int, int, int]:
    """(first entry, end, exact entries, events in the last run): a queue, to be worked on in registers."""
    ints = shard.ints
    return ints[key, at + HEAD], ints[key, at + END], ints[key, at + EXACT], ints[key, at + NEWEST]


@kernel("Shard, int, int, four, int")
def close(shard: Shard, key: int, at: int, queue: tuple[int, int, int, int], last: int) -> None:
    """Write a queue back."""
    ints = shard.ints
    ints[key, at + HEAD], ints[key, at + END] = queue[0], queue[1]
    ints[key, at + EXACT], ints[key, at + NEWEST] = queue[2], queue[3]
    ints[key, at + LAST] = last


@kernel("ints, int, four, int, int, int")
def append(
    words: Int64, address: int, queue: tuple[int, int, int, int], last: int, time: int, rank: int
) -> tuple[int, int, int, int]:
    """Take in a rank that is not older than the newest so far, of time ``last``. There is room for it."""
    head, end, exact, newest = queue
    first = end
    while first > head and words[address + ENTRY * (first - 1) + 1] >= rank:
        first -= 1
    exact = min(exact, first - head)
    if first == end and end > head:  # nobody is overshadowed
        if exact == end - head and time == last:
            return queue  # it will leave together with a better one
        if exact < end - head and (time == last or newest < RUN):
            return head, end, exact, newest + 1
    words[address + ENTRY * first] = time
    words[address + ENTRY * first + 1] = rank
    if exact == first - head and exact < ALONE:
        exact += 1
    return head, first + 1, exact, 1


@kernel("Shard, int, int, int, int")
def _cut(shard: Shard, key: int, at: int, first: int, upto: int) -> None:
    """Take out the entries first .. upto - 1, by moving the shorter side."""
    ints = shard.ints
    address, head, end = ints[key, at + ADDRESS], ints[key, at + HEAD], ints[key, at + END]
    by = upto - first
    if first - head < end - upto:
        arena.move(shard, address + ENTRY * head, address + ENTRY * (head + by), ENTRY * (first - head))
        ints[key, at + HEAD] = head + by
    else:
        arena.move(shard, address + ENTRY * upto, address + ENTRY * first, ENTRY * (end - upto))
        ints[key, at + END] = end - by


@kernel("Shard, int, int, int")
def _later(shard: Shard, key: int, at: int, time: int) -> int:
    """The first entry that is later than ``time``."""
    address: int = shard.ints[key, at + ADDRESS]
    low: int = shard.ints[key, at + HEAD]
    high: int = shard.ints[key, at + END]
    while low < high:
        middle = (low + high) // 2
        if shard.words[address + ENTRY * middle] > time:
            high = middle
        else:
            low = middle + 1
    return low


@kernel("Shard, int, int, int, int")
def _insert(shard: Shard, key: int, at: int, time: int, rank: int) -> None:
    """Take in a rank that is older than the newest."""
    _room(shard, key, at, 1, 0)
    ints, words = shard.ints, shard.words
    address, head, exact = ints[key, at + ADDRESS], ints[key, at + HEAD], ints[key, at + EXACT]
    place = _later(shard, key, at, time)
    if place < ints[key, at + END] and words[address + ENTRY * place + 1] <= rank:
        return  # overshadowed by a later one
    before = address + ENTRY * (place - 1)
    in_run = place - head > exact
    if in_run and place == ints[key, at + END]:
        ints[key, at + NEWEST] += 1
    if place > head and words[before + 1] <= rank and (in_run or words[before] == time):
        return  # covered by its run, or it will leave together with a better one
    first = place
    while first > head and words[address + ENTRY * (first - 1) + 1] >= rank:
        first -= 1
    if in_run:  # the run is better now, and overshadows those before it
        words[before + 1] = rank
        ints[key, at + EXACT] = min(exact, first - head)
        if first < place - 1:
            _cut(shard, key, at, first, place - 1)
        return
    ints[key, at + EXACT] = exact + 1 - (place - first)
    if first == place:  # those in front step aside
        arena.move(shard, address + ENTRY * head, address + ENTRY * (head - 1), ENTRY * (place - head))
        ints[key, at + HEAD] = head - 1
        first = place - 1
    elif first < place - 1:
        _cut(shard, key, at, first + 1, place)
        first += ints[key, at + HEAD] - head
    words[address + ENTRY * first] = time
    words[address + ENTRY * first + 1] = rank


@kernel("Shard, int, int, int, int")
def push(shard: Shard, key: int, at: int, time: int, rank: int) -> None:
    """Take in a rank at ``time``, wherever it falls."""
    ints = shard.ints
    if time < ints[key, at + LAST] and ints[key, at + HEAD] < ints[key, at + END]:
        _insert(shard, key, at, time, rank)
        return
    _room(shard, key, at, 0, 1)
    address, last = shard.ints[key, at + ADDRESS], shard.ints[key, at + LAST]
    close(shard, key, at, append(shard.words, address, opened(shard, key, at), last, time, rank), time)


@kernel("Shard, Tables, int, int, int, int, int, int")
def _most(shard: Shard, tables: Tables, lane: int, key: int, d: int, s: int, upto: int, offset: int) -> int:
    """As many as count from place (d, s) up to ``upto``, or more."""
    ints, words = shard.ints, shard.words
    n = 0
    if tables.lanes[lane, L_FLAG] >= 0:
        while True:
            d, s, chunk, _ = lanes.following(shard, tables, lane, key, d, s, upto, offset)
            if chunk == 0:
                return n
            n += 1
            s += 1
    while d < ints[key, LENGTH]:
        at = timeline.entry(shard, key, d)
        if words[at + 1] == 0 or words[words[at]] > upto:
            break
        n += words[at + 1]
        d += 1
    return n


@kernel("Shard, Tables, ints, int, int, int, int, int, int, int")
def _unfold(
    shard: Shard,
    tables: Tables,
    cell: Int64,
    key: int,
    d: int,
    s: int,
    upto: int,
    offset: int,
    address: int,
    start: int,
) -> tuple[int, int, int, int]:
    """Make a queue at entry ``start`` of what counts from place (d, s) up to ``upto``."""
    ints, words, lane, op = shard.ints, shard.words, cell[C_LANE], cell[C_OP]
    kind = tables.lanes[lane, L_KIND]
    queue = (start, start, 0, 0)
    last = NEVER
    while d < ints[key, LENGTH]:
        entry = timeline.entry(shard, key, d)
        chunk, count, capacity = words[entry], words[entry + 1], words[entry + 2]
        while s < count:
            time = words[chunk + s]
            if time > upto:
                return queue
            known = timeline.offset(shard, tables.shape, chunk, s, capacity) <= offset
            if known and lanes.counts(shard, tables, lane, chunk, s, capacity):
                rank = lanes.to_rank(lanes.bits(shard, tables, lane, chunk, s, capacity), kind, op)
                queue = append(words, address, queue, last, time, rank)
                last = time
            s += 1
        d += 1
        s = 0
    return queue


@kernel("Shard, Tables, ints, int, int, int, int")
def _break_up(shard: Shard, tables: Tables, cell: Int64, key: int, at: int, bound: int, offset: int) -> None:
    """Put in place of the first entry, a run, what of it is later than ``bound``: it is laid in front."""
    ints, words = shard.ints, shard.words
    only = ints[key, at + HEAD] + 1 == ints[key, at + END]
    upto = ints[key, at + LAST]
    if not only:
        upto = words[ints[key, at + ADDRESS] + ENTRY * (ints[key, at + HEAD] + 1)] - 1
    d, s = timeline.seek(shard, key, bound)
    most = ALONE + 2 + _most(shard, tables, cell[C_LANE], key, d, s, upto, offset) // RUN
    _room(shard, key, at, most - 1, 0)
    address, head = ints[key, at + ADDRESS], ints[key, at + HEAD]
    start = head + 1 - most
    _, end, exact, newest = _unfold(shard, tables, cell, key, d, s, upto, offset, address, start)
    found = end - start
    if only:
        ints[key, at + NEWEST] = newest
    else:  # the next run may overshadow the last of them
        best = words[address + ENTRY * (head + 1) + 1]
        while found > 0 and words[address + ENTRY * (start + found - 1) + 1] >= best:
            found -= 1
    arena.move(shard, address + ENTRY * start, address + ENTRY * (head + 1 - found), ENTRY * found)
    ints[key, at + HEAD], ints[key, at + EXACT] = head + 1 - found, min(exact, found)


@kernel("Shard, Tables, ints, int, int, int, int")
def advance(shard: Shard, tables: Tables, cell: Int64, key: int, at: int, bound: int, offset: int) -> None:
    """Let go of what is not later than ``bound``. The first entry then is the extreme, if there is one."""
    ints, words = shard.ints, shard.words
    while ints[key, at + HEAD] < ints[key, at + END]:
        head = ints[key, at + HEAD]
        first = ints[key, at + ADDRESS] + ENTRY * head
        if words[first] > bound:
            return
        if ints[key, at + EXACT] > 0:
            ints[key, at + HEAD] = head + 1
            ints[key, at + EXACT] -= 1
        elif head + 1 < ints[key, at + END] and words[first + ENTRY] <= bound + 1:
            ints[key, at + HEAD] = head + 1  # all of the run has gone
        elif ints[key, at + LAST] <= bound:
            ints[key, at + HEAD] = head + 1
        else:
            _break_up(shard, tables, cell, key, at, bound, offset)


@kernel("Shard, Tables, ints, int, int, int, int")
def glance(
    shard: Shard, tables: Tables, cell: Int64, key: int, at: int, bound: int, offset: int
) -> tuple[int, bool]:
    """The best rank of what is later than ``bound``, and whether there is any; nothing is changed."""
    ints, words, lane = shard.ints, shard.words, cell[C_LANE]
    address, end = ints[key, at + ADDRESS], ints[key, at + END]
    place = _later(shard, key, at, bound)
    found = place < end
    rank = words[address + ENTRY * place + 1] if found else 0
    if place - ints[key, at + HEAD] <= ints[key, at + EXACT]:
        return rank, found
    upto = words[address + ENTRY * place] - 1 if found else ints[key, at + LAST]
    d, s = timeline.seek(shard, key, bound)
    while True:  # what is left of the run before
        d, s, chunk, capacity = lanes.following(shard, tables, lane, key, d, s, upto, offset)
        if chunk == 0:
            return rank, found
        value = lanes.bits(shard, tables, lane, chunk, s, capacity)
        value = lanes.to_rank(value, tables.lanes[lane, L_KIND], cell[C_OP])
        rank = min(rank, value) if found else value
        found = True
        s += 1
