"""From frames to matrices: codes, nulls, derived columns, and one row as one of many."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import headwater as hw
from headwater.core.errors import DataError, ModelError, TrainingError
from headwater.models.inputs import Inputs
from tests.letters import says

CLOCK = pl.Datetime("us", "UTC")
PAYMENTS = hw.Stream(
    "payments",
    {
        "who": pl.Int64,
        "time": CLOCK,
        "amount": pl.Float64,
        "way": pl.Enum(["card", "cash"]),
        "city": pl.String,
        "abroad": pl.Boolean,
        "bad": pl.Boolean,
    },
)
VIEW = hw.FeatureView(
    "habits",
    PAYMENTS,
    key="who",
    features={
        "n": hw.count(over="7d"),
        "spent": hw.sum("amount", over="7d"),
        "way": hw.last("way"),
        "city": hw.last("city"),
    },
)
MODEL = hw.Model(
    "risk",
    [VIEW],
    hw.outcome("bad"),
    hw.each(PAYMENTS),
    LogisticRegression(),
    derived={"each": pl.col("spent_7d") / pl.col("n_7d"), "night": pl.col("time").dt.hour() < 6},
    request=["abroad", "time"],
)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def frame(**columns: list[Any]) -> pl.DataFrame:
    """Rows with all columns that the model reads; what is not given is null."""
    types = {name: dtype for name, dtype in MODEL.columns.items() if name not in MODEL.derived}
    height = len(next(iter(columns.values())))
    return pl.DataFrame({name: columns.get(name, [None] * height) for name in types}, schema=types)


def test_the_vector_has_the_order_of_the_model_and_leaves_times_out() -> None:
    inputs = Inputs.fit(MODEL, frame(n_7d=[1]))
    assert inputs.names == MODEL.inputs == ("n_7d", "spent_7d", "way", "city", "abroad", "each", "night")


def test_numbers_booleans_and_categories() -> None:
    rows = frame(
        n_7d=[2, 0, None],
        spent_7d=[5.0, 0.0, None],
        way=["cash", "card", None],
        city=["Zug", "Aarau", None],
        abroad=[True, False, None],
        time=[NOON, NOON.replace(hour=3), None],
    )
    nan = float("nan")
    np.testing.assert_array_equal(
        Inputs.fit(MODEL, rows).matrix(rows),
        [
            [2, 5, 1, 1, 1, 2.5, 0],  # an Enum counts from its first category, a text from the first seen
            [0, 0, 0, 0, 0, nan, 1],  # 0 / 0 is nothing
            [nan] * 7,
        ],
    )


def test_a_division_by_zero_is_null_and_not_infinite() -> None:
    rows = frame(n_7d=[0], spent_7d=[3.0])
    assert np.isnan(Inputs.fit(MODEL, rows).matrix(rows)[0, 5])


def test_a_category_never_seen_is_null() -> None:
    inputs = Inputs.fit(MODEL, frame(city=["Aarau", "Zug"]))
    assert inputs.categories == {"way": ("card", "cash"), "city": ("Aarau", "Zug")}
    np.testing.assert_array_equal(inputs.matrix(frame(city=["Zug", "Bern"]))[:, 3], [1, np.nan])
    assert inputs.text("city", 1.0) == "Zug"
    assert inputs.text("city", float("nan")) is None
    assert inputs.text("n_7d", 1.0) is None


def test_one_row_is_that_row_of_many_to_the_bit() -> None:
    random = np.random.default_rng(0)
    rows = frame(
        n_7d=random.integers(0, 3, 200).tolist(),
        spent_7d=[None if x > 0.9 else x * 1e9 / 3 for x in random.random(200)],
        way=random.choice(["card", "cash"], 200).tolist(),
        city=random.choice(["Aarau", "Zug", "Bern"], 200).tolist(),
        abroad=(random.random(200) < 0.5).tolist(),
        time=[NOON.replace(hour=int(h)) for h in random.integers(0, 24, 200)],
    )
    inputs = Inputs.fit(MODEL, rows[:150].filter(pl.col("city") != "Bern"))
    matrix = inputs.matrix(rows)
    for place, row in enumerate(rows.iter_rows(named=True)):
        np.testing.assert_array_equal(inputs.row(row), matrix[place])


def test_json_and_back() -> None:
    rows = frame(city=["Aarau"], n_7d=[3], spent_7d=[1.5], time=[NOON])
    inputs = Inputs.fit(MODEL, rows)
    back = Inputs.from_json(inputs.to_json(), inputs.types)
    assert (back.names, back.categories, back.types) == (inputs.names, inputs.categories, inputs.types)
    np.testing.assert_array_equal(back.matrix(rows), inputs.matrix(rows))


def test_a_missing_column() -> None:
    inputs = Inputs.fit(MODEL, frame(n_7d=[1]))
    text = """
        the model's inputs are not all there
          expected: n_7d, spent_7d, way, city, abroad, time
          got:      no n_7d, city
          do:       give a value for each; null is a value
        """
    with says(DataError, text):
        inputs.matrix(frame(way=["card"]).drop("n_7d", "city"))
    with says(DataError, text):
        inputs.row({"spent_7d": 1.0, "way": "card", "abroad": True, "time": NOON})


def test_too_many_categories() -> None:
    with says(
        TrainingError,
        """
        the text input 'city' has too many categories to learn from
          expected: at most 1,000
          got:      1,001
          do:       count or group the values in a feature instead, or declare an Enum
        """,
    ):
        Inputs.fit(MODEL, frame(city=[f"city {i}" for i in range(1_001)]))


def test_an_expression_of_another_polars() -> None:
    inputs = Inputs.fit(MODEL, frame(n_7d=[1]))
    form = inputs.to_json() | {"derived": {"each": {"Novelty": 1}}}
    with says(
        ModelError,
        f"""
        the derived input 'each' cannot be read by this version of Polars
          expected: an expression in Polars' own JSON
          got:      Polars {pl.__version__}
          do:       install the version of Polars that the model was trained with, or train again
        """,
    ):
        Inputs.from_json(form, inputs.types)


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows: int) -> None:
    few = frame(n_7d=[1] * rows)
    assert Inputs.fit(MODEL, few).matrix(few).shape == (rows, 7)
