"""Compaction changes no bit, and whatever else changes one is found and named."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from headwater.core.errors import LogError
from headwater.log import Append, EmbeddedLog
from headwater.log.database import PAGE_SIZE
from headwater.log.segments import Segment, select
from tests.letters import says
from tests.log.lender import CLICKS, NOW, PAYMENTS, clicks, many, opened
from tests.log.test_scan import rows

# offsets    0 ... 9 | 10 ... 14 | 15 ... 24 | 25 26 27 28 29 ...
# stream     payments  clicks      payments    one click, one payment, by turns

BREAKS = "the hash chain breaks: something at or before this segment was changed, removed or moved"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with opened(tmp_path, [PAYMENTS, CLICKS]) as log:
        log.append("payments", many(10), arrival=NOW)
        log.append("clicks", clicks(5), arrival=NOW + 1)
        log.append("payments", many(10, 10), arrival=NOW + 2)
        log.append_many(
            [
                Append("clicks", clicks(5), NOW + 2 + 2 * np.arange(5)),
                Append("payments", many(5, 20), NOW + 3 + 2 * np.arange(5)),
            ],
            merge=True,
        )
    return tmp_path


@contextmanager
def inside(folder: Path) -> Iterator[sqlite3.Connection]:
    """The file as one who tampers with it sees it."""
    with closing(sqlite3.connect(folder / "events.log")) as connection, connection:
        yield connection


def reading(folder: Path) -> EmbeddedLog:
    return EmbeddedLog.open(folder / "events.log", writer=False)


def found(folder: Path) -> list[str]:
    """What verify() finds: first line and place of each problem."""
    with reading(folder) as log:
        return [f"{problem.what} ({problem.where})" for problem in log.verify().problems]


def test_compaction_changes_no_offset_no_bit_and_no_link(folder: Path) -> None:
    with opened(folder) as log:
        before, heads = rows(list(log.scan())), log.verify().heads
        report = log.compact()
        assert (report.before, report.after) == (5, 2)
        assert rows(list(log.scan())) == before
        checked = log.verify()
        assert (checked.sound, checked.events, checked.segments, checked.heads) == (True, 35, 2, heads)
        assert log.compact().after == 2
        log.append("payments", many(10, 25), arrival=NOW + 99)
        assert log.compact().after == 2
        assert log.verify().sound
        assert log.append("payments", many(35), arrival=NOW + 99).duplicates == 35


def test_the_chain_is_the_same_however_often_one_compacts(tmp_path: Path) -> None:
    heads = []
    for name, every in (("never", 100), ("often", 1), ("sometimes", 3)):
        (tmp_path / name).mkdir()
        with opened(tmp_path / name, [PAYMENTS, CLICKS]) as log:
            for i in range(10):
                log.append(
                    "payments" if i % 3 else "clicks", many(i, 10 * i) if i % 3 else clicks(i), arrival=NOW
                )
                if i % every == 0:
                    log.compact()
            heads.append(log.verify().heads)
    assert heads[0] == heads[1] == heads[2]


@pytest.mark.parametrize("compacted", [False, True])
def test_a_flipped_byte_is_found_and_the_segment_named(folder: Path, compacted: bool) -> None:
    if compacted:
        with opened(folder) as log:
            log.compact()
    with inside(folder) as connection:
        segment = next(select(connection, "stream = 'payments' ORDER BY first DESC LIMIT 1"))
        record = bytearray(segment.record)
        record[len(record) // 2] ^= 0x10
        connection.execute("UPDATE segments SET record = ? WHERE first = ?", (bytes(record), segment.first))
    place = "stream 'payments', offsets 0 to 34" if compacted else "stream 'payments', offsets 26 to 34"
    assert found(folder) == [f"a segment of the log is damaged ({place})"]
    changed = Segment(
        **{**{name: getattr(segment, name) for name in Segment.__slots__}, "record": bytes(record)}
    )
    with (
        reading(folder) as log,
        says(
            LogError,
            f"""
        a segment of the log is damaged
          expected: checksum {segment.checksum:08x}
          got:      checksum {changed.computed_checksum():08x}
          where:    {place}
          do:       restore the log from a copy
        """,
        ),
    ):
        list(log.scan())


def test_a_rewritten_segment_with_a_right_checksum_breaks_the_chain(folder: Path) -> None:
    with inside(folder) as connection:
        (segment,) = select(connection, "first = 0")
        record = bytearray(segment.record)
        record[-1] ^= 1  # the last amount
        facts = {name: getattr(segment, name) for name in Segment.__slots__} | {"record": bytes(record)}
        checksum = Segment(**facts).computed_checksum()
        connection.execute(
            "UPDATE segments SET record = ?, checksum = ? WHERE first = 0", (bytes(record), checksum)
        )
    assert found(folder) == [
        f"{BREAKS} (stream 'payments', offsets 0 to 9)",
    ]


def test_a_removed_segment_is_found(folder: Path) -> None:
    with inside(folder) as connection:
        connection.execute("DELETE FROM segments WHERE first = 15")
    assert found(folder) == [
        f"{BREAKS} (stream 'payments', offsets 26 to 34)",
        "offsets are missing (offsets 15 to 24)",
        "stream 'payments' does not end where its last append ended (stream 'payments')",
    ]


def test_a_log_whose_end_was_cut_off_is_found(folder: Path) -> None:
    with inside(folder) as connection:
        connection.execute("DELETE FROM segments WHERE first >= 25")
    assert found(folder) == [
        "offsets are missing (offsets 25 to 34)",
        "stream 'clicks' does not end where its last append ended (stream 'clicks')",
        "stream 'payments' does not end where its last append ended (stream 'payments')",
    ]


def test_swapped_segments_are_found(folder: Path) -> None:
    with inside(folder) as connection:
        one, two = (next(select(connection, "first = ?", first)) for first in (0, 15))
        for segment, other in ((one, two), (two, one)):
            connection.execute(
                "UPDATE segments SET record = ?, places = ? WHERE first = ?",
                (other.record, other.places, segment.first),
            )
    assert found(folder) == [
        "a segment of the log is damaged (stream 'payments', offsets 0 to 9)",
        "a segment of the log is damaged (stream 'payments', offsets 15 to 24)",
    ]


def test_events_that_no_append_left_are_found(folder: Path) -> None:
    with inside(folder) as connection:
        connection.execute("DELETE FROM heads WHERE stream = 'clicks'")
    assert found(folder) == ["stream 'clicks' has events that no append left (stream 'clicks')"]


def test_a_lying_row_is_found(folder: Path) -> None:
    with inside(folder) as connection:
        (segment,) = select(connection, "first = 10")
        facts = {name: getattr(segment, name) for name in Segment.__slots__} | {"time_max": NOW}
        checksum = Segment(**facts).computed_checksum()
        connection.execute("UPDATE segments SET time_max = ?, checksum = ? WHERE first = 10", (NOW, checksum))
    assert found(folder) == [
        "a segment's events are not those that its row tells of (stream 'clicks', offsets 10 to 14)"
    ]


def harmed(folder: Path, harm: str) -> None:
    with opened(folder, [PAYMENTS]) as log:
        for i in range(40):
            log.append("payments", many(500, 500 * i), arrival=NOW)
        log.compact()
    file = folder / "events.log"
    content = bytearray(file.read_bytes())
    half = len(content) // 2
    if harm == "header":
        content[:16] = b"not a database!!"
    elif harm == "middle":
        inside = half - half % PAGE_SIZE + 1_000  # of a page, behind what SQLite itself writes there
        content[inside : inside + 64] = bytes(64)
    else:
        del content[half:]
    file.write_bytes(content)


def test_a_file_without_its_beginning_does_not_open(tmp_path: Path) -> None:
    harmed(tmp_path, "header")
    with pytest.raises(LogError, match="the file is not an event log, or its beginning is damaged"):
        reading(tmp_path)


def test_harm_in_the_middle_is_found_and_not_read_over(tmp_path: Path) -> None:
    harmed(tmp_path, "middle")
    assert found(tmp_path) == ["a segment of the log is damaged (stream 'payments', offsets 0 to 19999)"]
    with reading(tmp_path) as log, pytest.raises(LogError, match="a segment of the log is damaged"):
        list(log.scan())
    with pytest.raises(LogError, match="a segment of the log is damaged"):
        opened(tmp_path, [PAYMENTS])  # a writer would have to know all ids


def test_a_file_that_was_cut_off_does_not_read(tmp_path: Path) -> None:
    harmed(tmp_path, "cut")
    for writer in (True, False):
        with pytest.raises(LogError, match="the log's file is damaged"):
            EmbeddedLog.open(tmp_path / "events.log", writer=writer)


def test_a_verification_sees_one_moment_of_a_log_that_grows(folder: Path) -> None:
    with opened(folder) as log, reading(folder) as reader:
        for i in range(20):
            log.append("payments", many(1, 100 + i), arrival=NOW + 99)
            assert reader.verify().sound
