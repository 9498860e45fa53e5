from __future__ import annotations

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from headwater.core.errors import DataError
from headwater.core.frame import as_polars
from tests.letters import says

COLUMNS = {"n": [1, 2], "text": ["a", None], "x": [0.5, None]}
FRAME = pl.DataFrame(COLUMNS)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.lazy(),
        pa.table(COLUMNS),
        pa.table(COLUMNS).to_batches()[0],
        pd.DataFrame(COLUMNS, index=[7, 3]),
    ],
    ids=["polars", "lazy", "arrow table", "arrow batch", "pandas"],
)
def test_all_frames_become_polars(frame: object) -> None:
    assert as_polars(frame).equals(FRAME)


def test_nan_in_pandas_is_missing_and_in_polars_is_nan() -> None:
    assert as_polars(pd.DataFrame({"x": [1.0, float("nan")]}))["x"].null_count() == 1
    assert as_polars(pl.DataFrame({"x": [1.0, float("nan")]}))["x"].null_count() == 0


@pytest.mark.parametrize("thing", [[1, 2], {"x": [1]}, None, pd.Series([1, 2])])
def test_no_frame(thing: object) -> None:
    with says(
        DataError,
        f"""
        events is not a frame
          expected: a Polars, pandas or Arrow frame
          got:      {type(thing).__name__}
          do:       build a frame, for example with pl.DataFrame
        """,
    ):
        as_polars(thing, "events")


def test_a_column_that_mixes_types() -> None:
    with says(
        DataError,
        """
        events cannot be read as columns
          expected: one type in each column
          got:      x holds int and str
          do:       convert the column that mixes types
        """,
    ):
        as_polars(pd.DataFrame({"x": ["a", 1, None], "y": ["b", "c", None]}), "events")
