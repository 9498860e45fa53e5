"""Events that were refused, with their reasons: stored with the append they came with, counted, removed.

Written through ``EventLog.append_many(letters=...)``, so that an event is either in the log or here, never
in neither. ``ingest`` makes the letters; the command line lists them. A letter holds the event as it came,
personal fields included: remove letters once they are settled.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from headwater.log.protocol import DeadLetter

_INSERT = (
    "INSERT INTO dead_letters (stream, arrival, reason, message, event, source) VALUES (?, ?, ?, ?, ?, ?)"
)
_MATCH = "(?1 IS NULL OR stream = ?1) AND (?2 IS NULL OR reason = ?2)"


def insert(connection: sqlite3.Connection, letters: Iterable[DeadLetter]) -> None:
    """Write letters, inside the caller's transaction."""
    connection.executemany(
        _INSERT,
        (
            (letter.stream, letter.arrival, letter.reason, letter.message, letter.event, letter.source)
            for letter in letters
        ),
    )


def counts(connection: sqlite3.Connection, stream: str | None = None) -> dict[str, int]:
    """How many letters there are, by reason, the most frequent first."""
    return dict(
        connection.execute(
            "SELECT reason, count(*) FROM dead_letters WHERE ?1 IS NULL OR stream = ?1"
            " GROUP BY reason ORDER BY count(*) DESC, reason",
            (stream,),
        )
    )


def listing(
    connection: sqlite3.Connection, stream: str | None, reason: str | None, after: int, limit: int
) -> list[DeadLetter]:
    """Letters ascending by id, at most ``limit`` of those behind the id ``after``."""
    rows = connection.execute(
        "SELECT stream, arrival, reason, message, event, source, id FROM dead_letters"  # noqa: S608  # constant text
        f" WHERE {_MATCH} AND id > ?3 ORDER BY id LIMIT ?4",
        (stream, reason, after, limit),
    )
    return [DeadLetter(*row) for row in rows]


def remove(
    connection: sqlite3.Connection, stream: str | None, reason: str | None, ids: Sequence[int] | None
) -> int:
    """Delete letters, inside the caller's transaction; how many."""
    if ids is None:
        return connection.execute(f"DELETE FROM dead_letters WHERE {_MATCH}", (stream, reason)).rowcount  # noqa: S608
    statement = f"DELETE FROM dead_letters WHERE {_MATCH} AND id = ?3"  # noqa: S608
    return connection.executemany(statement, ((stream, reason, one) for one in ids)).rowcount
