"""The file under the log: one writer, kill -9, a full disk, files that are no log."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from random import Random

import polars as pl
import pytest

from headwater.core.errors import DataError, LogError
from headwater.log import EmbeddedLog
from tests.letters import says
from tests.log.lender import CLICKS, NOW, PAYMENTS, clicks, many, opened

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def process(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python of its own that runs one of the scripts beside this test."""
    return subprocess.Popen(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


# --- One writer ----------------------------------------------------------------------------------


def test_there_is_one_writer_and_the_next_one_is_told_who(tmp_path: Path) -> None:
    with (
        opened(tmp_path, [CLICKS]),
        says(
            LogError,
            f"""
            the log is being written by another process
              expected: one writer
              got:      process {os.getpid()}
              where:    {tmp_path}/events.log
              do:       stop that process, send the events through it, or open the log with writer=False
            """,
        ),
    ):
        opened(tmp_path, [CLICKS])
    opened(tmp_path, [CLICKS]).close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    opened(tmp_path, [CLICKS]).close()
    with (
        EmbeddedLog.open(tmp_path / "events.log", writer=False) as log,
        says(
            LogError,
            f"""
            the log is not open for writing
              where:    {tmp_path}/events.log
              do:       open it with writer=True, and do not use it after close()
            """,
        ),
    ):
        log.append("clicks", clicks(1), arrival=NOW)


def test_a_reader_of_nothing_and_a_writer_in_nowhere(tmp_path: Path) -> None:
    with says(
        LogError,
        f"""
        there is no event log
          where:    {tmp_path}/events.log
          do:       open it for writing once, which makes it, or correct the path
        """,
    ):
        EmbeddedLog.open(tmp_path / "events.log", writer=False)
    with says(
        LogError,
        f"""
        the folder of the event log does not exist
          where:    {tmp_path}/nowhere
          do:       make the folder first
        """,
    ):
        EmbeddedLog.open(tmp_path / "nowhere" / "events.log")


# --- kill -9 -------------------------------------------------------------------------------------


def test_kill_nine_loses_nothing_acknowledged_and_halves_nothing(tmp_path: Path) -> None:
    # The writer appends two streams per transaction, folds and compacts, and prints each append once it is
    # acknowledged. It is killed in the middle, again and again, and starts where it finds itself.
    random = Random(20260131)
    for _ in range(5):
        with process("crash_writer.py", tmp_path / "events.log") as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(random.randrange(20, 300))]
            writer.send_signal(signal.SIGKILL)
            lines += writer.stdout  # what it said before it died
        acknowledged = int([line for line in lines if line.endswith("\n")][-1])
        with opened(tmp_path) as log:  # the lock went with the process
            whole = {batch.stream: batch for batch in log.scan(by_stream=True)}
            count = len(whole["payments"])
            assert count == len(whole["clicks"])  # nothing half applied
            assert count >= acknowledged
            assert whole["payments"].frame.equals(many(count))
            assert whole["clicks"].frame.equals(clicks(count))
            assert log.verify().problems == ()
            assert log.append("payments", many(count), arrival=NOW).duplicates == count


# --- A full disk ---------------------------------------------------------------------------------


def fill(log: EmbeddedLog) -> tuple[int, LogError]:
    """Append until the disk is full: how many events were acknowledged, and the error."""
    count = 0
    while True:
        try:
            count += log.append("payments", many(1_000, count), arrival=NOW).accepted
        except LogError as error:
            return count, error


def test_a_full_disk_is_an_error_and_the_log_goes_on_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    with EmbeddedLog.open(path, [PAYMENTS], max_bytes=400_000) as log:
        count, error = fill(log)
        assert str(error) == (
            "the disk is full: nothing of this change was kept\n"
            "  got:      database or disk is full\n"
            f"  where:    {path}\n"
            "  do:       make room, then append the same events again"
        )
        assert count > 1_000
        assert log.end() == count
        assert log.append("payments", many(count), arrival=NOW).duplicates == count
        assert log.verify().problems == ()
    with EmbeddedLog.open(path, [PAYMENTS]) as log:
        assert log.append("payments", many(1_000, count), arrival=NOW).accepted == 1_000
        assert pl.concat(batch.frame for batch in log.scan()).equals(many(count + 1_000))
        assert log.verify().problems == ()


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None,
    reason="needs to mount a tmpfs",
)
def test_a_really_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("may not mount a tmpfs here")
    try:
        (disk / "other").write_bytes(b"\0" * 1_000_000)
        with EmbeddedLog.open(disk / "events.log", [PAYMENTS]) as log:
            count, error = fill(log)
            assert error.problems[0].what.startswith(("the disk is full", "the disk failed"))
            (disk / "other").unlink()
            assert log.append("payments", many(count), arrival=NOW).duplicates == count
            assert log.append("payments", many(1_000, count), arrival=NOW).accepted == 1_000
            assert log.verify().problems == ()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# --- Files that are no log -----------------------------------------------------------------------


def test_another_database_is_not_taken_for_a_log(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE accounts (id)")
    for writer in (True, False):
        with says(
            LogError,
            f"""
            the file is not an event log
              expected: a file that Headwater made
              got:      another SQLite database
              where:    {path}
              do:       name the log's own file
            """,
        ):
            EmbeddedLog.open(path, writer=writer)


def test_a_text_file_is_not_taken_for_a_log(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    path.write_text("a line of text\n" * 1_000)
    with says(
        LogError,
        f"""
        the file is not an event log, or its beginning is damaged
          got:      file is not a database
          where:    {path}
          do:       run `headwater log verify` to see where, then restore the log from a copy
        """,
    ):
        EmbeddedLog.open(path)


def test_a_log_of_another_version_is_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).close()
    path = tmp_path / "events.log"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=2")
    for writer in (True, False):
        with says(
            LogError,
            f"""
            the log has another format version
              expected: 1
              got:      2
              where:    {path}
              do:       open it with the Headwater that wrote it, or a newer one
            """,
        ):
            EmbeddedLog.open(path, writer=writer)


def test_an_arrival_that_goes_back_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path, [CLICKS]) as log:
        log.append("clicks", clicks(1), arrival=100)
        with says(
            DataError,
            """
            arrival goes back
              expected: an arrival not before 100, that of the event before it
              got:      99
              where:    new event 0 of the append
              do:       append in the order of arrival; after a clock stepped back, use the log's arrival()
            """,
        ):
            log.append("clicks", clicks(1), arrival=99)
