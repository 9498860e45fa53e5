"""The parity ledger: how much of what was served was derived again, and every vector that came out otherwise.

A few counts, how far the decision records were looked through, and a row for each mismatch, written
together: a restart loses no alarm and counts nothing twice. Filled by ``monitoring.parity``, read by
``apps``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.store.database import Kind
from headwater.store.opened import Opened

_TABLES = """
CREATE TABLE mismatches (
    number INTEGER PRIMARY KEY, source TEXT NOT NULL, model TEXT NOT NULL, keys TEXT NOT NULL,
    time INTEGER NOT NULL, log_offset INTEGER NOT NULL, feature TEXT NOT NULL, served REAL, derived REAL,
    bits TEXT NOT NULL, features TEXT NOT NULL, cause TEXT NOT NULL
)

CREATE TABLE counts (
    one INTEGER PRIMARY KEY CHECK (one = 1), decisions INTEGER NOT NULL, compared INTEGER NOT NULL,
    mismatches INTEGER NOT NULL, gone INTEGER NOT NULL
)

INSERT INTO counts VALUES (1, 0, 0, 0, 0)
"""
KIND = Kind("rows of the parity ledger", 0x48575041, 1, _TABLES, durable=False)  # "HWPA"
_SELECT = (
    "SELECT number, source, model, keys, time, log_offset, feature, served, derived, bits, features, cause"
    " FROM mismatches"
)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something served that the log does not give.

    Attributes:
        source: ``decision d7``, or ``fresh score``.
        model, keys, time, offset: what was served, as of when and where; microseconds UTC.
        feature: the first input that differs; ``score`` or ``band`` where only these do; ``record`` where it
            cannot be derived at all.
        served, derived: its value as it was served and as the log gives it; None is null.
        bits: both as hexadecimal int64.
        features: all inputs that differ.
        cause: why, in words.
    """

    source: str
    model: str
    keys: Mapping[str, Any]
    time: int
    offset: int
    feature: str
    served: float | None
    derived: float | None
    bits: tuple[str, str]
    features: tuple[str, ...]
    cause: str = ""

    def words(self) -> str:
        """What differs and why, without the entity's key."""
        if self.feature == "record":
            return f"{self.source}: {self.cause}."
        count = len(self.features)
        more = f", and {count - 1} more" if count > 1 else ""
        why = f" {self.cause[:1].upper()}{self.cause[1:]}." if self.cause else ""
        return (
            f"{self.source} of {self.model} at log offset {self.offset}: {self.feature} was served as"
            f" {self.served!r} ({self.bits[0]}), the log gives {self.derived!r} ({self.bits[1]}){more}.{why}"
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """Where the ledger stands.

    Attributes:
        decisions: the last record that was looked at.
        compared: vectors that were derived again.
        mismatches: those of them that came out otherwise.
        gone: those whose model is not at hand any more.
    """

    decisions: int = 0
    compared: int = 0
    mismatches: int = 0
    gone: int = 0


class ParityLedger(Opened):
    """The ledger of a project. Open it with :meth:`open`; safe to share between threads.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with ParityLedger.open(folder.name + "/parity.db") as ledger:
        ...     ledger.add(Compared(decisions=7, compared=3))
        ...     ledger.stands()
        Compared(decisions=7, compared=3, mismatches=0, gone=0)
        >>> folder.cleanup()
    """

    KIND = KIND

    def stands(self) -> Compared:
        """Where it stands."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT decisions, compared, mismatches, gone FROM counts").fetchone()
            return Compared(*row)

    def add(self, more: Compared, mismatches: Sequence[Mismatch] = ()) -> None:
        """Add a check: its counts, the last record that it looked at, and what came out otherwise.

        Raises:
            StoreError: the disk. Nothing was written.
        """
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE counts SET decisions = max(decisions, ?), compared = compared + ?,"
                " mismatches = mismatches + ?, gone = gone + ?",
                (more.decisions, more.compared, more.mismatches, more.gone),
            )
            for one in mismatches:
                _insert(connection, one)

    def page(self, *, after: int = 0, limit: int = 100, newest: bool = False) -> list[tuple[int, Mismatch]]:
        """Mismatches with their numbers: those behind a number, or before it with ``newest``."""
        where = "" if not after else " WHERE number < ?" if newest else " WHERE number > ?"
        order = " ORDER BY number DESC LIMIT ?" if newest else " ORDER BY number LIMIT ?"
        given = (after, limit) if after else (limit,)
        with self._database.reading() as connection:
            return [_row(*row) for row in connection.execute(_SELECT + where + order, given)]


def _insert(connection: sqlite3.Connection, one: Mismatch) -> None:
    connection.execute(
        "INSERT INTO mismatches (source, model, keys, time, log_offset, feature, served, derived, bits,"
        " features, cause) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            one.source,
            one.model,
            json.dumps(dict(one.keys), ensure_ascii=False, default=str),
            one.time,
            one.offset,
            one.feature,
            one.served,
            one.derived,
            json.dumps(one.bits),
            json.dumps(one.features),
            one.cause,
        ),
    )


def _row(number: int, *facts: Any) -> tuple[int, Mismatch]:
    source, model, keys, time, offset, feature, served, derived, bits, features, cause = facts
    return number, Mismatch(
        source,
        model,
        json.loads(keys),
        time,
        offset,
        feature,
        served,
        derived,
        tuple(json.loads(bits)),
        tuple(json.loads(features)),
        cause,
    )
