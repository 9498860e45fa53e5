"""What the log remembers of a stream, and how a stream may grow."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DataError, LogError
from headwater.log import EmbeddedLog
from headwater.log.schema import StoredSchema
from headwater.testing import at
from tests.letters import says
from tests.log.lender import CLICKS, NOW, PAYMENTS, clicks, opened, payments, whole
from tests.log.test_format import DTYPES

GROWN = hw.Stream(
    "payments",
    {
        **PAYMENTS.schema,
        "side": pl.Enum(["credit", "debit", "reversal"]),
        "channel": pl.String(),
        "fee": pl.Float64(),
    },
    id="id",
    personal=["account"],
)


def test_a_schema_survives_its_json() -> None:
    stream = hw.Stream(
        "everything", {name: dtype for name, (dtype, _) in DTYPES.items()}, id="i64", personal=["text"]
    )
    stored = StoredSchema.of(stream)
    back = StoredSchema.from_json(stored.to_json())
    assert back == stored
    assert back.fingerprint == stored.fingerprint
    assert dict(back.frame_schema) == dict(stream.schema)


def test_a_log_is_read_without_its_project(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.append("payments", payments([1]), arrival=NOW)
    with EmbeddedLog.open(tmp_path / "events.log", writer=False) as log:
        assert log.streams == ("clicks", "payments", "profiles")
        assert log.schema("payments").id == "id"
        assert whole(log)["payments"].frame.equals(payments([1]))


def test_a_stream_may_grow_and_old_events_read_null(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.append("payments", payments([1], side="debit"), arrival=NOW)
    with opened(tmp_path, [GROWN]) as log:
        new = payments([2]).with_columns(
            side=pl.lit("reversal").cast(GROWN.schema["side"]), channel=pl.lit("app"), fee=pl.lit(0.5)
        )
        log.append("payments", new, arrival=NOW)
        again = payments([1]).with_columns(
            side=pl.lit("debit").cast(GROWN.schema["side"]),
            channel=pl.lit(None, pl.String),
            fee=pl.lit(None, pl.Float64),
        )
        assert log.append("payments", again, arrival=NOW).duplicates == 1
        log.compact()
        frame = whole(log)["payments"].frame
        assert dict(frame.schema) == dict(GROWN.schema)
        assert frame.select("id", "side", "channel", "fee").rows() == [
            (1, "debit", None, None),
            (2, "reversal", "app", 0.5),
        ]
        assert log.verify().problems == ()


def test_a_reader_may_be_ahead_of_the_writer(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.append("payments", payments([1]), arrival=NOW)
    with EmbeddedLog.open(tmp_path / "events.log", [GROWN], writer=False) as log:
        assert whole(log)["payments"].frame["fee"].to_list() == [None]


@pytest.mark.parametrize("writer", [True, False])
def test_a_stream_that_changed_its_meaning_is_refused_with_all_that_differs(
    tmp_path: Path, writer: bool
) -> None:
    opened(tmp_path).close()
    changed = hw.Stream(
        "payments",
        {"id": pl.Int64, "customer": pl.Int64, "time": pl.Date, "side": pl.Enum(["debit", "credit"])},
        time="time",
    )
    with says(
        LogError,
        """
        column 2 differs from what the log holds
          expected: account: Int64
          got:      customer: Int64
          where:    stream 'payments'
          do:       declare the stream as the log holds it, or start a new stream under another name
        column 3 differs from what the log holds
          expected: time: Datetime(us, UTC)
          got:      time: Date
          where:    stream 'payments'
          do:       declare the stream as the log holds it, or start a new stream under another name
        column 4 differs from what the log holds
          expected: side: Enum[credit, debit]
          got:      side: Enum[debit, credit]
          where:    stream 'payments'
          do:       declare the stream as the log holds it, or start a new stream under another name
        column 5 differs from what the log holds
          expected: purpose: String
          got:      no such column
          where:    stream 'payments'
          do:       declare the stream as the log holds it, or start a new stream under another name
        column 6 differs from what the log holds
          expected: amount: Float64
          got:      no such column
          where:    stream 'payments'
          do:       declare the stream as the log holds it, or start a new stream under another name
        the id column differs from what the log holds
          expected: 'id'
          got:      None
          where:    stream 'payments'
          do:       declare the stream as the log holds it, or start a new stream under another name
        """,
    ):
        EmbeddedLog.open(tmp_path / "events.log", [changed], writer=writer)
    with opened(tmp_path) as log:  # and the failed opening holds no lock
        assert log.end() == 0


def test_a_frame_with_other_columns_is_refused(tmp_path: Path) -> None:
    with (
        opened(tmp_path, [CLICKS]) as log,
        says(
            DataError,
            """
        the frame does not have the stream's columns and types
          expected: page: String, time: Datetime(us, UTC)
          got:      time: Datetime(time_unit='us', time_zone='UTC'), page: String
          where:    stream 'clicks'
          do:       send events through the door (core.schema.check_frame), which casts what can be cast
        """,
        ),
    ):
        log.append("clicks", clicks(1).select("time", "page"), arrival=NOW)


def test_an_unknown_stream_is_an_error(tmp_path: Path) -> None:
    with (
        opened(tmp_path, [CLICKS]) as log,
        says(
            LogError,
            """
        the log has no stream 'visits'
          expected: clicks
          got:      'visits'
          do:       open the log with the stream's definition: streams=[...]
        """,
        ),
    ):
        log.scan(["visits"])


def test_dates_are_event_times_too(tmp_path: Path) -> None:
    days = hw.Stream("days", {"day": pl.Date}, time="day")
    with opened(tmp_path, [days]) as log:
        log.append("days", pl.DataFrame({"day": [at("1d").date()]}), arrival=NOW)
        assert whole(log)["days"].time.tolist() == [NOW + 86_400_000_000]
