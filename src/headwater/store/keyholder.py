"""Who keeps API keys: what may be done to a key, whichever table it stands in.

::

    CredentialStore     SQLite, beside the trail of a data folder     both are a KeyHolder around a table,
    PostgresCredentials a database that servers share                 and each remembers keys in its own way

Each act on a key stands in the audit trail, in the same transaction and with the key as it was after the act;
so the table of keys is a function of the trail, and :meth:`KeyHolder.verify` finds a role that somebody wrote
into the table by hand. Inherited by ``store.credentials`` and ``scale.postgres.credentials``.
"""

from __future__ import annotations

import secrets
import threading
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Protocol

from headwater.core.closing import Closing
from headwater.core.errors import DataError, StoreError
from headwater.core.secret import Secret
from headwater.store.apikey import (
    ApiKey,
    Role,
    Row,
    check_expiry,
    check_rate,
    draw,
    matches,
    read,
)
from headwater.store.audit import Act
from headwater.store.names import checked_name, folded


class TableOfKeys(Protocol):
    """Keys and trail, inside a transaction. Rows have the columns of ``apikey.COLUMNS``."""

    def rows(self) -> list[tuple[Any, ...]]:
        """All keys, the oldest first."""
        ...

    def uses(self) -> dict[str, int]:
        """When keys were last used, by id."""
        ...

    def acts(self, noun: str) -> Iterable[Act]:
        """The acts on a noun in the trail, the oldest first."""
        ...

    def put(self, row: Row, *, new: bool) -> None:
        """Write a key, in the place of what it was before unless it is new."""
        ...

    def record(self, act: Act) -> None:
        """Append an act to the trail."""
        ...


class KeyTable(Protocol):
    """Where keys lie."""

    @property
    def place(self) -> str:
        """What to call it in an error."""
        ...

    def reading(self) -> AbstractContextManager[TableOfKeys]:
        """To look at it."""
        ...

    def writing(self) -> AbstractContextManager[TableOfKeys]:
        """A transaction that is alone with the keys: all or nothing, and durable when it ends."""
        ...

    def note(self, uses: Mapping[str, int]) -> None:
        """Write down when keys were last used; an older use changes nothing."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class KeyHolder(Closing):
    """The API keys of a project, without how they are remembered. Safe to share between threads.

    Args:
        table: where they lie.
    """

    def __init__(self, table: KeyTable) -> None:
        self._table = table
        self._used: dict[str, int] = {}
        self._using = threading.Lock()
        self._hits = self._misses = 0

    def close(self) -> None:
        """Let go of the table."""
        self._table.close()

    @abstractmethod
    def forget(self) -> None:
        """A key was changed here: what is remembered is not to be taken any more."""

    def create(
        self,
        name: str,
        roles: Collection[Role],
        *,
        now: int,
        actor: str,
        expires: int | None = None,
        rate: float | None = None,
    ) -> tuple[ApiKey, Secret]:
        """A new key, and its secret, which cannot be had again.

        Raises:
            DataError: the name is unfit or taken, there is no role, the rate is none, or the key would be
                expired already.
            StoreError: the disk, or the database.
        """
        name = checked_name(name)
        if not roles:
            raise DataError.of(
                "a key without a role may do nothing",
                expected="one or more of " + ", ".join(Role),
                where=name,
                do="name a role",
            )
        check_expiry(name, expires, now)
        check_rate(name, rate)
        with self._writing() as table:
            _check_free(table, name)
            ident = secrets.token_hex(6)
            secret, digest = draw(ident)
            held = tuple(role for role in Role if role in roles)
            key = ApiKey(ident, name, held, now, expires, rate=rate)
            _put(table, Row(key, digest), Act(now, actor, "key.create", ident))
        return key, secret

    def rotate(
        self, which: str, *, now: int, actor: str, grace: int, expires: int | None = None
    ) -> tuple[ApiKey, Secret]:
        """A new secret for a key; the present one is taken for ``grace`` microseconds more.

        At most two secrets are good at a time: the one before the present one ends at once.

        Args:
            which: the key's id or name.
            now: when, microseconds UTC.
            actor: by whom.
            grace: microseconds; 0 ends the present secret now.
            expires: a new end of the key's life; None leaves it as it is.

        Raises:
            DataError: there is no such key, it was revoked, or it is expired and gets no new end.
            StoreError: the disk, or the database.
        """
        with self._writing() as table:
            row = _live(table, which)
            check_expiry(row.key.name, row.key.expires if expires is None else expires, now)
            secret, digest = draw(row.key.id)
            ends = row.key.expires if expires is None else expires
            key = replace(row.key, expires=ends, rotated=now, old_until=now + grace)
            _put(table, Row(key, digest, row.digest), Act(now, actor, "key.rotate", key.id))
        return key, secret

    def revoke(self, which: str, *, now: int, actor: str) -> ApiKey:
        """Take a key back, at once and for good.

        Raises:
            DataError: there is no such key, or it was revoked before.
            StoreError: the disk, or the database.
        """
        with self._writing() as table:
            row = _live(table, which)
            row = replace(row, key=replace(row.key, revoked=now))
            _put(table, row, Act(now, actor, "key.revoke", row.key.id))
        return row.key

    def listing(self) -> list[ApiKey]:
        """All keys, the oldest first, revoked ones too."""
        with self._table.reading() as table:
            rows, used = table.rows(), table.uses()
        return [replace(read(row).key, used=used.get(row[0])) for row in rows]

    def __len__(self) -> int:
        with self._table.reading() as table:
            return len(table.rows())

    def note_uses(self) -> int:
        """Write down when keys were last used; how many. Not for the way of a request: it waits for the disk.

        Raises:
            StoreError: the disk, or the database; they are tried again the next time.
        """
        with self._using:
            uses, self._used = self._used, {}
        if not uses:
            return 0
        try:
            self._table.note(uses)
        except StoreError:
            with self._using:
                self._used = uses | self._used
            raise
        return len(uses)

    def lookups(self) -> tuple[int, int]:
        """How often a secret's key was remembered, and how often it had to be looked for."""
        return self._hits, self._misses

    def verify(self) -> int:
        """Compare the table of keys with what the audit trail says of them; how many keys there are.

        The trail itself is proven by ``AuditTrail.verify``.

        Raises:
            StoreError: a key is not as the last act on it left it.
        """
        with self._table.reading() as table:
            told = {act.target: act.details for act in table.acts("key")}
            held = {row[0]: row for row in table.rows()}
        for ident in sorted(told.keys() | held.keys()):
            if ident not in held or ident not in told or not matches(held[ident], told[ident]):
                raise StoreError.of(
                    "an API key is not as the audit trail says",
                    expected="the key as the last act on it left it" if ident in told else "no such key",
                    got="no such key" if ident not in held else "another name, role, time or secret",
                    where=f"{self._table.place}, key {ident}",
                    do="restore the records from a copy, or revoke the key; somebody wrote past Headwater",
                )
        return len(held)

    def _note_use(self, key: ApiKey, now: int) -> None:
        with self._using:
            self._used[key.id] = now

    @contextmanager
    def _writing(self) -> Iterator[TableOfKeys]:
        try:
            with self._table.writing() as table:
                yield table
        finally:
            self.forget()


def _put(table: TableOfKeys, row: Row, act: Act) -> None:
    """A key, and the act that made it so."""
    table.put(row, new=act.action == "key.create")
    table.record(replace(act, details=row.facts()))


def _live(table: TableOfKeys, which: str) -> Row:
    """A key that was not revoked, by id or name."""
    rows = [read(row) for row in table.rows()]
    found = [row for row in rows if which in (row.key.id, row.key.name)]
    live = [row for row in found if row.key.revoked is None]
    if len(live) == 1:
        return live[0]
    raise DataError.of(
        "more than one key is called so" if live else "there is no such key",
        expected="the id or name of a key that is not revoked",
        got="a revoked key" if found and not live else None,
        do="see `headwater keys list`",
    )


def _check_free(table: TableOfKeys, name: str) -> None:
    keys = [read(row).key for row in table.rows()]
    if any(key.revoked is None and folded(key.name) == folded(name) for key in keys):
        raise DataError.of(
            "there is a key of this name, or of one that looks the same",
            where=name,
            do="choose another name, or rotate or revoke that key",
        )
