"""One row's arithmetic gives the bits of Polars, and what is no such arithmetic is left to it."""

from __future__ import annotations

import math
import struct
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.frame import select_rows
from headwater.core.scalar import scalar

TYPES: dict[str, pl.DataType] = {
    **{name: pl.Float64() for name in ("a", "b", "c")},
    "n": pl.Int64(),
    "m": pl.Int64(),
    "text": pl.String(),
    "small": pl.Int8(),
}
a, b, c, n, m = (pl.col(name) for name in ("a", "b", "c", "n", "m"))

ARITHMETIC = {
    "derived as people write it": (a + b) / c,
    "nested": (a - b) * (c + a) / (b - n),
    "integers are widened": a + n,
    "a quotient of integers": n / m,
    "a cast": n.cast(pl.Float64),
    "a cast of more": (a * n).cast(pl.Float64) - 1,
    "constants": 1 - 2.5 * a,
    "a constant above": 1 / a,
    "a name": (a / b).alias("pace"),
}
OTHER = {
    "division by a constant is a product in Polars": a / 7,
    "integers wrap round": n + m,
    "constants alone": pl.lit(1.0) + 2.0,
    "an integer as it is": n,
    "a comparison": a > b,
    "a function": a.sin(),
    "floor": a // b,
    "text": pl.col("text") + "x",
    "small integers": pl.col("small") / pl.col("small"),
    "another float": (a + b).cast(pl.Float32),
    "an unknown column": pl.col("nowhere") + a,
}

floats = st.none() | st.floats() | st.sampled_from([0.0, -0.0, math.inf, 1 / 3, 5e-324])
integers = st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)


def bits(value: float | None) -> Any:
    return value if value is None or math.isnan(value) else struct.pack("<d", value)


@pytest.mark.parametrize("name", ARITHMETIC)
@given(st.data())
def test_arithmetic_gives_the_bits_of_polars(name: str, data: st.DataObject) -> None:
    row = {
        column: data.draw(floats if dtype == pl.Float64 else integers)
        for column, dtype in TYPES.items()
        if dtype in (pl.Float64, pl.Int64)
    }
    value = scalar(ARITHMETIC[name], TYPES)
    assert value is not None
    frame = pl.DataFrame({key: pl.Series([one], dtype=TYPES[key]) for key, one in row.items()})
    expected = select_rows(frame, [ARITHMETIC[name]]).item()
    got = value(row)
    assert str(bits(got)) == str(bits(expected))


@pytest.mark.parametrize("name", OTHER)
def test_everything_else_is_left_to_polars(name: str) -> None:
    assert scalar(OTHER[name], TYPES) is None
