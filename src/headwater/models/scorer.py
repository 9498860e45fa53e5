"""From a fitted estimator to a scorer: the one door for everything that scores or explains.

Called by serving, training and replay. Trees go to ``forest`` (flat, microseconds, TreeSHAP), linear
pipelines to ``linear`` (exact), everything else to ``generic`` (its own ``predict_proba`` or ONNX Runtime,
and a permutation explainer).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from headwater.core.errors import ModelError, Problem
from headwater.models import generic, linear
from headwater.models.forest import lightgbm, sklearn, xgboost
from headwater.models.forest.scorer import ForestScorer
from headwater.models.forest.tree import NotFlatError, Space
from headwater.models.generic import Runtime
from headwater.models.matrix import Float64

Kind = Literal["forest", "linear", "onnx", "estimator"]


@runtime_checkable
class Scorer(Protocol):
    """Scores rows and says what each feature added.

    Attributes:
        names: the features, in the order of a row.
        space: what contributions are measured in. ``base + phi.sum(axis=1)`` is the log-odds of the score,
            or the score itself.
        kind: how it scores.
        why_not_flat: why an ensemble of trees is not scored as a flat forest.
    """

    names: tuple[str, ...]
    space: Space

    @property
    def kind(self) -> Kind:
        """How it scores."""
        ...

    @property
    def why_not_flat(self) -> str | None:
        """Why an ensemble of trees is not scored as a flat forest."""
        ...

    def score(self, X: Float64) -> Float64:
        """Probabilities of the positive class, shape (n,), of rows, shape (n, features); null is NaN."""
        ...

    def score_one(self, x: Float64) -> float:
        """The probability of the positive class of one row, shape (features,)."""
        ...

    def contributions(self, X: Float64) -> tuple[Float64, float]:
        """What each feature added to each score, shape (n, features), and the base they start from."""
        ...


def scorer_for(
    estimator: Any, names: Sequence[str], background: Float64 | None = None, *, runtime: Runtime = "auto"
) -> Scorer:
    """The fastest scorer that is exact for a fitted binary classifier; the positive class is ``classes_[1]``.

    Args:
        estimator: scikit-learn, LightGBM or XGBoost; or anything with ``predict_proba`` and ``classes_``.
        names: the features, in the order of its columns.
        background: rows that stand for "usual", shape (n, features). Linear models and the permutation
            explainer measure contributions against it; trees do not need it.
        runtime: how an estimator that is neither trees nor linear scores: ``own``, ``onnx``, or ``auto``:
            ONNX Runtime if it is installed and agrees to 1e-9. ``own`` and ``onnx`` may differ in the last
            bits, so whoever must replay a score notes the scorer's ``kind``.

    Raises:
        ModelError: it has no ``predict_proba``, is not fitted, knows other than two classes, or was fitted on
            other features.

    Example:
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> scorer = scorer_for(LogisticRegression().fit(X, [0, 0, 1, 1]), ["amount"], background=X)
        >>> scorer.kind, scorer.space
        ('linear', 'log-odds')
    """
    ModelError.raise_if(_problems(estimator, names))
    library = generic.own(estimator, names)
    why: NotFlatError | None = None
    for importer in (sklearn, lightgbm, xgboost):
        if importer.knows(estimator):
            try:
                forest = ForestScorer(importer.read(estimator), names)
                forest.prove(library)
            except NotFlatError as error:
                why = error
            else:
                return forest
    if linear.knows(estimator):
        return linear.LinearScorer(estimator, names, background)
    note = None if why is None else str(why)
    return generic.EstimatorScorer(estimator, names, background, runtime=runtime, why_not_flat=note)


def _problems(estimator: Any, names: Sequence[str]) -> list[Problem]:
    """Everything that keeps an estimator from being scored."""
    kind = type(estimator).__name__
    if len(set(names)) != len(names) or not names:
        return [
            Problem(
                "the names of the features are no list of distinct names",
                expected="at least one name, each once",
                got=f"{len(names)} names, {len(set(names))} distinct",
                do="name every input of the model once",
            )
        ]
    if generic.is_booster(estimator):
        return _width(generic.booster_width(estimator), names, kind)
    if not hasattr(estimator, "predict_proba"):
        return [
            Problem(
                "the estimator gives no probabilities",
                expected="a classifier with predict_proba",
                got=kind,
                do="choose a classifier, or wrap it in sklearn.calibration.CalibratedClassifierCV",
            )
        ]
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return [
            Problem(
                "the estimator is not fitted", expected="a fitted estimator", got=kind, do="call fit first"
            )
        ]
    if len(classes) != 2:
        return [
            Problem(
                "the estimator does not tell two classes apart",
                expected="2 classes",
                got=f"{len(classes)} classes",
                where=kind,
                do="fit it on a label with two values",
            )
        ]
    return [*_width(getattr(estimator, "n_features_in_", len(names)), names, kind), *_order(estimator, names)]


def _width(fitted: int, names: Sequence[str], kind: str) -> list[Problem]:
    """A problem if the estimator was fitted on another number of features."""
    if fitted == len(names):
        return []
    return [
        Problem(
            "the estimator was fitted on another number of features",
            expected=f"{len(names)} features",
            got=f"{fitted} features",
            where=kind,
            do="train the model again for this definition",
        )
    ]


def _order(estimator: Any, names: Sequence[str]) -> list[Problem]:
    """A problem if the estimator was fitted on a frame with other columns, or in another order."""
    fitted = generic.fitted_names(estimator)
    wrong = (
        [] if fitted is None else [pair for pair in zip(names, fitted, strict=False) if pair[0] != pair[1]]
    )
    if not wrong or len(fitted or ()) != len(names):
        return []
    return [
        Problem(
            "the estimator was fitted on other features, or in another order",
            expected=f"{wrong[0][0]} at place {list(names).index(wrong[0][0])}",
            got=str(wrong[0][1]),
            where=type(estimator).__name__,
            do="give the features in the order of the fit, or train the model again",
        )
    ]
