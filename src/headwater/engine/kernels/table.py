"""Hash tables that are nearly full, and grow in small steps without leaving anything behind.

Eight slots are a bucket, and each key may stand in either of two buckets::

                    ┌── one half of its mixed bits
      key ──────────┤
                    └── the other half
    buckets   [ a b c d e f . . ] [ g h . . . . . . ] [ i j k l m n o p ] ...

A new key goes to the emptier one. If both are full, a key in there moves to its other bucket, which makes
room (cuckoo hashing). So a look takes two cache lines at most, whatever the size, in a table that may be 85
percent full; then it grows by an eighth, and all entries are laid anew. It is 80 percent full on average: an
entry of one word takes 10 bytes, and a quarter for the directory of the pages of 64 words in which the
buckets lie. A table that has become three eighths full shrinks.

Entries are ``1 << wide`` words: the key's mixed bits, and for wide tables a count, which is 0 in an empty
slot. In the other tables an empty slot is marked by bits which therefore cannot be a key (``EMPTY``). A
record, in the arena, is (address of the directory, slots, seed, used). Keys that find no place between them,
by design or by bad luck, are given other buckets by another seed.

Sources: R. Pagh and F. F. Rodler, "Cuckoo hashing" (2001); M. Dietzfelbinger and C. Weidling, "Balanced
allocation and dictionaries with tightly packed constant size bins" (2007). Called by ``multiset``.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels import arena
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import NULL, Int64, Shard

DIRECTORY, SLOTS, SEED, USED = range(4)
RECORD = 4
EMPTY = NULL
BUCKET_LOG = 3
BUCKET = 1 << BUCKET_LOG
PAGE_LOG = 6
PAGE = 1 << PAGE_LOG
KICKS = 100  # keys that move to make room for another, at most
LARGE = 1 << 12  # slots of a table whose buckets are worth a cache line each
COLD = 1 << 8  # slots of a table that may have left the cache, for there may be many
HALF = 0xFFFFFFFF
TOP = 1 << 31
SALT = 0x1F83D9AB5BE0CD19  # the value, unlikely in life, that becomes EMPTY


@kernel("int, int")
def _scramble(half: int, factor: int) -> int:
    """32 bits of a product that stays below 2^63, so that plain Python agrees."""
    product = half * factor
    return (product ^ (product >> 31)) & HALF


@kernel("int")
def mix(bits: int) -> int:
    """Another int64 for each int64, spread evenly: three rounds of a Feistel network."""
    bits = bits ^ SALT
    high, low = (bits >> 32) & HALF, bits & HALF
    low ^= _scramble(high, 0x6C078965)
    high ^= _scramble(low, 0x4F1BBCDD)
    low ^= _scramble(high, 0x2545F491)
    return ((high - TOP) << 32) | low


@kernel("ints, int, int, int")
def _bucket(words: Int64, t: int, wide: int, bucket: int) -> int:
    """The address of a bucket."""
    shift = PAGE_LOG - BUCKET_LOG - wide
    page: int = words[words[t + DIRECTORY] + (bucket >> shift)]
    return page + ((bucket & ((1 << shift) - 1)) << (BUCKET_LOG + wide))


@kernel("ints, int, int, int")
def buckets(words: Int64, t: int, wide: int, mixed: int) -> tuple[int, int]:
    """The addresses of the two buckets of a key."""
    seed, count = words[t + SEED], words[t + SLOTS] >> BUCKET_LOG
    if seed != 0:
        mixed = mix(mixed ^ seed)
    first = (((mixed >> 32) + TOP) * count) >> 32
    second = ((mixed & HALF) * count) >> 32
    return _bucket(words, t, wide, first), _bucket(words, t, wide, second)


@kernel("ints, int, int, int")
def _look(words: Int64, bucket: int, wide: int, mixed: int) -> int:
    """The address of a key's entry in a bucket, 0 if it is not there."""
    found = 0
    for i in range(BUCKET):
        entry = bucket + (i << wide)
        if words[entry] == mixed and (wide == 0 or words[entry + 1] != 0):
            found = entry
    return found


@kernel("ints, int, int")
def _free(words: Int64, bucket: int, wide: int) -> tuple[int, int]:
    """How many slots of a bucket are empty, and the address of one of them."""
    free, empty = 0, 0
    for i in range(BUCKET):
        entry = bucket + (i << wide)
        if words[entry + wide] == (0 if wide != 0 else EMPTY):
            free += 1
            empty = entry
    return free, empty


@kernel("ints, int, int, int")
def find(words: Int64, t: int, wide: int, mixed: int) -> int:
    """The address of a key's entry, 0 if it is not there."""
    if words[t + USED] == 0 or (mixed == EMPTY and wide == 0):
        return 0
    first, second = buckets(words, t, wide, mixed)
    found = _look(words, first, wide, mixed)
    return found if found != 0 else _look(words, second, wide, mixed)


@kernel("ints, int, int, int")
def probe(words: Int64, first: int, second: int, mixed: int) -> tuple[int, int]:
    """In two buckets of a table that is not wide, a key's entry and the slot where it would go, or 0."""
    free, more = 0, 0
    empty, other = 0, 0
    for i in range(BUCKET):
        a, b = words[first + i], words[second + i]
        if a == mixed:
            return first + i, 0
        if b == mixed:
            return second + i, 0
        free += a == EMPTY
        more += b == EMPTY
        empty = first + i if a == EMPTY else empty
        other = second + i if b == EMPTY else other
    return 0, other if more > free else empty


@kernel("ints, int, int, int")
def touch(words: Int64, t: int, wide: int, mixed: int) -> int:
    """Fetch the two buckets of a key into the cache; returns something of them, to be used.

    One load for each line: with more, fewer are on their way at a time.
    """
    first, second = buckets(words, t, wide, mixed)
    value: int = words[first] + words[second]
    if wide != 0:
        value += words[first + BUCKET] + words[second + BUCKET]
    return value


@kernel("ints, int, int, int, int")
def _write(words: Int64, entry: int, wide: int, mixed: int, count: int) -> None:
    words[entry] = mixed
    if wide != 0:
        words[entry + 1] = count


@kernel("ints, int, int, int, int")
def _place(words: Int64, t: int, wide: int, mixed: int, count: int) -> tuple[int, int]:
    """Put in an entry, moving others if need be. Returns an entry that was left over, of count 0 if none."""
    first, second = buckets(words, t, wide, mixed)
    free, entry = _free(words, first, wide)
    more, other = _free(words, second, wide)
    if more > free:
        free, entry = more, other
    bucket = first
    kick = 0
    while free == 0:
        if kick == KICKS:
            return mixed, count
        entry = bucket + ((kick & (BUCKET - 1)) << wide)
        out, out_count = words[entry], words[entry + wide]
        _write(words, entry, wide, mixed, count)
        mixed, count = out, out_count if wide != 0 else 1
        first, second = buckets(words, t, wide, mixed)
        bucket = second if bucket == first else first
        free, entry = _free(words, bucket, wide)
        kick += 1
    _write(words, entry, wide, mixed, count)
    return mixed, 0


# --- laying anew -------------------------------------------------------------------------------------


@kernel("int, int")
def pages(slots: int, wide: int) -> int:
    """Pages of a table; a small one has one, which is smaller."""
    return ((slots << wide) + PAGE - 1) >> PAGE_LOG


@kernel("int, int")
def _size(words: int, wide: int) -> int:
    """Slots of a table of so many words, or a few more."""
    if words < PAGE:
        return (1 << max(arena.size_class(words), BUCKET_LOG + wide)) >> wide
    return (words + PAGE - 1) // PAGE * PAGE >> wide


@kernel("Shard, int, int, int")
def _resize(shard: Shard, t: int, wide: int, slots: int) -> None:
    """Take or give back pages; what stands in them is lost."""
    words = shard.words
    old, directory = words[t + SLOTS], words[t + DIRECTORY]
    before, after = pages(old, wide), pages(slots, wide)
    keep = min(before, after) if (old << wide) >= PAGE and (slots << wide) >= PAGE else 0
    for page in range(keep, before):
        arena.give_block(shard, min(arena.size_class(old << wide), PAGE_LOG), words[directory + page])
    old_log, log = arena.size_class(before), arena.size_class(after)
    if before == 0 or log != old_log:
        new = arena.take_block(shard, log)
        arena.move(shard, directory, new, keep)
        if before > 0:
            arena.give_block(shard, old_log, directory)
        words[t + DIRECTORY] = directory = new
    if slots >= LARGE:
        arena.align(shard)  # a bucket is one cache line; in a smaller table that is not worth the words
    for page in range(keep, after):
        words[directory + page] = arena.take_block(shard, min(arena.size_class(slots << wide), PAGE_LOG))
    words[t + SLOTS] = slots


@kernel("ints, int, int")
def _empty(words: Int64, t: int, wide: int) -> None:
    """Mark all slots as empty."""
    for bucket in range(words[t + SLOTS] >> BUCKET_LOG):
        address = _bucket(words, t, wide, bucket)
        for i in range(BUCKET):
            words[address + (i << wide) + wide] = 0 if wide != 0 else EMPTY


@kernel("Shard, int, int, int, int, int", allocates=True)
def _lay_anew(shard: Shard, t: int, wide: int, slots: int, mixed: int, count: int) -> None:
    """Lay all entries, and another if ``count`` > 0, over so many slots, under the first seed that does."""
    words, n = shard.words, 0
    room = words[t + USED] + 2
    keys, counts = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
    for bucket in range(words[t + SLOTS] >> BUCKET_LOG):
        address = _bucket(words, t, wide, bucket)
        for i in range(BUCKET):
            entry = address + (i << wide)
            keys[n], counts[n] = words[entry], words[entry + wide]
            n += 0 if counts[n] == (0 if wide != 0 else EMPTY) else 1
    if count != 0:
        keys[n], counts[n] = mixed, count
        n += 1
    if slots != words[t + SLOTS]:
        _resize(shard, t, wide, slots)
    placed = -1
    while placed < n:
        _empty(words, t, wide)
        placed, left = 0, 0
        while placed < n and left == 0:
            _, left = _place(words, t, wide, keys[placed], counts[placed] if wide != 0 else 1)
            placed += 1
        if left != 0:
            placed = -1
            words[t + SEED] += 1
    words[t + USED] = n


@kernel("int, int, int")
def demand(slots: int, wide: int, used: int) -> int:
    """Words that a table of so many slots can come to take on the way to ``used`` entries."""
    size = ((used + 2) << wide) * 4 // 3 + 4 * PAGE
    return max(size - (slots << wide), 0) + size // 8 + PAGE


# --- entries that come and go ------------------------------------------------------------------------


@kernel("ints, int")
def is_full(words: Int64, t: int) -> bool:
    """Whether the table must grow for one more entry."""
    return bool(20 * (words[t + USED] + 1) > 17 * words[t + SLOTS])


@kernel("Shard, int, int, int, int")
def insert(shard: Shard, t: int, wide: int, mixed: int, count: int) -> None:
    """Put in an entry that is not there."""
    words, slots = shard.words, shard.words[t + SLOTS]
    if is_full(words, t):
        size = slots << wide
        size += size // 8 + 1 if size >= PAGE else size + 1
        _lay_anew(shard, t, wide, _size(size, wide), mixed, count)
        return
    mixed, count = _place(words, t, wide, mixed, count)
    if count != 0:
        _lay_anew(shard, t, wide, slots, mixed, count)
    else:
        words[t + USED] += 1


@kernel("Shard, int, int, int")
def remove(shard: Shard, t: int, wide: int, entry: int) -> None:
    """Take out the entry at an address."""
    words, slots = shard.words, shard.words[t + SLOTS]
    words[entry + wide] = 0 if wide != 0 else EMPTY
    words[t + USED] -= 1
    if (slots << wide) > PAGE and 8 * words[t + USED] < 3 * slots:
        _lay_anew(shard, t, wide, _size((words[t + USED] << wide) * 4 // 3, wide), 0, 0)
