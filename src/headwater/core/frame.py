"""Frames as they come: Polars, pandas or Arrow; all are Polars from here on.

Called by the door (``core.schema``) and by every function that takes a frame from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from headwater.core.errors import DataError

_CONVERSIONS = (
    TypeError,
    ValueError,
    pl.exceptions.PolarsError,
)  # pyarrow's errors are ValueErrors, TypeErrors


def as_polars(frame: Any, name: str = "the frame") -> pl.DataFrame:
    """The frame as Polars: unchanged, collected, or converted from pandas or Arrow without its index.

    In a pandas frame NaN means missing and becomes null.

    Args:
        frame: a Polars DataFrame or LazyFrame, a pandas DataFrame, a PyArrow Table or RecordBatch, or
            anything else that exports Arrow's C stream.
        name: how to call it in an error.

    Raises:
        DataError: it is no frame, or one of its columns mixes types.

    Example:
        >>> import pandas as pd
        >>> as_polars(pd.DataFrame({"x": [1.0, None]}))["x"].to_list()
        [1.0, None]
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return pl.DataFrame(frame.collect())
    try:
        if type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns"):
            return pl.DataFrame(pl.from_pandas(frame))
        if hasattr(frame, "__arrow_c_stream__"):
            return pl.DataFrame(frame)
    except _CONVERSIONS as error:
        raise DataError.of(
            f"{name} cannot be read as columns",
            expected="one type in each column",
            got=_mixed(frame) or type(error).__name__,  # not its text, which may quote a value
            do="convert the column that mixes types",
        ) from None
    raise DataError.of(
        f"{name} is not a frame",
        expected="a Polars, pandas or Arrow frame",
        got=type(frame).__name__,
        do="build a frame, for example with pl.DataFrame",
    )


def _mixed(frame: Any) -> str:
    """The pandas columns that hold several Python types, with the types."""
    kinds = {
        name: sorted({type(value).__name__ for value in values.dropna()})
        for name, values in getattr(frame, "items", dict)()
        if values.dtype == object
    }
    return "; ".join(f"{name} holds {' and '.join(found)}" for name, found in kinds.items() if len(found) > 1)


def select_rows(frame: pl.DataFrame, expressions: Sequence[pl.Expr]) -> pl.DataFrame:
    """Evaluate row-level expressions so that a row gives the same bits alone as among others.

    Polars divides a longer column by a number by multiplying with its reciprocal, but divides a single
    row as such, and the two differ in the last bit. So a single row is evaluated twice over.

    Args:
        frame: n rows.
        expressions: row-level, so that each gives n values.

    Example:
        >>> many = pl.DataFrame({"x": [5.0, 1.0]})
        >>> one = select_rows(many.head(1), [pl.col("x") / 7])
        >>> one["x"][0] == select_rows(many, [pl.col("x") / 7])["x"][0]
        True
    """
    columns = frame.get_columns()  # as series: a constant column, too, would be divided as a single value
    if len(frame) != 1:
        return pl.DataFrame(columns).select(expressions)
    return pl.DataFrame([series.clone().append(series) for series in columns]).select_seq(expressions).head(1)
