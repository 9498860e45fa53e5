"""The tables under the decision records, their chain, and the proof that nobody touched them.

``decisions`` holds the chained texts; every other column and table is there to find them, and repeats what
the text says, so that :func:`verify` can hold one against the other. Called by ``decisions``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.core.errors import StoreError
from headwater.store.chain import GENESIS, link
from headwater.store.database import Kind
from headwater.store.decision import Decision

_COPY = "restore the records from a copy; nobody may change decisions"

_TABLES = """
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, policy TEXT NOT NULL, band TEXT NOT NULL,
    decided_at INTEGER NOT NULL, time INTEGER NOT NULL, log_offset INTEGER NOT NULL,
    chain BLOB NOT NULL, record TEXT NOT NULL
)

CREATE INDEX decisions_at ON decisions (decided_at)

CREATE INDEX decisions_of_band ON decisions (band)

CREATE TABLE keys (
    value TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (value, name, number)
) WITHOUT ROWID

CREATE TABLE requests (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, number INTEGER NOT NULL
) WITHOUT ROWID

CREATE TRIGGER decisions_stay BEFORE UPDATE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decision records are never changed'); END

CREATE TRIGGER decisions_remain BEFORE DELETE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decision records are never deleted'); END
"""


@dataclass(frozen=True, slots=True)
class Head:
    """The last record's number and link, 32 bytes; number 0 while there is none."""

    number: int
    chain: bytes


def key_value(value: Any) -> str:
    """A key as it is looked up: JSON, so that the number 1 is not the text "1".

    Example:
        >>> key_value(1), key_value("1")
        ('1', '"1"')
    """
    return json.dumps(value, ensure_ascii=False)


def fill(connection: sqlite3.Connection, head: Head, decision: Decision, text: str) -> None:
    """Write one record with its link, and what it is found by."""
    connection.execute(
        "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (head.number, *found_by(decision), head.chain, text),
    )
    connection.executemany("INSERT INTO keys VALUES (?, ?, ?)", key_rows(decision, head.number))


def verify(connection: sqlite3.Connection, path: Path | str, known: Head | None) -> int:
    """Follow the chain over the whole table: see ``DecisionStore.verify``."""
    chain, number = GENESIS, 0
    connection.execute("BEGIN")  # one moment of the records, whatever is appended meanwhile
    try:
        for row in connection.execute("SELECT * FROM decisions ORDER BY number"):
            chain, number = _verified(connection, path, chain, number, row)
            if known is not None and number == known.number and chain != known.chain:
                raise other(path, number, known.chain, chain)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # a page, or the bytes of a text
        raise StoreError.of(
            "a decision record cannot be read",
            got=str(error),
            where=f"{path}, record {number + 1}",
            do=_COPY,
        ) from None
    _nothing_beside(connection, path, number)
    if known is not None and number < known.number:
        raise missing(path, known.number, f"no record after {number}")
    return number


def _verified(
    connection: sqlite3.Connection, path: Path | str, chain: bytes, number: int, row: tuple[Any, ...]
) -> tuple[bytes, int]:
    """The next link and number, once the row has proved to be the one that was written."""
    right, decision = proved(path, chain, number + 1, row)
    number += 1
    for value, name, _ in key_rows(decision, number):
        asked = "SELECT count(*) FROM keys WHERE value = ? AND name = ? AND number = ?"
        if not connection.execute(asked, (value, name, number)).fetchone()[0]:
            raise misplaced(path, number)
    return right, number


def proved(place: Path | str, chain: bytes, number: int, row: Sequence[Any]) -> tuple[bytes, Decision]:
    """The link of a row, and its decision, once it has proved to be the one that was written as this number.

    Args:
        place: where the records lie, for the error.
        chain: the link before.
        number: that it must have.
        row: number, what it is found by, link and text.

    Raises:
        StoreError: it is another.
    """
    found, *columns, stored, text = row
    if found != number:
        raise missing(place, number, f"record {found}")
    right = link(chain, text) if isinstance(text, str) else b""
    if right != stored:
        raise other(place, number, right, stored)
    decision = Decision.from_json(json.loads(text))
    if tuple(columns) != found_by(decision):
        raise misplaced(place, number)
    return right, decision


def _nothing_beside(connection: sqlite3.Connection, path: Path | str, count: int) -> None:
    """The indices lead to nothing but the records."""
    stray = connection.execute("SELECT max(number) FROM keys").fetchone()[0]
    told = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if told != "ok" or (stray or 0) > count:
        raise StoreError.of(
            "the index of the decision records is damaged; the records themselves are whole",
            expected="an index that leads to the records",
            got=told if told != "ok" else f"an entry for record {stray}",
            where=str(path),
            do="restore the records from a copy",
        )


def found_by(decision: Decision) -> tuple[str, str, str, int, int, int]:
    """The columns that a record is found by: model, policy, band, when it was decided, time and offset."""
    d = decision
    return d.model, d.policy, d.band, d.decided_at, d.time, d.offset


def key_rows(decision: Decision, number: int) -> list[tuple[str, str, int]]:
    """What an entity's key is found by: value, column and number."""
    return [(key_value(value), name, number) for name, value in decision.keys.items()]


def _upgrade(connection: sqlite3.Connection, _version: int) -> None:
    """The first version's records into today's tables; texts and links stay as they are."""
    connection.execute("ALTER TABLE decisions RENAME TO first_version")
    for name in ("decisions_stay", "decisions_remain"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("DROP INDEX decisions_of_key")
    for statement in _TABLES.split("\n\n"):
        connection.execute(statement)
    for number, text, chain in connection.execute("SELECT number, record, chain FROM first_version"):
        fill(connection, Head(number, chain), Decision.from_json(json.loads(text)), text)
    connection.execute("DROP TABLE first_version")


KIND = Kind("decision records", 0x48574443, 2, _TABLES, _upgrade)  # "HWDC"


def missing(path: Path | str, expected: int, got: str) -> StoreError:
    """A record is not there."""
    return StoreError.of(
        "a decision record is missing",
        expected=f"record {expected}",
        got=got,
        where=str(path),
        do="restore the records from a copy; nobody may remove decisions",
    )


def other(path: Path | str, number: int, right: bytes, found: bytes) -> StoreError:
    """A record was changed."""
    return StoreError.of(
        "a decision record is not the one that was written",
        expected=f"link {right.hex()}",
        got=f"link {found.hex()}",
        where=f"{path}, record {number}",
        do=_COPY,
    )


def misplaced(path: Path | str, number: int) -> StoreError:
    """What a record is found by was changed."""
    return StoreError.of(
        "a decision record would not be found by what it says",
        expected="model, policy, band, times, offset and keys as in its text",
        got="others in the table's columns",
        where=f"{path}, record {number}",
        do=_COPY,
    )
