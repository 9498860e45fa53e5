from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from headwater.core.clock import Clock, SystemClock
from headwater.core.errors import DataError
from headwater.core.instant import DAY, instant
from headwater.testing import ManualClock, at, events
from tests.definitions.bank import transactions
from tests.letters import says


def test_a_clock_moves_only_when_told_to() -> None:
    clock: Clock = ManualClock("2026-01-01T00:00:00Z")
    assert clock.now() == clock.now() == instant("2026-01-01T00:00:00Z")


def test_a_clock_goes_forward() -> None:
    clock = ManualClock()
    assert clock.advance("1d") == clock.now() == DAY
    assert clock.set("1970-01-03T00:00:00Z") == 2 * DAY
    with says(
        DataError,
        """
        a clock does not go back
          expected: 1970-01-03T00:00:00Z or later
          got:      1970-01-02T00:00:00Z
          do:       make a new clock
        """,
    ):
        clock.set(DAY)


def test_the_system_clock_has_the_same_shape() -> None:
    clock: Clock = SystemClock()
    assert clock.now() > instant("2026-01-01T00:00:00Z")


def test_moments() -> None:
    assert at() == datetime(2026, 1, 1, tzinfo=UTC)
    assert at("1d12h") == datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_events_have_the_stream_s_columns_and_count_their_ids() -> None:
    frame = events(
        transactions, {"account_id": 1, "booked_at": at("1h")}, {"transaction_id": 9, "amount": 2.0}
    )
    assert frame.schema == dict(transactions.schema)
    assert frame["transaction_id"].to_list() == [0, 9]
    assert frame["amount"].to_list() == [None, 2.0]
    assert events(transactions).schema == pl.Schema(transactions.schema)


def test_a_misspelt_column() -> None:
    with pytest.raises(KeyError, match="not in the schema of transactions: amuont"):
        events(transactions, {"amuont": 1.0})
