"""Score and explain with a flat forest: microseconds per row, equal to the library.

Made by ``models.scorer``, used by serving, training and replay. The work is done in
``engine.kernels.forest`` and ``engine.kernels.treeshap``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from headwater.core.errors import HeadwaterError, ModelError
from headwater.engine.kernels import brief
from headwater.engine.kernels.forest import REFUSE_NULL, score_rows
from headwater.engine.kernels.treeshap import explain_rows
from headwater.models.forest.flat import pack
from headwater.models.forest.tree import Ensemble, Float64, NotFlatError, Space
from headwater.models.matrix import checked

PROOF_ROWS = 64
AGREEMENT = 1e-9
FEW = 32  # rows for which it does not pay to let go of the GIL


class ForestScorer:
    """A tree ensemble as a scorer. Safe to share between threads: kernels run without the GIL.

    Attributes:
        names: the features, in the order of a row.
        space: what contributions are measured in: log-odds for boosting, probability for averaging.
        base: the score, in that space, expected when no feature is known.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> from headwater.models.scorer import scorer_for
        >>> tree = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
        >>> scorer = scorer_for(tree, ["amount"])
        >>> scorer.score_one(np.array([0.9]))
        1.0
        >>> scorer.contributions(np.array([[0.9]]))
        (array([[0.5]]), 0.5)
    """

    kind: Literal["forest"] = "forest"
    why_not_flat: None = None

    def __init__(self, ensemble: Ensemble, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.space: Space = ensemble.space
        self._forest = pack(ensemble)
        self._shape = (len(self.names),)
        self.base = self._forest.expected

    def score(self, X: Float64) -> Float64:
        """Probabilities of the positive class.

        Args:
            X: float64, shape (n, features); null is NaN.

        Returns:
            float64, shape (n,).

        Raises:
            ModelError: the shape is wrong, or a null where the model takes none.
        """
        rows = checked(X, self.names)
        out = np.empty(len(rows))
        if len(rows) <= FEW:
            brief.score_rows(self._forest, rows, out)
        else:
            score_rows(self._forest, rows, out)
        self._refuse(rows, out)
        return out

    def score_one(self, x: Float64) -> float:
        """The probability of the positive class for one row, shape (features,). Errors as in ``score``."""
        row = np.array(x, dtype=np.float64)
        if row.shape != self._shape:
            checked(row[np.newaxis], self.names)
        score = brief.score_row(self._forest, row)
        if score != score:
            self._refuse(row[np.newaxis], np.array([score]))
        return score

    def contributions(self, X: Float64) -> tuple[Float64, float]:
        """What each feature added to each score, in ``space``: path-dependent TreeSHAP.

        ``base + phi.sum(axis=1)`` is the log-odds of the score, or the score itself, as ``space`` says.

        Args:
            X: float64, shape (n, features); null is NaN.

        Returns:
            float64, shape (n, features), and the base. Errors as in ``score``.
        """
        rows = checked(X, self.names)
        phi = np.empty(rows.shape)
        explain_rows(self._forest, rows, phi)
        self._refuse(rows, phi[:, 0])
        return phi, self.base

    def _refuse(self, rows: Float64, score: Float64) -> None:
        """Raise if a score is NaN: the row holds a null that the library refuses."""
        total = score.sum()
        if total == total:  # a single NaN makes it one
            return
        bad = np.flatnonzero(np.isnan(score))
        if not bad.size:
            return
        refused = self._forest.inputs["rule"] & REFUSE_NULL != 0
        feature = int(np.flatnonzero(np.isnan(rows[bad[0]]) & refused)[0])
        raise ModelError.of(
            "the model takes no null",
            expected="a number for every feature",
            got="null",
            where=f"row {bad[0]}, feature {self.names[feature]}",
            do="fill it with a derived feature, or choose an estimator that takes null",
        )

    def prove(self, library: Callable[[Float64], Any], seed: int = 0) -> None:
        """Compare with the library on rows drawn around the forest's own thresholds.

        Args:
            library: from X, shape (n, features), to probabilities, shape (n,).
            seed: where the rows come from.

        Raises:
            NotFlatError: they differ by more than 1e-9.
        """
        rows = self._telling_rows(np.random.default_rng(seed))
        apart = float(np.max(np.abs(self.score(rows) - np.asarray(library(rows), np.float64))))
        if not apart <= AGREEMENT:
            raise self._differs(apart)

    def _telling_rows(self, random: np.random.Generator) -> Float64:
        """Rows on and beside thresholds, known and unknown categories, and nulls where they are taken."""
        forest = self._forest
        rows = random.normal(size=(PROOF_ROWS, len(self.names)))
        for feature, entry in enumerate(forest.inputs):
            known = forest.known[entry["first"] : entry["stop"]]
            values = known if known.size else forest.splits["threshold"][forest.splits["feature"] == feature]
            values = values[np.isfinite(values)]
            if values.size:
                beside = 1.0 if known.size else np.abs(values).mean() / 100
                drawn = random.choice(values, PROOF_ROWS)
                rows[:, feature] = drawn + beside * random.integers(-1, 2, PROOF_ROWS)
            if not entry["rule"] & REFUSE_NULL:
                rows[random.random(PROOF_ROWS) < 0.1, feature] = np.nan
        return rows

    @staticmethod
    def _differs(apart: float) -> HeadwaterError:
        return NotFlatError.of(
            "the flat forest does not score as its library does",
            expected=f"scores equal to {AGREEMENT:g}",
            got=f"a difference of {apart:.3g}",
            do="report it with the library's version; its own predict_proba scores meanwhile",
        )
