from __future__ import annotations

import dataclasses

import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DefinitionError
from tests.definitions.bank import UTC, transactions
from tests.letters import says


def test_types_are_instances_however_they_were_written() -> None:
    assert transactions.schema["amount"] == pl.Float64()
    assert isinstance(transactions.schema["amount"], pl.Float64)


def test_a_stream_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        transactions.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        transactions.schema["new"] = pl.Int64()  # type: ignore[index]


def test_equal_streams_are_equal_in_any_order_of_columns() -> None:
    one = hw.Stream("s", {"k": pl.Int64, "time": UTC}, personal=["k", "time"])
    two = hw.Stream("s", {"time": UTC, "k": pl.Int64()}, personal=["time", "k"])
    assert one == two
    assert hash(one) == hash(two)
    assert one != hw.Stream("s", {"k": pl.Int32, "time": UTC}, personal=["k", "time"])
    assert one != "s"


def test_all_problems_at_once() -> None:
    with says(
        DefinitionError,
        """
        the name of a stream is not an identifier
          expected: letters, digits and underscores, not starting with a digit
          got:      '1st'
          where:    1st.name
          do:       rename it, for example to 'balance_min'
        the column 'tags' has a type that a stream cannot hold
          expected: an integer up to 64 bits, Float32, Float64, Boolean, String, Enum, Categorical, Date, or Datetime with a zone
          got:      List(Int64)
          where:    1st.schema.tags
          do:       choose one of these types
        the column 'at' has a type that a stream cannot hold
          expected: an integer up to 64 bits, Float32, Float64, Boolean, String, Enum, Categorical, Date, or Datetime with a zone
          got:      Datetime(time_unit='us', time_zone=None)
          where:    1st.schema.at
          do:       write pl.Datetime("us", "UTC")
        the column 'kind' has a type that a stream cannot hold
          expected: an integer up to 64 bits, Float32, Float64, Boolean, String, Enum, Categorical, Date, or Datetime with a zone
          got:      Enum
          where:    1st.schema.kind
          do:       choose one of these types
        the column 'amuont' is not in the schema of 1st
          expected: one of id, tags, at, kind, amount
          got:      'amuont'
          where:    1st.personal
          do:       did you mean 'amount'?
        the id column cannot tell events apart
          expected: an integer or a String
          got:      Float64
          where:    1st.id
          do:       declare it as pl.Int64 or pl.String
        """,  # noqa: E501
    ):
        hw.Stream(
            "1st",
            {
                "id": pl.Float64,
                "tags": pl.List(pl.Int64),
                "at": pl.Datetime,
                "kind": pl.Enum,
                "amount": pl.Float64,
            },
            id="id",
            time="at",
            personal=["amuont"],
        )


def test_time_must_be_a_time_that_is_there() -> None:
    with says(
        DefinitionError,
        """
        the column 'time' is not in the schema of s
          expected: one of times
          got:      'time'
          where:    s.time
          do:       did you mean 'times'?
        """,
    ):
        hw.Stream("s", {"times": UTC})
    with says(
        DefinitionError,
        """
        the time column does not hold a time
          expected: Datetime("us", "UTC") or Date
          got:      Int64
          where:    s.time
          do:       declare it as pl.Datetime("us", "UTC") in the schema, or name another column
        """,
    ):
        hw.Stream("s", {"time": pl.Int64})


def test_a_schema_is_needed() -> None:
    with says(
        DefinitionError,
        """
        a stream needs a schema
          expected: a mapping from column name to Polars type
          got:      {}
          where:    s.schema
          do:       name the columns: schema={"id": pl.Int64, "time": pl.Datetime("us", "UTC")}
        """,
    ):
        hw.Stream("s", {})


def test_a_date_can_be_the_time() -> None:
    assert hw.Stream("s", {"day": pl.Date}, time="day").time == "day"
