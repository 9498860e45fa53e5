"""The SQLite file under the embedded log: how it is opened, its tables, and its errors in our words.

WAL with ``synchronous=FULL``: when a commit returns, the events are on disk, and readers go on reading what
was there before. Called by ``embedded`` (writer) and ``scan`` (readers, one connection each). The meaning of
the tables is in ``segments``, ``dead_letters`` and ``ids``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headwater.core.errors import LogError, Problem
from headwater.log import strokes

APPLICATION = 0x48575452  # "HWTR" in the file's header: `file` and we know a log when we see one
VERSION = 1
PAGE_SIZE = 8192
CHECKPOINT_PAGES = 2048  # 16 MiB, unless `checkpoint` did it before
AHEAD = 544  # pages that the WAL has from the start; a log that is busy soon has all of them

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- Every version of every stream's definition; the newest of a stream is the one in force.
CREATE TABLE schemas (
    id INTEGER PRIMARY KEY, stream TEXT NOT NULL, definition TEXT NOT NULL
);

-- One row per stream: what the last commit left. The last link of the chain also lies in the last segment;
-- held here too, it shows when the end of the log was cut off.
CREATE TABLE heads (
    stream TEXT PRIMARY KEY, events INTEGER NOT NULL, last INTEGER NOT NULL, arrival INTEGER NOT NULL,
    chain BLOB NOT NULL
) WITHOUT ROWID;

-- One row per appended batch, or per several once they were merged. The big columns come last. There is no
-- index by stream: to pass over the rows of others costs readers less than one more page costs each append.
CREATE TABLE segments (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, stream TEXT NOT NULL, schema INTEGER NOT NULL,
    events INTEGER NOT NULL, time_min INTEGER NOT NULL, time_max INTEGER NOT NULL,
    arrival_min INTEGER NOT NULL, arrival_max INTEGER NOT NULL, checksum INTEGER NOT NULL,
    chain BLOB NOT NULL, appends BLOB, places BLOB NOT NULL, record BLOB NOT NULL
);

-- Events that were refused.
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, arrival INTEGER NOT NULL,
    reason TEXT NOT NULL, message TEXT NOT NULL, event TEXT NOT NULL, source TEXT
);

-- Which files of sorted ids are whole. Derived: may be emptied, the next writer makes them anew.
CREATE TABLE id_runs (
    file TEXT PRIMARY KEY, stream TEXT NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL
) WITHOUT ROWID;
"""

_RESTORE = "run `headwater log verify` to see where, then restore the log from a copy"
_RIGHTS = "look at the rights of the file and its folder"
_LETTERS = {
    sqlite3.SQLITE_FULL: (
        "the disk is full: nothing of this change was kept",
        "make room, then append the same events again",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk failed under the log: the last change may or may not be there",
        "look after the disk, open the log again, and append the same events again",
    ),
    sqlite3.SQLITE_BUSY: (
        "the log's file is locked by another program",
        "close other programs that hold the file, such as a database browser",
    ),
    sqlite3.SQLITE_CORRUPT: ("the log's file is damaged", _RESTORE),
    sqlite3.SQLITE_NOTADB: ("the file is not an event log, or its beginning is damaged", _RESTORE),
    sqlite3.SQLITE_READONLY: ("the log's file cannot be written", _RIGHTS),
    sqlite3.SQLITE_CANTOPEN: ("the log's file cannot be opened", _RIGHTS),
}
_OTHER = ("the log's file cannot be used", _RESTORE)


def connect_writer(path: Path, max_bytes: int | None) -> sqlite3.Connection:
    """A connection that writes; makes the file and its tables when there is none.

    Raises:
        LogError: not a log, a log of another version, damaged, or not to be written here.
    """
    with sqlite_errors(path):
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA page_size={PAGE_SIZE}")
            _check_format(connection, path, may_be_empty=True)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA fullfsync=ON")  # macOS: fsync alone does not reach the disk there
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            if max_bytes is not None:
                connection.execute(f"PRAGMA max_page_count={max(1, max_bytes // PAGE_SIZE)}")
            _create(connection)
            strokes.prepare(connection)
            _write_ahead(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, while a writer may be writing.

    Raises:
        LogError: there is no log, or it is none that this version reads.
    """
    if not path.is_file():
        raise LogError.of(
            "there is no event log",
            where=str(path),
            do="open it for writing once, which makes it, or correct the path",
        )
    with sqlite_errors(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            _check_format(connection, path, may_be_empty=False)
        except BaseException:
            connection.close()
            raise
        return connection


def connect_beside(path: Path) -> sqlite3.Connection:
    """A connection that tidies up beside the writer's."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA fullfsync=ON")  # as the writer's: what it put into the file is on disk
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, and on disk when it ends without an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as a LogError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _letter(error, path) from error


def _letter(error: sqlite3.Error, path: Path) -> LogError:
    what, do = _LETTERS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, _OTHER)
    return LogError(Problem(what, got=str(error), where=str(path), do=do))


def _check_format(connection: sqlite3.Connection, path: Path, *, may_be_empty: bool) -> None:
    # In this order: whoever sees the tables of a file that another is just making sees its marks, too.
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == 0 and version == 0 and tables == 0 and may_be_empty:
        return
    if application != APPLICATION:
        raise LogError.of(
            "the file is not an event log",
            expected="a file that Headwater made",
            got="another SQLite database" if tables else "an empty database",
            where=str(path),
            do="name the log's own file",
        )
    if version != VERSION:
        raise LogError.of(
            "the log has another format version",
            expected=str(VERSION),
            got=str(version),
            where=str(path),
            do="open it with the Headwater that wrote it, or a newer one",
        )


def _create(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA user_version").fetchone()[0]:
        return
    with transaction(connection):
        for statement in _TABLES.split("\n\n"):
            connection.execute(statement)
        seed = int.from_bytes(os.urandom(7), "little")  # so that nobody can prepare ids that collide
        connection.execute("INSERT INTO meta VALUES ('id_seed', ?)", (seed,))
        connection.execute(f"PRAGMA application_id={APPLICATION}")
        connection.execute(f"PRAGMA user_version={VERSION}")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let the WAL have some length from the start.

    A commit that overwrites waits for its own bytes; one that makes the file longer waits for the file
    system's journal too, which takes twice as long. So pages are written and taken back: what is left of
    them in the WAL is what an interrupted transaction leaves, and SQLite writes over it.
    """
    (kept,) = connection.execute("PRAGMA cache_size").fetchone()
    connection.execute("PRAGMA cache_size=8")  # pages: whatever is more goes to the file at once
    connection.execute("BEGIN IMMEDIATE")
    with suppress(sqlite3.OperationalError):  # no room: then the WAL grows as it goes
        connection.execute("CREATE TABLE ahead (page BLOB)")
        connection.execute("INSERT INTO ahead VALUES (zeroblob(?))", (AHEAD * PAGE_SIZE,))
    if connection.in_transaction:  # a full disk ends it
        connection.execute("ROLLBACK")
    connection.execute(f"PRAGMA cache_size={kept}")
