"""Every definition that was ever in force, by its hash: what a decision's record names is kept beside it.

::

    decision  ── definition_hash ──►  model    canonical JSON, whose SHA-256 is its name
              ── policy_hash ──────►  policy   nothing is ever changed or deleted
                                      project  what ``headwater plan`` lists

Written before the first decision is made with them, by ``serving.books``; read by ``apps.archive``. A text
comes out only if it still has the hash that it was kept under. ``definitions.restoring`` makes it run again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from headwater.core.errors import DataError, StoreError
from headwater.definitions.compile import canonical_json
from headwater.definitions.definition import Definition
from headwater.definitions.project import Project
from headwater.store.database import Kind
from headwater.store.opened import Opened

SHORTEST = 8  # hex digits that may stand for a hash
_HASH = 64
_HEX = frozenset("0123456789abcdef")

_TABLES = """
CREATE TABLE definitions (
    number INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL,
    since INTEGER NOT NULL, polars TEXT NOT NULL, text TEXT NOT NULL
)

CREATE TRIGGER definitions_stay BEFORE UPDATE ON definitions
    BEGIN SELECT RAISE(ABORT, 'kept definitions are never changed'); END

CREATE TRIGGER definitions_remain BEFORE DELETE ON definitions
    BEGIN SELECT RAISE(ABORT, 'kept definitions are never deleted'); END
"""
KIND = Kind("kept definitions", 0x48574446, 1, _TABLES)  # "HWDF"
_INSERT = (
    "INSERT OR IGNORE INTO definitions (hash, kind, name, since, polars, text) VALUES (?, ?, ?, ?, ?, ?)"
)
_SELECT = "SELECT hash, kind, name, since, polars, text FROM definitions"


@dataclass(frozen=True)
class Kept:
    """A definition as it was kept.

    Attributes:
        digest: SHA-256 of its canonical JSON, as stamped on decisions.
        kind: ``model``, ``policy`` or ``project``.
        name: of the definition.
        since: when it was first in force, microseconds UTC.
        polars: the version of Polars that wrote its expressions.
        form: the canonical form.
    """

    digest: str
    kind: str
    name: str
    since: int
    polars: str
    form: Mapping[str, Any]


class DefinitionStore(Opened):
    """The definitions of a data folder. Open it with :meth:`open`; safe to share between threads.

    Example:
        >>> import tempfile
        >>> import headwater as hw
        >>> from sklearn.linear_model import LogisticRegression
        >>> visits = hw.Stream("visits", {"user": pl.Int64, "time": pl.Datetime("us", "UTC")})
        >>> view = hw.FeatureView("activity", visits, "user", {"n": hw.count(over="7d")})
        >>> soon = hw.happens(visits, within="7d")
        >>> model = hw.Model("returns", [view], soon, hw.every("7d"), LogisticRegression())
        >>> folder = tempfile.TemporaryDirectory()
        >>> with DefinitionStore.open(folder.name + "/definitions.db") as store:
        ...     store.keep(hw.Project("shop", [model]), now=5), store.keep(hw.Project("shop", [model]), now=6)
        ...     [(one.kind, one.name, one.since) for one in store.all()]
        (2, 0)
        [('project', 'shop', 5), ('model', 'returns', 5)]
        >>> folder.cleanup()
    """

    KIND = KIND

    def keep(self, project: Project, *, now: int) -> int:
        """Keep a project with its models and policies; on disk when this returns. How many were new.

        Raises:
            StoreError: the disk, or one of them is kept already with another text.
        """
        parts: tuple[Definition, ...] = (project, *project.models, *project.policies)
        texts = {_hash(text): text for text in map(canonical_json, parts)}
        with self._database.reading() as connection:  # most often nothing is new: then nothing is written
            new = [text for digest, text in texts.items() if not self._known(connection, digest, text)]
        if new:
            with self._database.writing() as connection:
                for text in new:
                    form = json.loads(text)
                    row = (_hash(text), form["kind"], form["name"], now, pl.__version__, text)
                    connection.execute(_INSERT, row)
        return len(new)

    def find(self, digest: str) -> Kept | None:
        """A definition by its hash, or by the first digits of it, at least eight; None if it is not kept.

        Raises:
            StoreError: its text is not the one that was kept.
            DataError: several begin with these digits.
        """
        if not (SHORTEST <= len(digest) <= _HASH and _HEX.issuperset(digest)):
            return None
        with self._database.reading() as connection:
            rows = connection.execute(
                f"{_SELECT} WHERE hash >= ? AND hash < ? ORDER BY number", (digest, digest + "g")
            ).fetchall()
        if len(rows) > 1:
            raise DataError.of(
                "several kept definitions begin with these digits",
                expected="enough digits of the hash to tell them apart",
                got=", ".join(f"{row[0]} ({row[1]} {row[2]})" for row in rows[:4]),
                do="give more digits",
            )
        return self._whole(rows[0]) if rows else None

    def all(self, kind: str | None = None) -> list[Kept]:
        """All that is kept, in the order in which it came in force; of one kind, if one is named.

        Raises:
            StoreError: a text is not the one that was kept.
        """
        where = "" if kind is None else " WHERE kind = ?"
        with self._database.reading() as connection:
            rows = connection.execute(
                f"{_SELECT}{where} ORDER BY number", () if kind is None else (kind,)
            ).fetchall()
        return [self._whole(row) for row in rows]

    def verify(self) -> int:
        """See that every text is the one that was kept; how many there are.

        Raises:
            StoreError: one is not; says which.
        """
        return len(self.all())

    def _known(self, connection: sqlite3.Connection, digest: str, text: str) -> bool:
        row = connection.execute(f"{_SELECT} WHERE hash = ?", (digest,)).fetchone()
        if row is not None and row[5] != text:
            raise self._changed(row)
        return row is not None

    def _whole(self, row: tuple[Any, ...]) -> Kept:
        digest, kind, name, since, polars, text = row
        if not isinstance(text, str) or _hash(text) != digest:
            raise self._changed(row)
        form = json.loads(text)
        if (form["kind"], form["name"]) != (kind, name):
            raise self._changed(row)
        return Kept(digest, kind, name, since, polars, form)

    def _changed(self, row: tuple[Any, ...]) -> StoreError:
        digest, kind, name, *_, text = row
        found = _hash(text) if isinstance(text, str) else "no text"
        return StoreError.of(
            "a kept definition is not the one that was written",
            expected=f"{kind} {name}, hash {digest}",
            got=f"hash {found}" if found != digest else "another kind or name in the table's columns",
            where=str(self.path),
            do="restore the file from a copy; nobody may change kept definitions",
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
