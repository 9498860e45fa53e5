"""How many independent rows some rows are worth: entities recur, and their rows are alike.

A thousand rows of ten accounts say little more than ten rows. Any test that counts them as a thousand cries
wolf every week. So shares are judged by the variance that they have when whole entities are drawn (survey
statistics: the linearised variance of a share under cluster sampling), and the number of rows is divided by
how much larger that is than the variance of independent rows: the design effect, Rao and Scott (1981, 1984).

Called by ``models.spread`` on training rows and by ``monitoring.drift`` on a window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Effective:
    """What rows are worth.

    Attributes:
        known: independent rows for the shares of the bins, of the rows with a value.
        nulls: independent rows for the share of nulls, of all rows.
    """

    known: float
    nulls: float


def tally(bins: Int64, size: int, entities: Int64, count: int) -> Float64:
    """Rows per entity and bin, shape (count, size).

    Args:
        bins: int64, shape (n,), from 0 to ``size - 1``.
        size: how many bins.
        entities: int64, shape (n,), from 0 to ``count - 1``.
        count: how many entities.
    """
    flat = np.bincount(entities * size + bins, minlength=count * size)
    return flat.reshape(count, size).astype(np.float64)


def effective(table: Float64) -> Effective:
    """What the rows of a table are worth.

    Args:
        table: from :func:`tally`; the last column counts the nulls.

    Example:
        >>> once = np.eye(4)[[0, 1, 2, 0, 1, 2]][:, [0, 1, 2, 3]]
        >>> round(effective(once).known), round(effective(10 * once).known)  # six entities each
        (6, 6)
    """
    known, nulls = table[:, :-1], table[:, -1]
    return Effective(_shares(known), _share(nulls, table.sum(axis=1)))


def hits_worth(hits: Float64, rows: Float64) -> float:
    """Independent rows for the share of something that some rows have.

    Args:
        hits: float64, shape (entities,): how many rows of each entity have it.
        rows: float64, shape (entities,): how many rows each entity has.
    """
    return _share(hits, rows)


def _shares(counts: Float64) -> float:
    """The smaller worth of two: for the bins' shares, and for their cumulated shares."""
    size = counts.sum(axis=1)
    rows = size.sum()
    if rows <= 0:
        return 0.0
    share = counts.sum(axis=0) / rows
    covariance = _covariance(counts, size, share) / rows
    seen = share > 0
    if seen.sum() < 2:
        return float(rows**2 / (size @ size))
    bins = (np.diag(covariance)[seen] / share[seen]).sum() / (seen.sum() - 1)
    below = np.cumsum(share)[:-1]
    spread = (below * (1 - below)).sum()
    ranks = np.diag(np.cumsum(np.cumsum(covariance, axis=0), axis=1))[:-1].sum() / spread
    return float(rows / max(bins, ranks, 1.0))


def _share(hits: Float64, size: Float64) -> float:
    rows = size.sum()
    if rows <= 0:
        return 0.0
    share = hits.sum() / rows
    if share in (0.0, 1.0):
        return float(rows**2 / (size @ size))
    deviation = hits - share * size
    return float(rows / max((deviation @ deviation) / rows / (share * (1 - share)), 1.0))


def _covariance(counts: Float64, size: Float64, share: Float64) -> Float64:
    """Sum over entities of the outer products of ``counts - size * share``, shape (bins, bins)."""
    cross = np.outer(size @ counts, share)
    return np.asarray(
        counts.T @ counts - cross - cross.T + (size @ size) * np.outer(share, share), np.float64
    )
