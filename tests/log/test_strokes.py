"""An append and a fold as one statement each: what they leave, and when they leave everything as it was."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.log import EmbeddedLog, compaction, strokes
from headwater.log.segments import insert, merged, select
from tests.log.lender import CLICKS, NOW, PAYMENTS, clicks, many, opened

steps = st.lists(
    st.tuples(
        st.sampled_from(["payments", "clicks"]),
        st.integers(1, 3) | st.sampled_from([1, 1, 1, 40]),
        st.sampled_from(["go on"] * 12 + ["compact", "open again", "checkpoint"]),
    ),
    min_size=30,
    max_size=120,
)


@settings(max_examples=25, deadline=None)
@given(steps=steps)
def test_whatever_is_folded_and_when_the_events_are_those_that_came(
    steps: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"SMALL": 24, "LARGE": 96, "FOLD_AFTER": 4, "LARGE_AFTER": 48}.items():
            patch.setattr(compaction, name, value)
        log = opened(folder, [PAYMENTS, CLICKS])
        count = {"payments": 0, "clicks": 0}
        for stream, events, then in steps:
            frame = (many if stream == "payments" else clicks)(events, count[stream])
            log.append(stream, frame, arrival=NOW + sum(count.values()))
            count[stream] += events
            if then == "compact":
                log.compact()
            elif then == "checkpoint":
                log.checkpoint()
            elif then == "open again":
                log.close()
                log = opened(folder, [PAYMENTS, CLICKS])
        with log:
            held = {batch.stream: batch.frame for batch in log.scan(by_stream=True)}
            wanted = {"payments": many(count["payments"]), "clicks": clicks(count["clicks"])}
            for stream, frame in wanted.items():
                assert stream not in held if not len(frame) else held[stream].equals(frame)
            assert log.verify().problems == ()
            fewest = sum(len(frame) > 0 for frame in wanted.values())
            assert fewest <= sum(status.segments for status in log.status()) <= len(steps)


def test_a_merged_segment_takes_the_place_of_its_parts_and_of_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path, [PAYMENTS]) as log:
        for i in range(6):
            log.append("payments", many(1, i), arrival=NOW + i)
        codec = log._catalog.newest("payments").codec
        connection, _ = log._writing()
        parts = list(select(connection, "stream = 'payments' ORDER BY first"))
        whole = merged("payments", parts[0].schema, codec, parts[1:4])
        connection.execute("DELETE FROM segments WHERE first = 2")  # behind everybody's back
        before = rows(tmp_path)
        with pytest.raises(sqlite3.IntegrityError, match="other events lie there"):
            strokes.fold(connection, whole)
        assert rows(tmp_path) == before
        insert(connection, parts[2:3])
        strokes.fold(connection, whole)
        assert [first for first, *_ in rows(tmp_path)] == [0, 1, 4, 5]
        assert log.verify().problems == ()


def test_a_fold_that_fails_costs_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("disk is full")

    with opened(tmp_path, [PAYMENTS]) as log:
        with monkeypatch.context() as patch:
            patch.setattr(strokes, "fold", full)
            for i in range(40):
                log.append("payments", many(1, i), arrival=NOW + i)
        assert [status.segments for status in log.status()] == [40]
        for i in range(40, 56):
            log.append("payments", many(1, i), arrival=NOW + i)
        assert [status.segments for status in log.status()] == [
            32 + 1 + 8
        ]  # two times 16 that could not be, and 16 that could
        (batch,) = log.scan()
        assert batch.frame.equals(many(56))


def test_views_are_the_connections_own(tmp_path: Path) -> None:
    with opened(tmp_path, [PAYMENTS]) as log:
        log.append("payments", many(3), arrival=NOW)
    with closing(sqlite3.connect(tmp_path / "events.log")) as connection:
        found = connection.execute("SELECT DISTINCT type FROM sqlite_master").fetchall()
    assert [kind for (kind,) in found] == ["table"]


def test_a_checkpoint_puts_into_the_file_what_was_beside_it(tmp_path: Path) -> None:
    def in_the_file_alone() -> int:
        copy = tmp_path / "copy"
        copy.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "events.log", copy / "events.log")
        with EmbeddedLog.open(copy / "events.log", writer=False) as log:
            return log.end()

    with opened(tmp_path, [PAYMENTS]) as log:
        log.checkpoint()
        log.append("payments", many(5), arrival=NOW)
        assert in_the_file_alone() == 0
        log.checkpoint()
        assert in_the_file_alone() == 5
        log.append("payments", many(5, 5), arrival=NOW)  # others may go on reading and writing
        assert log.end() == 10


def rows(folder: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "events.log")) as connection:
        return connection.execute("SELECT * FROM segments ORDER BY first").fetchall()
