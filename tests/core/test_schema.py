from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from headwater.core.errors import DataError
from headwater.core.instant import SECOND, instant
from headwater.core.schema import REASONS, Checked, check_frame, storable
from tests.letters import says

SCHEMA: dict[str, pl.DataType] = {
    "id": pl.Int64(),
    "account": pl.Int64(),
    "at": pl.Datetime("us", "UTC"),
    "side": pl.Enum(["credit", "debit"]),
    "name": pl.String(),
    "amount": pl.Float64(),
}
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def good(rows: int = 3) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": range(rows),
            "account": [7] * rows,
            "at": [NOON + timedelta(seconds=i) for i in range(rows)],
            "side": ["debit"] * rows,
            "name": ["Ada"] * rows,
            "amount": [1.5] * rows,
        },
        schema=SCHEMA,
    )


def change(row: int, column: str, value: Any) -> pl.DataFrame:
    rows = good().to_dicts()
    rows[row][column] = value
    schema = {**SCHEMA, "side": pl.String()} if column == "side" else SCHEMA
    return pl.DataFrame(rows, schema=schema)


def check(frame: Any, **options: Any) -> Checked:
    return check_frame(frame, SCHEMA, time="at", id="id", keys=["account"], personal=["name"], **options)


def test_what_fits_passes_unchanged() -> None:
    checked = check(good())
    assert checked.accepted.equals(good())
    assert checked.time.tolist() == [instant(NOON) + i * SECOND for i in range(3)]
    assert checked.row.tolist() == [0, 1, 2]
    assert checked.rejected.is_empty()
    assert checked.problems == ()


def test_columns_come_out_in_the_order_and_types_of_the_schema() -> None:
    frame = good().select(
        pl.col("amount").cast(pl.Float32),
        pl.col("side").cast(pl.String),
        pl.col("at").dt.to_string("iso:strict"),
        "name",
        pl.col("account").cast(pl.Int16),
        "id",
    )
    assert check(frame).accepted.equals(good())


def test_no_rows_and_one_row() -> None:
    assert check(good(0)).accepted.schema == SCHEMA
    assert len(check(good(1)).accepted) == 1


FAULTS = [
    ("id", None, "null-id", "id is missing"),
    ("account", None, "null-key", "account is missing"),
    ("at", None, "null-time", "at is missing"),
    ("side", "debt", "unknown-category", "side is an unknown category: 'debt'"),
    ("amount", float("nan"), "not-finite", "amount is NaN or infinite: nan"),
    ("amount", float("inf"), "not-finite", "amount is NaN or infinite: inf"),
    ("at", datetime(2300, 1, 1, tzinfo=UTC), "time-out-of-range", "at is out of range: 2300-01-01T00:00:00Z"),
]


@pytest.mark.parametrize(("column", "value", "reason", "message"), FAULTS)
def test_a_row_that_does_not_fit_is_split_off(column: str, value: Any, reason: str, message: str) -> None:
    checked = check(change(1, column, value))
    assert checked.row.tolist() == [0, 2]
    assert checked.accepted["id"].to_list() == [0, 2]
    assert checked.time.tolist() == [instant(NOON), instant(NOON) + 2 * SECOND]
    assert checked.rejected.select("row", "reason", "message").rows() == [(1, reason, message)]


def test_texts_with_their_own_faults() -> None:
    frame = good(4).with_columns(at=pl.Series(["2026-01-31T12:00:00Z", "2026-01-31T12:00", "noon", None]))
    assert check(frame).rejected.select("row", "reason", "message").rows() == [
        (1, "time-without-zone", "at has no zone: '2026-01-31T12:00'"),
        (2, "wrong-type", "at has another type: 'noon'"),
        (3, "null-time", "at is missing"),
    ]


def test_bounds_of_time() -> None:
    """Events at 0 s, 1 s, 2 s; taken is what lies in [oldest, newest].

    oldest = 1 s              [
    events           0 s     1 s     2 s
    newest = 1 s              ]
    """
    middle = instant(NOON) + SECOND
    rejected = check(good(), oldest=middle, newest=middle).rejected
    assert rejected.select("row", "reason", "message").rows() == [
        (0, "too-late", "at is older than the lateness bound: 2026-01-31T12:00:00Z"),
        (2, "in-the-future", "at lies in the future: 2026-01-31T12:00:02Z"),
    ]


def test_the_rejected_event_is_kept_as_it_came_to_be_sent_again() -> None:
    checked = check(change(1, "amount", float("nan")))
    assert json.loads(checked.rejected["event"][0]) == {
        "id": 1,
        "account": 7,
        "at": "2026-01-31T12:00:01Z",
        "side": "debit",
        "name": "Ada",
        "amount": None,
    }


def test_a_personal_value_is_kept_and_never_told() -> None:
    schema = {"at": pl.Datetime("us", "UTC"), "born": pl.Date()}
    frame = pl.DataFrame({"at": [NOON], "born": ["17 May 1990"]})
    checked = check_frame(frame, schema, time="at", personal=["born"])
    assert checked.rejected.rows() == [
        (
            0,
            "wrong-type",
            "born has another type: (personal)",
            '{"at":"2026-01-31T12:00:00Z","born":"17 May 1990"}',
        )
    ]
    assert "1990" not in str(DataError(*checked.problems))


def test_a_row_with_several_faults_is_rejected_once_and_every_fault_is_counted() -> None:
    frame = change(1, "amount", float("nan")).with_columns(account=pl.lit(None, pl.Int64))
    checked = check(frame)
    assert checked.rejected["row"].to_list() == [0, 1, 2]
    assert [problem.what for problem in checked.problems] == [
        "amount is NaN or infinite in 1 of 3 rows",
        "account is missing in 3 of 3 rows",
    ]


def test_strict_raises_with_the_first_rows_and_the_counts() -> None:
    frame = good(6).with_columns(
        amount=pl.Series([1.0, float("nan"), float("inf"), 2.0, float("-inf"), float("nan")]),
        side=pl.Series(["debit", "credit", "debt", "debit", "debit", "debit"]),
    )
    with says(
        DataError,
        """
        side is an unknown category in 1 of 6 rows
          expected: one of the declared categories
          got:      'debt'
          where:    transactions[2].side
          do:       declare the category
        amount is NaN or infinite in 4 of 6 rows
          expected: a finite number or null
          got:      nan, inf, -inf, ...
          where:    transactions[1].amount, transactions[2].amount, transactions[4].amount, ...
          do:       send null where there is no number
        """,
    ):
        check(frame, strict=True, name="transactions")


def test_columns_that_are_not_the_declared_ones_refuse_the_frame() -> None:
    frame = good().rename({"amount": "amout"}).with_columns(country=pl.lit("CZ"), id=pl.lit("a"))
    with says(
        DataError,
        """
        the column 'amount' is missing
          expected: a column 'amount'
          got:      id, account, at, side, name, amout, country
          where:    events
          do:       rename 'amout'
        the column 'amout' is not declared
          expected: one of id, account, at, side, name, amount
          got:      'amout'
          where:    events
          do:       did you mean 'amount'?
        the column 'country' is not declared
          expected: one of id, account, at, side, name, amount
          got:      'country'
          where:    events
          do:       leave it out, or declare it in the stream's schema
        the column 'id' has the wrong type
          expected: Int64
          got:      String
          where:    events.id
          do:       convert the column before it comes here
        """,
    ):
        check(frame)


def test_other_columns_are_dropped_on_request() -> None:
    assert check(good().with_columns(country=pl.lit("CZ")), extra=True).accepted.equals(good())


def test_naive_times_are_refused_whole() -> None:
    frame = pd.DataFrame({"at": pd.to_datetime(["2026-01-31 12:00"])})
    with says(
        DataError,
        """
        the times of the column 'at' have no zone
          expected: Datetime(time_unit='us', time_zone='UTC')
          got:      Datetime(time_unit='ns', time_zone=None)
          where:    events.at
          do:       say which zone they are in, for example with dt.replace_time_zone('UTC')
        """,
    ):
        check_frame(frame, {"at": pl.Datetime("us", "UTC")}, time="at")


def test_a_pandas_frame_with_a_zone() -> None:
    frame = pd.DataFrame({"at": pd.to_datetime(["2026-01-31 12:00"], utc=True)})
    assert check_frame(frame, {"at": pl.Datetime("us", "UTC")}, time="at").time.tolist() == [instant(NOON)]


def test_times_that_cannot_even_be_printed() -> None:
    far = pl.DataFrame({"at": pl.Series([2**62, 5]).cast(pl.Datetime("us", "UTC"))})
    checked = check_frame(far, {"at": pl.Datetime("us", "UTC")}, time="at")
    assert checked.rejected.rows() == [
        (
            0,
            "time-out-of-range",
            "at is out of range: 4611686018427387904 us",
            '{"at":"4611686018427387904 us"}',
        )
    ]


VALID = {"at": pl.Datetime("us", "UTC"), "until": pl.Date(), "since": pl.Datetime("ms", "Europe/Prague")}


def test_only_the_event_time_is_bound_to_what_the_engine_counts_with() -> None:
    frame = pl.DataFrame(
        {"at": [NOON] * 2, "until": ["9999-12-31", "0001-01-01"], "since": ["1066-10-14T09:00:00Z"] * 2}
    )
    checked = check_frame(frame, VALID, time="at")
    assert checked.problems == ()
    assert checked.accepted["until"].to_list() == [date(9999, 12, 31), date(1, 1, 1)]
    assert checked.accepted["since"].dt.year().to_list() == [1066, 1066]
    with says(
        DataError,
        """
        until is out of range in 1 of 2 rows
          expected: a time between 1827 and 2112
          got:      '9999-12-31'
          where:    events[0].until
          do:       look whether the unit is right
        """,
    ):
        check_frame(frame.head(1).vstack(frame[1:].with_columns(until=pl.lit("2026-01-01"))), VALID,
                    time="until", strict=True)  # fmt: skip


def test_a_date_that_nobody_can_print_is_refused() -> None:
    frame = pl.DataFrame({"at": [NOON], "until": pl.Series([3_000_000], dtype=pl.Int32).cast(pl.Date)})
    with says(
        DataError,
        """
        until is out of range in 1 of 1 rows
          expected: a time of the years 1 to 9999 that the column's unit can hold
          got:      259200000000000000 us
          where:    events[0].until
          do:       look whether the unit is right
        """,
    ):
        check_frame(frame, {"at": VALID["at"], "until": pl.Date()}, time="at", strict=True)


def test_a_date_is_read_as_midnight_utc() -> None:
    frame = pl.DataFrame({"day": ["2026-01-31"]})
    assert check_frame(frame, {"day": pl.Date()}, time="day").time.tolist() == [
        instant("2026-01-31T00:00:00Z")
    ]


def test_a_csv_file_is_all_text() -> None:
    texts = good().with_columns(pl.col("at").dt.to_string("iso:strict")).cast(pl.String)
    assert check(texts, parse=True).accepted.equals(good())


@pytest.mark.parametrize(("rows", "every"), [(1_000, 7), (1_000, 1)])
def test_accepted_and_rejected_are_a_partition(rows: int, every: int) -> None:
    broken = np.arange(rows) % every == 0
    frame = good(rows).with_columns(amount=pl.Series(np.where(broken, np.nan, 1.0)))
    checked = check(frame)
    assert checked.rejected["row"].to_list() == np.flatnonzero(broken).tolist()
    assert checked.row.tolist() == np.flatnonzero(~broken).tolist()
    assert checked.accepted.equals(frame.filter(~broken))


def test_reasons_are_stable() -> None:
    """They stand in dead-letter tables: new ones may come, none may go."""
    assert {
        "null-time", "null-id", "null-key", "not-finite", "wrong-type", "unknown-category",
        "time-without-zone", "time-out-of-range", "date-out-of-range", "integer-out-of-range",
        "too-late", "in-the-future",
    } <= set(REASONS)  # fmt: skip


def test_what_a_stream_can_hold() -> None:
    held = [
        pl.Int8(),
        pl.UInt64(),
        pl.Float32(),
        pl.Boolean(),
        pl.String(),
        pl.Date(),
        pl.Categorical(),
        SCHEMA["at"],
    ]
    assert all(map(storable, held))
    out = [
        pl.Int128(),
        pl.Datetime("us"),
        pl.Duration("us"),
        pl.List(pl.Int64()),
        pl.Decimal(10, 2),
        pl.Binary(),
    ]
    assert not any(map(storable, out))
