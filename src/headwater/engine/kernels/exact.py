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
``load`` and ``store``); two partials are enough for ordinary money, 40 for any float64 at all.

Source: J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric
Predicates" (1997); R. Hettinger's ``msum``, which became ``math.fsum``. Called by ``cells`` and
``contents``.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import Float64, Int64

MOST = 48  # partials that any sum of float64 can need, with room
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


@kernel("floats, int, float")
def add(p: Float64, n: int, x: float) -> int:
    """Add ``x`` to the ``n`` partials in ``p``; the new count."""
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


EMPTY = np.empty(0)
