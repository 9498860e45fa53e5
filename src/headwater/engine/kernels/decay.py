"""Exponential decay with the same bits on every machine.

A term of age ``a`` weighs ``2^(-a / half_life)``. Split the time on a grid of half-lives that starts at
the epoch, t = half_life * (k + f) with 0 <= f < 1, and the weight is a product of two sides that know
nothing of each other:

    2^(-(t - t_i)/h)  =  [ 2^(f_i) * 2^(k_i) ]  *  [ 2^(-f) * 2^(-k) ]
                          the event's side          the reader's side

The event's side is rounded once per event and then added and removed exactly; powers of two only move
the exponent. So a decayed sum, too, is a function of its window's contents (forward decay: Cormode et
al., 2009). ``power`` is ours because libm's ``exp2`` differs between machines. Called by ``cells``.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np

from headwater.engine.kernels.jit import kernel

CUTOFF = 64  # half-lives after which a term weighs nothing: 2^-64 is below half a unit in the last place
STEPS = 64


def _table() -> np.ndarray:
    with localcontext() as context:
        context.prec = 50
        return np.array([float(Decimal(2) ** (Decimal(j) / STEPS)) for j in range(STEPS)])


TABLE = _table()
LN2 = 0.6931471805599453


@kernel("float")
def power(f: float) -> float:
    """2**f for 0 <= f <= 1, within about two units in the last place, from IEEE basics alone."""
    j = int(f * STEPS)
    if j >= STEPS:
        return 2.0
    r = (f - j / STEPS) * LN2
    tail = r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0))))))
    step: float = TABLE[j]
    return step + step * tail


@kernel("int, int")
def rung(time: int, half_life: int) -> tuple[int, float]:
    """The whole half-lives ``k`` up to ``time``, and the rest ``f`` in [0, 1)."""
    k = time // half_life
    return k, (time - k * half_life) / half_life


@kernel("int, int")
def fade(time: int, half_life: int) -> float:
    """The reader's side without its power of two: 2^(-f)."""
    _, f = rung(time, half_life)
    if f == 0.0:
        return 1.0
    return power(1.0 - f) * 0.5
