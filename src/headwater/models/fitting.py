"""Fitting any scikit-learn-compatible classifier on a float64 matrix, with errors that say what to do.

The estimator in a definition is a recipe: it is cloned, never fitted itself. Seeds that it leaves open are
set, so that the same rows give the same model. Called by ``training.fit``; what comes out is scored by
``models.scorer``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from headwater.core.errors import ModelError, Problem, TrainingError

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted estimator, and what its library warned of meanwhile, each text once."""

    estimator: Any
    notes: tuple[str, ...]


def fit(estimator: Any, X: Float64, y: npt.ArrayLike, names: Sequence[str], seed: int = 0) -> Fitted:
    """Fit a clone of the estimator.

    Args:
        estimator: the recipe: any classifier with ``fit`` and ``predict_proba``.
        X: float64, shape (n, f); NaN is null.
        y: shape (n,), 0 and 1.
        names: the inputs, length f; used in errors.
        seed: for every ``random_state`` that the recipe leaves open.

    Raises:
        TrainingError: no rows, or only one class.
        ModelError: the estimator gives no probabilities, cannot take nulls, or fails.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> fitted = fit(LogisticRegression(), np.array([[0.0], [1.0]]), [0, 1], ["amount"])
        >>> fitted.estimator.classes_.tolist()
        [0, 1]
    """
    labels = np.asarray(y).astype(np.int64)
    TrainingError.raise_if(_label_problems(labels))
    fresh = _seeded(_cloned(estimator), seed)
    _need_probabilities(fresh)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fresh.fit(X, labels)
        except Exception as error:  # whatever the library raises becomes one clear letter
            raise _failed(fresh, error, X, names) from error
    return Fitted(fresh, tuple(dict.fromkeys(str(warning.message) for warning in caught)))


def _cloned(estimator: Any) -> Any:
    try:
        return clone(estimator)
    except TypeError:
        raise ModelError.of(
            "the estimator cannot be cloned",
            expected="a scikit-learn-compatible classifier, with get_params",
            got=type(estimator).__name__,
            do="derive it from sklearn.base.BaseEstimator",
        ) from None


def _seeded(estimator: Any, seed: int) -> Any:
    params = estimator.get_params(deep=True)
    open_seeds = {
        name: seed
        for name, value in params.items()
        if value is None and name.rpartition("__")[2] == "random_state"
    }
    return estimator.set_params(**open_seeds) if open_seeds else estimator


def _label_problems(labels: npt.NDArray[np.int64]) -> Iterator[Problem]:
    positives = int(labels.sum())
    if len(labels) == 0:
        yield Problem(
            "there are no rows to learn from",
            expected="rows whose label is mature",
            got="0 rows",
            do="import more history, or begin earlier",
        )
    elif positives in (0, len(labels)):
        yield Problem(
            "the label has one class only, so there is nothing to learn",
            expected="positives and negatives among the training rows",
            got=f"{positives:,} positives in {len(labels):,} rows",
            do="look at the label's condition, or train over a longer time",
        )


def _need_probabilities(estimator: Any) -> None:
    if not hasattr(estimator, "predict_proba"):
        kind = type(estimator).__name__
        raise ModelError.of(
            "the estimator gives no probabilities",
            expected="a classifier with predict_proba",
            got=kind,
            do=f"wrap it: CalibratedClassifierCV({kind}())",
        )


def _failed(estimator: Any, error: Exception, X: Float64, names: Sequence[str]) -> ModelError:
    """Why ``fit`` raised. Tags do not say whether a pipeline takes nulls; its error does."""
    kind = type(estimator).__name__
    said = str(error).strip().partition("\n")[0]
    nulls = np.isnan(X).sum(axis=0)
    empty = [name for name, n in zip(names, nulls, strict=True) if n == len(X)]
    if empty:
        return ModelError.of(
            "the estimator could not be fitted: an input holds nothing but nulls",
            expected="values in some of the training rows",
            got=f"{kind} ({type(error).__name__}), and only nulls in {', '.join(empty)}",
            do="look at the feature's where= and window, train over more history, or leave the input out",
        )
    if nulls.any() and "nan" in said.lower():
        counts = [f"{name} ({n:,} of {len(X):,})" for name, n in zip(names, nulls, strict=True) if n]
        return ModelError.of(
            "the estimator cannot take nulls",
            expected="an estimator that takes NaN, or inputs without nulls",
            got=f"{kind}, and nulls in {', '.join(counts)}",
            do="put a SimpleImputer before it with make_pipeline, or use HistGradientBoostingClassifier",
        )
    return ModelError.of(
        "the estimator could not be fitted",
        expected=f"{kind} to fit {len(X):,} rows of {len(names)} inputs",
        got=f"{type(error).__name__}: {said}",
        do="look at the estimator's parameters and inputs",
    )
