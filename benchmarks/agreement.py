"""Do the contenders give the same answer? Nobody's speed counts before that.

``compare`` is called by the measures. It runs this module as a contender is run, so that the process which
starts the others holds no data. The first answer is compared with the others, column by column: a float
column's difference is relative to the column's largest magnitude; counts must be equal. An answer for a share
of the rows says which in ``rows``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harness import Contender, Entry, Setting, once
from benchmarks.work import Work

TOLERANCE = 1e-9
Float64 = npt.NDArray[np.float64]


def compare(setting: Setting, entries: Sequence[Entry], folder: Path) -> list[str]:
    """Hold every answer against the first; fills in the entries' differences and returns what disagrees."""
    first, *others = [entry for entry in entries if entry.answer]
    options = {"expected": str(first.answer), "others": [str(entry.answer) for entry in others]}
    found = once(setting, Contender("agreement", __name__, options), folder).figures
    wrong = []
    for entry in others:
        told: dict[str, Any] = found[str(entry.answer)]
        entry.difference = float(told["difference"])
        if entry.difference > TOLERANCE:
            wrong.append(f"{entry.name} differs by {entry.difference:.2g} in {told['where']}")
    return wrong


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    expected = dict(np.load(work.options["expected"]))
    return lambda: {path: _compare(expected, dict(np.load(path))) for path in work.options["others"]}


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _compare(expected: dict[str, Float64], got: dict[str, Float64]) -> dict[str, Any]:
    rows = got.pop("rows", None)
    if set(expected) != set(got):
        return {"difference": float("inf"), "where": f"columns {sorted(set(expected) ^ set(got))}"}
    worst, where = 0.0, ""
    for name, column in expected.items():
        wanted = column if rows is None else column[rows.astype(np.int64)]
        difference = _difference(wanted, got[name], exact=name.startswith("n_"))
        if difference > worst:
            worst, where = difference, name
    return {"difference": worst, "where": where, "rows": len(next(iter(got.values())))}


def _difference(wanted: Float64, got: Float64, *, exact: bool) -> float:
    if len(wanted) != len(got) or bool((np.isnan(wanted) != np.isnan(got)).any()):
        return float("inf")
    if not len(wanted):
        return 0.0
    gap = float(np.nanmax(np.abs(wanted - got), initial=0.0))
    if exact:
        return float("inf") if gap else 0.0
    return gap / max(1.0, float(np.nanmax(np.abs(wanted), initial=0.0)))
