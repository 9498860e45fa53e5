"""The plan: a feature view compiled to the tables that the kernels run.

::

    features        cells (one accumulator each)          grouped for the kernels
    n_7d      ──►   COUNT  lane 0  over 7d                delay 0 ─┬─ window forever ─ lane 1 ─ LAST
    spent_7d  ──►   SUM    lane 1  over 7d                         └─ window 7d ─┬─ lane 0 ─ COUNT
    balance   ──►   LAST   lane 2                                                └─ lane 1 ─ SUM

A *lane* is which events count and with which value; equal lanes and equal cells are made once. Pure:
definitions in, arrays out. Called by ``engine.state``; the tables' columns are named in
``kernels.layout``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from headwater.definitions.view import FeatureOutput, FeatureView
from headwater.engine.kernels import decay, deque, exact, moments, multiset, ranked
from headwater.engine.kernels import layout as at

_OPS = {
    "count": at.COUNT,
    "sum": at.SUM,
    "mean": at.MEAN,
    "var": at.VAR,
    "std": at.STD,
    "trend": at.TREND,
    "min": at.MIN,
    "max": at.MAX,
    "first": at.FIRST,
    "last": at.LAST,
    "since_first": at.SINCE_FIRST,
    "since_last": at.SINCE_LAST,
    "distinct": at.DISTINCT,
    "decayed_sum": at.DECAYED,
    "decayed_count": at.DECAYED,
    "quantile": at.QUANTILE,
}
_CODED = {"first", "last", "distinct", "min", "max"}
_OWN_BOUND = {at.MIN, at.MAX, at.FIRST, at.LAST, at.SINCE_FIRST, at.SINCE_LAST}
_EXACTS = {at.SUM: 1, at.MEAN: 1, at.VAR: 2, at.STD: 2, at.TREND: 4, at.DECAYED: 1}
FOREVER = -1
KEEP_ALL = 2**53


@dataclass(frozen=True, slots=True)
class Column:
    """A stored value: an expression, as float64 (``NUMBER``) or as an int64 code (``CODE``)."""

    expression: pl.Expr
    kind: int
    dtype: pl.DataType


@dataclass(frozen=True, slots=True)
class Cell:
    """One accumulator, before it is given a place."""

    op: int
    lane: int
    over: int
    delay: int
    half_life: int
    parameter: float

    @property
    def window(self) -> tuple[int, int]:
        """(delay, span) of the window whose comings and goings drive the cell."""
        return self.delay, FOREVER if self.op in _OWN_BOUND else self.over


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """A compiled view.

    Attributes:
        view: what was compiled.
        columns: stored values, in the order of the chunks' rows.
        conditions: ``where`` expressions, in the order of the flags.
        tables: the kernels' program.
        rows: per output, its cell's row in the kernels' output.
        first_ints, first_reals: the state of a key that has seen nothing.
        blank: shape (cells,), what such a key reads.
    """

    view: FeatureView
    columns: tuple[Column, ...]
    conditions: tuple[pl.Expr, ...]
    tables: at.Tables
    rows: tuple[int, ...]
    kinds: tuple[int, ...]
    first_ints: at.Int64
    first_reals: at.Float64
    blank: at.Float64 = field(repr=False)

    @property
    def outputs(self) -> tuple[FeatureOutput, ...]:
        """The view's outputs."""
        return self.view.outputs


def compile_view(view: FeatureView, *, keep_all: bool = False) -> ViewPlan:
    """Compile a view; with ``keep_all`` its state never forgets an event."""
    builder = _Builder(view)
    cells = [builder.cell(output) for output in view.outputs]
    order = sorted(set(cells), key=_rank)
    return builder.plan(order, tuple(order.index(cell) for cell in cells), keep_all)


def _rank(cell: Cell) -> tuple[object, ...]:
    return *cell.window, cell.lane, cell.op, cell.over, cell.half_life, cell.parameter


class _Builder:
    """Collects columns, conditions and lanes, each once."""

    def __init__(self, view: FeatureView) -> None:
        self.view = view
        self.columns: dict[tuple[str, int], Column] = {}
        self.conditions: dict[str, pl.Expr] = {}
        self.lanes: dict[tuple[int, int, int], int] = {}
        self.schema = pl.DataFrame(schema=dict(view.stream.schema))

    def cell(self, output: FeatureOutput) -> Cell:
        aggregate = output.aggregate
        op = _OPS[aggregate.op]
        over = FOREVER if output.over is None else output.over
        half = aggregate.half_life or 0
        if op == at.DECAYED:
            reach = decay.CUTOFF * half
            over = reach if over == FOREVER else min(over, reach)
        lane = self._lane(aggregate.op, aggregate.column, aggregate.where)
        return Cell(op, lane, over, aggregate.delay, half, 0.0 if aggregate.q is None else aggregate.q)

    def _lane(self, op: str, column: pl.Expr | None, where: pl.Expr | None) -> int:
        flag = -1 if where is None else _number(self.conditions, _text(where), where)
        if column is None:
            kind, place = at.UNIT, -1
        else:
            dtype = self.schema.select(column).dtypes[0]
            kind = at.CODE if op in _CODED and not dtype.is_float() else at.NUMBER
            place = _number(self.columns, (_text(column), kind), Column(column, kind, dtype))
        return self.lanes.setdefault((kind, place, flag), len(self.lanes))

    def plan(self, cells: list[Cell], rows: tuple[int, ...], keep_all: bool) -> ViewPlan:
        groups, windows, pairs = _tree(cells)
        flows, terms = _flows(groups, windows, pairs, cells)
        cursors = _Cursors(groups, windows, cells)
        table, ints, reals = _records(cells, cursors)
        keep = KEEP_ALL if keep_all else _keep(cells)
        shape = at.Shape(
            columns=len(self.columns),
            flags=len(self.conditions),
            cursors=cursors.count,
            keep=keep,
            exacts=sum(_EXACTS.get(cell.op, 0) for cell in cells),
        )
        tables = at.Tables(
            shape=np.array(shape, dtype=np.int64),
            groups=_table(groups, 6),
            windows=_table(windows, 5),
            pairs=_table(pairs, 4),
            cells=table,
            lanes=_table([list(lane) for lane in self.lanes], 3),
            flows=_table(flows, 4),
            terms=_table(terms, 2),
            params=np.array([cell.parameter for cell in cells], dtype=np.float64),
            firsts=np.array(cursors.firsts, dtype=np.int64),
        )
        kinds = tuple(int(tables.lanes[cells[row].lane, at.L_KIND]) for row in rows)
        blank = np.array([_blank(cell, int(tables.lanes[cell.lane, at.L_KIND])) for cell in cells])
        return ViewPlan(
            view=self.view,
            columns=tuple(self.columns.values()),
            conditions=tuple(self.conditions.values()),
            tables=tables,
            rows=rows,
            kinds=kinds,
            first_ints=ints,
            first_reals=reals,
            blank=blank.view(np.float64),
        )


def _text(expression: pl.Expr) -> str:
    return expression.meta.serialize(format="json")


def _number(known: dict, key: object, value: object) -> int:  # type: ignore[type-arg]
    """The number of ``key`` in order of appearance; ``value`` is kept under it."""
    known.setdefault(key, value)
    return list(known).index(key)


def _table(rows: Iterable[list[int]], width: int) -> at.Int64:
    return np.array(list(rows), dtype=np.int64).reshape(-1, width)


def _tree(cells: list[Cell]) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """Groups of windows of pairs of cells, as index ranges; the cells are sorted for it."""
    groups: list[list[int]] = []
    windows: list[list[int]] = []
    pairs: list[list[int]] = []
    previous: Cell | None = None
    for c, cell in enumerate(cells):
        new_group = previous is None or previous.delay != cell.delay
        new_window = new_group or previous is None or previous.window != cell.window
        if new_window or previous is None or previous.lane != cell.lane:
            pairs.append([cell.lane, c, c, c])
        if new_window:
            windows.append([cell.window[1], -1, len(pairs) - 1, len(pairs) - 1, 0])
        if new_group:
            groups.append([cell.delay, -1, len(windows) - 1, len(windows) - 1, 0, 0])
        pairs[-1][at.P_END] = c + 1
        if cell.op in at.ADDING:
            pairs[-1][at.P_REST] = c + 1
        else:
            windows[-1][at.W_TAPE] = 1
        windows[-1][at.W_END] = len(pairs)
        groups[-1][at.G_END] = len(windows)
        previous = cell
    return groups, windows, pairs


def _flows(
    groups: list[list[int]], windows: list[list[int]], pairs: list[list[int]], cells: list[Cell]
) -> tuple[list[list[int]], list[list[int]]]:
    """Of each group, the lanes that add, each with its terms: (cell, window). Fills in the groups' ranges."""
    flows: list[list[int]] = []
    terms: list[list[int]] = []
    for group in groups:
        group[at.G_FLOW] = len(flows)
        adding = [
            (pairs[pair][at.P_LANE], c, window)
            for window in range(group[at.G_FIRST], group[at.G_END])
            for pair in range(windows[window][at.W_FIRST], windows[window][at.W_END])
            for c in range(pairs[pair][at.P_FIRST], pairs[pair][at.P_REST])
        ]
        for lane in sorted({lane for lane, _, _ in adding}):
            mine = [[c, window] for of, c, window in adding if of == lane]
            tally = any(cells[c].op != at.SUM for c, _ in mine)
            flows.append([lane, len(terms), len(terms) + len(mine), int(tally)])
            terms += mine
        group[at.G_FLOW_END] = len(flows)
    return flows, terms


class _Cursors:
    """Hands out cursors to delayed groups, finite windows and first values."""

    def __init__(self, groups: list[list[int]], windows: list[list[int]], cells: list[Cell]) -> None:
        self.count = 0
        for group in groups:
            group[at.G_CURSOR] = self._next() if group[at.G_DELAY] > 0 else -1
        for window in windows:
            window[at.W_CURSOR] = self._next() if window[at.W_OVER] != FOREVER else -1
        self.firsts = [
            c
            for c, cell in enumerate(cells)
            if cell.op in (at.FIRST, at.SINCE_FIRST) and cell.over != FOREVER
        ]
        self.of_cell = {c: self._next() for c in self.firsts}

    def _next(self) -> int:
        self.count += 1
        return self.count - 1


def _records(cells: list[Cell], cursors: _Cursors) -> tuple[at.Int64, at.Int64, at.Float64]:
    """The cells' table, and the first state of a key with each cell's record in its place."""
    ints: list[int] = [0] * (at.CURSORS + 2 * cursors.count)
    ints[at.FRONTIER] = ints[at.FORGOTTEN] = at.NEVER
    reals: list[float] = []
    rows = []
    for c, cell in enumerate(cells):
        place = at.CURSORS + 2 * cursors.of_cell[c] if c in cursors.of_cell else len(ints)
        rows.append([cell.op, cell.over, cell.delay, len(reals), place, c, cell.half_life, cell.lane])
        ints += [0] * _ints(cell)
        reals += _reals(cell)
    return (
        _table(rows, 8),
        np.array(ints, dtype=np.int64),
        np.array(reals or [0.0], dtype=np.float64),
    )


def _ints(cell: Cell) -> int:
    if cell.op in (at.MIN, at.MAX) and cell.over != FOREVER:
        return deque.RECORD
    return {at.DISTINCT: multiset.RECORD, at.QUANTILE: ranked.RECORD}.get(cell.op, 0)


def _reals(cell: Cell) -> list[float]:
    if cell.op in (at.MIN, at.MAX):
        return [0.0, 0.0]
    if cell.op in (at.FIRST, at.LAST, at.SINCE_FIRST, at.SINCE_LAST):
        return [float(np.array(at.NEVER).view(np.float64)), 0.0]
    if cell.op in (at.VAR, at.STD, at.TREND):
        return [0.0] * (moments.TREND if cell.op == at.TREND else moments.SPREAD)
    extra = {at.COUNT: 1, at.MEAN: 1, at.DECAYED: 2}.get(cell.op, 0)
    return [0.0] * (extra + _EXACTS.get(cell.op, 0) * exact.RECORD)


def _keep(cells: list[Cell]) -> int:
    """How far back the state must remember: the longest window's far end."""
    return max(cell.delay + max(cell.over, 0) for cell in cells)


def _blank(cell: Cell, kind: int) -> int:
    """What an empty window reads, as the bits of the kernels' output."""
    if cell.op in (at.COUNT, at.SUM, at.DISTINCT):
        return 0
    if cell.op in at.OWN_TYPE and kind == at.CODE:
        return at.NULL
    return int(np.array(np.nan).view(np.int64))
