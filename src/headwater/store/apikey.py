"""An API key, and the rules for it: how a secret is drawn, what proves a key, until when it is good.

::

    hw_3f9c0a7be412_<64 hex digits>          an id, to find the key by; 256 random bits, to prove it

The secret is shown once, when it is drawn. As it is random and long, one SHA-256 is enough: there is nothing
to guess. Called by ``store.keyholder`` and whatever keeps keys: ``store.credentials``,
``scale.postgres.credentials``. Read ``store.keyholder`` next.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from headwater.core.errors import (
    CredentialExpiredError,
    CredentialInvalidError,
    CredentialRevokedError,
    DataError,
    StoreError,
)
from headwater.core.instant import iso
from headwater.core.secret import Secret

COLUMNS = (
    "id",
    "name",
    "roles",
    "created",
    "expires",
    "revoked",
    "digest",
    "rotated",
    "old_digest",
    "old_until",
    "rate",
)
_SECRET = re.compile(r"hw_([0-9a-f]{12})_[0-9a-f]{64}", re.ASCII)
_NOBODY = bytes(32)
_FASTEST = 1_000_000


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
        used: when it was last used, to the minute; told by ``listing`` alone.
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
class Row:
    """A key with the hashes of its secrets: the present one, and the one before."""

    key: ApiKey
    digest: bytes
    old_digest: bytes | None = None

    def __repr__(self) -> str:
        return f"Row({self.key!r})"

    def facts(self) -> dict[str, Any]:
        """The row as it stands in the audit trail: hashes of the hashes, which open nothing."""
        seals = [None if one is None else seal(one).hex() for one in (self.digest, self.old_digest)]
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


def named(secret: str) -> str:
    """The id of the key that a secret is of, by its shape; empty if it has another."""
    shape = _SECRET.fullmatch(secret)
    return shape[1] if shape else ""


def hashed(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode(errors="replace")).digest()


def proves(given: bytes, row: Row | None) -> bool | None:
    """Whether the hash of a secret is that of a key: True for its present secret, False for the one before.

    None if it is neither. Takes the same time whichever it is.
    """
    known, old = (_NOBODY, None) if row is None else (row.digest, row.old_digest)
    is_present = hmac.compare_digest(given, known)
    is_old = hmac.compare_digest(given, _NOBODY if old is None else old)
    return None if row is None or not (is_present or is_old) else not is_old


def unknown() -> CredentialInvalidError:
    """What is said of a secret that is of no key, whatever is wrong with it."""
    return CredentialInvalidError.of(
        "the credential is not known here",
        do="send a key that `headwater keys create` gave, or a token of the identity provider",
    )


def draw(ident: str) -> tuple[Secret, bytes]:
    """A new secret of a key, and its hash."""
    text = f"hw_{ident}_{secrets.token_hex(32)}"
    return Secret(text), hashlib.sha256(text.encode()).digest()


def seal(digest: bytes) -> bytes:
    """What the audit trail tells of the hash of a secret."""
    return hashlib.sha256(digest).digest()


def read(row: tuple[Any, ...]) -> Row:
    """A row of a table, in the order of :data:`COLUMNS`.

    Raises:
        StoreError: its roles are none.
    """
    ident, name, roles, created, expires, revoked, digest, rotated, old_digest, old_until, rate = row
    try:
        held = tuple(Role(role) for role in json.loads(roles))
    except (ValueError, TypeError):
        raise StoreError.of(
            "the roles of an API key cannot be read",
            where=f"key {ident}",
            do="run `headwater audit verify`; restore the keys from a copy",
        ) from None
    key = ApiKey(ident, name, held, created, expires, revoked, rotated, old_until, rate)
    return Row(key, bytes(digest), None if old_digest is None else bytes(old_digest))


def written(row: Row) -> tuple[Any, ...]:
    """A key as a row of a table, in the order of :data:`COLUMNS`."""
    key = row.key
    times = key.created, key.expires, key.revoked
    rotated = key.rotated, row.old_digest, key.old_until
    return key.id, key.name, json.dumps(key.roles), *times, row.digest, *rotated, key.rate


def matches(row: tuple[Any, ...], told: Any) -> bool:
    """Whether a row of a table is what the audit trail tells."""
    try:
        return bool(read(row).facts() == told)
    except (StoreError, TypeError):
        return False


def check_alive(key: ApiKey, now: int, *, is_old: bool) -> None:
    """Raises CredentialRevokedError or CredentialExpiredError where a secret that was proven is over."""
    if key.revoked is not None:
        raise CredentialRevokedError.of("the key was revoked", do="ask for a new one")
    if is_old and (key.old_until is None or now >= key.old_until):
        raise CredentialExpiredError.of("the key has a newer secret", do="use the newer one")
    if key.expires is not None and now >= key.expires:
        raise CredentialExpiredError.of("the key is expired", do="ask for a new one, or for a new end")


def check_rate(name: str, rate: float | None) -> None:
    """Raises DataError where a rate is none."""
    if rate is not None and not 0 <= rate <= _FASTEST:
        raise DataError.of(
            "the rate is none",
            expected=f"requests a second, from 0 (no limit) to {_FASTEST:,}",
            got=f"{rate:g}",
            where=name,
            do="give another rate",
        )


def check_expiry(name: str, expires: int | None, now: int) -> None:
    """Raises DataError where a key would be expired already."""
    if expires is not None and expires <= now:
        raise DataError.of(
            "the key would be expired already",
            expected=f"an end behind {iso(now)}",
            got=iso(expires),
            where=name,
            do="give a later end",
        )
