"""API keys in Postgres, for all servers: each keeps a copy of them, and looks once a second if it is true.

::

    request ──► copy in memory ──► the key          no request waits for the database,
                  ▲                                 but one with a secret that the copy does not know:
    look ─────────┘ once a second, one row          then the copy is looked at first (``due``)

While the database is away keys that are in the copy go on being taken, for :data:`KEEP` at most; a secret
that is not gets ``UnavailableError``, for nobody can say whose it is. What may be done to a key stands in
``store.keyholder``. Obeys ``store.protocol.Credentials``; opened by ``apps.stores``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection

from headwater.core.errors import StoreError, UnavailableError
from headwater.scale.postgres.audit import acts, record
from headwater.scale.postgres.borrowed import Borrowed
from headwater.scale.postgres.database import Database
from headwater.scale.postgres.tables import API_KEYS, CHANGES, USES
from headwater.store.apikey import (
    COLUMNS,
    ApiKey,
    Row,
    check_alive,
    hashed,
    named,
    proves,
    read,
    unknown,
    written,
)
from headwater.store.audit import Act
from headwater.store.keyholder import KeyHolder

PAUSE = 100_000  # microseconds between two looks for the sake of an unknown secret
FRESH = 5_000_000  # microseconds; an older copy cannot tell that a secret is of no key
KEEP = 3_600_000_000  # microseconds; an older copy opens nothing: keys may have been revoked meanwhile
_LOCK = "SELECT pg_advisory_xact_lock(1212630084, 3)"
_k = API_KEYS.c
_ROWS = sa.select(*(_k[one] for one in COLUMNS)).order_by(_k.created, _k.id)


class PostgresCredentials(KeyHolder):
    """The API keys of a database. Safe to share between threads and between servers.

    Args:
        database: open, with tables of this version.
    """

    shared = True

    def __init__(self, database: Database) -> None:
        super().__init__(_Table(database))
        self._database = database
        self._looking = Lock()
        self._copy: Mapping[str, Row] = {}
        self._version: int | None = None
        self._looked: int | None = None
        self._tried: int | None = None
        self._away = False

    def look(self, now: int) -> bool:
        """Whether the copy could be compared with the database, and is what stands there. Waits for it."""
        with self._looking:
            try:
                with self._database.reading() as connection:
                    version = connection.execute(sa.select(CHANGES.c.version)).scalar_one()
                    if version != self._version:
                        rows = [read(tuple(row)) for row in connection.execute(_ROWS)]
                        self._copy, self._version = {row.key.id: row for row in rows}, version
                        self._misses += 1
            except StoreError:
                self._away = True
            else:
                self._away, self._looked = False, now
            self._tried = now
            return not self._away

    def due(self, secret: str, now: int) -> bool:
        """Whether :meth:`look` comes before :meth:`authenticate`: the copy does not know this secret."""
        if self._tried is not None and 0 <= now - self._tried < PAUSE:
            return False
        return proves(hashed(secret), self._copy.get(named(secret))) is None

    def any(self, now: int, *, look: bool = True) -> bool:
        """Whether there are keys.

        Raises:
            UnavailableError: the database is away, and the copy is too old.
        """
        return bool(self._held(now, look=look))

    def find(self, ident: str, now: int = 0, *, look: bool = True) -> ApiKey | None:
        """A key by its id; raises as :meth:`any`."""
        row = self._held(now, look=look).get(ident)
        return None if row is None else row.key

    def authenticate(self, secret: str, now: int, *, look: bool = True) -> ApiKey:
        """The key that a secret proves: see :class:`~headwater.store.protocol.Credentials`.

        Raises:
            CredentialInvalidError: it is no secret of any key.
            CredentialExpiredError, CredentialRevokedError: it was one.
            UnavailableError: the database is away, and the secret is not known without it.
        """
        row = self._held(now, look=look).get(named(secret))
        is_present = proves(hashed(secret), row)
        if row is None or is_present is None:
            if self._away or self._age(now) > FRESH:
                raise self._unavailable()
            raise unknown()
        self._hits += 1
        check_alive(row.key, now, is_old=not is_present)
        self._note_use(row.key, now)
        return row.key

    def forget(self) -> None:
        """A key was changed here."""
        with self._looking:
            self._version = None

    def _held(self, now: int, *, look: bool) -> Mapping[str, Row]:
        if look:
            self.look(now)
        if self._looked is None or self._age(now) > KEEP:
            raise self._unavailable()
        return self._copy

    def _age(self, now: int) -> int:
        return now - (self._looked or 0)

    def _unavailable(self) -> UnavailableError:
        return UnavailableError.of(
            "the API keys cannot be looked up: the database is away",
            where=self._database.place,
            do="try again; if it lasts, look at the database",
        )


class _Table(Borrowed):
    """The tables as ``store.keyholder`` wants them."""

    @contextmanager
    def reading(self) -> Iterator[_Tables]:
        with self._database.reading() as connection:
            yield _Tables(connection)

    @contextmanager
    def writing(self) -> Iterator[_Tables]:
        with self._database.writing() as connection:
            connection.exec_driver_sql(_LOCK)
            yield _Tables(connection)

    def note(self, uses: Mapping[str, int]) -> None:
        made = insert(USES)
        later = sa.func.greatest(USES.c.used, made.excluded.used)
        asked = made.on_conflict_do_update(index_elements=[USES.c.id], set_={"used": later})
        rows = [{"id": one, "used": used} for one, used in sorted(uses.items())]  # one order: no deadlock
        with self._database.writing() as connection:
            connection.execute(asked, rows)


class _Tables:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._connection.execute(_ROWS)]

    def uses(self) -> dict[str, int]:
        return {row.id: row.used for row in self._connection.execute(sa.select(USES))}

    def acts(self, noun: str) -> Iterable[Act]:
        return acts(self._connection, noun)

    def put(self, row: Row, *, new: bool) -> None:
        facts = dict(zip(COLUMNS, written(row), strict=True))
        if new:
            self._connection.execute(sa.insert(API_KEYS), facts)
        else:
            self._connection.execute(sa.update(API_KEYS).where(_k.id == row.key.id).values(facts))

    def record(self, act: Act) -> None:
        record(self._connection, act)
