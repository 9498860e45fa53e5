"""API keys: who may ask, with which roles and how long. Only a hash of each secret is kept.

::

    hw_3f9c0a7be412_<64 hex digits>          an id, to find the key by; 256 random bits, to prove it

The secret is shown once, when it is drawn. As it is random and long, one SHA-256 is enough: there is
nothing to guess. Each act on a key stands in the audit trail, in the same transaction and with the key as
it was after the act; so the table of keys is a function of the trail, and :meth:`CredentialStore.verify`
finds a role that somebody wrote into the table by hand. Called by ``apps.access`` and the command line.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headwater.core.errors import (
    CredentialExpiredError,
    CredentialInvalidError,
    CredentialRevokedError,
    DataError,
    StoreError,
)
from headwater.core.instant import iso
from headwater.core.secret import Secret
from headwater.store.accessfile import connect, letters, transaction
from headwater.store.audit import Act, acts, record
from headwater.store.names import checked_name, folded

_SECRET = re.compile(r"hw_([0-9a-f]{12})_[0-9a-f]{64}", re.ASCII)
_NOBODY = bytes(32)
_COLUMNS = "id, name, roles, created, expires, revoked, digest, rotated, old_digest, old_until, rate"
_SELECT = f"SELECT {_COLUMNS} FROM keys"  # noqa: S608 - constant text
_USED = "INSERT INTO uses VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET used = max(used, excluded.used)"
_FASTEST = 1_000_000
_MOST_KNOWN = 10_000  # secrets whose key is remembered


class Role(StrEnum):
    """What a caller may do; each route needs one, and an admin may all."""

    INGEST = "ingest"
    DECIDE = "decide"
    ANALYST = "analyst"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, without its secret. Times are microseconds UTC.

    Attributes:
        id: 12 hex digits, part of the secret's text; no secret itself.
        name: for people; unique among the keys that were not revoked.
        roles: what it may do.
        created, expires, revoked: expires None: never; revoked None: it was not.
        rotated: when it got its present secret, if that is not its first.
        old_until: until when the secret before that one is still taken.
        rate: requests a second that it may send, 0 for no limit; None: as many as the server lets anybody.
        used: when it was last used, to the minute; told by :meth:`CredentialStore.listing` alone.
    """

    id: str
    name: str
    roles: tuple[Role, ...]
    created: int
    expires: int | None = None
    revoked: int | None = None
    rotated: int | None = None
    old_until: int | None = None
    rate: float | None = None
    used: int | None = None

    def state(self, now: int) -> str:
        """``active``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and now >= self.expires else "active"


@dataclass(frozen=True, slots=True)
class _Row:
    """A key with the hashes of its secrets: the present one, and the one before."""

    key: ApiKey
    digest: bytes
    old_digest: bytes | None = None

    def __repr__(self) -> str:
        return f"_Row({self.key!r})"

    def facts(self) -> dict[str, Any]:
        """The row as it stands in the audit trail: hashes of the hashes, which open nothing."""
        seals = [None if one is None else _seal(one).hex() for one in (self.digest, self.old_digest)]
        facts = {
            **asdict(self.key),
            "roles": list(self.key.roles),
            "secret": seals[0],
            "old_secret": seals[1],
        }
        del facts["used"]
        if self.key.rate is None:  # as it stood before there were rates
            del facts["rate"]
        return facts


class CredentialStore:
    """The API keys of a project. Open it with :meth:`open`; may be used from several threads.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with CredentialStore.open(folder.name + "/access.db") as store:
        ...     key, secret = store.create("loader", [Role.INGEST], now=5, actor="cli:ada")
        ...     store.authenticate(secret.reveal(), 6).name, secret
        ('loader', Secret((secret)))
        >>> folder.cleanup()
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Use :meth:`open`."""
        self.path = path
        self._connection = connection
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[ApiKey, bool]] = {}  # hash of a secret to its key; whether it is old
        self._version = -1  # of the file, when these were read
        self._uses: dict[str, int] = {}
        self._hits = self._misses = 0

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the keys, with a file made if there is none.

        Raises:
            StoreError: the file is no such file, or cannot be opened.
        """
        path = Path(path)
        return cls(path, connect(path))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
            StoreError: the disk.
        """
        name = checked_name(name)
        if not roles:
            raise DataError.of(
                "a key without a role may do nothing",
                expected="one or more of " + ", ".join(Role),
                where=name,
                do="name a role",
            )
        _check_expiry(name, expires, now)
        _check_rate(name, rate)
        with self._writing():
            self._check_free(name)
            ident = secrets.token_hex(6)
            secret, digest = _draw(ident)
            held = tuple(role for role in Role if role in roles)
            key = ApiKey(ident, name, held, now, expires, rate=rate)
            self._connection.execute(
                "INSERT INTO keys (id, name, roles, created, expires, digest, rate)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key.id, key.name, json.dumps(key.roles), key.created, key.expires, digest, rate),
            )
            self._note(_Row(key, digest), Act(now, actor, "key.create", ident))
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
            StoreError: the disk.
        """
        with self._writing():
            row = self._live(which)
            _check_expiry(row.key.name, row.key.expires if expires is None else expires, now)
            secret, digest = _draw(row.key.id)
            ends = row.key.expires if expires is None else expires
            key = replace(row.key, expires=ends, rotated=now, old_until=now + grace)
            self._connection.execute(
                "UPDATE keys SET expires = ?, digest = ?, rotated = ?, old_digest = ?, old_until = ?"
                " WHERE id = ?",
                (key.expires, digest, key.rotated, row.digest, key.old_until, key.id),
            )
            self._note(_Row(key, digest, row.digest), Act(now, actor, "key.rotate", key.id))
        return key, secret

    def revoke(self, which: str, *, now: int, actor: str) -> ApiKey:
        """Take a key back, at once and for good.

        Raises:
            DataError: there is no such key, or it was revoked before.
            StoreError: the disk.
        """
        with self._writing():
            row = self._live(which)
            row = replace(row, key=replace(row.key, revoked=now))
            self._connection.execute("UPDATE keys SET revoked = ? WHERE id = ?", (now, row.key.id))
            self._note(row, Act(now, actor, "key.revoke", row.key.id))
        return row.key

    def listing(self) -> list[ApiKey]:
        """All keys, the oldest first, revoked ones too."""
        with self._using():
            rows = self._connection.execute(_SELECT + " ORDER BY created, id").fetchall()
            used = dict(self._connection.execute("SELECT id, used FROM uses").fetchall())
        return [replace(_row(row).key, used=used.get(row[0])) for row in rows]

    def __len__(self) -> int:
        with self._using():
            return int(self._connection.execute("SELECT count(*) FROM keys").fetchone()[0])

    def find(self, ident: str) -> ApiKey | None:
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
        given = hashlib.sha256(secret.encode(errors="replace")).digest()
        key, is_old = self._remembered(given, look=look) or self._proven(secret, given)
        _check_alive(key, now, is_old=is_old)
        with self._lock:
            self._uses[key.id] = now
        return key

    def note_uses(self) -> int:
        """Write down when keys were last used; how many. Not for the way of a request: it waits for the disk.

        Raises:
            StoreError: the disk; they are tried again the next time.
        """
        with self._lock:
            uses, self._uses = self._uses, {}
        if not uses:
            return 0
        try:
            with letters(self.path), closing(connect(self.path)) as apart:  # nobody waits for its lock
                apart.execute("PRAGMA synchronous=NORMAL")
                with transaction(apart):
                    apart.executemany(_USED, uses.items())
        except StoreError:
            with self._lock:
                self._uses = uses | self._uses
            raise
        return len(uses)

    def lookups(self) -> tuple[int, int]:
        """How often a secret's key was remembered, and how often it had to be looked for."""
        return self._hits, self._misses

    def _remembered(self, given: bytes, *, look: bool) -> tuple[ApiKey, bool] | None:
        if not look and (known := self._known.get(given)) is not None:
            self._hits += 1
            return known
        with self._using():
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
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
        shape = _SECRET.fullmatch(secret)
        row = self._by_id(shape[1] if shape else "")
        known, old = (_NOBODY, None) if row is None else (row.digest, row.old_digest)
        is_present = hmac.compare_digest(given, known)
        is_old = hmac.compare_digest(given, _NOBODY if old is None else old)
        if shape is None or row is None or not (is_present or is_old):
            raise CredentialInvalidError.of(
                "the credential is not known here",
                do="send a key that `headwater keys create` gave, or a token of the identity provider",
            )
        with self._lock:
            if len(self._known) < _MOST_KNOWN:
                self._known[given] = row.key, is_old
        return row.key, is_old

    def verify(self) -> int:
        """Compare the table of keys with what the audit trail says of them; how many keys there are.

        The trail itself is proven by ``AuditTrail.verify``.

        Raises:
            StoreError: a key is not as the last act on it left it.
        """
        with self._using():
            told = {act.target: act.details for act in acts(self._connection, "key")}
            held = {row[0]: row for row in self._connection.execute(_SELECT).fetchall()}
        for ident in sorted(told.keys() | held.keys()):
            if ident not in held or ident not in told or not _matches(held[ident], told[ident]):
                raise StoreError.of(
                    "an API key is not as the audit trail says",
                    expected="the key as the last act on it left it" if ident in told else "no such key",
                    got="no such key" if ident not in held else "another name, role, time or secret",
                    where=f"{self.path}, key {ident}",
                    do="restore the file from a copy, or revoke the key; somebody wrote past Headwater",
                )
        return len(held)

    def _live(self, which: str) -> _Row:
        """A key that was not revoked, by id or name."""
        rows = [_row(row) for row in self._connection.execute(_SELECT).fetchall()]
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

    def _check_free(self, name: str) -> None:
        rows = self._connection.execute("SELECT name FROM keys WHERE revoked IS NULL").fetchall()
        if any(folded(taken) == folded(name) for (taken,) in rows):
            raise DataError.of(
                "there is a key of this name, or of one that looks the same",
                where=name,
                do="choose another name, or rotate or revoke that key",
            )

    def _note(self, row: _Row, act: Act) -> None:
        record(self._connection, replace(act, details=row.facts()))

    def _by_id(self, ident: str) -> _Row | None:
        with self._using():
            row = self._connection.execute(_SELECT + " WHERE id = ?", (ident,)).fetchone()
        return None if row is None else _row(row)

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock, letters(self.path):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._using(), transaction(self._connection):
            self._known.clear()
            yield


def _draw(ident: str) -> tuple[Secret, bytes]:
    """A new secret of a key, and its hash."""
    text = f"hw_{ident}_{secrets.token_hex(32)}"
    return Secret(text), hashlib.sha256(text.encode()).digest()


def _seal(digest: bytes) -> bytes:
    return hashlib.sha256(digest).digest()


def _row(row: tuple[Any, ...]) -> _Row:
    ident, name, roles, created, expires, revoked, digest, rotated, old_digest, old_until, rate = row
    try:
        held = tuple(Role(role) for role in json.loads(roles))
    except (ValueError, TypeError):
        raise StoreError.of(
            "the roles of an API key cannot be read",
            where=f"key {ident}",
            do="run `headwater audit verify`; restore the file from a copy",
        ) from None
    key = ApiKey(ident, name, held, created, expires, revoked, rotated, old_until, rate)
    return _Row(key, digest, old_digest)


def _matches(row: tuple[Any, ...], told: Any) -> bool:
    try:
        return bool(_row(row).facts() == told)
    except (StoreError, TypeError):
        return False


def _check_alive(key: ApiKey, now: int, *, is_old: bool) -> None:
    if key.revoked is not None:
        raise CredentialRevokedError.of("the key was revoked", do="ask for a new one")
    if is_old and (key.old_until is None or now >= key.old_until):
        raise CredentialExpiredError.of("the key has a newer secret", do="use the newer one")
    if key.expires is not None and now >= key.expires:
        raise CredentialExpiredError.of("the key is expired", do="ask for a new one, or for a new end")


def _check_rate(name: str, rate: float | None) -> None:
    if rate is not None and not 0 <= rate <= _FASTEST:
        raise DataError.of(
            "the rate is none",
            expected=f"requests a second, from 0 (no limit) to {_FASTEST:,}",
            got=f"{rate:g}",
            where=name,
            do="give another rate",
        )


def _check_expiry(name: str, expires: int | None, now: int) -> None:
    if expires is not None and expires <= now:
        raise DataError.of(
            "the key would be expired already",
            expected=f"an end behind {iso(now)}",
            got=iso(expires),
            where=name,
            do="give a later end",
        )
