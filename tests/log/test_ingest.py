"""From outside into the log: each row is in the log, was there before, or is a dead letter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DataError
from headwater.core.instant import DAY, HOUR
from headwater.log import DeadLetter, EmbeddedLog
from headwater.log.ingest import Incoming, import_history, ingest, ingest_many
from headwater.testing import at, events
from tests.letters import says
from tests.log.lender import CLICKS, NOW, PAYMENTS, clicks, many, opened, payments

PEOPLE = hw.Stream(
    "people",
    {"id": pl.Int64, "time": pl.Datetime("us", "UTC"), "name": pl.String, "limit": pl.Float64},
    id="id",
    personal=["name"],
)


def people(*rows: tuple[int | None, str, float | None]) -> pl.DataFrame:
    return events(
        PEOPLE, *({"id": i, "time": at("1d"), "name": name, "limit": limit} for i, name, limit in rows)
    )


# row        0          1 null id   2 taken id   3 duplicate   4 NaN
ROWS = [(1, "Ann", 1.0), (None, "Bob", 2.0), (0, "Cyd", 9.0), (0, "Dan", 0.0), (2, "Eve", float("nan"))]


def test_each_row_is_in_the_log_or_was_there_or_is_a_dead_letter(tmp_path: Path) -> None:
    with opened(tmp_path, [PEOPLE]) as log:
        ingest(log, PEOPLE, people((0, "Dan", 0.0)), arrival=NOW + DAY)
        report = ingest(log, PEOPLE, people(*ROWS), arrival=NOW + 2 * DAY, source="people.csv")
        assert (report.received, report.accepted, report.duplicates) == (5, 1, 1)
        assert report.refused == {"conflict": 1, "not-finite": 1, "null-id": 1}
        assert report.row.tolist() == [0, 2, 3]
        assert report.receipt.offset.tolist() == [1, -1, -1]
        assert [refusal.row for refusal in report.receipt.refusals] == [2]
        assert [batch.frame["id"].to_list() for batch in log.scan()] == [[0, 1]]
        letters = log.dead_letters()
        assert [(letter.reason, letter.message, letter.source) for letter in letters] == [
            ("null-id", "id is missing", "people.csv[1]"),
            (
                "conflict",
                "the id 0 of stream 'people' came again with other content in name, limit",
                "people.csv[2]",
            ),
            ("not-finite", "limit is NaN or infinite: nan", "people.csv[4]"),
        ]
        assert {letter.arrival for letter in letters} == {NOW + 2 * DAY}
        assert json.loads(letters[1].event) == {
            "id": 0,
            "time": "2026-01-02T00:00:00Z",
            "name": "Cyd",
            "limit": 9.0,
        }
        assert "Bob" not in "".join(letter.message for letter in letters)


def test_dead_letters_are_counted_listed_and_removed(tmp_path: Path) -> None:
    with opened(tmp_path, [PEOPLE, CLICKS]) as log:
        for _ in range(2):
            ingest(log, PEOPLE, people(*ROWS), arrival=NOW + DAY)
        log.append_many([], letters=lambda _: [DeadLetter("clicks", NOW, "test", "a test", "{}")])
        counts = {"conflict": 2, "not-finite": 2, "null-id": 2, "test": 1}
        assert log.dead_letter_counts() == counts
        assert log.dead_letter_counts("clicks") == {"test": 1}
        with EmbeddedLog.open(log.path, writer=False) as reader:
            assert reader.dead_letter_counts() == counts
            first = reader.dead_letters(limit=4)
            rest = reader.dead_letters(after=first[-1].id, limit=4)
            assert [letter.id for letter in first + rest] == [1, 2, 3, 4, 5, 6, 7]
            assert [letter.id for letter in reader.dead_letters(stream="people", reason="null-id")] == [1, 4]
        assert log.remove_dead_letters(ids=[1, 2, 99]) == 2
        assert log.remove_dead_letters(stream="people", reason="conflict") == 1
        assert log.dead_letter_counts() == {"not-finite": 2, "null-id": 1, "test": 1}
        assert log.remove_dead_letters() == 4
        assert log.dead_letters() == []


def test_an_event_is_refused_when_it_is_older_than_the_bound(tmp_path: Path) -> None:
    # lateness   |------- 2 h -------|
    # time       1h        2h        3h        4h = arrival
    #            too late  on the bound: in
    with opened(tmp_path) as log:
        report = ingest(log, PAYMENTS, payments([1, 2, 3, 4, 5]), arrival=NOW + 4 * HOUR, lateness=2 * HOUR)
        assert report.rejected["row"].to_list() == [0]
        assert report.refused == {"too-late": 1}
        assert [batch.frame["id"].to_list() for batch in log.scan()] == [[2, 3, 4, 5]]
        report = ingest(log, PAYMENTS, payments([5, 6, 7]), arrival=NOW + 5 * HOUR, ahead=HOUR)
        assert (report.accepted, report.duplicates, report.refused) == (1, 1, {"in-the-future": 1})


def test_a_clock_that_steps_back_does_not_stop_the_log(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        ingest(log, CLICKS, clicks(1), arrival=100)
        ingest(log, CLICKS, clicks(1), arrival=60)
        assert [batch.arrival.tolist() for batch in log.scan()] == [[100, 100]]


def test_several_frames_are_one_commit(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        reports = ingest_many(
            log,
            [
                Incoming(PAYMENTS, payments([1, 2])),
                Incoming(CLICKS, clicks(1)),
                Incoming(PAYMENTS, payments([2, 3])),
            ],
            arrival=NOW + DAY,
        )
        assert [report.receipt.offset.tolist() for report in reports] == [[0, 1], [2], [-1, 3]]
        assert reports[2].duplicates == 1


def test_a_frame_with_other_columns_is_refused_as_a_whole(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        with pytest.raises(DataError):
            ingest_many(
                log, [Incoming(CLICKS, clicks(1)), Incoming(CLICKS, clicks(1).drop("page"))], arrival=NOW
            )
        assert log.end() == 0
        assert log.dead_letter_counts() == {}


def test_text_files_are_read_as_what_they_declare(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"id": ["1", "x"], "time": ["2026-01-02T00:00:00Z"] * 2, "name": ["a", "b"], "limit": ["1.5", ""]}
    )
    with opened(tmp_path, [PEOPLE]) as log:
        report = import_history(
            log, [Incoming(PEOPLE, frame.with_columns(more=pl.lit(1)))], parse=True, extra=True
        )[0]
        assert (report.accepted, report.refused) == (1, {"wrong-type": 1})


def test_history_is_merged_by_event_time_over_streams(tmp_path: Path) -> None:
    # payments   3h 1h 2h         sorted and merged:    1h      2h      3h
    # clicks     2h 0h               offset          0   1       2 3     4
    when = pl.Series([NOW + 2 * HOUR, NOW]).cast(pl.Datetime("us", "UTC"))
    with opened(tmp_path) as log:
        reports = import_history(
            log,
            [
                Incoming(PAYMENTS, payments([3, 1, 2])),
                Incoming(CLICKS, clicks(2).with_columns(time=when)),
            ],
        )
        assert [report.row.tolist() for report in reports] == [[1, 2, 0], [1, 0]]
        assert [report.receipt.offset.tolist() for report in reports] == [[1, 2, 4], [0, 3]]
        for batch in log.scan():
            assert batch.arrival.tolist() == batch.time.tolist()
        again = import_history(log, [Incoming(PAYMENTS, payments([3, 1, 2]))])[0]
        assert (again.accepted, again.duplicates) == (0, 3)


def test_history_behind_the_end_of_the_log_arrives_at_its_end(tmp_path: Path) -> None:
    # log        ...... arrival 10h |
    # history    8h 9h 11h          |  arrives 10h 10h 11h: nobody who read to 10h had seen it
    with opened(tmp_path) as log:
        ingest(log, CLICKS, clicks(1), arrival=NOW + 10 * HOUR)
        import_history(log, [Incoming(PAYMENTS, payments([9, 8, 11]))])
        (batch,) = log.scan(["payments"])
        assert ((batch.arrival - NOW) // HOUR).tolist() == [10, 10, 11]
        assert batch.frame["id"].to_list() == [8, 9, 11]


def test_history_may_say_when_it_arrived(tmp_path: Path) -> None:
    # time       1h 2h 3h      arrival    5h 2h 4h
    with opened(tmp_path) as log:
        arrival = NOW + HOUR * np.array([5, 2, 4])
        import_history(log, [Incoming(PAYMENTS, payments([1, 2, 3]), arrival=arrival)])
        (batch,) = log.scan()
        assert batch.frame["id"].to_list() == [2, 3, 1]
        assert ((batch.arrival - NOW) // HOUR).tolist() == [2, 4, 5]
        with says(
            DataError,
            """
            there is not one arrival per event
              expected: an int64 array of shape (2,)
              got:      int64 of shape (1,)
              where:    payments
              do:       give one arrival per row, in microseconds UTC
            """,
        ):
            import_history(log, [Incoming(PAYMENTS, payments([7, 8]), arrival=np.array([NOW]))])


def test_conflicts_in_history_name_the_row_in_the_file(tmp_path: Path) -> None:
    frame = pl.concat([payments([3, 2, 1]), payments([2], purpose="rent")])
    with opened(tmp_path) as log:
        report = import_history(log, [Incoming(PAYMENTS, frame, source="payments.parquet")])[0]
        assert report.rejected["row"].to_list() == [3]
        assert [letter.source for letter in log.dead_letters()] == ["payments.parquet[3]"]


def test_a_large_history_comes_back_whole(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        frame = many(200_000)
        shuffled = frame.sample(fraction=1, shuffle=True, seed=7)
        report = import_history(log, [Incoming(PAYMENTS, shuffled), Incoming(CLICKS, clicks(1_000, 5_000))])
        assert [one.accepted for one in report] == [200_000, 1_000]
        back = pl.concat(batch.frame for batch in log.scan(["payments"], by_stream=True))
        assert back.equals(frame)
        assert log.verify().sound
