"""Between frames and kernels: expressions to int64 words on the way in, words to columns on the way out.

Numbers travel as float64 with NaN for null; everything else as an int64 code with ``NULL``. Called by
``engine.state``, for many rows, and by ``engine.single``, for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.frame import select_rows
from headwater.engine.kernels import layout as at
from headwater.engine.keys import Codebook
from headwater.engine.plan import Column, ViewPlan

_COUNTED = (at.COUNT, at.DISTINCT)


def evaluate(plan: ViewPlan, frame: pl.DataFrame, book: Codebook) -> tuple[at.Int64, at.UInt8]:
    """The plan's columns, shape (columns, n), and conditions, shape (flags, n), over a frame."""
    n = len(frame)
    columns = np.empty((len(plan.columns), n), dtype=np.int64)
    flags = np.empty((len(plan.conditions), n), dtype=np.uint8)
    wanted = [column.expression.alias(f"c{i}") for i, column in enumerate(plan.columns)]
    wanted += [condition.alias(f"f{i}") for i, condition in enumerate(plan.conditions)]
    if not wanted:
        return columns, flags
    results = select_rows(frame, wanted).get_columns()
    for i, column in enumerate(plan.columns):
        _encode(column, results[i], book, columns[i])
    for i, series in enumerate(results[len(plan.columns) :]):
        flags[i] = series.fill_null(value=False).cast(pl.UInt8).to_numpy()
    return columns, flags


def _encode(column: Column, series: pl.Series, book: Codebook, out: at.Int64) -> None:
    if column.kind == at.NUMBER:
        numbers = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        np.add(numbers, 0.0, out=out.view(np.float64))  # zero has no sign: -0.0 becomes 0.0
    elif column.dtype in (pl.String, pl.Categorical):
        out[:] = book.encode(series, add=True)
    else:
        out[:] = series.to_physical().cast(pl.Int64).fill_null(at.NULL).to_numpy()


def decode(plan: ViewPlan, out: list[at.Float64], book: Codebook) -> pl.DataFrame:
    """The kernels' output, a column per cell, as the view's columns."""
    columns = []
    for output, row, kind in zip(plan.outputs, plan.rows, plan.kinds, strict=True):
        op = plan.tables.cells[row, at.C_OP]
        if op in _COUNTED:
            series = pl.Series(output.name, out[row].view(np.int64))
        elif op in at.OWN_TYPE and kind == at.CODE:
            series = _decode(out[row].view(np.int64), output.dtype, book).alias(output.name)
        else:
            series = _float(output.name, out[row], nullable=op != at.SUM).cast(output.dtype)
        columns.append(series)
    return pl.DataFrame(columns)


def _float(name: str, numbers: at.Float64, *, nullable: bool) -> pl.Series:
    return pl.Series(name, numbers, nan_to_null=nullable)


def _decode(codes: at.Int64, dtype: pl.DataType, book: Codebook) -> pl.Series:
    if dtype in (pl.String, pl.Categorical):
        return book.decode(codes).cast(dtype)
    series = pl.Series(codes)
    series = series.set(series == at.NULL, None)
    if isinstance(dtype, pl.Enum):
        return series.cast(pl.UInt32).cat.to(dtype)
    if dtype == pl.Date:
        return series.cast(pl.Int32).cast(dtype)
    return series.cast(dtype)


# --- one row ----------------------------------------------------------------------------------------


def scalars(plan: ViewPlan) -> list[pl.Expr]:
    """The plan's columns and conditions as :class:`Encoder` takes them, once they are Python values."""
    return [*(_scalar(column) for column in plan.columns), *plan.conditions]


def _scalar(column: Column) -> pl.Expr:
    if column.kind == at.NUMBER:
        return column.expression if column.dtype == pl.Float64 else column.expression.cast(pl.Float64)
    if column.dtype in (pl.String, pl.Categorical):
        return column.expression.cast(pl.String)
    return column.expression.to_physical().cast(pl.Int64)


class Encoder:
    """Puts one row of :func:`scalars` where kernels read it: what :func:`evaluate` does for many."""

    def __init__(self, plan: ViewPlan, book: Codebook) -> None:
        self._number = [column.kind == at.NUMBER for column in plan.columns]
        self._text = [column.dtype in (pl.String, pl.Categorical) for column in plan.columns]
        self._book = book

    def __call__(self, row: Sequence[Any], columns: at.Int64, flags: at.UInt8) -> None:
        """Fill ``columns``, int64, shape (columns, 1), and ``flags``, uint8, shape (flags, 1)."""
        numbers = columns.view(np.float64)
        for i, number in enumerate(self._number):
            value = row[i]
            if number:
                numbers[i, 0] = np.nan if value is None else value + 0.0
            elif self._text[i]:
                columns[i, 0] = self._book.code(value, add=True)
            else:
                columns[i, 0] = at.NULL if value is None else value
        for f in range(len(flags)):
            flags[f, 0] = row[len(self._number) + f] is True


class Decoder:
    """Reads one row of the kernels' output as Python values: what :func:`decode` does for many."""

    def __init__(self, plan: ViewPlan, book: Codebook) -> None:
        self._plan, self._book = plan, book
        self._makers = [
            _maker(int(plan.tables.cells[row, at.C_OP]), kind, output.dtype, book)
            for output, row, kind in zip(plan.outputs, plan.rows, plan.kinds, strict=True)
        ]

    def __call__(self, out: at.Float64) -> tuple[Any, ...]:
        """The view's outputs in order, from ``out``, float64, shape (cells, 1)."""
        if None in self._makers:
            return decode(self._plan, list(out), self._book).row(0)
        words = out[:, 0].view(np.int64).tolist()
        numbers = out[:, 0].tolist()
        return tuple(
            make(words[row], numbers[row])  # type: ignore[misc]
            for make, row in zip(self._makers, self._plan.rows, strict=True)
        )


NUMBER, COUNT, CODE = "number", "count", "code"  # how a cell holds a number


def kind_of(op: int, kind: int, dtype: pl.DataType) -> str | None:
    """How a cell holds the number that :class:`Decoder` makes of it, or None if that is no number.

    NUMBER: as a float64, NaN for null. COUNT: as a word. CODE: as a word, ``NULL`` for null.

    Args:
        op: of the cell.
        kind: of its lane.
        dtype: of the output.
    """
    if op in _COUNTED:
        return COUNT
    if op in at.OWN_TYPE and kind == at.CODE:
        return CODE if dtype == pl.Boolean or dtype.is_integer() else None
    return NUMBER if dtype == pl.Float64 or dtype.is_integer() else None


_Maker = Callable[[int, float], Any]


def _maker(op: int, kind: int, dtype: pl.DataType, book: Codebook) -> _Maker | None:
    """From a cell, as a word and as a number, to a Python value; None for types that take the long way."""
    if op in _COUNTED:
        return lambda word, _: word
    if op in at.OWN_TYPE and kind == at.CODE:
        return _code_maker(dtype, book)
    if dtype == pl.Float64:
        return (lambda _, x: x) if op == at.SUM else (lambda _, x: x if x == x else None)
    if dtype.is_integer():
        return lambda _, x: int(x) if x == x else None
    return None


def _code_maker(dtype: pl.DataType, book: Codebook) -> _Maker | None:
    if dtype == pl.Boolean:
        return lambda word, _: None if word == at.NULL else word != 0
    if dtype.is_integer():
        return lambda word, _: None if word == at.NULL else word
    if isinstance(dtype, pl.Enum):
        categories = dtype.categories.to_list()
        return lambda word, _: None if word == at.NULL else categories[word]
    if dtype in (pl.String, pl.Categorical):
        return lambda word, _: None if word == at.NULL else book.texts[word]
    return None
