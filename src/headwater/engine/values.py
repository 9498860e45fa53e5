"""Between frames and kernels: expressions to int64 words on the way in, words to columns on the way out.

Numbers travel as float64 with NaN for null; everything else as an int64 code with ``NULL``. Called by
``engine.state``.
"""

from __future__ import annotations

import numpy as np
import polars as pl

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
    results = frame.select(wanted).get_columns()
    for i, column in enumerate(plan.columns):
        columns[i] = _encode(column, results[i], book)
    for i, series in enumerate(results[len(plan.columns) :]):
        flags[i] = series.fill_null(value=False).cast(pl.UInt8).to_numpy()
    return columns, flags


def _encode(column: Column, series: pl.Series, book: Codebook) -> at.Int64:
    if column.kind == at.NUMBER:
        numbers = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return (numbers + 0.0).view(np.int64)  # adding zero turns -0.0 into 0.0
    if column.dtype in (pl.String, pl.Categorical):
        return book.encode(series, add=True)
    return series.to_physical().cast(pl.Int64).fill_null(at.NULL).to_numpy()


def decode(plan: ViewPlan, out: list[at.Float64], book: Codebook) -> pl.DataFrame:
    """The kernels' output, a column per cell, as the view's columns."""
    columns = []
    for output, row, kind in zip(plan.outputs, plan.rows, plan.kinds, strict=True):
        op = plan.tables.cells[row, at.C_OP]
        if op in _COUNTED:
            series = pl.Series(output.name, out[row].view(np.int64))
        elif op in (at.FIRST, at.LAST) and kind == at.CODE:
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
