"""One SQLite file of ours: a writer's connection under a lock, readers' connections of their own.

WAL with full sync: what was written is on disk when :meth:`Database.writing` ends, and readers go on reading
what was there before, in this process or another. Called by ``decisions`` and ``late``, which bring their
tables and say what the file holds.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, RLock

from headwater.core.errors import StoreError

CHECKPOINT_PAGES = 4096  # fold the WAL back at 16 MiB, unless `fold` did it before
BUSY_MS = 10_000  # how long to wait for another process that writes
_PAUSE_MS = 10  # between two tries of what SQLite itself does not wait for
_TRY_AGAIN = "look at the file, its folder and the disk, then try again"
_ADVICE = {
    sqlite3.SQLITE_FULL: "make room; nothing of this change was kept",
    sqlite3.SQLITE_BUSY: "close the other program that holds the file",
    sqlite3.SQLITE_CORRUPT: "restore the file from a copy",
}


@dataclass(frozen=True)
class Kind:
    """What a file of ours holds.

    Attributes:
        what: in words, plural: ``decision records``.
        application: SQLite's application id.
        version: of the tables.
        tables: the statements that make them.
        upgrade: brings an older version's tables up to date, inside a transaction; None where none is.
        durable: whether every transaction waits for the disk. Without, a power cut may cost the last ones,
            never half of one, and a killed process none: for what is derived, and would be derived again.
    """

    what: str
    application: int
    version: int
    tables: str
    upgrade: Callable[[sqlite3.Connection, int], None] | None = None
    durable: bool = True


class Database:
    """An open file. Safe to share between threads.

    Args:
        path: the file, made if there is none.
        kind: what it holds.

    Raises:
        StoreError: it holds something else, is of another version, or cannot be opened.
    """

    def __init__(self, path: Path, kind: Kind) -> None:
        self.path = path
        self.kind = kind
        self._writer_lock = RLock()
        self._pool_lock = Lock()
        self._pool: list[sqlite3.Connection] = []
        self._closed = False
        with self.letters():
            self._writer = self._connect()
            try:
                self._prepare(self._writer)
            except BaseException:
                self._writer.close()
                raise

    def close(self) -> None:
        """Let go of the file. A reader that is at work closes its connection when it is done."""
        with self._writer_lock, self._pool_lock:
            self._closed = True
            for connection in (*self._pool, self._writer):
                connection.close()
            self._pool.clear()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all or nothing, and on disk when this ends without an error.

        Raises:
            StoreError: the disk, or another process that will not let go.
        """
        with self.letters(), self._writer_lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """The writer's connection, outside of any transaction: each statement is one by itself.

        Raises:
            StoreError: the disk, or another process that will not let go.
        """
        with self.letters(), self._writer_lock:
            yield self._writer

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that only reads, for this thread alone until the end of the block."""
        with self.letters():
            with self._pool_lock:
                connection = self._pool.pop() if self._pool else None
            if connection is None:
                connection = self._connect()
                connection.execute("PRAGMA query_only=ON")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                with self._pool_lock:
                    if self._closed:
                        connection.close()
                    else:
                        self._pool.append(connection)

    def fold(self) -> None:
        """Move what lies in the WAL into the file. Neither readers nor the writer wait for it.

        For a thread in the background, so that no append has to do it.
        """
        with self.reading() as connection:
            connection.execute("PRAGMA query_only=OFF")
            try:
                connection.execute("PRAGMA fullfsync=ON")  # as the writer's
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            finally:
                connection.execute("PRAGMA query_only=ON")

    def write_ahead(self) -> None:
        """Let the WAL have its full length now, for a store on whose commits somebody waits.

        A commit that overwrites waits for its own bytes; one that makes the file longer waits for the file
        system's journal too, and so for whatever others write. So pages are written and taken back: what is
        left of them in the WAL is what an interrupted transaction leaves, and SQLite writes over it.
        """
        with self.letters(), self._writer_lock:
            (kept,) = self._writer.execute("PRAGMA cache_size").fetchone()
            (size,) = self._writer.execute("PRAGMA page_size").fetchone()
            self._writer.execute("PRAGMA cache_size=8")  # pages: whatever is more goes to the file at once
            self._writer.execute("BEGIN IMMEDIATE")
            with suppress(sqlite3.OperationalError):  # no room: then the WAL grows as it goes
                self._writer.execute("CREATE TABLE ahead (page BLOB)")
                self._writer.execute("INSERT INTO ahead VALUES (zeroblob(?))", (CHECKPOINT_PAGES * size,))
            if self._writer.in_transaction:  # a full disk ends it
                self._writer.execute("ROLLBACK")
            self._writer.execute(f"PRAGMA cache_size={kept}")

    @contextmanager
    def letters(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            raise StoreError.of(
                f"the {self.kind.what} cannot be used",
                got=str(error),
                where=str(self.path),
                do=_ADVICE.get(code, _TRY_AGAIN),
            ) from error

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # In this order: whoever sees the tables of a file that another is just making sees its mark, too.
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if tables and application != self.kind.application:
            raise StoreError.of(
                f"the file holds no {self.kind.what}",
                expected="a file that Headwater made",
                got="another SQLite database",
                where=str(self.path),
                do="name another file",
            )
        _write_ahead_log(connection)
        for pragma in (
            f"synchronous={'FULL' if self.kind.durable else 'NORMAL'}",
            "fullfsync=ON",  # macOS: fsync alone does not reach the disk there
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN IMMEDIATE")  # of two processes that make the file, one waits here
        try:
            self._bring_up_to_date(connection)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0] if tables else None
        if version == self.kind.version:
            return
        if version is None:
            for statement in self.kind.tables.split("\n\n"):
                connection.execute(statement)
        elif self.kind.upgrade is not None and version < self.kind.version:
            self.kind.upgrade(connection, version)
        else:
            raise StoreError.of(
                f"the {self.kind.what} have another format version",
                expected=str(self.kind.version),
                got=str(version),
                where=str(self.path),
                do="open them with the Headwater that wrote them, or a newer one",
            )
        connection.execute(f"PRAGMA application_id={self.kind.application}")
        connection.execute(f"PRAGMA user_version={self.kind.version}")


def _write_ahead_log(connection: sqlite3.Connection) -> None:
    """Give the file its WAL. SQLite does not wait for others that give a new file theirs; so this does."""
    for waited in range(0, BUSY_MS + 1, _PAUSE_MS):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or waited + _PAUSE_MS > BUSY_MS:
                raise
            time.sleep(_PAUSE_MS / 1_000)
        else:
            return
