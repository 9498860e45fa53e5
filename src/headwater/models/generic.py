"""Score any estimator: its own ``predict_proba``, or ONNX Runtime where that agrees.

Called by ``models.scorer`` for what is neither trees nor linear, and to prove a flat forest against its
library. ``onnx`` converts, ``permutation`` explains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module, util
from typing import Any, Literal

import numpy as np
import pandas as pd

from headwater.core.errors import MissingExtraError, ModelError
from headwater.models.forest.tree import Space
from headwater.models.matrix import Float64, checked
from headwater.models.permutation import Permutation

Predict = Callable[[Float64], Float64]
Runtime = Literal["auto", "own", "onnx"]

AGREEMENT = 1e-9


def is_booster(estimator: Any) -> bool:
    """Whether it is a bare LightGBM or XGBoost booster, which has ``predict`` only."""
    return type(estimator).__name__ == "Booster" and _library(estimator) in {"lightgbm", "xgboost"}


def booster_width(estimator: Any) -> int:
    """How many features a bare booster was fitted on."""
    return int(estimator.num_feature() if _library(estimator) == "lightgbm" else estimator.num_features())


def fitted_names(estimator: Any) -> list[str] | None:
    """The columns of the frame that a scikit-learn estimator was fitted on; None if it was a matrix."""
    if _library(estimator) in {"lightgbm", "xgboost"}:
        return None
    found = getattr(estimator, "feature_names_in_", None)
    return None if found is None else [str(name) for name in found]


def own(estimator: Any, names: Sequence[str]) -> Predict:
    """The library's own probabilities of the positive class, from float64 rows, shape (n, features).

    An estimator that was fitted on a frame is given a frame.
    """
    library = _library(estimator)
    if library == "lightgbm":
        booster = getattr(estimator, "booster_", estimator)
        return lambda X: np.asarray(booster.predict(X))
    if is_booster(estimator):
        return lambda X: np.asarray(estimator.inplace_predict(X, validate_features=False))
    if fitted_names(estimator) is not None:
        columns = list(names)
        return lambda X: np.asarray(estimator.predict_proba(pd.DataFrame(X, columns=columns)))[:, 1]
    return lambda X: np.asarray(estimator.predict_proba(X))[:, 1]


def _library(estimator: Any) -> str:
    """The library that the estimator's class comes from, through subclasses."""
    roots = {kind.__module__.split(".")[0] for kind in type(estimator).__mro__}
    return next((root for root in ("lightgbm", "xgboost", "sklearn") if root in roots), "")


class EstimatorScorer:
    """Any estimator as a scorer; contributions by permutations against a background, in probability.

    Attributes:
        names: the features, in the order of a row.
        kind: ``onnx`` or ``estimator``.
        why_not_flat: why an ensemble of trees is not scored as a flat forest.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> X = np.array([[0.0], [1.0], [4.0], [5.0]])
        >>> scorer = EstimatorScorer(GaussianNB().fit(X, [0, 0, 1, 1]), ["amount"], X, runtime="own")
        >>> phi, base = scorer.contributions(X[:1])
        >>> bool(np.isclose(base + phi.sum(), scorer.score_one(X[0])))
        True
    """

    space: Space = "probability"

    def __init__(
        self,
        estimator: Any,
        names: Sequence[str],
        background: Float64 | None = None,
        *,
        runtime: Runtime = "auto",
        why_not_flat: str | None = None,
    ) -> None:
        self.names = tuple(names)
        self.why_not_flat = why_not_flat
        rows = None if background is None else checked(background, names)
        self._predict = own(estimator, names)
        self.kind: Literal["onnx", "estimator"] = "estimator"
        if runtime != "own":
            converted = _converted(estimator, len(self.names), self._predict, rows, runtime)
            if converted is not None:
                self._predict, self.kind = converted, "onnx"
        self.score(np.zeros((1, len(self.names))))  # an estimator that cannot score should say so now
        self._explainer = None if rows is None else Permutation(self.score, rows)

    def score(self, X: Float64) -> Float64:
        """Probabilities of the positive class, shape (n,), of rows, shape (n, features); null is NaN.

        Raises:
            ModelError: the shape is wrong, the rows are refused, or what comes back is no probability.
        """
        rows = checked(X, self.names)
        if not len(rows):
            return np.empty(0)
        try:
            found = np.asarray(self._predict(rows), np.float64)
        except ValueError as error:
            raise ModelError.of(
                "the estimator refuses the rows",
                expected="rows that it can score",
                got=str(error).partition("\n")[0],
                do="fill nulls with a derived feature, or choose an estimator that takes null",
            ) from error
        if found.shape != (len(rows),) or not ((found >= 0.0) & (found <= 1.0)).all():
            raise ModelError.of(
                "the estimator gave something other than probabilities",
                expected=f"one number from 0 to 1 for each of {len(rows)} rows",
                got=f"an array of shape {found.shape}"
                if found.shape != (len(rows),)
                else "a number outside 0 to 1",
                do="fit it with an objective that gives the probability of two classes",
            )
        return found

    def score_one(self, x: Float64) -> float:
        """The probability of the positive class of one row, shape (features,). Errors as in ``score``."""
        return float(self.score(np.asarray(x, np.float64)[np.newaxis])[0])

    def contributions(self, X: Float64) -> tuple[Float64, float]:
        """Shapley values against the background, shape (n, features), and the background's mean score.

        Raises:
            ModelError: as in ``score``, or the scorer was made without a background.
        """
        if self._explainer is None:
            raise no_background()
        return self._explainer.explain(checked(X, self.names)), self._explainer.base


def no_background() -> ModelError:
    """The letter about contributions that have nothing to be measured against."""
    return ModelError(
        *ModelError.of(
            "contributions have nothing to be measured against",
            expected="background rows that stand for usual ones",
            got="none",
            do="make the scorer with background=, such as a sample of the training rows",
        ).problems
    )


def _converted(
    estimator: Any, features: int, library: Predict, background: Float64 | None, runtime: Runtime
) -> Predict | None:
    """The estimator in ONNX Runtime, if that is wanted, possible and proved."""
    if not (util.find_spec("onnxruntime") and util.find_spec("skl2onnx")):
        if runtime == "onnx":
            raise MissingExtraError.of(
                "ONNX Runtime is not installed",
                expected="the packages onnxruntime and skl2onnx",
                do="pip install 'headwater[onnx]', or choose runtime='own'",
            )
        return None
    predict: Predict | None = import_module("headwater.models.onnx").convert(estimator, features)
    if runtime == "onnx" and predict is None:
        raise ModelError.of(
            "the estimator does not convert to ONNX",
            expected="an estimator that skl2onnx knows",
            got=type(estimator).__name__,
            do="choose runtime='own'",
        )
    if predict is None or runtime == "onnx":
        return predict
    return predict if background is not None and _agree(predict, library, background) else None


def _agree(one: Predict, other: Predict, rows: Float64) -> bool:
    """Whether two ways of scoring agree on the background."""
    try:
        apart = np.abs(np.asarray(one(rows), np.float64) - other(rows))
    except ValueError:
        return False
    return bool(apart.max(initial=0.0) <= AGREEMENT)
