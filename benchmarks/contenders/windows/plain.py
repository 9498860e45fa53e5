"""Input and output for contenders that work row by row in Python and have numpy only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.contenders.windows.data import FILTERED, SPANS, Array

NAMES = [f"{kind}_{name}_{span}" for span in SPANS for name, _, _ in FILTERED for kind in ("sum", "n")]
Result = tuple[Array, npt.NDArray[np.float64]]


def rows_of(found: dict[str, Array]) -> Iterable[Any]:
    """``(time, amount, balance, is_credit, is_debit, is_cash)``, one each."""
    names = ("time", "amount", "balance", "is_credit", "is_debit", "is_cash")
    return zip(*(found[name].tolist() for name in names), strict=True)


def answer(result: Result) -> dict[str, Any]:
    rows, features = result
    return {"rows": rows, **{name: features[:, place] for place, name in enumerate(NAMES)}}


def figures(result: Result) -> dict[str, float]:
    return {"events": len(result[0]), "columns": len(NAMES)}
