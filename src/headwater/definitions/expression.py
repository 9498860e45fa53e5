"""What is asked of the user's Polars expressions: known columns, one row at a time, the right type.

An expression sees one event and nothing else, so that it means the same in a batch, in a stream and on
Spark. Everything that looks at other rows (``sum``, ``shift``, ``over``) is refused with a pointer to the
aggregations. Called by ``view`` and ``model_checks``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import polars as pl

from headwater.core.errors import Problem
from headwater.core.schema import storable
from headwater.definitions.compile import dtype_text
from headwater.definitions.probe import probe
from headwater.definitions.stream import unknown

Types = Mapping[str, pl.DataType]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The type that an expression must have."""

    text: str
    holds: Callable[[pl.DataType], bool]


def _number(dtype: pl.DataType) -> bool:
    return storable(dtype) and dtype.is_numeric()


CONDITION = Wanted("a Boolean", lambda dtype: isinstance(dtype, pl.Boolean))
ORDERED = Wanted("a number", _number)
NUMBER = Wanted(
    "a number, or a Boolean counted as 0 and 1", lambda d: _number(d) or isinstance(d, pl.Boolean)
)
VALUE = Wanted("a number, Boolean, text, category, date, or time with a zone", storable)


def check(
    expr: object, schema: Types, wanted: Wanted, where: str, place: str
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
        return None, [_not_expression(expr, where)]
    shape = _shape_problem(expr, where)
    if shape is not None:
        return None, [shape]
    missing = [problem for name in columns(expr) for problem in unknown(name, schema, where, place)]
    if missing:
        return None, missing
    try:
        dtype = pl.DataFrame(schema=dict(schema)).select(expr).dtypes[0]
    except pl.exceptions.PolarsError as error:
        return None, [_misfit(expr, schema, error, where)]
    if not wanted.holds(dtype):
        return None, [_wrong_type(expr, dtype, wanted, where)]
    return dtype, [*_category_problems(expr, schema, where), *_failures(expr, schema, where)]


def columns(*exprs: pl.Expr | None) -> list[str]:
    """The columns that the expressions read, each once, in order."""
    return list(dict.fromkeys(name for e in exprs if e is not None for name in e.meta.root_names()))


def _shape_problem(expr: pl.Expr, where: str) -> Problem | None:
    """What can be seen without any columns."""
    try:
        kinds = set(_kinds(_tree(expr)))
    except pl.exceptions.PolarsError:  # it holds a Python object that Polars cannot write
        kinds = {"AnonymousFunction"}
    if any(kind.startswith("Anonymous") for kind in kinds):
        return Problem(
            "a Python function stands in an expression",
            expected="Polars' own functions, which can be compiled and hashed",
            got=str(expr),
            where=where,
            do="write it as a Polars expression, or compute the column before the events come in",
        )
    if "Selector" in kinds or not expr.meta.root_names():
        return Problem(
            "an expression does not name its columns",
            expected="columns by their names, such as pl.col('amount')",
            got=str(expr),
            where=where,
            do="name each column that it reads",
        )
    if not _row_by_row(expr):
        return Problem(
            "an expression looks at other rows",
            expected="an expression that reads one row at a time",
            got=str(expr),
            where=where,
            do="use an aggregation such as hw.sum or hw.last for what spans events",
        )
    return None


def _row_by_row(expr: pl.Expr) -> bool:
    meta = expr.meta
    alone = meta.is_row_separable() and (meta.is_length_preserving() or meta.is_scalar())
    return alone and all(map(_row_by_row, meta.pop()))


def _failures(expr: pl.Expr, schema: Types, where: str) -> Iterator[Problem]:
    """Trying the expression on hard rows, so that no event can stop the stream."""
    rows = probe({name: schema[name] for name in columns(expr)})
    try:
        rows.select(expr)
    except pl.exceptions.PolarsError as error:
        yield Problem(
            "an expression can fail on an event",
            expected="an expression that gives null where it has no value",
            got=_first_line(error),
            where=where,
            do="use strict=False in casts and parsing, or a default in replace_strict",
        )


def _category_problems(expr: pl.Expr, schema: Types, where: str) -> Iterator[Problem]:
    """Comparisons of an Enum with a category that it does not have: always false, never meant."""
    parts = expr.meta.pop()
    for part in parts:
        yield from _category_problems(part, schema, where)
    if not _compares(expr):
        return
    for part in parts:
        dtype = schema[part.meta.output_name()] if part.meta.is_column() else None
        if isinstance(dtype, pl.Enum):
            for text in (t for other in parts if other.meta.is_literal() for t in _texts(other)):
                if text not in dtype.categories:
                    yield _no_category(text, dtype, part.meta.output_name(), where)


def _compares(expr: pl.Expr) -> bool:
    tree = _tree(expr)
    if not isinstance(tree, dict):
        return False
    binary, function = tree.get("BinaryExpr"), tree.get("Function")
    return bool(binary and binary["op"] in ("Eq", "NotEq")) or bool(
        function and "IsIn" in str(function["function"])
    )


def _texts(literal: pl.Expr) -> list[str]:
    value = pl.select(literal).item()
    return [text for text in (value if isinstance(value, pl.Series) else [value]) if isinstance(text, str)]


def _tree(expr: pl.Expr) -> Any:
    return json.loads(expr.meta.serialize(format="json"))


def _kinds(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for kind, item in tree.items():
            yield kind
            yield from _kinds(item)
    elif isinstance(tree, list) and tree and not isinstance(tree[0], int):
        for item in tree:
            yield from _kinds(item)


def _not_expression(got: object, where: str) -> Problem:
    return Problem(
        "this is not a Polars expression",
        expected="an expression such as pl.col('amount') > 0",
        got=repr(got),
        where=where,
        do="write it with pl.col",
    )


def _misfit(expr: pl.Expr, schema: Types, error: Exception, where: str) -> Problem:
    types = ", ".join(f"{name}: {dtype_text(schema[name])}" for name in columns(expr))
    return Problem(
        "an expression does not fit its columns",
        expected=f"an expression over {types}",
        got=_first_line(error),
        where=where,
        do="compare and compute with values of the column's own type",
    )


def _wrong_type(expr: pl.Expr, dtype: pl.DataType, wanted: Wanted, where: str) -> Problem:
    return Problem(
        "an expression has the wrong type",
        expected=wanted.text,
        got=f"{dtype_text(dtype)} from {expr}",
        where=where,
        do=f"write an expression that gives {wanted.text}",
    )


def _no_category(text: str, dtype: pl.Enum, column: str, where: str) -> Problem:
    near = get_close_matches(text, dtype.categories, 1, 0.75)
    return Problem(
        f"the column {column!r} never holds {text!r}",
        expected="one of " + ", ".join(map(repr, dtype.categories)),
        got=repr(text),
        where=where,
        do=f"did you mean {near[0]!r}?" if near else "compare with one of its categories",
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
