"""Tail probabilities: how likely a statistic as large as this one is, if nothing has changed.

Thin, vectorised names over ``scipy.special``, so that the floors above need no scipy. Every function takes
and gives arrays (or numbers) that broadcast; a NaN goes in and comes out. Called by ``monitoring``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Float64 = npt.NDArray[np.float64]

_TERMS = 5_000  # of a sum whose terms fall off at once where the tail is small


def f_tail(value: npt.ArrayLike, above: npt.ArrayLike, below: npt.ArrayLike) -> Float64:
    """P(F >= value) of Fisher's F with ``above`` and ``below`` degrees of freedom.

    Example:
        >>> round(float(f_tail(4.96, 1, 10)), 3)
        0.05
    """
    return np.asarray(special.fdtrc(above, below, np.maximum(value, 0.0)), np.float64)


def chi2_tail(value: npt.ArrayLike, degrees: npt.ArrayLike) -> Float64:
    """P(X >= value) of a chi-squared variable.

    Example:
        >>> round(float(chi2_tail(3.841, 1)), 3)
        0.05
    """
    return np.asarray(special.chdtrc(degrees, np.maximum(value, 0.0)), np.float64)


def t_tail(value: npt.ArrayLike, degrees: npt.ArrayLike) -> Float64:
    """P of Student's t to lie at least as far from 0: both tails.

    Example:
        >>> round(float(t_tail(-2.228, 10)), 3)
        0.05
    """
    return np.asarray(2.0 * special.stdtr(degrees, -np.abs(np.asarray(value, np.float64))), np.float64)


def ks_tail(distance: npt.ArrayLike, rows: npt.ArrayLike) -> Float64:
    """P(D >= distance) of the Kolmogorov-Smirnov distance, with Stephens' correction for few rows.

    Args:
        distance: the widest gap between two distribution functions.
        rows: ``n m / (n + m)`` of two samples; need not be whole.

    Sources: Stephens, "Use of the Kolmogorov-Smirnov, Cramer-von Mises and related statistics without
    extensive tables" (1970). Ties make it say more than the truth, never less.

    Example:
        >>> round(float(ks_tail(0.19, 50)), 2)
        0.05
    """
    root = np.sqrt(np.asarray(rows, np.float64))
    return np.asarray(special.kolmogorov((root + 0.12 + 0.11 / root) * np.asarray(distance)), np.float64)


def humbled(p: npt.ArrayLike, degrees: npt.ArrayLike) -> Float64:
    """A p-value that took a variance for known which was estimated with so many degrees of freedom.

    It is read as the two tails of a normal variable, which becomes one of Student's t.

    Example:
        >>> round(float(humbled(0.05, 10)), 3)  # 1.96 of Student's t
        0.078
    """
    return t_tail(special.ndtri(np.asarray(p, np.float64) / 2), degrees)


def fisher_tail(
    hits: npt.ArrayLike, rows: npt.ArrayLike, usual_hits: npt.ArrayLike, usual_rows: npt.ArrayLike
) -> Float64:
    """P(at least so many of all hits fall into these rows), given how many there are: Fisher's exact test.

    Args:
        hits: of the window; whole numbers, as all of these.
        rows: of the window.
        usual_hits: of the reference.
        usual_rows: of the reference.

    With ``usual_hits = 0`` it is the chance that the ``hits`` largest of all values lie in the window: what a
    break of the range, or a category never seen, is worth.

    Example:
        >>> round(float(fisher_tail(3, 10, 0, 90)), 5)  # 10/100 * 9/99 * 8/98
        0.00074
    """
    k, n, u, m = (np.asarray(part, np.float64) for part in (hits, rows, usual_hits, usual_rows))
    k, n, u, m = np.broadcast_arrays(k, n, u, m)
    found = np.array([_hypergeometric(*row) for row in zip(k.flat, n.flat, u.flat, m.flat, strict=True)])
    return found.reshape(k.shape)


def binomial_none(share: npt.ArrayLike, rows: npt.ArrayLike) -> Float64:
    """P(none of so many rows) where each has this chance: ``(1 - share) ** rows``."""
    return np.asarray(np.exp(np.asarray(rows, np.float64) * np.log1p(-np.asarray(share))), np.float64)


def _hypergeometric(hits: float, rows: float, usual_hits: float, usual_rows: float) -> float:
    """The upper tail from ``hits`` on, summed from its terms' logarithms."""
    if hits <= 0:
        return 1.0
    total = hits + usual_hits
    many = np.arange(hits, min(total, rows, hits + _TERMS) + 1)
    terms = _log_choose(rows, many) + _log_choose(usual_rows, total - many)
    return float(min(1.0, np.exp(terms - _log_choose(rows + usual_rows, total)).sum()))


def _log_choose(n: Any, k: Any) -> Any:
    with np.errstate(invalid="ignore"):
        logs = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return np.where((k >= 0) & (k <= n), logs, -np.inf)
