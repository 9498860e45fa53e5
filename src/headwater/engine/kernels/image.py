"""The image of one key: its rows and every block that they lead to, as the memory of a shard with one key.

::

    shard      ints [ . . . k . . ]   reals [ . . . k . . ]   words [ ..a.... ..b. .......c.. ]
                          │                       │                    │       │         │
    image      words in all │ ints row │ reals row │ 0 a' b' c'        blocks, moved together

Blocks are laid one behind the other from word 1 on (0 means "no block"), and the addresses that lead to them
are those of their new places. So an image is read by copying three parts (``Memory.hold``), and all other
kernels work on it as on any shard. Whoever adds a structure to a key adds it here; the tests run every
question of the semantic suite on images. Called by ``engine.image``.
"""

from __future__ import annotations

from headwater.engine.kernels import arena, deque, exact, multiset, ranked, table, timeline
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import (
    C_INTS,
    C_OP,
    C_OVER,
    C_REALS,
    CAPACITY,
    DECAYED,
    DIRECTORY,
    DISTINCT,
    ENTRY,
    HEAD,
    LENGTH,
    MAX,
    MEAN,
    MIN,
    QUANTILE,
    STD,
    SUM,
    TREND,
    VAR,
    Int64,
    Shard,
    Tables,
)


@kernel("Shard, ints, int, int, int, bool")
def _copy(shard: Shard, out: Int64, place: int, address: int, size: int, writing: bool) -> None:
    """Copy a block into the image."""
    if writing:
        for i in range(size):
            out[place + i] = shard.words[address + i]


@kernel("Shard, ints, int, ints, int, int, int, bool")
def _timeline(
    shard: Shard, shape: Int64, key: int, out: Int64, rows: int, base: int, n: int, writing: bool
) -> int:
    """The directory and the chunks in it; ``rows`` is where the key's ints are in the image."""
    ints, words = shard.ints, shard.words
    capacity, head, length = ints[key, CAPACITY], ints[key, HEAD], ints[key, LENGTH]
    if capacity == 0:
        return n
    directory = n
    n += 1 << arena.size_class(capacity * ENTRY)
    if writing:
        for i in range(base + directory, base + n):
            out[i] = 0
        out[rows + DIRECTORY] = directory
    for d in range(head, length):
        at = timeline.entry(shard, key, d)
        address, count, room = words[at], words[at + 1], words[at + 2]
        size = timeline.chunk_words(shape, room)
        _copy(shard, out, base + n, address, size, writing)
        if writing:
            entry = base + directory + ENTRY * d
            out[entry], out[entry + 1], out[entry + 2] = n, count, room
        n += size
    return n


@kernel("Shard, int, int, ints, int, int, int, bool")
def _deque(shard: Shard, key: int, at: int, out: Int64, rows: int, base: int, n: int, writing: bool) -> int:
    address = shard.ints[key, at + deque.ADDRESS]
    if address == 0:
        return n
    size: int = 1 << shard.ints[key, at + deque.LOG]
    _copy(shard, out, base + n, address, size, writing)
    if writing:
        out[rows + at + deque.ADDRESS] = n
    return n + size


@kernel("Shard, int, int, ints, int, int, bool")
def _table(shard: Shard, t: int, wide: int, out: Int64, base: int, n: int, writing: bool) -> int:
    """The pages of a table whose record is copied already, to ``out[base]``; ``n`` counts from there."""
    words = shard.words
    slots, directory = words[t + table.SLOTS], words[t + table.DIRECTORY]
    pages = table.pages(slots, wide)
    if pages == 0:
        return n
    place = n
    n += 1 << arena.size_class(pages)
    if writing:
        for i in range(base + place, base + n):
            out[i] = 0
    size = 1 << min(arena.size_class(slots << wide), table.PAGE_LOG)
    for page in range(pages):
        _copy(shard, out, base + n, words[directory + page], size, writing)
        if writing:
            out[base + place + page] = n
        n += size
    return n


@kernel("Shard, int, int, ints, int, int, int, bool")
def _multiset(
    shard: Shard, key: int, at: int, out: Int64, rows: int, base: int, n: int, writing: bool
) -> int:
    once = shard.ints[key, at + multiset.TABLES]
    if once == 0:
        return n
    record = n
    n += 1 << multiset.TABLES_LOG
    _copy(shard, out, base + record, once, 1 << multiset.TABLES_LOG, writing)
    if writing:
        out[rows + at + multiset.TABLES] = record
    for wide in range(2):
        t = wide * table.RECORD
        directory = n
        n = _table(shard, once + t, wide, out, base, n, writing)
        if writing:
            out[base + record + t + table.DIRECTORY] = directory if n > directory else 0
    return n


@kernel("Shard, int, int, ints, int, int, int, bool")
def _ranked(shard: Shard, key: int, at: int, out: Int64, rows: int, base: int, n: int, writing: bool) -> int:
    ints, words = shard.ints, shard.words
    address, fences = ints[key, at + ranked.ADDRESS], ints[key, at + ranked.FENCES]
    if address != 0:
        directory = n
        n += 1 << ints[key, at + ranked.LOG]
        _copy(shard, out, base + directory, address, n - directory, writing)
        for b in range(ints[key, at + ranked.BLOCKS]):
            _copy(shard, out, base + n, words[address + ranked.ENTRY * b], ranked.BLOCK, writing)
            if writing:
                out[base + directory + ranked.ENTRY * b] = n
            n += ranked.BLOCK
        if writing:
            out[rows + at + ranked.ADDRESS] = directory
    if fences != 0:
        _copy(shard, out, base + n, fences, 1 << ranked.FENCES_LOG, writing)
        if writing:
            out[rows + at + ranked.FENCES] = n
        n += 1 << ranked.FENCES_LOG
    return n


@kernel("Shard, int, int, ints, int, int, int, bool")
def _partials(
    shard: Shard, key: int, at: int, out: Int64, reals: int, base: int, n: int, writing: bool
) -> int:
    """What a sum has spilled; ``reals`` is where the key's reals are in the image."""
    if shard.bits[key, at] <= exact.INLINE:
        if writing:
            out[reals + at + 1] = 0  # a place of an earlier spill, if any
        return n
    _copy(shard, out, base + n, shard.bits[key, at + 1], exact.MOST, writing)
    if writing:
        out[reals + at + 1] = n
    return n + exact.MOST


@kernel("int")
def _sums(op: int) -> tuple[int, int]:
    """Where the sums of an accumulator begin in its record, and how many there are."""
    if op == SUM:
        return 0, 1
    if op == MEAN:
        return 1, 1
    if op == DECAYED:
        return 2, 1
    if op == VAR or op == STD:
        return 2, 2
    if op == TREND:
        return 3, 4
    return 0, 0


@kernel("Shard, Tables, int, ints, int, bool")
def _image(shard: Shard, tables: Tables, key: int, out: Int64, start: int, writing: bool) -> int:
    """Lay the image of a key from ``start`` on, or only see where it ends; its end."""
    rows = start + 1
    reals = rows + shard.ints.shape[1]
    base: int = reals + shard.reals.shape[1]
    if writing:
        for i in range(shard.ints.shape[1]):
            out[rows + i] = shard.ints[key, i]
        for i in range(shard.reals.shape[1]):
            out[reals + i] = shard.bits[key, i]
        out[base] = 0
    n = _timeline(shard, tables.shape, key, out, rows, base, 1, writing)
    for c in range(tables.cells.shape[0]):
        op, at = tables.cells[c, C_OP], tables.cells[c, C_INTS]
        if (op == MIN or op == MAX) and tables.cells[c, C_OVER] >= 0:
            n = _deque(shard, key, at, out, rows, base, n, writing)
        elif op == DISTINCT:
            n = _multiset(shard, key, at, out, rows, base, n, writing)
        elif op == QUANTILE:
            n = _ranked(shard, key, at, out, rows, base, n, writing)
        first, sums = _sums(op)
        for i in range(sums):
            record = tables.cells[c, C_REALS] + first + i * exact.RECORD
            n = _partials(shard, key, record, out, reals, base, n, writing)
    if writing:
        out[start] = n
    return base + n


@kernel("Shard, Tables, ints, ints, ints", entry=True)
def images(shard: Shard, tables: Tables, keys: Int64, ends: Int64, out: Int64) -> None:
    """The images of some keys, one behind the other.

    Args:
        shard: where they are.
        tables: of its view.
        keys: n of them, by their row.
        ends: shape (n,), filled with where each image ends.
        out: room for all, or empty: then only ``ends`` is filled.
    """
    end = 0
    writing = out.shape[0] > 0
    for i in range(keys.shape[0]):
        end = _image(shard, tables, keys[i], out, end, writing)
        ends[i] = end
