"""What is asked of the user's Polars expressions: known columns, one row at a time, the right type.

An expression sees one event and nothing else, so that it means the same in a batch, in a stream and on
Spark. Everything that looks at other rows (``sum``, ``shift``, ``over``) is refused with a pointer to the
aggregations. Called by ``view``, ``label``, ``observe`` and ``model``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from headwater.core.errors import Problem
from headwater.core.schema import storable
from headwater.definitions.compile import dtype_text
from headwater.definitions.stream import unknown


@dataclass(frozen=True, slots=True)
class Wanted:
    """The type that an expression must have."""

    text: str
    holds: Callable[[pl.DataType], bool]


def _number(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or isinstance(dtype, pl.Float32 | pl.Float64)


CONDITION = Wanted("a Boolean", lambda dtype: isinstance(dtype, pl.Boolean))
ORDERED = Wanted("a number", _number)
NUMBER = Wanted(
    "a number, or a Boolean counted as 0 and 1", lambda d: _number(d) or isinstance(d, pl.Boolean)
)
VALUE = Wanted("a value that a feature can hold: a number, Boolean, text, category, date or time", storable)


def check(
    expr: object, schema: Mapping[str, pl.DataType], wanted: Wanted, where: str, place: str
) -> tuple[pl.DataType | None, list[Problem]]:
    """The type of a row-level expression over a schema, and what is wrong with it.

    Args:
        expr: what the user gave.
        schema: the columns that it may read.
        wanted: the type that it must have.
        where: the path for the problems.
        place: how to call the columns' owner in a text: ``"the schema of transactions"``.

    Returns:
        The type, or None if it could not be found; and the problems.
    """
    if not isinstance(expr, pl.Expr):
        return None, [
            Problem(
                "this is not a Polars expression",
                "an expression such as pl.col('amount') > 0",
                repr(expr),
                where,
                "write it with pl.col",
            )
        ]
    shape = _shape_problems(expr, where)
    if shape:
        return None, shape
    names = list(dict.fromkeys(expr.meta.root_names()))
    missing = [problem for name in names for problem in unknown(name, schema, where, place)]
    if missing:
        return None, missing
    return _typed(expr, schema, wanted, where)


def columns(*exprs: pl.Expr | None) -> list[str]:
    """The columns that the expressions read, each once, in order."""
    return list(dict.fromkeys(name for e in exprs if e is not None for name in e.meta.root_names()))


def _typed(
    expr: pl.Expr, schema: Mapping[str, pl.DataType], wanted: Wanted, where: str
) -> tuple[pl.DataType | None, list[Problem]]:
    try:
        dtype = pl.DataFrame(schema=dict(schema)).select(expr).dtypes[0]
    except pl.exceptions.PolarsError as error:
        said = str(error).partition("\n")[0]
        return None, [
            Problem(
                "an expression does not fit its columns",
                f"an expression over {_types(expr, schema)}",
                said,
                where,
                "compare and compute with values of the column's own type",
            )
        ]
    if wanted.holds(dtype):
        return dtype, []
    return None, [
        Problem(
            "an expression has the wrong type",
            wanted.text,
            f"{dtype_text(dtype)} from {expr}",
            where,
            f"write an expression that gives {wanted.text}",
        )
    ]


def _shape_problems(expr: pl.Expr, where: str) -> list[Problem]:
    """Problems that can be seen without any columns."""
    try:
        keys = set(_keys(json.loads(expr.meta.serialize(format="json"))))
    except pl.exceptions.PolarsError as error:  # a Python object inside that Polars cannot write
        return [_python(str(error).partition("\n")[0], where)]
    if any(key.startswith("Anonymous") for key in keys):
        return [_python(str(expr), where)]
    if "Selector" in keys:
        return [
            Problem(
                "an expression does not name its columns",
                "columns by their names: pl.col('amount')",
                str(expr),
                where,
                "write one expression for one column",
            )
        ]
    if not expr.meta.root_names():
        return [
            Problem(
                "an expression reads no column",
                "an expression such as pl.col('amount') > 0",
                str(expr),
                where,
                "read at least one column",
            )
        ]
    if not _row_by_row(expr):
        return [
            Problem(
                "an expression looks at other rows",
                "an expression that reads one event at a time",
                str(expr),
                where,
                "use an aggregation such as hw.sum or hw.last for what spans events",
            )
        ]
    return []


def _row_by_row(expr: pl.Expr) -> bool:
    meta = expr.meta
    alone = meta.is_row_separable() and (meta.is_length_preserving() or meta.is_scalar())
    return alone and all(map(_row_by_row, meta.pop()))


def _keys(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, item in tree.items():
            yield key
            yield from _keys(item)
    elif isinstance(tree, list) and tree and not isinstance(tree[0], int):
        for item in tree:
            yield from _keys(item)


def _types(expr: pl.Expr, schema: Mapping[str, pl.DataType]) -> str:
    return ", ".join(f"{name}: {dtype_text(schema[name])}" for name in columns(expr))


def _python(got: str, where: str) -> Problem:
    return Problem(
        "a Python function stands in an expression",
        "Polars' own functions, which can be hashed",
        got,
        where,
        "write it as a Polars expression, or compute it before the event is sent",
    )
