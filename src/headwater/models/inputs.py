"""From a frame of features to the matrix that an estimator sees: the one place where that happens.

Training fits an :class:`Inputs` once (it learns the codes of text categories); the same object, kept in
the model's artifact, serves. So a feature cannot mean one thing in training and another in a decision.
Numbers go in as float64; Booleans as 0 and 1; text, Enum and Categorical values as their place among the
known categories. Null, a category never seen, and a derived value that is not finite (x / 0) are NaN.
Called by ``training.dataset``, ``training.fit`` and ``serving``; kept by ``models.artifact``.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import DataError, ModelError, Problem, TrainingError
from headwater.core.frame import select_rows
from headwater.core.scalar import Scalar, scalar
from headwater.definitions.model import Model

Float64 = npt.NDArray[np.float64]

MOST_CATEGORIES = 1_000
_NUMBERS = frozenset({float, int, type(None)})  # types of values that plain arithmetic may be done with


@dataclass(frozen=True)
class Inputs:
    """The feature vector of one model.

    Attributes:
        names: the inputs in the order of the vector, length f.
        types: what is read from a frame, view outputs and request columns, name to Polars type.
        derived: name to a row-level expression over ``types``.
        categories: input to its known categories; the code of a category is its place.
    """

    names: tuple[str, ...]
    types: Mapping[str, pl.DataType]
    derived: Mapping[str, pl.Expr]
    categories: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, model: Model, frame: pl.DataFrame) -> Self:
        """Learn the categories of text inputs from training rows; an Enum brings its own.

        Args:
            model: the definition.
            frame: with the columns of the model's views and its request columns.

        Raises:
            TrainingError: a text input has more than 1,000 categories.
        """
        types = {name: dtype for name, dtype in model.columns.items() if name not in model.derived}
        bare = cls(model.inputs, types, dict(model.derived), {})
        columns = bare.columns(frame)
        texts = {name: columns[name] for name in model.inputs if _is_text(columns.schema[name])}
        categories = {name: _categories(column) for name, column in texts.items()}
        TrainingError.raise_if(_too_many(categories))
        return cls(model.inputs, types, dict(model.derived), categories)

    def columns(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The inputs as typed columns, derived ones computed.

        Raises:
            DataError: the frame lacks a column.
        """
        DataError.raise_if(_missing(self.types, frame.columns))
        derived = select_rows(frame, self._expressions) if self._expressions else pl.DataFrame()
        return (
            frame.select([name for name in self.names if name not in self.derived])
            .hstack(derived)
            .select(self.names)
        )

    def matrix(self, frame: pl.DataFrame) -> Float64:
        """The feature matrix of a frame, shape (rows, f), C order; NaN is null.

        Raises:
            DataError: the frame lacks a column.
        """
        columns = self.columns(frame)
        codes = [self._coded(column) for column in columns.iter_columns()]
        matrix = np.empty((len(frame), len(self.names)), np.float64)
        for place, column in enumerate(codes):
            matrix[:, place] = column.to_numpy()
        matrix[~np.isfinite(matrix)] = np.nan
        return matrix

    def row(self, values: Mapping[str, Any]) -> Float64:
        """The feature vector of one decision, shape (f,): the same bits as :meth:`matrix`, much sooner.

        Args:
            values: view output or request column to its Python value; None is null.

        Raises:
            DataError: a column is missing.
        """
        row: Float64 = self.rows([values])[0]
        return row

    def rows(self, values: Sequence[Mapping[str, Any]]) -> Float64:
        """The feature vectors of a few decisions, shape (n, f): :meth:`row` of each, derived together.

        Raises:
            DataError: a column is missing.
        """
        for one in values:
            if not one.keys() >= self.types.keys():
                DataError.raise_if(_missing(self.types, one))
        derived = self._derive(values) if self.derived else [{}] * len(values)
        rows = np.empty((len(values), len(self.names)), np.float64)
        for row, given, more in zip(rows, values, derived, strict=True):
            known = {**given, **more}
            for name, codes in self._codes.items():
                known[name] = codes.get(known[name])
            row[:] = [known[name] for name in self.names]  # None becomes NaN
        rows[~np.isfinite(rows)] = np.nan
        return rows

    def arithmetic(self) -> tuple[Mapping[str, Scalar], Sequence[str]] | None:
        """The derived inputs as functions, and what they read; None unless all are plain arithmetic."""
        plain = len(self._scalars) == len(self.derived)
        return (self._scalars, list(self._read)) if plain else None

    def text(self, name: str, value: float) -> str | None:
        """The category behind a code, or None for null and for inputs that are no text."""
        known = self.categories.get(name)
        return None if known is None or math.isnan(value) else known[int(value)]

    def _coded(self, column: pl.Series) -> pl.Series:
        known = self.categories.get(column.name)
        if known is None:
            return column.cast(pl.Float64)
        codes = np.arange(len(known), dtype=np.float64)
        return column.cast(pl.String).replace_strict(
            pl.Series(known, dtype=pl.String), pl.Series(codes), default=None, return_dtype=pl.Float64
        )

    def _derive(self, values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        read = [{name: one[name] for name in self._read} for one in values]
        if all(_NUMBERS.issuperset(map(type, one.values())) for one in read):
            found = [{name: value(one) for name, value in self._scalars.items()} for one in read]
            others = self._others
        else:
            found, others = [{} for _ in read], self._expressions
        if others:
            twice = read * 2 if len(read) == 1 else read  # why: see select_rows
            rows = pl.from_dicts(twice, schema=self._read).select_seq(others).iter_rows(named=True)
            found = [{**one, **more} for one, more in zip(found, rows, strict=False)]
        return found

    @cached_property
    def _scalars(self) -> dict[str, Scalar]:
        """The derived inputs that are plain arithmetic."""
        made = {name: scalar(expr, self._read) for name, expr in self.derived.items()}
        return {name: value for name, value in made.items() if value is not None}

    @cached_property
    def _others(self) -> list[pl.Expr]:
        return [expr.alias(name) for name, expr in self.derived.items() if name not in self._scalars]

    @cached_property
    def _expressions(self) -> list[pl.Expr]:
        return [expr.alias(name) for name, expr in self.derived.items()]

    @cached_property
    def _codes(self) -> dict[str, dict[str, float]]:
        return {
            name: {text: float(code) for code, text in enumerate(known)}
            for name, known in self.categories.items()
        }

    @cached_property
    def _read(self) -> dict[str, pl.DataType]:
        roots = dict.fromkeys(root for expr in self.derived.values() for root in expr.meta.root_names())
        return {name: self.types[name] for name in roots}

    def to_json(self) -> dict[str, Any]:
        """All but the types as plain JSON values; the types go in a file of their own."""
        return {
            "names": list(self.names),
            "derived": {
                name: json.loads(expr.meta.serialize(format="json")) for name, expr in self.derived.items()
            },
            "categories": {name: list(known) for name, known in self.categories.items()},
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any], types: Mapping[str, pl.DataType]) -> Self:
        """The inverse of :meth:`to_json`.

        Raises:
            ModelError: this version of Polars cannot read a derived expression.
        """
        derived = {name: _expression(name, tree) for name, tree in form["derived"].items()}
        categories = {name: tuple(known) for name, known in form["categories"].items()}
        return cls(tuple(form["names"]), dict(types), derived, categories)


def _is_text(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.String | pl.Enum | pl.Categorical)


def _categories(column: pl.Series) -> tuple[str, ...]:
    if isinstance(column.dtype, pl.Enum):
        return tuple(column.dtype.categories)
    return tuple(column.cast(pl.String).drop_nulls().unique().sort())


def _expression(name: str, tree: Any) -> pl.Expr:
    try:
        return pl.Expr.deserialize(io.StringIO(json.dumps(tree)), format="json")
    except (pl.exceptions.PolarsError, ValueError):
        raise ModelError.of(
            f"the derived input {name!r} cannot be read by this version of Polars",
            expected="an expression in Polars' own JSON",
            got=f"Polars {pl.__version__}",
            do="install the version of Polars that the model was trained with, or train again",
        ) from None


def _too_many(categories: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    for name, known in categories.items():
        if len(known) > MOST_CATEGORIES:
            yield Problem(
                f"the text input {name!r} has too many categories to learn from",
                expected=f"at most {MOST_CATEGORIES:,}",
                got=f"{len(known):,}",
                do="count or group the values in a feature instead, or declare an Enum",
            )


def _missing(wanted: Mapping[str, pl.DataType], given: Any) -> Iterator[Problem]:
    lacking = [name for name in wanted if name not in given]
    if lacking:
        yield Problem(
            "the model's inputs are not all there",
            expected=", ".join(wanted),
            got="no " + ", ".join(lacking),
            do="give a value for each; null is a value",
        )
