"""The ways into the kernels that keep the GIL: for an event, a few keys, a few scores.

The other entries let go of it, so that threads can share the work. For a few microseconds that is no gain: a
thread that waits takes the GIL at once, and to get it back takes as long as the interpreter lets a thread run
(``sys.setswitchinterval``), a hundred times the work. Called by ``engine.single`` and ``models.forest``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from headwater.engine.kernels import forest as forests
from headwater.engine.kernels import index
from headwater.engine.kernels import process as events
from headwater.engine.kernels.forest import Forest
from headwater.engine.kernels.jit import TYPES
from headwater.engine.kernels.layout import Float64, Int64, Items, Shard, Tables, Work
from headwater.engine.kernels.machine_code import kept

Function = TypeVar("Function", bound=Callable[..., Any])


def _held(arguments: str = "") -> Callable[[Function], Function]:
    """Compile as ``jit`` does, or, without types, as ``forest_jit`` does; with the GIL."""
    types = tuple(TYPES[word.strip()] for word in arguments.split(",")) if arguments else None
    return kept(types, nogil=False)


@_held("Shard, Tables, Items, ints2, Work, floats2, int, int")
def process(
    shard: Shard, tables: Tables, items: Items, runs: Int64, work: Work, out: Float64, run: int, item: int
) -> tuple[int, int, int]:
    """``process.process``, for a few items."""
    return events.process(shard, tables, items, runs, work, out, run, item)


@_held("Shard, Tables, Items, ints, ints, int, ints, Work, floats2, int")
def read(
    shard: Shard,
    tables: Tables,
    items: Items,
    keys: Int64,
    times: Int64,
    offset: int,
    rows: Int64,
    work: Work,
    out: Float64,
    start: int,
) -> tuple[int, int]:
    """``process.read``, for a few keys."""
    return events.read(shard, tables, items, keys, times, offset, rows, work, out, start)


@_held("int, ints, ints")
def find(key: int, table: Int64, numbers: Int64) -> int:
    """The number of one key, or -1; see ``index.lookup``."""
    mask = table.shape[0] - 1
    j = index.slot(key, mask)
    while numbers[j] >= 0 and table[j] != key:
        j = (j + 1) & mask
    number: int = numbers[j]
    return number


@_held()
def score_row(forest: Forest, x: Float64) -> float:
    """``forest.score_row``."""
    return forests.score_row(forest, x)


@_held()
def score_rows(forest: Forest, X: Float64, out: Float64) -> None:
    """``forest.score_rows``, for a few rows."""
    forests.score_rows(forest, X, out)
