"""The SQLite file of keys and audit trail: how it is opened, its tables, and its errors in our words.

Keys and trail lie in one file, so that a key and the entry that tells of it are written in one transaction:
no act without its entry. WAL with full sync: what was written is on disk, and a server that reads sees at
once what the command line writes. Called by ``store.credentials`` and ``store.audit``, each with a connection
of its own.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.core.errors import StoreError

APPLICATION = 0x48574143  # "HWAC"
_PATIENCE = 5.0  # seconds to wait for another writer

# When a key was last used: no act, so it stands beside the keys and not in the trail.
_USES = "CREATE TABLE IF NOT EXISTS uses (id TEXT PRIMARY KEY, used INTEGER NOT NULL) WITHOUT ROWID"

_TABLES = (
    """
    CREATE TABLE keys (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, roles TEXT NOT NULL, created INTEGER NOT NULL,
        expires INTEGER, revoked INTEGER, digest BLOB NOT NULL, rotated INTEGER,
        old_digest BLOB, old_until INTEGER, rate REAL
    ) WITHOUT ROWID
    """,
    "CREATE TABLE trail (number INTEGER PRIMARY KEY, entry TEXT NOT NULL, chain BLOB NOT NULL)",
    """
    CREATE TRIGGER keys_remain BEFORE DELETE ON keys
        BEGIN SELECT RAISE(ABORT, 'keys are revoked, never deleted'); END
    """,
    """
    CREATE TRIGGER trail_stays BEFORE UPDATE ON trail
        BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END
    """,
    """
    CREATE TRIGGER trail_remains BEFORE DELETE ON trail
        BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END
    """,
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, made if there is none, readable by its owner alone.

    Raises:
        StoreError: it is no such file, or cannot be opened.
    """
    with letters(path):
        if not path.exists():
            _make(path)
        connection = sqlite3.connect(path, _PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
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
def letters(path: Path) -> Iterator[None]:
    """SQLite's errors and the system's as ours."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError.of(
            "the file of keys and audit trail cannot be used",
            got=str(error) if isinstance(error, sqlite3.Error) else error.strerror,
            where=str(path),
            do="look at the file, its folder and the disk, then try again",
        ) from error


def _make(path: Path) -> None:
    """An empty file that only its owner may read; whatever SQLite puts beside it gets the same rights."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return  # another process was quicker


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    # In this order: whoever sees the tables of a file that another is just making sees its mark, too.
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if tables and application != APPLICATION:
        raise StoreError.of(
            "the file holds no keys and no audit trail",
            expected="a file that Headwater made",
            got="another SQLite database",
            where=str(path),
            do="name another file",
        )
    if not tables:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=ON")
    if not tables:
        with transaction(connection):
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                _create(connection)
    _grow(connection)


def _grow(connection: sqlite3.Connection) -> None:
    """Give an older file what newer ones have."""
    if _is_grown(connection):
        return
    with transaction(connection):
        if not _is_grown(connection):
            connection.execute("ALTER TABLE keys ADD COLUMN rate REAL")
            connection.execute(_USES)


def _is_grown(connection: sqlite3.Connection) -> bool:
    return any(row[1] == "rate" for row in connection.execute("PRAGMA table_info(keys)"))


def _create(connection: sqlite3.Connection) -> None:
    for statement in (*_TABLES, _USES):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION}")
