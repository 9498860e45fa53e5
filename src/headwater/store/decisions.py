"""Decision records: append-only, each chained to the one before by its hash.

::

    chain(n) = sha256(chain(n-1) + text(n))      text: ``Decision.canonical``      chain(0) = 32 zero bytes

The chain covers everything, so that no record can be changed, dropped from the middle or slipped in without
every later link being wrong; whoever notes the last link elsewhere can prove that the end was not cut off
either. SQLite in WAL mode with full sync: what was appended is on disk. Triggers refuse changes that come
through SQL. Called by ``serving`` and ``apps``; a decision is made again by ``serving.replay``.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from headwater.core.errors import StoreError
from headwater.store.decision import Decision

APPLICATION = 0x48574443  # "HWDC"
GENESIS = bytes(32)

_TABLES = """
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, key TEXT NOT NULL, decided_at INTEGER NOT NULL,
    band TEXT NOT NULL, record TEXT NOT NULL, chain BLOB NOT NULL
);
CREATE INDEX decisions_of_key ON decisions (model, key, number);
CREATE TRIGGER decisions_stay BEFORE UPDATE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decision records are never changed'); END;
CREATE TRIGGER decisions_remain BEFORE DELETE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decision records are never deleted'); END;
"""
_SELECT = "SELECT number, record, chain FROM decisions"


@dataclass(frozen=True, slots=True)
class Record:
    """A decision in its place: ``number`` counts from 1; ``chain`` is its link, 32 bytes."""

    number: int
    decision: Decision
    chain: bytes


class DecisionStore:
    """The decision records of a project. Open it with :meth:`open`; one writer at a time.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> decision = Decision("m", "d", "h", "p", "q", {"who": 1}, 5, 0, 5, {"n": 0.1}, 0.5, "act")
        >>> with DecisionStore.open(folder.name + "/decisions.db") as store:
        ...     record = store.append([decision])[0]
        ...     store.get(1).decision == decision, store.verify()
        (True, 1)
        >>> folder.cleanup()
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Use :meth:`open`."""
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the records, made if there are none.

        Raises:
            StoreError: the file is no store of decisions, or cannot be opened.
        """
        path = Path(path)
        with _letters(path):
            connection = sqlite3.connect(path, isolation_level=None)
            try:
                _prepare(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, decisions: Sequence[Decision]) -> list[Record]:
        """Append decisions, all or none; on disk when this returns.

        Raises:
            StoreError: the disk, or a decision that JSON cannot hold. Nothing was appended.
        """
        texts = [decision.canonical() for decision in decisions]
        with _letters(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                number, chain = self._last()
                records = []
                for decision, text in zip(decisions, texts, strict=True):
                    number, chain = number + 1, link(chain, text)
                    records.append(Record(number, decision, chain))
                self._connection.executemany(
                    "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (r.number, d.model, key_text(d), d.decided_at, d.band, text, r.chain)
                        for r, d, text in zip(records, decisions, texts, strict=True)
                    ],
                )
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        return records

    def get(self, number: int) -> Record:
        """A record by its number.

        Raises:
            StoreError: there is no such record.
        """
        with _letters(self.path):
            row = self._connection.execute(_SELECT + " WHERE number = ?", (number,)).fetchone()
        if row is None:
            count = len(self)
            raise StoreError.of(
                f"there is no decision {number}",
                expected=f"a number from 1 to {count}" if count else "a number; nothing was decided yet",
                got=str(number),
                where=str(self.path),
                do="look at the newest ones first",
            )
        return _record(row)

    def of(self, model: str, keys: str | None = None, limit: int = 100) -> list[Record]:
        """The newest decisions of a model, or of one entity (see :func:`key_text`), the newest first."""
        entity = "" if keys is None else " AND key = ?"
        asked = f"{_SELECT} WHERE model = ?{entity} ORDER BY number DESC LIMIT ?"
        given = (model, limit) if keys is None else (model, keys, limit)
        with _letters(self.path):
            rows = self._connection.execute(asked, given).fetchall()
        return [_record(row) for row in rows]

    def __iter__(self) -> Iterator[Record]:
        """All records in their order."""
        with _letters(self.path):
            for row in self._connection.execute(_SELECT + " ORDER BY number"):
                yield _record(row)

    def __len__(self) -> int:
        with _letters(self.path):
            return int(self._connection.execute("SELECT count(*) FROM decisions").fetchone()[0])

    def verify(self) -> int:
        """Follow the chain from the first record to the last; how many there are.

        Raises:
            StoreError: a record is missing, or is not the one that was written.
        """
        chain, expected = GENESIS, 1
        with _letters(self.path):
            for number, text, found in self._connection.execute(_SELECT + " ORDER BY number"):
                chain = link(chain, text)
                if number != expected or chain != found:
                    raise _broken(self.path, number, expected, chain, found)
                expected += 1
        return expected - 1

    def _last(self) -> tuple[int, bytes]:
        row = self._connection.execute(
            "SELECT number, chain FROM decisions ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return (0, GENESIS) if row is None else (int(row[0]), row[1])


def link(chain: bytes, text: str) -> bytes:
    """The next link of the chain.

    Example:
        >>> link(GENESIS, "{}").hex()[:8]
        'fb1634c4'
    """
    return hashlib.sha256(chain + text.encode()).digest()


def key_text(decision: Decision) -> str:
    """An entity as text, as it is looked up.

    Example:
        >>> key_text(Decision("m", "d", "h", "p", "q", {"who": 1}, 5, 0, 5, {}, 0.5, "act"))
        '{"who": 1}'
    """
    return json.dumps(dict(decision.keys), sort_keys=True, ensure_ascii=False)


def _record(row: tuple[int, str, bytes]) -> Record:
    number, text, chain = row
    return Record(number, Decision.from_json(json.loads(text)), chain)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application != APPLICATION:
        raise StoreError.of(
            "the file holds no decision records",
            expected="a file that Headwater made",
            got="another SQLite database",
            where=str(path),
            do="name another file",
        )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=ON")
    if not tables:
        connection.executescript(f"BEGIN; PRAGMA application_id={APPLICATION}; {_TABLES} COMMIT;")


def _broken(path: Path, number: int, expected: int, chain: bytes, found: bytes) -> StoreError:
    if number != expected:
        return StoreError.of(
            "a decision record is missing",
            expected=f"record {expected}",
            got=f"record {number}",
            where=str(path),
            do="restore the file from a copy; nobody may remove decisions",
        )
    return StoreError.of(
        "a decision record is not the one that was written",
        expected=f"link {chain.hex()}",
        got=f"link {found.hex()}",
        where=f"{path}, record {number}",
        do="restore the file from a copy; nobody may change decisions",
    )


@contextmanager
def _letters(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError.of(
            "the decision records cannot be used",
            got=str(error),
            where=str(path),
            do="look at the file, its folder and the disk, then try again",
        ) from error
