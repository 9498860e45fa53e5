"""Nobody's speed counts before its answer agrees: how answers are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.agreement import figures, prepare
from benchmarks.work import Work

COLUMNS = {"sum_a": np.array([1.0, 2.0, 1000.0]), "n_a": np.array([1.0, 2.0, 3.0])}


def compared(folder: Path, other: dict[str, np.ndarray]) -> dict[str, object]:
    np.savez(folder / "expected.npz", **COLUMNS)  # type: ignore[arg-type]  # numpy's stub: a flag follows
    np.savez(folder / "other.npz", **other)  # type: ignore[arg-type]
    path = str(folder / "other.npz")
    work = Work("", str(folder), {"expected": str(folder / "expected.npz"), "others": [path]})
    found: dict[str, object] = figures(prepare(work)())[path]
    return found


def test_equal_answers_differ_by_nothing(tmp_path: Path) -> None:
    assert compared(tmp_path, COLUMNS) == {"difference": 0.0, "where": "", "rows": 3}


def test_a_sum_differs_relative_to_the_largest_of_its_column(tmp_path: Path) -> None:
    found = compared(tmp_path, {**COLUMNS, "sum_a": np.array([1.0, 2.001, 1000.0])})
    assert found["where"] == "sum_a"
    assert found["difference"] == pytest.approx(1e-6)


def test_a_count_that_is_off_by_one_is_wrong(tmp_path: Path) -> None:
    found = compared(tmp_path, {**COLUMNS, "n_a": np.array([1.0, 2.0, 4.0])})
    assert found == {"difference": float("inf"), "where": "n_a", "rows": 3}


def test_a_null_where_there_is_a_value_is_wrong(tmp_path: Path) -> None:
    found = compared(tmp_path, {**COLUMNS, "sum_a": np.array([1.0, np.nan, 1000.0])})
    assert found["difference"] == float("inf")


def test_an_answer_for_a_share_says_which_rows(tmp_path: Path) -> None:
    share = {name: column[[0, 2]] for name, column in COLUMNS.items()}
    assert compared(tmp_path, {**share, "rows": np.array([0, 2])})["difference"] == 0.0


def test_a_missing_column_is_wrong(tmp_path: Path) -> None:
    found = compared(tmp_path, {"sum_a": COLUMNS["sum_a"]})
    assert found == {"difference": float("inf"), "where": "columns ['n_a']"}
