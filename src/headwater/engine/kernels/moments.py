"""Variance and trend: sums of products that lose nothing, and differences of them rounded once.

What is held of a window, exact to the last bit whatever came and went (t: time after an anchor)::

    var, std    n   sum(x)   sum(x x)
    trend       n   sum(x)   sum(t x)   sum(t)   sum(t t)

and what is read of it are centred second moments, ``n sum(ab) - sum(a) sum(b)``, in which almost everything
cancels.

* Values are poured into four components a sum (``exact.pour``). What these have no room for is nearly
  always nothing; if not, the sum goes on as a list of partials until the run is over.
* A difference is computed in about 100 bits, with a bound on its error. Where both ends of the bound round
  to the same float64, that is the exact difference rounded once; otherwise ``exact`` finds it. So a value
  is a function of what the window holds, by whichever way it was found.
* The anchor of a trend is a time near its window: the nearer, the less cancels. It is moved, exactly, once
  the window has gone far from it, and shows in no result.

Sources: T. J. Dekker (1971) for the products; A. Ziv, "Fast evaluation of elementary mathematical functions
with correctly rounded last bit" (1991) for the test. Called by ``cells`` along a tape, and by ``contents``
along the values of a window.
"""

from __future__ import annotations

import math

from headwater.engine.kernels import exact
from headwater.engine.kernels.jit import kernel
from headwater.engine.kernels.layout import Float64, Int64, Work

COUNT, HUGE, ANCHOR = range(3)  # words in front of the sums; a variance has no anchor
SPREAD = 2 + 2 * exact.RECORD  # words of a record
TREND = 3 + 4 * exact.RECORD

TOO_LARGE = 1e150  # the square of anything larger overflows: variance is then infinite, a trend unknown
REACH = 1_000  # how many windows a trend may be away from its anchor
FURTHEST = 2**50  # and how many microseconds in any case
DAY = 86_400e6
SLACK = 2.0**-51
SMALLEST = 1e-200  # products of smaller size might underflow unseen
NAN = float("nan")


# --- differences of products -------------------------------------------------------------------------


@kernel("floats")
def _pair(p: Float64) -> tuple[float, float, float]:
    """The components in ``p`` as a high part, a low part and a bound on what that loses."""
    high, t = exact.two_sum(p[3], p[2])
    u, v = exact.two_sum(p[1], p[0])
    t, w = exact.two_sum(t, u)
    high, t = exact.two_sum(high, t)
    low = t + (v + w)
    error = SLACK * (abs(v) + abs(w) + abs(low))
    high, low = exact.two_sum(high, low)
    return high, low, error


@kernel("float, floats, floats, floats")
def _difference(n: float, p: Float64, q: Float64, r: Float64) -> tuple[float, bool]:
    """Of sums in components ``n p - q r``, and whether it is surely the exact difference rounded once."""
    a, a_low, a_error = _pair(p)
    b, b_low, b_error = _pair(q)
    c, c_low, c_error = _pair(r)
    left, rest = exact.two_product(n, a)
    rest += n * a_low
    right, minus = exact.two_product(b, c)
    minus += b * c_low + b_low * c
    high, t = exact.two_sum(left, -right)
    low = t + (rest - minus)
    sizes = abs(n * a_low) + abs(rest) + abs(b * c_low) + abs(b_low * c) + abs(minus) + abs(t) + abs(low)
    errors = n * a_error + abs(b_low * c_low) + abs(b) * c_error + abs(c) * b_error
    bound = SLACK * sizes + 2.0 * errors
    value = high + (low - bound)
    return value, value == high + (low + bound) and abs(left) + abs(right) > SMALLEST


@kernel("int, floats, int, floats, int, floats, int, bool, floats")
def _moment(
    count: int, p: Float64, np: int, q: Float64, nq: int, r: Float64, nr: int, poured: bool, work: Float64
) -> float:
    """The exact ``count p - q r`` rounded once: count^2 times a covariance."""
    n = float(count)
    if poured:
        value, sure = _difference(n, p, q, r)
        if sure:
            return value
    return exact.scaled_difference(n, p, np, q, nq, r, nr, work)


# --- variance ----------------------------------------------------------------------------------------


@kernel("floats, ints, floats, ints, int, Work, int, bool, bool")
def spread(
    floats: Float64,
    heap: Int64,
    reals: Float64,
    bits: Int64,
    at: int,
    work: Work,
    n: int,
    root: bool,
    keep: bool,
) -> None:
    """Run a sample variance, or its root, along the tape: its record is at ``reals[at]``."""
    count, huge = bits[at + COUNT], bits[at + HUGE]
    p, q, first = work.p, work.q, at + 2
    np = exact.load(reals, bits, first, floats, p)
    nq = exact.load(reals, bits, first + exact.RECORD, floats, q)
    poured = np <= exact.INLINE and nq <= exact.INLINE
    if poured:
        exact.widen(p, np)
        exact.widen(q, nq)
        np, nq = exact.INLINE, exact.INLINE
    e = 0
    for k in range(n):
        x, step = work.signed[k], work.step[k]
        count += step
        if abs(x) > TOO_LARGE:
            huge += step
        elif poured:
            high, low = exact.two_product(x, x * step)
            a, b, c = exact.pour(p, x), exact.pour(q, high), exact.pour(q, low)
            if a != 0.0 or b != 0.0 or c != 0.0:
                poured = False
                np, nq = exact.narrow(p, a), exact.narrow(q, b)
                nq = exact.add(q, nq, c)
        elif step != 0:
            np, nq = exact.add(p, np, x), exact.add_product(q, nq, x, x * step)
        if work.end[k] != 0:
            work.line[e] = NAN
            if count > 1:
                value = _moment(count, q, nq, p, np, p, np, poured, work.w)
                value = value / (float(count) * float(count - 1)) if huge == 0 else float("inf")
                work.line[e] = math.sqrt(value) if root else value
            e += 1
    if keep:
        bits[at + COUNT], bits[at + HUGE] = count, huge
        if poured:
            exact.settle(p)
            exact.settle(q)
        exact.store(reals, bits, first, floats, heap, p, np)
        exact.store(reals, bits, first + exact.RECORD, floats, heap, q, nq)


# --- trend -------------------------------------------------------------------------------------------


@kernel("Work, four, int, int")
def _move(work: Work, n: tuple[int, int, int, int], count: int, by: int) -> tuple[int, int, int, int]:
    """Partials of sum(x), sum(tx), sum(t), sum(tt) for an anchor that is later by ``by``."""
    np, nq, nr, ns = n
    d = float(by)
    for i in range(np):
        nq = exact.add_product(work.q, nq, work.p[i], -d)
    high, low = exact.two_product(float(count), d)
    for i in range(nr):
        ns = exact.add_product(work.s, ns, work.r[i], -2.0 * d)
    ns = exact.add_product(work.s, ns, high, d)
    ns = exact.add_product(work.s, ns, low, d)
    nr = exact.add(work.r, nr, -high)
    nr = exact.add(work.r, nr, -low)
    return np, nq, nr, ns


@kernel("Work, float, float, int")
def _pour_point(work: Work, t: float, x: float, sign: int) -> bool:
    """Add a point, or take it out, in components; whether there was room, and in ``work.w`` the rests."""
    rests = work.w
    high, low = exact.two_product(t, x)
    square, small = exact.two_product(t, t * sign)
    rests[0] = exact.pour(work.p, x)
    rests[1] = exact.pour(work.q, high)
    rests[2] = exact.pour(work.q, low)
    rests[3] = exact.pour(work.r, t * sign)
    rests[4] = exact.pour(work.s, square)
    rests[5] = exact.pour(work.s, small)
    lost: float = abs(rests[0]) + abs(rests[1]) + abs(rests[2]) + abs(rests[3]) + abs(rests[4])
    return bool(lost + abs(rests[5]) == 0.0)


@kernel("Work")
def _narrow(work: Work) -> tuple[int, int, int, int]:
    """Partials of the components and the rests."""
    rests = work.w
    nq, ns = exact.narrow(work.q, rests[1]), exact.narrow(work.s, rests[4])
    nq, ns = exact.add(work.q, nq, rests[2]), exact.add(work.s, ns, rests[5])
    return exact.narrow(work.p, rests[0]), nq, exact.narrow(work.r, rests[3]), ns


@kernel("Work, four, float, float, int")
def _add_point(
    work: Work, n: tuple[int, int, int, int], t: float, x: float, sign: int
) -> tuple[int, int, int, int]:
    """Add a point, or take it out, in partials."""
    return (
        exact.add(work.p, n[0], x),
        exact.add_product(work.q, n[1], t, x),
        exact.add(work.r, n[2], t * sign),
        exact.add_product(work.s, n[3], t, t * sign),
    )


@kernel("int, int, Work, four, bool")
def _slope(count: int, huge: int, work: Work, n: tuple[int, int, int, int], poured: bool) -> float:
    """The least-squares slope per day; NaN below two moments."""
    if count < 2 or huge > 0:
        return NAN
    width = _moment(count, work.s, n[3], work.r, n[2], work.r, n[2], poured, work.w)
    if width <= 0.0:
        return NAN
    return _moment(count, work.q, n[1], work.r, n[2], work.p, n[0], poured, work.w) / width * DAY


@kernel("floats, floats, ints, int, Work")
def _load(floats: Float64, reals: Float64, bits: Int64, first: int, work: Work) -> tuple[int, int, int, int]:
    """The four sums of a record into the work arrays; their counts."""
    return (
        exact.load(reals, bits, first, floats, work.p),
        exact.load(reals, bits, first + exact.RECORD, floats, work.q),
        exact.load(reals, bits, first + 2 * exact.RECORD, floats, work.r),
        exact.load(reals, bits, first + 3 * exact.RECORD, floats, work.s),
    )


@kernel("floats, ints, floats, ints, int, Work, four, bool")
def _store(
    floats: Float64,
    heap: Int64,
    reals: Float64,
    bits: Int64,
    first: int,
    work: Work,
    n: tuple[int, int, int, int],
    poured: bool,
) -> None:
    if poured:
        exact.settle(work.p)
        exact.settle(work.q)
        exact.settle(work.r)
        exact.settle(work.s)
    exact.store(reals, bits, first, floats, heap, work.p, n[0])
    exact.store(reals, bits, first + exact.RECORD, floats, heap, work.q, n[1])
    exact.store(reals, bits, first + 2 * exact.RECORD, floats, heap, work.r, n[2])
    exact.store(reals, bits, first + 3 * exact.RECORD, floats, heap, work.s, n[3])


@kernel("Work, four")
def _widen(work: Work, n: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Components of the partials, if all are few enough; their counts."""
    if max(n[0], n[1], n[2], n[3]) > exact.INLINE:
        return n
    exact.widen(work.p, n[0])
    exact.widen(work.q, n[1])
    exact.widen(work.r, n[2])
    exact.widen(work.s, n[3])
    return exact.INLINE, exact.INLINE, exact.INLINE, exact.INLINE


@kernel("floats, ints, floats, ints, int, Work, int, int, bool")
def trend(
    floats: Float64,
    heap: Int64,
    reals: Float64,
    bits: Int64,
    at: int,
    work: Work,
    n: int,
    over: int,
    keep: bool,
) -> None:
    """Run a trend along the tape of a window of ``over``: its record is at ``reals[at]``."""
    count, huge, anchor = bits[at + COUNT], bits[at + HUGE], bits[at + ANCHOR]
    sums = _load(floats, reals, bits, at + 3, work)
    far = min(over * REACH, FURTHEST) if over >= 0 else FURTHEST
    if count > 0 and n > 0 and abs(work.when[n - 1] - anchor) > far and work.step[n - 1] != 0:
        sums = _move(work, sums, count, work.when[n - 1] - anchor)
        anchor = work.when[n - 1]
    sums = _widen(work, sums)
    poured = max(sums[0], sums[1], sums[2], sums[3]) <= exact.INLINE
    e = 0
    for k in range(n):
        x, step = work.signed[k], work.step[k]
        if count == 0 and step > 0:
            anchor = work.when[k]
        count += step
        if abs(x) > TOO_LARGE:
            huge += step
        elif step != 0:
            t = float(work.when[k] - anchor)
            if not poured:
                sums = _add_point(work, sums, t, x, step)
            elif not _pour_point(work, t, x, step):
                sums, poured = _narrow(work), False
        if work.end[k] != 0:
            work.line[e] = _slope(count, huge, work, sums, poured)
            e += 1
    if keep:
        bits[at + COUNT], bits[at + HUGE], bits[at + ANCHOR] = count, huge, anchor
        _store(floats, heap, reals, bits, at + 3, work, sums, poured)
