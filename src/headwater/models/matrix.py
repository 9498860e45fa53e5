"""The feature matrix at the door of every scorer: its shape, its type.

Called by ``forest.scorer``, ``linear``, ``generic`` and ``permutation``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headwater.core.errors import ModelError

Float64 = npt.NDArray[np.float64]


def checked(X: npt.ArrayLike, names: Sequence[str]) -> Float64:
    """``X`` as float64 rows that lie behind each other and may be written, copied only where needed.

    Always float64: the same row in float32 can fall on the other side of a threshold.

    Args:
        X: shape (n, features); null is NaN.
        names: the features.

    Raises:
        ModelError: not two-dimensional, or another number of columns.

    Example:
        >>> checked([[1, 2]], ["a", "b"])
        array([[1., 2.]])
    """
    if isinstance(X, np.ndarray) and X.dtype == np.float64 and X.flags.carray:
        rows: Float64 = X  # as nearly always; to ask numpy takes as long as to score
    else:
        rows = np.require(X, np.float64, ["C", "W"])
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise ModelError.of(
            "the feature matrix has the wrong shape",
            expected=f"(n, {len(names)}): one column per feature, in the order of the model's inputs",
            got=str(rows.shape),
            do="build the matrix from the model's inputs",
        )
    return rows
