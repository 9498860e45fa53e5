"""API keys in the data folder: in one SQLite file with the audit trail of the acts on them.

What a key is stands in ``store.apikey``, what may be done to one in ``store.keyholder``; here is the file,
and how a server remembers keys so that a request seldom waits for it. Called by ``apps.access`` and the
command line.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from headwater.store.accessfile import connect, letters, transaction
from headwater.store.apikey import (
    COLUMNS,
    ApiKey,
    Role,
    Row,
    check_alive,
    hashed,
    named,
    proves,
    read,
    unknown,
    written,
)
from headwater.store.audit import Act, acts, record
from headwater.store.keyholder import KeyHolder

__all__ = ["ApiKey", "CredentialStore", "Role"]

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM keys"  # noqa: S608 - constant text
_INSERT = f"INSERT INTO keys ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
_CHANGE = f"UPDATE keys SET {', '.join(f'{one} = ?' for one in COLUMNS)} WHERE id = ?"  # noqa: S608
_USED = "INSERT INTO uses VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET used = max(used, excluded.used)"
_MOST_KNOWN = 10_000  # secrets whose key is remembered


class CredentialStore(KeyHolder):
    """The API keys of a data folder. Open it with :meth:`open`; may be used from several threads.

    Obeys ``store.protocol.Credentials``.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with CredentialStore.open(folder.name + "/access.db") as store:
        ...     key, secret = store.create("loader", [Role.INGEST], now=5, actor="cli:ada")
        ...     store.authenticate(secret.reveal(), 6).name, secret
        ('loader', Secret((secret)))
        >>> folder.cleanup()
    """

    shared = False

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Use :meth:`open`."""
        self.path = path
        self._file = _File(path, connection)
        super().__init__(self._file)
        self._known: dict[bytes, tuple[ApiKey, bool]] = {}  # hash of a secret to its key; whether it is old
        self._version = -1  # of the file, when these were read
        self._counted = -1, False  # version of the file, and whether there were keys

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the keys, with a file made if there is none.

        Raises:
            StoreError: the file is no such file, or cannot be opened.
        """
        path = Path(path)
        return cls(path, connect(path))

    def look(self, now: int) -> bool:  # noqa: ARG002 - a file is looked at where it is needed
        """Nothing: see :meth:`authenticate`."""
        return True

    def due(self, secret: str, now: int) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def any(self, now: int, *, look: bool = True) -> bool:  # noqa: ARG002
        """Whether there are keys."""
        with self._file.reading() as table:
            version = table.version()
            if version != self._counted[0]:
                self._counted = version, bool(table.rows())
        return self._counted[1]

    def find(self, ident: str, now: int = 0, *, look: bool = True) -> ApiKey | None:  # noqa: ARG002
        """A key by its id."""
        row = self._by_id(ident)
        return None if row is None else row.key

    def authenticate(self, secret: str, now: int, *, look: bool = True) -> ApiKey:
        """The key that a secret proves.

        Takes the same time whichever part of it is wrong. That a key is expired or revoked is told only to
        whoever has its secret. A key is remembered until the file changes, whoever changes it.

        Args:
            secret: as it was sent.
            now: microseconds UTC.
            look: whether to ask the file if somebody else changed it; without, what is remembered is taken.

        Raises:
            CredentialInvalidError: it is no secret of any key.
            CredentialExpiredError, CredentialRevokedError: it was one.
        """
        given = hashed(secret)
        key, is_old = self._remembered(given, look=look) or self._proven(secret, given)
        check_alive(key, now, is_old=is_old)
        self._note_use(key, now)
        return key

    def forget(self) -> None:
        """A key was changed here."""
        with self._file.lock:
            self._known.clear()
            self._counted = -1, False

    def _remembered(self, given: bytes, *, look: bool) -> tuple[ApiKey, bool] | None:
        if not look and (known := self._known.get(given)) is not None:
            self._hits += 1
            return known
        with self._file.reading() as table:
            version = table.version()
            if version != self._version:
                self._known.clear()
                self._version = version
            found = self._known.get(given)
            if found is None:
                self._misses += 1
            else:
                self._hits += 1
            return found

    def _proven(self, secret: str, given: bytes) -> tuple[ApiKey, bool]:
        """The key of a secret, and whether the key has a newer one."""
        row = self._by_id(named(secret))
        is_present = proves(given, row)
        if row is None or is_present is None:
            raise unknown()
        with self._file.lock:
            if len(self._known) < _MOST_KNOWN:
                self._known[given] = row.key, not is_present
        return row.key, not is_present

    def _by_id(self, ident: str) -> Row | None:
        with self._file.reading() as table:
            row = table.row(ident)
        return None if row is None else read(row)


class _File:
    """The file, and its tables: one connection, one at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.place = str(path)
        self.lock = threading.Lock()
        self._connection = connection

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[_Tables]:
        with self.lock, letters(self.path):
            yield _Tables(self._connection)

    @contextmanager
    def writing(self) -> Iterator[_Tables]:
        with self.lock, letters(self.path), transaction(self._connection):
            yield _Tables(self._connection)

    def note(self, uses: Mapping[str, int]) -> None:
        with letters(self.path), closing(connect(self.path)) as apart:  # nobody waits for its lock
            apart.execute("PRAGMA synchronous=NORMAL")
            with transaction(apart):
                apart.executemany(_USED, uses.items())


class _Tables:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def version(self) -> int:
        """Changes whenever another connection wrote to the file."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def rows(self) -> list[tuple[Any, ...]]:
        return self._connection.execute(_SELECT + " ORDER BY created, id").fetchall()

    def row(self, ident: str) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._connection.execute(
            _SELECT + " WHERE id = ?", (ident,)
        ).fetchone()
        return found

    def uses(self) -> dict[str, int]:
        return dict(self._connection.execute("SELECT id, used FROM uses").fetchall())

    def acts(self, noun: str) -> Iterable[Act]:
        return acts(self._connection, noun)

    def put(self, row: Row, *, new: bool) -> None:
        facts = written(row)
        self._connection.execute(_INSERT if new else _CHANGE, facts if new else (*facts, row.key.id))

    def record(self, act: Act) -> None:
        record(self._connection, act)
