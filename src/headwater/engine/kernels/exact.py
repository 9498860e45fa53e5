"""Exact addition of float64: partial sums that lose nothing, so that a value leaves no trace.

A sum is held as a few *partials*, non-overlapping float64 numbers in ascending magnitude whose exact
sum is the exact sum of everything added so far. To take a value out again is to add its negative, so
an accumulator is a function of what is inside its window and not of the history that led there.
Reading rounds once, to nearest and ties to even, as ``math.fsum`` does.

                 x ──┐
    p[0] ──► two_sum ──► error stays as the new p[0]
                 │
    p[1] ──► two_sum ──► error stays as the new p[1]
                 ▼
              the rest becomes the largest partial

Partials live in a work array while they are used and in an accumulator's record between uses (see
``load`` and ``store``). Two are enough for ordinary money, and 40 could hold any sum of float64; but where
much cancels they can come to hold a few bits each, so ``add`` packs them before they are too many.

Where speed counts, a sum is held in exactly ``INLINE`` *components* in ascending order of size, which may
overlap and may be zero: ``pour`` adds to them without a branch and says what fell out below.

Source: J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric
Predicates" (1997); R. Hettinger's ``msum``, which became ``math.fsum``. Called by ``cells``, ``moments``
and ``contents``.
"""

from __future__ import annotations

from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import Float64, Int64

MOST = 48  # partials that are ever kept: 2,098 bits from the smallest to the largest float64, and room
INLINE = 4  # partials kept in the record itself; more are spilled to the arena
RECORD = INLINE + 2  # words of a record: count, address of the spill, partials
SPLITTER = 134217729.0  # 2^27 + 1, for Dekker's product


@kernel("float, float")
def two_sum(a: float, b: float) -> tuple[float, float]:
    """The rounded sum of two numbers and its exact error."""
    s = a + b
    v = s - a
    return s, (a - (s - v)) + (b - v)


@kernel("float, float")
def two_product(a: float, b: float) -> tuple[float, float]:
    """The rounded product of two numbers and its exact error (Dekker), short of under- and overflow."""
    p = a * b
    t = SPLITTER * a
    a_high = t - (t - a)
    a_low = a - a_high
    t = SPLITTER * b
    b_high = t - (t - b)
    b_low = b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


@kernel("floats, int")
def pack(p: Float64, n: int) -> int:
    """Let each of ``n`` partials hold as many bits as it can; the new count. Shewchuk's COMPRESS."""
    q: float = p[n - 1]
    last = n - 1
    for i in range(n - 2, -1, -1):
        q, error = two_sum(q, p[i])
        if error != 0.0:
            p[last] = q
            last -= 1
            q = error
    kept = 0
    for i in range(last + 1, n):
        q, error = two_sum(p[i], q)
        if error != 0.0:
            p[kept] = error
            kept += 1
    p[kept] = q
    return kept + 1


@kernel("floats, int, float")
def add(p: Float64, n: int, x: float) -> int:
    """Add ``x`` to the ``n`` partials in ``p``; the new count."""
    if n >= MOST - 1:
        n = pack(p, n)
    kept = 0
    for i in range(n):
        x, error = two_sum(x, p[i])
        if error != 0.0:
            p[kept] = error
            kept += 1
    if x != 0.0:
        p[kept] = x
        kept += 1
    return kept


@kernel("floats, int, float, float")
def add_product(p: Float64, n: int, a: float, b: float) -> int:
    """Add the exact product ``a * b``; the new count."""
    product, error = two_product(a, b)
    if error != 0.0:
        n = add(p, n, error)
    return add(p, n, product)


@kernel("floats, float")
def pour(p: Float64, x: float) -> float:
    """Add ``x`` to the components in ``p``; what they have no room for, nearly always 0."""
    p[3], x = two_sum(p[3], x)
    p[2], x = two_sum(p[2], x)
    p[1], x = two_sum(p[1], x)
    p[0], x = two_sum(p[0], x)
    return x


@kernel("floats, int")
def widen(p: Float64, n: int) -> None:
    """Make components of ``n`` partials, at most INLINE."""
    for i in range(INLINE - 1, -1, -1):
        p[i] = p[i + n - INLINE] if i + n >= INLINE else 0.0


@kernel("floats")
def settle(p: Float64) -> None:
    """Let components that have come to overlap lie apart again; their sum stays."""
    p[1], p[0] = two_sum(p[1], p[0])
    p[2], p[1] = two_sum(p[2], p[1])
    p[3], p[2] = two_sum(p[3], p[2])
    p[1], p[0] = two_sum(p[1], p[0])
    p[2], p[1] = two_sum(p[2], p[1])


@kernel("floats, float")
def narrow(p: Float64, rest: float) -> int:
    """Make partials of the components and a rest; how many."""
    a, b, c, d = p[0], p[1], p[2], p[3]
    n = add(p, 0, rest)
    n = add(p, n, a)
    n = add(p, n, b)
    n = add(p, n, c)
    return add(p, n, d)


@kernel("floats, int")
def rounded(p: Float64, n: int) -> float:
    """The sum of the partials, rounded once (to nearest, ties to even)."""
    if n == 0:
        return 0.0
    i = n - 1
    high: float = p[i]
    low = 0.0
    while i > 0:
        x = high
        i -= 1
        y = p[i]
        high = x + y
        low = y - (high - x)
        if low != 0.0:
            break
    # The rest below `low` decides a tie: round half to even only if nothing else is there.
    if i > 0 and ((low < 0.0 and p[i - 1] < 0.0) or (low > 0.0 and p[i - 1] > 0.0)):
        y = low * 2.0
        x = high + y
        if y == x - high:
            high = x
    return high


@kernel("floats, ints, int, floats, floats")
def load(reals: Float64, bits: Int64, at: int, floats: Float64, p: Float64) -> int:
    """Copy the record at ``reals[at]`` into the work array ``p``; the count of partials."""
    n: int = bits[at]
    spill = bits[at + 1]
    if n <= INLINE:
        for i in range(n):
            p[i] = reals[at + 2 + i]
    else:
        for i in range(n):
            p[i] = floats[spill + i]
    return n


@kernel("floats, ints, int, floats, ints, floats, int")
def store(reals: Float64, bits: Int64, at: int, floats: Float64, heap: Int64, p: Float64, n: int) -> None:
    """Write ``n`` partials back to their record, spilling to the arena when they outgrow it."""
    bits[at] = n
    if n <= INLINE:
        for i in range(n):
            reals[at + 2 + i] = p[i]
        return
    if bits[at + 1] == 0:
        bits[at + 1] = heap[0]
        heap[0] += MOST
    spill = bits[at + 1]
    for i in range(n):
        floats[spill + i] = p[i]


@kernel("float, floats, int, floats, int, floats, int, floats")
def scaled_difference(
    count: float, a: Float64, na: int, b: Float64, nb: int, c: Float64, nc: int, work: Float64
) -> float:
    """``count * a - b * c`` for three sums in partials, rounded once. ``work`` is scratch.

    The centred second moments: with a = sum(xy), b = sum(x), c = sum(y) it is count^2 times the
    covariance, computed without any cancellation.
    """
    n = 0
    for i in range(na):
        n = add_product(work, n, count, a[i])
    for i in range(nb):
        for j in range(nc):
            n = add_product(work, n, -b[i], c[j])
    return rounded(work, n)
