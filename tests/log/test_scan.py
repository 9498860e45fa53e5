"""Reading: the same events in the same order, however they were appended, folded or compacted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.batch import Batch
from headwater.core.instant import SECOND
from headwater.log import Append, EmbeddedLog
from headwater.log.segments import WINDOW
from headwater.testing.log_contract import CLICKS, NOW, PAYMENTS
from tests.log.lender import clicks, many, opened


@dataclass(frozen=True)
class Turn:
    """One append: a stream and how many events."""

    stream: str
    count: int


TURNS = st.lists(st.builds(Turn, st.sampled_from(["payments", "clicks"]), st.integers(0, 4)), max_size=12)


def rows(batches: list[Batch]) -> list[tuple[Any, ...]]:
    """Events as plain tuples: stream, offset, arrival, time, values."""
    return [
        (batch.stream, offset, arrival, time, *values)
        for batch in batches
        for offset, arrival, time, values in zip(
            batch.offset.tolist(),
            batch.arrival.tolist(),
            batch.time.tolist(),
            batch.frame.rows(),
            strict=True,
        )
    ]


def fill(log: EmbeddedLog, turns: list[Turn]) -> list[tuple[Any, ...]]:
    """Append the turns; what a reader must find, from plain lists."""
    expected: list[tuple[Any, ...]] = []
    for i, turn in enumerate(turns):
        start = len(expected)
        frame = many(turn.count, start) if turn.stream == "payments" else clicks(turn.count, start)
        log.append(turn.stream, frame, arrival=NOW + i)
        expected += [
            (turn.stream, start + k, NOW + i, NOW + (start + k) * SECOND, *values)
            for k, values in enumerate(frame.rows())
        ]
    return expected


@settings(max_examples=40)
@given(TURNS, st.booleans(), st.integers(0, 30), st.integers(0, 30), st.integers(-2, 30), st.integers(-2, 30))
def test_a_scan_is_a_slice_of_a_plain_list(
    turns: list[Turn], compact: bool, start: int, stop: int, since: int, until: int
) -> None:
    with TemporaryDirectory() as folder, opened(Path(folder), [PAYMENTS, CLICKS]) as log:
        expected = fill(log, turns)
        if compact:
            log.compact()
        limits: dict[str, Any] = {
            "start": start,
            "stop": stop,
            "since": NOW + since * SECOND,
            "until": NOW + until * SECOND,
        }
        wanted = [
            row
            for row in expected
            if start <= row[1] < stop and since * SECOND <= row[3] - NOW < until * SECOND
        ]
        assert rows(list(log.scan())) == expected
        assert rows(list(log.scan(**limits))) == wanted
        for stream in ("payments", "clicks"):
            mine = [row for row in wanted if row[0] == stream]
            assert rows(list(log.scan([stream], **limits))) == mine
            assert rows(list(log.scan([stream], by_stream=True, **limits))) == mine
        assert log.verify().problems == ()


def test_small_appends_come_as_long_batches(tmp_path: Path) -> None:
    # appended   | 1 | 1 | 1 | 10 | 1 | ...       read   | all of them |
    with opened(tmp_path, [PAYMENTS]) as log:
        for start, count in [(0, 1), (1, 1), (2, 1), (3, 10), (13, 1)]:
            log.append("payments", many(count, start), arrival=NOW)
        (batch,) = log.scan()
        assert batch.frame.equals(many(14))
        assert batch.offset.tolist() == list(range(14))


def test_single_events_are_folded_while_they_come(tmp_path: Path) -> None:
    with opened(tmp_path, [PAYMENTS, CLICKS]) as log:
        for i in range(1_100):
            log.append("payments", many(1, i), arrival=NOW + i)
            if i % 2:
                log.append("clicks", clicks(1, i), arrival=NOW + i)
        held = {status.stream: status.segments for status in log.status()}
        assert held == {"payments": 3 + 1_100 % 16, "clicks": 2 + 550 % 16}  # folded ones, and the newest
        batches = {batch.stream: batch for batch in log.scan(by_stream=True)}
        assert batches["payments"].frame.equals(many(1_100))
        assert batches["payments"].arrival.tolist() == [NOW + i for i in range(1_100)]
        assert batches["payments"].offset.tolist() == [i + i // 2 for i in range(1_100)]
        assert log.verify().problems == ()


def test_windows_bound_memory_and_lose_nothing(tmp_path: Path) -> None:
    # offsets    0 ............ 65535 | 65536 ............. 131071 | ...
    # payments   ##### ######### #### | ######## ###### ########## | #
    # clicks          #         #     |         #      #           |  ##
    with opened(tmp_path, [PAYMENTS, CLICKS]) as log:
        log.append_many(
            [
                Append("payments", many(2 * WINDOW), NOW + np.arange(2 * WINDOW) * SECOND),
                Append(
                    "clicks", clicks(300), NOW + np.linspace(0, 2 * WINDOW, 300).astype(np.int64) * SECOND
                ),
            ],
            merge=True,
        )
        windows = list(log.windows())
        assert [len(window) for window in windows] == [2, 2, 2]
        for number, window in enumerate(windows):
            offsets = np.concatenate([batch.offset for batch in window.values()])
            assert offsets.min() == number * WINDOW
            assert np.array_equal(np.sort(offsets), np.arange(offsets.min(), offsets.min() + len(offsets)))
        ordered = list(log.scan())
        assert np.array_equal(np.concatenate([batch.offset for batch in ordered]), np.arange(log.end()))
        assert len(ordered) > 500
        payments = pl.concat([batch.frame for batch in ordered if batch.stream == "payments"])
        assert payments.equals(many(2 * WINDOW))
        assert [len(batch) for batch in log.scan(["payments"], by_stream=True)] == [
            len(windows[0]["payments"]) + len(windows[1]["payments"]),
            len(windows[2]["payments"]),
        ]
        assert log.verify().problems == ()


def test_offset_at_says_what_had_arrived(tmp_path: Path) -> None:
    # arrival    10 10 20 20 20 30      offset_at(9) = 0, (10) = 2, (29) = 5, (30) = 6
    with opened(tmp_path, [PAYMENTS, CLICKS]) as log:
        assert log.offset_at(NOW) == 0
        log.append("payments", many(2), arrival=10)
        log.append("clicks", clicks(2), arrival=20)
        log.append("payments", many(1, 2), arrival=20)
        log.append("clicks", clicks(1), arrival=30)
        for _ in range(2):
            got = [log.offset_at(arrival) for arrival in (9, 10, 19, 20, 29, 30, 31)]
            assert got == [0, 2, 2, 5, 5, 6, 6]
            log.compact()


def test_a_reader_sees_a_whole_log_while_it_is_written_and_compacted(tmp_path: Path) -> None:
    with opened(tmp_path, [PAYMENTS]) as log:
        for start in range(0, 4 * WINDOW, WINDOW // 4):
            log.append("payments", many(WINDOW // 4, start), arrival=NOW)
        with EmbeddedLog.open(log.path, writer=False) as reader:
            scan = reader.scan()
            seen = [next(scan)]
            log.append("payments", many(10, 4 * WINDOW), arrival=NOW)
            log.compact()
            seen += scan
            assert pl.concat([batch.frame for batch in seen]).equals(many(4 * WINDOW))
            assert reader.end() == 4 * WINDOW + 10


def test_two_merged_appends_of_one_stream_become_one_run_of_offsets(tmp_path: Path) -> None:
    # arrival    1 2 3 4 5 6
    # first      0   2   4           second    1   3   5
    with opened(tmp_path, [PAYMENTS]) as log:
        even, odd = (many(6).filter(pl.col("id") % 2 == rest) for rest in (0, 1))
        receipts = log.append_many(
            [Append("payments", even, np.array([1, 3, 5])), Append("payments", odd, np.array([2, 4, 6]))],
            merge=True,
        )
        assert [receipt.offset.tolist() for receipt in receipts] == [[0, 2, 4], [1, 3, 5]]
        (batch,) = log.scan()
        assert batch.frame.equals(many(6))
        assert batch.arrival.tolist() == [1, 2, 3, 4, 5, 6]
        assert log.append("payments", many(6), arrival=9).known.tolist() == [0, 1, 2, 3, 4, 5]
        assert log.verify().sound


def test_status_tells_what_is_held(tmp_path: Path) -> None:
    with opened(tmp_path, [PAYMENTS, CLICKS]) as log:
        log.append("payments", pl.concat([many(2), many(3, 2)], rechunk=False), arrival=NOW + 7)
        empty, held = log.status()
        assert (empty.stream, empty.events, empty.last_arrival) == ("clicks", 0, None)
        assert (held.events, held.segments, held.first_time, held.last_time) == (5, 1, NOW, NOW + 4 * SECOND)
        assert (held.first_arrival, held.last_arrival) == (NOW + 7, NOW + 7)
        assert held.bytes > 5 * 33
