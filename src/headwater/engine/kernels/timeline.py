"""A key's retained events in order of (event time, offset): a directory of small chunks.

::

    directory   [ address count capacity | address count capacity | ... ]
                     │                       │
    chunk            ▼                       ▼
      time     [ t t t t . . ]         [ t t t . ]      capacity 4 .. 64, growing
      column   [ v v v v . . ]  x columns
      flag     [ 1 0 1 1 . . ]  x flags (bytes)
      offsets  base [ o o o o . . ]    31 bits each, behind the base

So an event takes 12 bytes, 8 for each column and 1 for each flag, and the chunk and its entry 32 for up to 64
events. Events whose offsets are too far apart for 31 bits do not share a chunk. The rows in front of the
flags are ``capacity`` words long; where they begin is known here alone (``column``, ``flags``, ``offset``).

An event in order is written at the end: constant. An event that is d places late finds its chunk by
galloping back from the end, log d, and moves at most one chunk. Places are (directory index, slot)
pairs; those that are remembered between events ("cursors", in the key's ints) are moved along by
``insert`` and ``append``. Called by ``process`` and ``contents``.
"""

from __future__ import annotations

from headwater.engine.kernels import arena
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import (
    CAPACITY,
    CHUNK_LISTS,
    CHUNK_SIZES,
    CURSORS,
    DIRECTORY,
    ENTRY,
    EVENTS,
    FORGOTTEN,
    HEAD,
    LARGEST,
    LENGTH,
    SHAPE,
    Int64,
    Items,
    Shard,
)

SMALLEST = 4  # the least size, as a number, of a chunk behind full ones
SPAN = 2**31  # offsets in a chunk, from its base on
LOW = SPAN - 1


@kernel("int, int, int")
def column(address: int, capacity: int, number: int) -> int:
    """Where the values of a column begin, in words."""
    return address + (1 + number) * capacity


@kernel("int, int, int")
def flags(address: int, capacity: int, columns: int) -> int:
    """Where the flags begin, in bytes; those of flag f are ``f * capacity`` further on."""
    return (address + (1 + columns) * capacity) * 8


@kernel("ints, int, int")
def _base(shape: Int64, address: int, capacity: int) -> int:
    """Where the base of the offsets is; two offsets a word follow."""
    columns: int = shape[SHAPE.columns]
    flag_words: int = (shape[SHAPE.flags] * capacity + 7) // 8
    return address + (1 + columns) * capacity + flag_words


@kernel("ints, int")
def chunk_words(shape: Int64, capacity: int) -> int:
    """Words of a chunk of ``capacity`` events."""
    return _base(shape, 0, capacity) + 1 + capacity // 2


@kernel("Shard, ints, int, int")
def demand(shard: Shard, shape: Int64, key: int, m: int) -> int:
    """Arena words that ``m`` further events can need: chunks, and the directory twice over."""
    chunks: int = m // 32 + 3
    entries: int = shard.ints[key, LENGTH] - shard.ints[key, HEAD] + chunks + m + 2
    return chunks * chunk_words(shape, LARGEST) + m * chunk_words(shape, CHUNK_SIZES[0]) + 4 * ENTRY * entries


@kernel("ints, int, int")
def _get_offset(words: Int64, base: int, slot: int) -> int:
    value: int = (words[base + 1 + slot // 2] >> (32 * (slot & 1))) & LOW
    return value


@kernel("ints, int, int, int")
def _set_offset(words: Int64, base: int, slot: int, value: int) -> None:
    at = base + 1 + slot // 2
    if slot & 1 == 1:
        words[at] = (words[at] & LOW) | (value << 32)
    else:
        words[at] = ((words[at] >> 32) & LOW) << 32 | value


@kernel("ints, int, int, int")
def _shift_offsets(words: Int64, base: int, slot: int, count: int) -> None:
    """Move the offsets from ``slot`` on by one."""
    first, last = base + 1 + slot // 2, base + 1 + count // 2
    for at in range(last, first, -1):
        words[at] = ((words[at] & LOW) << 32) | ((words[at - 1] >> 32) & LOW)
    if slot & 1 == 0:
        words[first] = ((words[first] & LOW) << 32) | (words[first] & LOW)


@kernel("Shard, int, int")
def entry(shard: Shard, key: int, d: int) -> int:
    """The address of directory entry ``d``."""
    directory: int = shard.ints[key, DIRECTORY]
    return directory + ENTRY * d


@kernel("Shard, int, int, int")
def normal(shard: Shard, key: int, d: int, s: int) -> tuple[int, int]:
    """The same place with its slot inside its chunk, if it is not the end of everything."""
    while d + 1 < shard.ints[key, LENGTH] and s >= shard.words[entry(shard, key, d) + 1]:
        d += 1
        s = 0
    return d, s


@kernel("Shard, ints, int, int, int")
def offset(shard: Shard, shape: Int64, address: int, slot: int, capacity: int) -> int:
    """The place in the log of the event at a slot of a chunk."""
    base = _base(shape, address, capacity)
    first: int = shard.words[base]
    return first + _get_offset(shard.words, base, slot)


@kernel("Shard, ints, int")
def _new_chunk(shard: Shard, shape: Int64, size: int) -> int:
    return arena.take(shard, CHUNK_LISTS + size, chunk_words(shape, CHUNK_SIZES[size]))


@kernel("int")
def _size_of(capacity: int) -> int:
    size = 0
    while CHUNK_SIZES[size] < capacity:
        size += 1
    return size


@kernel("Shard, ints, int, int, int, int, int, int")
def _copy_slots(
    shard: Shard,
    shape: Int64,
    source: int,
    source_capacity: int,
    start: int,
    target: int,
    target_capacity: int,
    count: int,
) -> None:
    """Copy ``count`` events from slot ``start`` of one chunk to the front of another."""
    words, columns = shard.words, shape[SHAPE.columns]
    for row in range(1 + columns):
        a = source + row * source_capacity + start
        b = target + row * target_capacity
        for i in range(count):
            words[b + i] = words[a + i]
    for flag in range(shape[SHAPE.flags]):
        a = flags(source, source_capacity, columns) + flag * source_capacity + start
        b = flags(target, target_capacity, columns) + flag * target_capacity
        for i in range(count):
            shard.bytes[b + i] = shard.bytes[a + i]
    a, b = _base(shape, source, source_capacity), _base(shape, target, target_capacity)
    words[b] = words[a]
    for i in range(count):
        _set_offset(words, b, i, _get_offset(words, a, start + i))


@kernel("Shard, ints, int, int")
def _grow_chunk(shard: Shard, shape: Int64, at: int, more: int) -> None:
    """Move the chunk of the entry at ``at`` to the size that has room for ``more`` events, or the largest."""
    words = shard.words
    old, count, capacity = words[at], words[at + 1], words[at + 2]
    size = _size_of(min(count + more, LARGEST))
    new = _new_chunk(shard, shape, size)
    _copy_slots(shard, shape, old, capacity, 0, new, CHUNK_SIZES[size], count)
    arena.give(shard, CHUNK_LISTS + _size_of(capacity), old)
    words[at] = new
    words[at + 2] = CHUNK_SIZES[size]


@kernel("Shard, ints, int, int, int")
def _move_cursors(shard: Shard, shape: Int64, key: int, first: int, by: int) -> None:
    """Add ``by`` to the directory index of every cursor at or behind ``first``."""
    for c in range(shape[SHAPE.cursors]):
        if shard.ints[key, CURSORS + 2 * c] >= first:
            shard.ints[key, CURSORS + 2 * c] += by


@kernel("Shard, ints, int")
def _directory_room(shard: Shard, shape: Int64, key: int) -> None:
    """Make room for one more entry: slide to the front, or move to twice the space."""
    ints = shard.ints
    capacity, head, length = ints[key, CAPACITY], ints[key, HEAD], ints[key, LENGTH]
    if length < capacity:
        return
    old = ints[key, DIRECTORY]
    live = length - head
    if capacity == 0 or head * 2 < capacity:
        log = arena.size_class(max(2 * capacity, 1) * ENTRY)
        new = arena.take_block(shard, log)
        ints[key, DIRECTORY] = new
        ints[key, CAPACITY] = (1 << log) // ENTRY
        arena.move(shard, old + ENTRY * head, new, ENTRY * live)
        if capacity > 0:
            arena.give_block(shard, arena.size_class(capacity * ENTRY), old)
    else:
        arena.move(shard, old + ENTRY * head, old, ENTRY * live)
    if head > 0:
        _move_cursors(shard, shape, key, 0, -head)
    ints[key, HEAD] = 0
    ints[key, LENGTH] = live


@kernel("Shard, ints, int, int", inline=True)
def _open_chunk(shard: Shard, shape: Int64, key: int, size: int) -> int:
    """Add an empty chunk at the end of the directory."""
    _directory_room(shard, shape, key)
    at = entry(shard, key, shard.ints[key, LENGTH])
    shard.words[at] = _new_chunk(shard, shape, size)
    shard.words[at + 1] = 0
    shard.words[at + 2] = CHUNK_SIZES[size]
    shard.ints[key, LENGTH] += 1
    return at


@kernel("Shard, ints, int, int, Items, int", inline=True)
def _near(shard: Shard, shape: Int64, address: int, capacity: int, items: Items, i: int) -> bool:
    """Whether the offset of item ``i`` can stand in the chunk, which is not empty."""
    first: int = shard.words[_base(shape, address, capacity)]
    return bool(0 <= items.offset[i] - first < SPAN)


@kernel("Shard, ints, int, int, int, Items, int, bool", inline=True)
def _write(
    shard: Shard, shape: Int64, address: int, capacity: int, slot: int, items: Items, i: int, fresh: bool
) -> None:
    """Write event ``i`` into a slot of a chunk, to which it gives the base if it is the first in there."""
    words, columns = shard.words, shape[SHAPE.columns]
    words[address + slot] = items.time[i]
    for c in range(columns):
        words[column(address, capacity, c) + slot] = items.columns[c, i]
    for flag in range(shape[SHAPE.flags]):
        shard.bytes[flags(address, capacity, columns) + flag * capacity + slot] = items.flags[flag, i]
    base = _base(shape, address, capacity)
    if fresh:
        words[base] = items.offset[i]
    _set_offset(words, base, slot, items.offset[i] - words[base])


@kernel("Shard, ints, int, Items, int, int", inline=True)
def append(shard: Shard, shape: Int64, key: int, items: Items, i: int, more: int) -> None:
    """Write event ``i`` behind all others, the first of ``more`` that are to come. Constant."""
    words, length = shard.words, shard.ints[key, LENGTH]
    if length == shard.ints[key, HEAD]:
        at = _open_chunk(shard, shape, key, _size_of(min(more, LARGEST)))
    else:
        at = entry(shard, key, length - 1)
        count, capacity = words[at + 1], words[at + 2]
        if count > 0 and not _near(shard, shape, words[at], capacity, items, i):
            at = _open_chunk(shard, shape, key, _size_of(min(more, LARGEST)))
        elif count == capacity and capacity < LARGEST:
            _grow_chunk(shard, shape, at, more)
        elif count == capacity:
            at = _open_chunk(shard, shape, key, max(_size_of(min(more, LARGEST)), SMALLEST))
    count = words[at + 1]
    _write(shard, shape, words[at], words[at + 2], count, items, i, count == 0)
    words[at + 1] = count + 1
    shard.ints[key, EVENTS] += 1


@kernel("Shard, ints, int, Items, int, int, int", inline=True)
def append_events(
    shard: Shard, shape: Int64, key: int, items: Items, first: int, end: int, events: int
) -> None:
    """Write the ``events`` among items ``first`` .. ``end`` - 1 behind all others, without the readings."""
    words, columns, flag_count = shard.words, shape[SHAPE.columns], shape[SHAPE.flags]
    i = first
    while i < end:
        if items.kind[i] != 0:
            i += 1
            continue
        append(shard, shape, key, items, i, events)
        i += 1
        events -= 1
        at = entry(shard, key, shard.ints[key, LENGTH] - 1)
        address, slot, capacity = words[at], words[at + 1], words[at + 2]
        base = _base(shape, address, capacity)
        start, log = slot, words[base]
        while i < end and slot < capacity and 0 <= items.offset[i] - log < SPAN:
            if items.kind[i] == 0:
                words[address + slot] = items.time[i]
                for c in range(columns):
                    words[column(address, capacity, c) + slot] = items.columns[c, i]
                for flag in range(flag_count):
                    place = flags(address, capacity, columns) + flag * capacity + slot
                    shard.bytes[place] = items.flags[flag, i]
                _set_offset(words, base, slot, items.offset[i] - log)
                slot += 1
            i += 1
        words[at + 1] = slot
        shard.ints[key, EVENTS] += slot - start
        events -= slot - start


@kernel("Shard, int, int")
def seek(shard: Shard, key: int, time: int) -> tuple[int, int]:
    """The first place whose event time is later than ``time``. Galloping back from the end."""
    words = shard.words
    head, length = shard.ints[key, HEAD], shard.ints[key, LENGTH]
    if length == head:
        return length, 0
    if words[entry(shard, key, length - 1) + 1] == 0:  # only ever the last and only chunk
        return length - 1, 0
    high = length  # chunks from `high` on begin later than `time`
    low = length - 1
    step = 1
    while low >= head and words[words[entry(shard, key, low)]] > time:
        high = low
        low -= step
        step *= 2
    if low < head:
        low = head - 1
    while high - low > 1:
        middle = (low + high) // 2
        if words[words[entry(shard, key, middle)]] > time:
            high = middle
        else:
            low = middle
    if low < head:
        return head, 0
    at = entry(shard, key, low)
    address = words[at]
    left, right = 0, words[at + 1]
    while left < right:
        middle = (left + right) // 2
        if words[address + middle] > time:
            right = middle
        else:
            left = middle + 1
    return normal(shard, key, low, left)


@kernel("Shard, ints, int, int")
def _insert_chunk(shard: Shard, shape: Int64, key: int, d: int) -> None:
    """Put a new, empty chunk at index ``d`` of the directory, which has room."""
    at = entry(shard, key, d)
    arena.move(shard, at, at + ENTRY, ENTRY * (shard.ints[key, LENGTH] - d))
    shard.ints[key, LENGTH] += 1
    shard.words[at] = _new_chunk(shard, shape, 7)
    shard.words[at + 1] = 0
    shard.words[at + 2] = LARGEST
    _move_cursors(shard, shape, key, d, 1)


@kernel("Shard, ints, int, int, int")
def _split(shard: Shard, shape: Int64, key: int, d: int, slot: int) -> None:
    """Cut chunk ``d`` in two in front of a slot; cursors follow their events. The directory has room."""
    words = shard.words
    _insert_chunk(shard, shape, key, d + 1)
    at = entry(shard, key, d)
    rest = words[at + 1] - slot
    _copy_slots(shard, shape, words[at], words[at + 2], slot, words[at + ENTRY], LARGEST, rest)
    words[at + ENTRY + 1] = rest
    words[at + 1] = slot
    for c in range(shape[SHAPE.cursors]):
        p = CURSORS + 2 * c
        if shard.ints[key, p] == d and shard.ints[key, p + 1] >= slot:
            shard.ints[key, p] = d + 1
            shard.ints[key, p + 1] -= slot


@kernel("Shard, ints, int, int, int, int")
def _shift_slots(shard: Shard, shape: Int64, address: int, capacity: int, s: int, count: int) -> None:
    """Move the events from slot ``s`` on by one."""
    words, columns = shard.words, shape[SHAPE.columns]
    for row in range(1 + columns):
        a = address + row * capacity
        for j in range(count, s, -1):
            words[a + j] = words[a + j - 1]
    for flag in range(shape[SHAPE.flags]):
        a = flags(address, capacity, columns) + flag * capacity
        for j in range(count, s, -1):
            shard.bytes[a + j] = shard.bytes[a + j - 1]
    _shift_offsets(words, _base(shape, address, capacity), s, count)


@kernel("Shard, ints, int, int")
def _room_at(shard: Shard, shape: Int64, key: int, d: int) -> int:
    """Make room for one more entry; where entry ``d`` is then."""
    behind: int = d - shard.ints[key, HEAD]
    _directory_room(shard, shape, key)
    head: int = shard.ints[key, HEAD]
    return behind + head


@kernel("Shard, ints, int, int, int")
def _set_apart(shard: Shard, shape: Int64, key: int, d: int, s: int) -> int:
    """Put an empty chunk at the place (d, s), and the cursors that stand there on it; its index."""
    d = _room_at(shard, shape, key, d)
    if 0 < s < shard.words[entry(shard, key, d) + 1]:
        _split(shard, shape, key, d, s)
        d = _room_at(shard, shape, key, d)
    if s > 0:
        d += 1
    _insert_chunk(shard, shape, key, d)
    for c in range(shape[SHAPE.cursors]):
        p = CURSORS + 2 * c
        if shard.ints[key, p] == d + 1 and shard.ints[key, p + 1] == 0:
            shard.ints[key, p] = d
    return d


@kernel("Shard, ints, int, Items, int")
def insert(shard: Shard, shape: Int64, key: int, items: Items, i: int) -> tuple[int, int]:
    """Write the late event ``i`` in its place, behind its equals; the place.

    Every cursor behind the place is moved along with its event. A cursor *at* the place is left where
    it is and so now points to the late event: the caller decides (see ``process.late``).
    """
    ints, words = shard.ints, shard.words
    d, s = seek(shard, key, items.time[i])
    if ints[key, LENGTH] == ints[key, HEAD]:
        append(shard, shape, key, items, i, 1)
        return d, s
    for c in range(shape[SHAPE.cursors]):
        p = CURSORS + 2 * c
        ints[key, p], ints[key, p + 1] = normal(shard, key, ints[key, p], ints[key, p + 1])
    at = entry(shard, key, d)
    count, capacity = words[at + 1], words[at + 2]
    if count > 0 and not _near(shard, shape, words[at], capacity, items, i):
        d, s = _set_apart(shard, shape, key, d, s), 0
    elif count == capacity and capacity < LARGEST:
        _grow_chunk(shard, shape, at, 1)
    elif count == capacity:
        d = _room_at(shard, shape, key, d)
        half = count // 2
        _split(shard, shape, key, d, half)
        if s >= half:
            d, s = d + 1, s - half
    at = entry(shard, key, d)
    count = words[at + 1]
    _shift_slots(shard, shape, words[at], words[at + 2], s, count)
    _write(shard, shape, words[at], words[at + 2], s, items, i, count == 0)
    words[at + 1] = count + 1
    ints[key, EVENTS] += 1
    for c in range(shape[SHAPE.cursors]):
        p = CURSORS + 2 * c
        if ints[key, p] == d and ints[key, p + 1] > s:
            ints[key, p + 1] += 1
    return d, s


@kernel("Shard, ints, int, int", inline=True)
def forget(shard: Shard, shape: Int64, key: int, bound: int) -> None:
    """Give back the chunks whose events are all at or before ``bound``.

    The last chunk stays to be written on; if it, too, is all old, it is used again from its front.
    """
    ints, words = shard.ints, shard.words
    while ints[key, HEAD] < ints[key, LENGTH]:
        d = ints[key, HEAD]
        at = entry(shard, key, d)
        address, count, capacity = words[at], words[at + 1], words[at + 2]
        if count == 0 or words[address + count - 1] > bound:
            return
        ints[key, EVENTS] -= count
        ints[key, FORGOTTEN] = words[address + count - 1]
        if d == ints[key, LENGTH] - 1:
            words[at + 1] = 0
            for c in range(shape[SHAPE.cursors]):
                ints[key, CURSORS + 2 * c] = d
                ints[key, CURSORS + 2 * c + 1] = 0
            return
        arena.give(shard, CHUNK_LISTS + _size_of(capacity), address)
        for c in range(shape[SHAPE.cursors]):
            if ints[key, CURSORS + 2 * c] <= d:
                ints[key, CURSORS + 2 * c] = d + 1
                ints[key, CURSORS + 2 * c + 1] = 0
        ints[key, HEAD] = d + 1
