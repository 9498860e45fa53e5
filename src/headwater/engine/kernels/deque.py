"""Monotone deques: the extreme of a sliding window.

Only the events that are not overshadowed by a later and better one are kept. For a minimum the values
ascend from front to back, the front is the minimum, and each event is pushed and popped once::

    values   5 3 8 4 6            time ─►
    deque      3   4 6            5 and 8 can never be the minimum again

A late event finds its place by bisection and then does the same to its elders. A record in the key's
ints is (address, log2 of capacity, head, end); an entry is (time, rank). A rank is an int64 that ascends
with the value, so that integers and numbers share the code and stay exact; maxima are minima of the
complement. Called by ``cells``.
"""

from __future__ import annotations

from headwater.engine.kernels import arena
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import Shard

RECORD = 4  # words in ints
ENTRY = 2
ADDRESS, LOG, HEAD, END = range(RECORD)


@kernel("Shard, int, int, int")
def demand(shard: Shard, key: int, at: int, m: int) -> int:
    """Words that ``m`` further entries can need."""
    ints = shard.ints
    held: int = ints[key, at + END] - ints[key, at + HEAD]
    return 4 * ENTRY * (held + m + 4)


@kernel("Shard, int, int")
def _room(shard: Shard, key: int, at: int) -> None:
    """Make room for one entry at the end."""
    ints = shard.ints
    head, end, log = ints[key, at + HEAD], ints[key, at + END], ints[key, at + LOG]
    if ints[key, at + ADDRESS] != 0 and ENTRY * (end + 1) <= (1 << log):
        return
    old = ints[key, at + ADDRESS]
    live = end - head
    new = old
    if old == 0 or 2 * live * ENTRY >= (1 << log):
        new_log = max(arena.size_class(ENTRY * 2 * (live + 1)), 3)
        new = arena.take_block(shard, new_log)
        ints[key, at + LOG] = new_log
    arena.move(shard, old + ENTRY * head, new, ENTRY * live)
    if old != 0 and new != old:
        arena.give_block(shard, log, old)
    ints[key, at + ADDRESS] = new
    ints[key, at + HEAD] = 0
    ints[key, at + END] = live


@kernel("Shard, int, int, int, int")
def push(shard: Shard, key: int, at: int, time: int, value: int) -> None:
    """Take in a rank at ``time``, wherever it falls."""
    _room(shard, key, at)
    ints, words = shard.ints, shard.words
    address, head, end = ints[key, at + ADDRESS], ints[key, at + HEAD], ints[key, at + END]
    place = end
    if end > head and words[address + ENTRY * (end - 1)] > time:
        low, high = head, end
        while low < high:
            middle = (low + high) // 2
            if words[address + ENTRY * middle] > time:
                high = middle
            else:
                low = middle + 1
        place = low
        if words[address + ENTRY * place + 1] <= value:
            return
    first = place
    while first > head and words[address + ENTRY * (first - 1) + 1] >= value:
        first -= 1
    # entries first .. place-1 are overshadowed: replace them by the new one
    arena.move(shard, address + ENTRY * place, address + ENTRY * (first + 1), ENTRY * (end - place))
    words[address + ENTRY * first] = time
    words[address + ENTRY * first + 1] = value
    ints[key, at + END] = end - (place - first) + 1


@kernel("Shard, int, int, int")
def front(shard: Shard, key: int, at: int, bound: int) -> int:
    """The index of the first entry later than ``bound``, or the end."""
    ints, words = shard.ints, shard.words
    address, head, end = ints[key, at + ADDRESS], ints[key, at + HEAD], ints[key, at + END]
    first: int = head
    while first < end and words[address + ENTRY * first] <= bound:
        first += 1
    return first
