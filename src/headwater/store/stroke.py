"""Decisions into the records by one statement: what the server does with each group of them.

::

    INSERT INTO filed ──► trigger ──► decisions, keys, requests       one call, one transaction

Python lets go of the interpreter at each call into SQLite, and a thread that wants it back waits for whoever
runs meanwhile; so a transaction of many calls takes longest when there is most to do. Numbers and links
are worked out from the head that this process left. Where another process has appended since, or a request
came before, a number or a name is taken: the statement changes nothing, and ``decisions`` goes the long way.
The view and its trigger are the connection's own (TEMP): nothing of them is in the file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from headwater.store.decision import Decision
from headwater.store.ledger import Head, found_by, key_value
from headwater.store.readings import Idempotency

_TEMPORARY = (
    "PRAGMA temp_store=MEMORY",
    "CREATE TEMP VIEW filed AS SELECT *, '{}' AS keys, NULL AS request, NULL AS digest FROM decisions",
    """CREATE TEMP TRIGGER file INSTEAD OF INSERT ON filed BEGIN
        INSERT INTO decisions VALUES (NEW.number, NEW.model, NEW.policy, NEW.band, NEW.decided_at, NEW.time,
            NEW.log_offset, NEW.chain, NEW.record);
        INSERT INTO keys SELECT atom, key, NEW.number FROM json_each(NEW.keys);
        INSERT INTO requests SELECT NEW.request, NEW.digest, NEW.number WHERE NEW.request IS NOT NULL;
    END""",
)
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def prepare(connection: sqlite3.Connection) -> None:
    """Make ready a connection that writes."""
    for statement in _TEMPORARY:
        connection.execute(statement)


def row(head: Head, decision: Decision, text: str, name: Idempotency | None) -> tuple[Any, ...]:
    """What is written of a decision.

    Args:
        head: its number and link.
        decision: what was decided.
        text: of it, which the link covers.
        name: the sender's, if it has one.
    """
    keys = json.dumps({name: key_value(value) for name, value in decision.keys.items()})
    request = (None, None) if name is None else (name.key, name.digest)
    return (head.number, *found_by(decision), head.chain, text, keys, *request)


def write(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> bool:
    """Write decisions, all or none; on disk when this returns.

    Returns:
        Whether they were written; False if a number or a name is taken.
    """
    try:
        connection.execute(_statement(len(rows)), [value for row in rows for value in row])
    except sqlite3.IntegrityError:
        return False
    return True


@lru_cache(maxsize=128)
def _statement(rows: int) -> str:
    return "INSERT INTO filed VALUES " + ", ".join([_ROW] * rows)
