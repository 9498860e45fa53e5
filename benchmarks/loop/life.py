"""What a life is: how large a world, what each retraining came to, and the scores of all that lived it.

Lived by ``lives``, kept by ``kept``, measured by ``recovery``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from headwater.core.instant import WEEK

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Size:
    """How long and how large a world.

    Attributes:
        accounts, seed: of the lender.
        before, after: weeks before and after the change of regime.
        bootstrap: resamples for the intervals of the gate and of the retraining's own figures.
    """

    accounts: int = 16_000
    seed: int = 7
    before: int = 6
    after: int = 18
    bootstrap: int = 100


@dataclass(frozen=True)
class Turn:
    """One retraining of the loop.

    Attributes:
        week: counted from the change of regime.
        version: the number of the candidate.
        new: outcomes of the new regime in its window, and positives among them.
        verdict: of its gate.
        held_by: the checks that held it.
        seconds: retraining, and gate with promotion.
    """

    week: int
    version: int
    new: tuple[int, int]
    verdict: str
    held_by: tuple[str, ...]
    seconds: tuple[float, float]


@dataclass(frozen=True)
class Lives:
    """What was lived.

    Attributes:
        size: of the world.
        regime: when it begins to change, microseconds.
        times, accounts, y: of each decision, shape (n,), ascending by time.
        scores: life to scores, each shape (n,).
        bookings: the exact risk given only the bookings, shape (n,): the best that a model can know.
        turns: the retrainings of the loop.
        candidates: week of a retraining to its model's scores of all decisions, shape (n,); NaN before it.
    """

    size: Size
    regime: int
    times: Int64
    accounts: Int64
    y: Float64
    scores: Mapping[str, Float64]
    bookings: Float64
    turns: tuple[Turn, ...] = ()
    candidates: Mapping[int, Float64] = field(default_factory=dict)

    @property
    def week(self) -> Int64:
        """The week of each decision, shape (n,)."""
        return np.floor_divide(self.times - self.regime, WEEK)
