"""Score and explain linear models: logistic regression, alone or behind scalers and imputers.

The preprocessing steps are folded into one affine reading per column, so that a row costs a handful of numpy
operations, and a contribution is exact: weight times the column's distance from its mean. Called by
``models.scorer``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from headwater.core.errors import ModelError
from headwater.models.forest.tree import Space
from headwater.models.generic import no_background
from headwater.models.matrix import Float64, checked


@dataclass(frozen=True, slots=True)
class Columns:
    """What the linear model sees, column by column, of the inputs. All of shape (columns,).

    A column reads one input x: ``missing`` where x is null, ``(x - shift) * factor + constant`` elsewhere.

    Attributes:
        centred: whether the columns are known to have mean 0 over the training rows.
    """

    source: npt.NDArray[np.intp]
    shift: Float64
    factor: Float64
    constant: Float64
    missing: Float64
    centred: bool = False

    @classmethod
    def plain(cls, features: int) -> Columns:
        """The inputs as they are."""
        zero = np.zeros(features)
        return cls(np.arange(features), zero, np.ones(features), zero, np.full(features, np.nan))

    def read(self, rows: Float64) -> Float64:
        """The columns of rows, shape (n, columns)."""
        x = rows[:, self.source]
        return np.where(np.isnan(x), self.missing, (x - self.shift) * self.factor + self.constant)

    def kept(self, which: npt.NDArray[Any]) -> Columns:
        """Some of the columns."""
        return replace(_columns([part[which] for part in _arrays(self)]), centred=self.centred)

    def scaled(self, centre: Any, scale: Any, *, centred: bool = False) -> Columns:
        """Each column less its centre, divided by its scale. None: neither."""
        size = len(self.source)
        middle = np.zeros(size) if centre is None else np.asarray(centre, np.float64)
        spread = np.ones(size) if scale is None else np.asarray(scale, np.float64)
        # The first centre is taken off before anything is multiplied, as the library does: no digit is lost.
        first = (self.factor == 1.0) & (self.shift == 0.0) & (self.constant == 0.0)
        return replace(
            self,
            shift=np.where(first, middle, self.shift),
            factor=self.factor / spread,
            constant=np.where(first, 0.0, (self.constant - middle) / spread),
            missing=(self.missing - middle) / spread,
            centred=centred,
        )

    def stretched(self, scale: Float64, offset: Float64) -> Columns:
        """Each column times its scale, plus its offset."""
        return replace(
            self,
            factor=self.factor * scale,
            constant=self.constant * scale + offset,
            missing=self.missing * scale + offset,
            centred=False,
        )

    def imputed(self, step: Any) -> Columns:
        """Null filled with the step's statistics; its indicator columns behind the others."""
        usual = np.asarray(step.statistics_, np.float64)
        filled = replace(self, missing=np.where(np.isnan(self.missing), usual, self.missing), centred=False)
        whole = filled.kept(~np.isnan(usual))
        if not step.add_indicator:
            return whole
        marked = self.kept(step.indicator_.features_)
        zero = np.zeros(len(marked.source))
        seen = np.isnan(marked.missing).astype(np.float64)
        marks = Columns(marked.source, zero, zero, zero, seen)
        return _columns([np.concatenate(pair) for pair in zip(_arrays(whole), _arrays(marks), strict=True)])


def _arrays(columns: Columns) -> tuple[Any, ...]:
    return columns.source, columns.shift, columns.factor, columns.constant, columns.missing


def _columns(arrays: Sequence[Any]) -> Columns:
    source, shift, factor, constant, missing = arrays
    return Columns(source, shift, factor, constant, missing)


_STEPS: dict[type, Callable[[Columns, Any], Columns]] = {
    StandardScaler: lambda columns, step: columns.scaled(
        step.mean_ if step.with_mean else None, step.scale_, centred=step.with_mean
    ),
    RobustScaler: lambda columns, step: columns.scaled(
        step.center_ if step.with_centering else None, step.scale_ if step.with_scaling else None
    ),
    MaxAbsScaler: lambda columns, step: columns.scaled(None, step.scale_),
    MinMaxScaler: lambda columns, step: columns.stretched(step.scale_, step.min_),
    SimpleImputer: lambda columns, step: columns.imputed(step),
}


def _selected(columns: Columns, selector: Any) -> Columns:
    return columns.kept(selector.get_support())


def _selects(step: Any) -> bool:
    """Whether the step is a selector of scikit-learn, whose package takes longer to import than this one."""
    mixin = getattr(sys.modules.get("sklearn.feature_selection"), "SelectorMixin", None)
    return mixin is not None and isinstance(step, mixin)


def _steps(estimator: Any) -> list[Any]:
    """The steps of a pipeline without those that do nothing; a bare estimator is its own only step."""
    if not isinstance(estimator, Pipeline):
        return [estimator]
    return [step for _, step in estimator.steps if step is not None and step != "passthrough"]


def knows(estimator: object) -> bool:
    """Whether it is a logistic regression behind steps that read one input per column."""
    *before, last = _steps(estimator)
    plain = type(last) in {LogisticRegression, LogisticRegressionCV}
    plain = plain or (type(last) is SGDClassifier and last.loss == "log_loss")
    return plain and all(_known(step) for step in before)


def _known(step: Any) -> bool:
    """Whether the step is folded here. A subclass may do something else, so it is not."""
    if type(step) is SimpleImputer:
        return bool(np.isscalar(step.missing_values) and np.isnan(step.missing_values))
    return (type(step) in _STEPS or _selects(step)) and not getattr(step, "clip", False)


class LinearScorer:
    """A logistic regression as a scorer, with exact contributions in log-odds.

    Contributions are measured against the mean of ``background``; without one, against the training mean if
    the last step before the model is a ``StandardScaler``.

    Attributes:
        names: the features, in the order of a row.
    """

    kind: Literal["linear"] = "linear"
    why_not_flat: None = None
    space: Space = "log-odds"

    def __init__(self, estimator: Any, names: Sequence[str], background: Float64 | None = None) -> None:
        self.names = tuple(names)
        *before, last = _steps(estimator)
        columns = Columns.plain(len(self.names))
        for step in before:
            columns = _STEPS.get(type(step), _selected)(columns, step)
        self._columns = columns
        self._weight = np.asarray(last.coef_[0], np.float64)
        self._intercept = float(last.intercept_[0])
        self._usual: Float64 | None = np.zeros(len(self._weight)) if columns.centred else None
        if background is not None:
            self._usual = self._read(checked(background, names)).mean(axis=0)

    def score(self, X: Float64) -> Float64:
        """Probabilities of the positive class, shape (n,), of rows, shape (n, features); null is NaN.

        Raises:
            ModelError: the shape is wrong, or a null that no step fills.
        """
        columns = self._read(checked(X, self.names))
        return np.asarray(expit(columns @ self._weight + self._intercept))

    def score_one(self, x: Float64) -> float:
        """The probability of the positive class of one row, shape (features,). Errors as in ``score``."""
        return float(self.score(np.asarray(x, np.float64)[np.newaxis])[0])

    def contributions(self, X: Float64) -> tuple[Float64, float]:
        """What each feature added to the log-odds, shape (n, features), and the log-odds of the usual row.

        Raises:
            ModelError: as in ``score``, or there is nothing to measure against.
        """
        rows = checked(X, self.names)
        if self._usual is None:
            raise no_background()
        parts = (self._read(rows) - self._usual) * self._weight
        phi = np.zeros(rows.shape)
        np.add.at(phi.T, self._columns.source, parts.T)
        return phi, float(self._usual @ self._weight + self._intercept)

    def _read(self, rows: Float64) -> Float64:
        """The columns of rows; an error if a null is left in them."""
        columns = self._columns.read(rows)
        if np.isnan(columns).any():
            row, column = np.argwhere(np.isnan(columns))[0]
            raise ModelError.of(
                "the model takes no null",
                expected="a number for every feature",
                got="null",
                where=f"row {row}, feature {self.names[self._columns.source[column]]}",
                do="put a SimpleImputer before the model, or fill it with a derived feature",
            )
        return columns
