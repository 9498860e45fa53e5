"""Each expression is given to a feature of ``transactions``; what it says is pinned."""

from __future__ import annotations

from textwrap import dedent

import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DefinitionError
from headwater.definitions.expression import columns
from tests.definitions.bank import transactions

amount = pl.col("amount")


def problems(aggregate: hw.Aggregate) -> str:
    with pytest.raises(DefinitionError) as caught:
        hw.FeatureView("view", transactions, "account_id", {"x": aggregate})
    return str(caught.value)


def letter(text: str) -> str:
    return dedent(text).strip()


def test_an_unknown_column() -> None:
    assert problems(hw.sum("amounts")) == letter(
        """
        the column 'amounts' is not in the schema of transactions
          expected: one of transaction_id, account_id, booked_at, direction, purpose, amount, is_fraud, day
          got:      'amounts'
          where:    view.features.x.column
          do:       did you mean 'amount'?
        """
    )


def test_a_condition_is_a_boolean() -> None:
    assert problems(hw.count(where=amount * 2)) == letter(
        """
        an expression has the wrong type
          expected: a Boolean
          got:      Float64 from [(col("amount")) * (dyn int: 2)]
          where:    view.features.x.where
          do:       write an expression that gives a Boolean
        """
    )


@pytest.mark.parametrize(
    "aggregate", [hw.min("purpose"), hw.max("is_fraud"), hw.min("direction"), hw.max("booked_at")]
)
def test_only_numbers_have_a_smallest_and_a_largest(aggregate: hw.Aggregate) -> None:
    assert "expected: a number\n" in problems(aggregate)


def test_sums_are_of_numbers() -> None:
    assert problems(hw.sum("purpose")) == letter(
        """
        an expression has the wrong type
          expected: a number, or a Boolean counted as 0 and 1
          got:      String from col("purpose")
          where:    view.features.x.column
          do:       write an expression that gives a number, or a Boolean counted as 0 and 1
        """
    )


def test_a_feature_holds_plain_values() -> None:
    assert problems(hw.last(pl.col("purpose").str.split(" "))) == letter(
        """
        an expression has the wrong type
          expected: a number, Boolean, text, category, date, or time with a zone
          got:      List(String) from col("purpose").str.split([" "])
          where:    view.features.x.column
          do:       write an expression that gives a number, Boolean, text, category, date, or time with a zone
        """  # noqa: E501
    )


OTHER_ROWS = {
    "sum": amount.sum(),
    "share": amount / amount.sum(),
    "over": amount.sum().over("account_id"),
    "shift": amount.shift(),
    "diff": amount.diff(),
    "rolling": amount.rolling_mean(3),
    "cumulative": amount.cum_sum(),
    "rank": amount.rank(),
    "sort": amount.sort(),
    "filter": amount.filter(amount > 0),
    "head": amount.head(1),
    "first": pl.col("amount").first(),
    "unique": amount.unique(),
    "explode": pl.col("purpose").str.split(" ").explode(),
    "forward fill": amount.fill_null(strategy="forward"),
    "clip by another row": amount.clip(0, amount.max()),
    "when": pl.when(amount > amount.mean()).then(1).otherwise(0),
    "length": amount * pl.len(),
    "reverse": amount.reverse(),
}


@pytest.mark.parametrize("expr", OTHER_ROWS.values(), ids=OTHER_ROWS)
def test_other_rows_are_out_of_sight(expr: pl.Expr) -> None:
    assert problems(hw.last(expr)) == letter(
        f"""
        an expression looks at other rows
          expected: an expression that reads one row at a time
          got:      {expr}
          where:    view.features.x.column
          do:       use an aggregation such as hw.sum or hw.last for what spans events
        """
    )


ROW_BY_ROW = {
    "arithmetic": -amount.abs() * 2 + 1,
    "when": pl.when(amount > 0).then(amount).otherwise(None),
    "in": pl.col("purpose").is_in(["rent", "salary"]),
    "category": pl.col("direction").is_in(["debit"]) & (pl.col("direction") != "credit"),
    "text": pl.col("purpose").str.to_lowercase().str.contains("rent"),
    "time": pl.col("booked_at").dt.hour(),
    "null": amount.fill_null(0.0).is_null(),
    "parse": pl.col("purpose").cast(pl.Int64, strict=False),
    "replace": pl.col("purpose").replace_strict({"rent": 1}, default=0),
    "across": pl.max_horizontal("amount", "account_id"),
    "coalesce": pl.coalesce("amount", "account_id"),
    "rounding": amount.round(2).clip(0, 100),
}


@pytest.mark.parametrize("expr", ROW_BY_ROW.values(), ids=ROW_BY_ROW)
def test_what_reads_one_row_is_welcome(expr: pl.Expr) -> None:
    hw.FeatureView("view", transactions, "account_id", {"x": hw.last(expr)})


SHAPELESS = {
    "all": pl.all(),
    "pattern": pl.col("^a.*$"),
    "two": pl.col("amount", "purpose"),
    "none": pl.lit(1),
}


@pytest.mark.parametrize("expr", SHAPELESS.values(), ids=SHAPELESS)
def test_columns_are_named(expr: pl.Expr) -> None:
    assert problems(hw.last(expr)) == letter(
        f"""
        an expression does not name its columns
          expected: columns by their names, such as pl.col('amount')
          got:      {expr}
          where:    view.features.x.column
          do:       name each column that it reads
        """
    )


def test_a_python_function_cannot_be_hashed() -> None:
    expr = amount.map_batches(lambda s: s, return_dtype=pl.Float64, is_elementwise=True)
    assert problems(hw.sum(expr)) == letter(
        """
        a Python function stands in an expression
          expected: Polars' own functions, which can be compiled and hashed
          got:      col("amount").python_udf()
          where:    view.features.x.column
          do:       write it as a Polars expression, or compute the column before the events come in
        """
    )


def test_a_comparison_that_does_not_fit() -> None:
    assert problems(hw.count(where=pl.col("purpose") > 3)) == letter(
        """
        an expression does not fit its columns
          expected: an expression over purpose: String
          got:      cannot compare string with numeric type (i32)
          where:    view.features.x.where
          do:       compare and compute with values of the column's own type
        """
    )


@pytest.mark.parametrize(
    "expr", [pl.col("direction") == "debt", pl.col("direction").is_in(["debt", "credit"])]
)
def test_a_category_that_cannot_be(expr: pl.Expr) -> None:
    assert problems(hw.count(where=(amount > 0) & ~expr)) == letter(
        """
        the column 'direction' never holds 'debt'
          expected: one of 'credit', 'debit'
          got:      'debt'
          where:    view.features.x.where
          do:       did you mean 'debit'?
        """
    )


def test_an_expression_must_not_fail_on_an_event() -> None:
    assert problems(hw.sum(pl.col("purpose").cast(pl.Int64))) == letter(
        """
        an expression can fail on an event
          expected: an expression that gives null where it has no value
          got:      conversion from `str` to `i64` failed in column 'purpose' for 2 out of 4 values: ["", "a text"]
          where:    view.features.x.column
          do:       use strict=False in casts and parsing, or a default in replace_strict
        """  # noqa: E501
    )
    assert problems(hw.sum(pl.col("account_id").cast(pl.Int8))).startswith(
        "an expression can fail on an event"
    )


def test_not_an_expression() -> None:
    assert problems(hw.count(where="amount > 3")) == letter(  # type: ignore[arg-type]
        """
        this is not a Polars expression
          expected: an expression such as pl.col('amount') > 0
          got:      'amount > 3'
          where:    view.features.x.where
          do:       write it with pl.col
        """
    )


def test_the_columns_that_are_read() -> None:
    assert columns(amount + pl.col("balance") + amount, None, pl.col("purpose")) == [
        "amount",
        "balance",
        "purpose",
    ]


def test_a_category_that_is_like_no_other() -> None:
    assert problems(hw.count(where=pl.col("direction") == "sideways")) == letter(
        """
        the column 'direction' never holds 'sideways'
          expected: one of 'credit', 'debit'
          got:      'sideways'
          where:    view.features.x.where
          do:       compare with one of its categories
        """
    )
