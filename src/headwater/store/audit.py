"""The audit trail: what was administered, by whom and when; append-only, each entry chained to the last.

An entry is one line of JSON, and the chain (``store.chain``) covers every byte of it. Acts on keys are
written by ``store.credentials`` in the transaction that does them; other acts (a model promoted, dead
letters driven again) by ``apps``. Secrets and personal values have no place here: an act names its target
and the facts around it.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from headwater.core.closing import Closing
from headwater.core.errors import StoreError
from headwater.store.accessfile import connect, letters, transaction
from headwater.store.chain import GENESIS, Walk, follow, link

_MOST = 64 * 1024  # bytes of an entry
_SELECT = "SELECT number, entry, chain FROM trail"
_BYTES = "SELECT number, CAST(entry AS BLOB), CAST(chain AS BLOB) FROM trail ORDER BY number"


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was administered.

    Attributes:
        at: when, microseconds UTC.
        actor: who: ``cli:ada`` for a user of the machine, ``key:<id>`` or ``oidc:<subject>`` for a caller.
        action: what, as ``noun.verb``: ``key.create``, ``model.promote``.
        target: on what: a name or an id.
        details: the facts around it, as plain JSON values.
    """

    at: int
    actor: str
    action: str
    target: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def canonical(self) -> str:
        """One line of JSON with sorted keys, ASCII: the text that is chained.

        Raises:
            StoreError: it holds something that JSON does not, or is too large.

        Example:
            >>> Act(5, "cli:ada", "key.revoke", "loader").canonical()
            '{"action":"key.revoke","actor":"cli:ada","at":5,"details":{},"target":"loader"}'
        """
        try:
            text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise self._unfit("plain JSON values", type(error).__name__) from None
        if len(text) > _MOST:
            raise self._unfit(f"at most {_MOST:,} bytes", f"{len(text):,} bytes")
        return text

    def _unfit(self, expected: str, got: str) -> StoreError:
        return StoreError.of(
            "an act cannot be written to the audit trail",
            expected=expected,
            got=got,
            where=self.action,
            do="give fewer and simpler details",
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """An act in its place: ``number`` counts from 1; ``chain`` is its link, 32 bytes."""

    number: int
    act: Act
    chain: bytes


class AuditTrail(Closing):
    """The audit trail of a project. Open it with :meth:`open`; may be used from several threads.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with AuditTrail.open(folder.name + "/access.db") as trail:
        ...     entry = trail.append(Act(5, "cli:ada", "model.promote", "risk", {"version": 3}))
        ...     entry.number, trail.verify().count
        (1, 1)
        >>> folder.cleanup()
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Use :meth:`open`."""
        self.path = path
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the trail, made if there is none.

        Raises:
            StoreError: the file is no such file, or cannot be opened.
        """
        path = Path(path)
        return cls(path, connect(path))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def append(self, act: Act) -> Entry:
        """Append an act; on disk when this returns.

        Raises:
            StoreError: the disk, or an act that JSON cannot hold. Nothing was appended.
        """
        with self._using(), transaction(self._connection):
            return record(self._connection, act)

    def page(self, *, after: int = 0, limit: int = 100) -> list[Entry]:
        """Entries ascending by number, at most ``limit`` of those behind the number ``after``."""
        asked = _SELECT + " WHERE number > ? ORDER BY number LIMIT ?"
        with self._using():
            return [_entry(row) for row in self._connection.execute(asked, (after, limit)).fetchall()]

    def newest(self, limit: int = 100) -> list[Entry]:
        """The newest entries, the newest first."""
        asked = _SELECT + " ORDER BY number DESC LIMIT ?"
        with self._using():
            return [_entry(row) for row in self._connection.execute(asked, (limit,)).fetchall()]

    def __len__(self) -> int:
        with self._using():
            return int(self._connection.execute("SELECT count(*) FROM trail").fetchone()[0])

    def verify(self, marks: Collection[bytes] = ()) -> Walk:
        """Follow the chain from the first entry to the last.

        Args:
            marks: links noted elsewhere; the walk says which of them it met.

        Raises:
            StoreError: at the first entry that is missing, slipped in or not as it was written.
        """
        with self._using():
            return follow(self._connection.execute(_BYTES), self.path, "audit entry", marks)

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock, letters(self.path):
            yield


def record(connection: sqlite3.Connection, act: Act) -> Entry:
    """Append an act inside the caller's transaction."""
    text = act.canonical()
    last = connection.execute("SELECT number, chain FROM trail ORDER BY number DESC LIMIT 1").fetchone()
    number, chain = (0, GENESIS) if last is None else last
    entry = Entry(number + 1, act, link(chain, text))
    connection.execute("INSERT INTO trail VALUES (?, ?, ?)", (entry.number, text, entry.chain))
    return entry


def acts(connection: sqlite3.Connection, noun: str) -> Iterator[Act]:
    """All acts on a noun, the oldest first."""
    for row in connection.execute(_SELECT + " ORDER BY number"):
        act = _entry(row).act
        if act.action.partition(".")[0] == noun:
            yield act


def _entry(row: tuple[int, str, bytes]) -> Entry:
    number, text, chain = row
    try:
        return Entry(number, Act(**json.loads(text)), chain)
    except (ValueError, TypeError):
        raise StoreError.of(
            "an audit entry cannot be read",
            where=f"number {number}",
            do="run `headwater audit verify` to see what is left of the chain",
        ) from None
