"""How far one distribution lies from another: three numbers that the field knows.

Plain functions of shares; what a distance is worth, given how few rows it rests on, is decided in ``drift``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def psi(now: Float64, usual: Float64, rows: float = np.inf, usual_rows: float = np.inf) -> float:
    """Population stability index: ``sum((now - usual) * ln(now / usual))``.

    Below 0.1 is called stable and above 0.25 a shift by the rule of thumb of credit scoring (Siddiqi, "Credit
    Risk Scorecards", 2006); for two normal distributions it is the squared distance of the means in standard
    deviations.

    Args:
        now: shares, shape (bins,), adding up to 1.
        usual: shares, alike.
        rows: what ``now`` rests on; half a row is added to each bin, so that an empty one does not make it
            infinite. Without it nothing is added.
        usual_rows: the same for ``usual``.

    Example:
        >>> round(psi(np.array([0.2, 0.8]), np.array([0.5, 0.5])), 4)
        0.4159
    """
    a, b = _smoothed(now, rows), _smoothed(usual, usual_rows)
    both = (a > 0) | (b > 0)
    with np.errstate(divide="ignore"):
        return float(((a - b) * np.log(a / b, where=both, out=np.zeros_like(a)))[both].sum())


def expected_psi(bins: int, rows: float, usual_rows: float) -> float:
    """What PSI comes to on average where nothing has changed: ``(bins - 1) (1 / rows + 1 / usual_rows)``.

    Source: Yurdakul and Naranjo, "Statistical properties of the population stability index" (2020).
    """
    return (bins - 1) * (1 / rows + 1 / usual_rows)


def jensen_shannon(now: Float64, usual: Float64) -> float:
    """Jensen-Shannon distance to base 2: 0 for the same shares, 1 where nothing overlaps.

    Example:
        >>> jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
        1.0
    """
    middle = (now + usual) / 2
    divergence = (_relative(now, middle) + _relative(usual, middle)) / 2
    return float(np.sqrt(max(divergence, 0.0)))


def kolmogorov_smirnov(now: Float64, usual: Float64) -> float:
    """The widest gap between two distribution functions.

    Args:
        now: the share at or below each of some points, shape (points,).
        usual: the share at or below each of the same points.
    """
    return float(np.abs(now - usual).max(initial=0.0))


def _smoothed(share: Float64, rows: float) -> Float64:
    if np.isinf(rows):
        return share
    return (share * rows + 0.5) / (rows + 0.5 * len(share))


def _relative(share: Float64, middle: Float64) -> float:
    """Relative entropy in bits."""
    some = share > 0
    return float((share[some] * np.log2(share[some] / middle[some])).sum())
