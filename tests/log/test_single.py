"""One event at a time: the short way leaves what the long way leaves, to the byte."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import DataError, LogError
from headwater.log import EmbeddedLog
from headwater.log.format import concat
from headwater.log.format_single import SingleCodec, parse_many
from headwater.log.segments import Segment, read, read_all, select
from tests.log.lender import CLICKS, NOW, PAYMENTS, PROFILES, clicks, many, opened, payments
from tests.log.test_format import CODEC, DTYPES, bits, frames, record

SINGLE = SingleCodec(CODEC)
STREAMS = [PAYMENTS, PROFILES, CLICKS]


def short(row: pl.DataFrame) -> bytes:
    values = SINGLE.values(row)
    assert values is not None
    return SINGLE.encode(values)


# --- Records -------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(frames(min_size=1))
def test_a_record_is_the_same_to_the_byte(frame: pl.DataFrame) -> None:
    for row in frame.iter_slices(1):
        assert short(row) == record(row)
        values = SINGLE.values(row)
        assert values is not None
        assert SINGLE.time(values) == CODEC.time(CODEC.columns(row))[0]


@settings(max_examples=40)
@given(frames(min_size=1))
def test_many_are_read_at_once_as_one_by_one(frame: pl.DataFrame) -> None:
    records = [record(row) for row in frame.iter_slices(1)]
    together = parse_many(CODEC, records)
    assert together is not None
    assert CODEC.encode(together) == record(frame)
    one_by_one = concat([CODEC.parse(one) for one in records])
    assert bits(CODEC.frame(together)).equals(bits(CODEC.frame(one_by_one)))


ONE = pl.DataFrame({name: pl.Series([None], dtype=dtype) for name, (dtype, _) in DTYPES.items()})


@pytest.mark.parametrize("name", DTYPES)
def test_another_type_takes_the_long_way(name: str) -> None:
    other = pl.Int64() if DTYPES[name][0] != pl.Int64 else pl.Int32()
    changed = ONE.with_columns(pl.lit(None, dtype=other).alias(name))
    assert SINGLE.values(ONE) is not None
    assert SINGLE.values(changed) is None
    assert SINGLE.values(ONE.with_columns(pl.lit(None).alias(name))) is None  # of no type at all
    assert SINGLE.values(ONE.rename({name: "another"})) is None
    assert SINGLE.values(ONE.drop(name)) is None


GOOD = [record(ONE), record(ONE.with_columns(text=pl.lit("twelve bytes")))]
BROKEN: dict[str, bytes] = {
    "cut": GOOD[0][:-8],
    "cut oddly": GOOD[0][:-1],
    "nothing": b"",
    "magic": b"X" + GOOD[0][1:],
    "two events": record(pl.concat([ONE, ONE])),
    "sealed": GOOD[0][:12] + b"\x05" + GOOD[0][13:],
    "width": GOOD[0][:13] + b"\x04" + GOOD[0][14:],
    "longer": GOOD[0] + bytes(8),
    "ends": GOOD[1].replace(b"\x0c\0\0\0twelve", b"\x0b\0\0\0twelve"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_whatever_is_odd_is_left_to_the_long_way(kind: str) -> None:
    assert parse_many(CODEC, GOOD) is not None
    assert parse_many(CODEC, [*GOOD, BROKEN[kind]]) is None
    assert parse_many(CODEC, [BROKEN[kind], *GOOD]) is None


# --- Appends -------------------------------------------------------------------------------------


def rows_of(folder: Path) -> list[list[Any]]:
    """All that the log holds, as SQLite has it."""
    with closing(sqlite3.connect(folder / "events.log")) as connection:
        return [
            connection.execute(query).fetchall()
            for query in ("SELECT * FROM segments ORDER BY 1", "SELECT * FROM heads ORDER BY 1")
        ]


profile_ids = st.sampled_from(["", "a", "b", "größer", "x" * 100])
steps = st.lists(
    st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 9), profile_ids, st.integers(0, 3)), max_size=12
)


# The short way takes an arrival that is one instant; an array with one arrival goes the long way.
@settings(max_examples=25, deadline=None)
@given(steps=steps)
def test_both_ways_leave_the_same_log(steps: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folders = tmp_path_factory.mktemp("short"), tmp_path_factory.mktemp("long")
    with opened(folders[0], STREAMS) as one, opened(folders[1], STREAMS) as two:
        arrival = NOW
        for stream, number, name, later in steps:
            arrival += later
            frame = (payments([number], amount=float(later)), profile(name, later), clicks(1))[stream]
            got = one.append(STREAMS[stream].name, frame, arrival=arrival)
            held = two.append(STREAMS[stream].name, frame, arrival=np.array([arrival]))
            assert repr(got) == repr(held)
        assert one.verify().problems == ()
    assert rows_of(folders[0]) == rows_of(folders[1])


def profile(name: str, income: float) -> pl.DataFrame:
    time = pl.Series([NOW]).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"id": [name], "time": time, "income": [float(income)]})


def test_what_raises_a_question_is_answered_by_the_long_way(tmp_path: Path) -> None:
    with opened(tmp_path, STREAMS) as log:
        log.append("payments", payments([1]), arrival=NOW)
        assert log.append("payments", payments([1]), arrival=NOW).duplicates == 1
        assert log.append("payments", payments([1], amount=7.0), arrival=NOW).refused == 1
        good = payments([2])
        for wrong, arrival, words in (
            (good, NOW - 1, "arrival goes back"),
            (good.drop("amount"), NOW, "columns and types"),
            (good.with_columns(id=pl.lit(None, pl.Int64)), NOW, "the id column 'id' holds nulls"),
            (good.with_columns(time=pl.lit(None, good["time"].dtype)), NOW, "the time column 'time' holds"),
        ):
            with pytest.raises(DataError, match=words):
                log.append("payments", wrong, arrival=arrival)
        assert log.end() == 1


def test_single_events_are_folded_and_read_as_they_came(tmp_path: Path) -> None:
    # 600 single events: the first 512 lie in one segment by now, the next 80 in another, the rest one by one
    with opened(tmp_path, [PAYMENTS]) as log:
        for i in range(600):
            log.append("payments", many(1, i), arrival=NOW + i)
        (batch,) = log.scan()
        assert batch.frame.equals(many(600))
        assert batch.arrival.tolist() == list(range(NOW, NOW + 600))
        checked = log.verify()
        assert (checked.problems, checked.segments) == ((), 2 + 600 - 592)


def test_a_damaged_single_event_is_named(tmp_path: Path) -> None:
    with opened(tmp_path, [PAYMENTS]) as log:
        for i in range(5):
            log.append("payments", many(1, i), arrival=NOW)
        codec = log._catalog.newest("payments").codec
        with closing(sqlite3.connect(tmp_path / "events.log")) as connection, connection:
            held = list(select(connection, "stream = 'payments' ORDER BY first"))
            assert read_all(codec, held).offset.tolist() == [0, 1, 2, 3, 4]
            connection.execute("UPDATE segments SET record = zeroblob(96) WHERE first = 3")
        with pytest.raises(LogError, match="stream 'payments', offsets 3 to 3"):
            list(log.scan())


def test_an_odd_single_event_with_a_right_checksum_is_said_to_be_odd(tmp_path: Path) -> None:
    with opened(tmp_path, [PAYMENTS]) as log:
        log.append("payments", many(1), arrival=NOW)
        codec = log._catalog.newest("payments").codec
    with closing(sqlite3.connect(tmp_path / "events.log")) as connection:
        (segment,) = select(connection, "first = 0")
    facts = {name: getattr(segment, name) for name in Segment.__slots__} | {"record": segment.record[:-8]}
    odd = Segment(**facts | {"checksum": Segment(**facts).computed_checksum()})
    assert len(read(codec, segment)) == 1
    with pytest.raises(LogError, match="a record of the log cannot be read"):
        read_all(codec, [segment, odd])


# --- The write-ahead log -------------------------------------------------------------------------


def test_the_write_ahead_log_has_its_length_from_the_start(tmp_path: Path) -> None:
    # So that a commit overwrites, and does not wait for the file system to make the file longer.
    with opened(tmp_path, [PAYMENTS]) as log:
        before = (tmp_path / "events.log-wal").stat().st_size
        for i in range(100):
            log.append("payments", many(1, i), arrival=NOW)
        assert (tmp_path / "events.log-wal").stat().st_size == before >= 2**22
    assert rows_of(tmp_path)[1][0][1] == 100
    assert not (tmp_path / "events.log-wal").exists()


def test_room_is_made_again_after_a_restart_and_read_through(tmp_path: Path) -> None:
    for turn in range(3):
        with opened(tmp_path, [PAYMENTS]) as log, EmbeddedLog.open(log.path, writer=False) as reader:
            log.append("payments", many(1, turn), arrival=NOW)
            assert reader.end() == turn + 1
            assert log.verify().problems == ()
