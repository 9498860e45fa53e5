"""Arithmetic of one row on Python floats: the bits that Polars gives, without the planning of a query.

A query over a frame takes Polars 100 us however little there is to do, and live features are asked for one
row at a time. So sums, differences, products and quotients of number columns become functions of Python
values. IEEE arithmetic has one answer for each, and that is not taken on trust: a function is compared with
Polars, to the bit, on rows made of the awkward numbers before it is handed out. Whatever differs, and
whatever is not arithmetic, stays with Polars. Called by ``engine.single`` and ``models.inputs``.
"""

from __future__ import annotations

import json
import math
import operator
import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

Row = Mapping[str, Any]
Scalar = Callable[[Row], float | None]  # from column names to values; None is null

_OPERATIONS = {"Plus": operator.add, "Minus": operator.sub, "Multiply": operator.mul}
_ROWS = 256
_AWKWARD: dict[pl.DataType, tuple[Any, ...]] = {
    pl.Float64(): (
        *(None, 0.0, -0.0, 1.0, -1.0, 1 / 3, 0.1, -7.25, 49.0, 1e16 + 2, 5e-324, -2.2e-308),
        *(1.7e308, -1.7e308, math.inf, -math.inf, math.nan),
    ),
    pl.Int64(): (None, 0, 1, -1, 3, 7, 49, 2**53 + 1, -(2**53) - 3, 2**63 - 1, -(2**63)),
}


def scalar(expression: pl.Expr, types: Mapping[str, pl.DataType]) -> Scalar | None:
    """A row-level expression as a function of one row, or None if only Polars can evaluate it.

    Args:
        expression: over columns in ``types``.
        types: column to its type; those of Float64 and Int64 are understood.

    Example:
        >>> pace = scalar(pl.col("spent") / pl.col("income"), {"spent": pl.Float64(), "income": pl.Float64()})
        >>> pace({"spent": 1.0, "income": 4.0}), pace({"spent": None, "income": 4.0})
        (0.25, None)
        >>> scalar(pl.col("spent").sin(), {"spent": pl.Float64()}) is None
        True
    """
    node = _node(json.loads(expression.meta.serialize(format="json")), types)
    if node is None or not node.float:
        return None
    return node.value if _proved(expression, node.value, types) else None


@dataclass(frozen=True, slots=True)
class _Node:
    """A part of an expression: its value as a float, whether it is one in Polars, whether it is constant."""

    value: Scalar
    float: bool
    constant: bool = False


def _node(tree: Any, types: Mapping[str, pl.DataType]) -> _Node | None:
    match tree:
        case {"Column": str(name)} if types.get(name) in _AWKWARD:
            return _Node(_column(name), types[name] == pl.Float64)
        case {"Literal": {"Dyn": {"Float": float(number)} | {"Int": int(number)}}}:
            return _Node(lambda _: float(number), isinstance(number, float), constant=True)
        case {"Cast": {"expr": inner, "dtype": {"Literal": "Float64"}}}:
            node = _node(inner, types)
            return None if node is None or node.constant else _Node(node.value, True)
        case {"Alias": [inner, str()]}:
            return _node(inner, types)
        case {"BinaryExpr": {"left": left, "op": str(op), "right": right}}:
            a, b = _node(left, types), _node(right, types)
            return None if a is None or b is None else _binary(op, a, b)
    return None


def _binary(op: str, a: _Node, b: _Node) -> _Node | None:
    if a.constant and b.constant:
        return None
    if op == "TrueDivide" and not b.constant:  # by a constant, Polars multiplies with its reciprocal
        return _Node(_quotient(a.value, b.value), True)
    if op in _OPERATIONS and (a.float or b.float):  # integers alone would wrap round
        return _Node(_combined(_OPERATIONS[op], a.value, b.value), True)
    return None


def _column(name: str) -> Scalar:
    def value(row: Row) -> float | None:
        found = row[name]
        return None if found is None else float(found)

    return value


def _combined(operation: Callable[[float, float], float], a: Scalar, b: Scalar) -> Scalar:
    def value(row: Row) -> float | None:
        x, y = a(row), b(row)
        return None if x is None or y is None else operation(x, y)

    return value


def _quotient(a: Scalar, b: Scalar) -> Scalar:
    def value(row: Row) -> float | None:
        x, y = a(row), b(row)
        if x is None or y is None:
            return None
        return x / y if y else x * math.copysign(math.inf, y)

    return value


def _proved(expression: pl.Expr, value: Scalar, types: Mapping[str, pl.DataType]) -> bool:
    """Whether the function gives what Polars gives, on rows of awkward numbers."""
    draw = random.Random(0)
    read = dict.fromkeys(expression.meta.root_names())
    columns = {name: draw.choices(_AWKWARD[types[name]], k=_ROWS) for name in read}
    frame = pl.DataFrame([pl.Series(name, drawn, types[name]) for name, drawn in columns.items()])
    wanted = frame.select_seq(expression).to_series()
    got = [value(row) for row in frame.iter_rows(named=True)]
    return wanted.dtype == pl.Float64 and all(map(_same, got, wanted.to_list()))


def _same(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return struct.pack("<d", a) == struct.pack("<d", b) or (math.isnan(a) and math.isnan(b))
