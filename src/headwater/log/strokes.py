"""What the writer does most often, each as one statement: an append, and neighbours that become one.

::

    INSERT INTO appended ──► trigger ──► segments, heads          one call, one transaction,
    INSERT INTO folded   ──► trigger ──► segments, those before   one wait for the disk

Python lets go of the interpreter at each call into SQLite, and another thread that has work takes it at once:
to get it back costs up to ``sys.setswitchinterval`` each time. Beside a busy event loop a transaction of five
calls took seven times as long as its wait for the disk. The views and triggers are the connection's own
(TEMP): nothing of them is in the file. Made by ``database``, called by ``embedded`` and ``compaction``.
"""

from __future__ import annotations

import sqlite3

from headwater.log.plan import Head
from headwater.log.segments import COLUMNS, Segment

_NEW = ", ".join(f"NEW.{name.strip()}" for name in COLUMNS.split(","))
_PLACES = ", ".join("?" * len(COLUMNS.split(",")))
_INSIDE = "stream = NEW.stream AND first BETWEEN NEW.first AND NEW.last"

# What a merged segment takes the place of must be what is there: else nothing is changed.
_TEMPORARY = (  # constant texts
    "PRAGMA temp_store=MEMORY",
    f"CREATE TEMP VIEW appended AS SELECT {COLUMNS}, 0 AS total FROM segments",
    f"""CREATE TEMP TRIGGER append INSTEAD OF INSERT ON appended BEGIN
        INSERT INTO segments ({COLUMNS}) VALUES ({_NEW});
        INSERT OR REPLACE INTO heads (stream, events, last, arrival, chain)
            VALUES (NEW.stream, NEW.total, NEW.last, NEW.arrival_max, NEW.chain);
    END""",
    f"CREATE TEMP VIEW folded AS SELECT {COLUMNS} FROM segments",
    f"""CREATE TEMP TRIGGER fold INSTEAD OF INSERT ON folded BEGIN
        SELECT RAISE(ABORT, 'other events lie there')
            WHERE (SELECT sum(events) FROM segments WHERE {_INSIDE}) IS NOT NEW.events;
        DELETE FROM segments WHERE {_INSIDE};
        INSERT INTO segments ({COLUMNS}) VALUES ({_NEW});
    END""",
)
_APPEND = f"INSERT INTO appended VALUES ({_PLACES}, ?)"
_FOLD = f"INSERT INTO folded VALUES ({_PLACES})"


def prepare(connection: sqlite3.Connection) -> None:
    """Make ready a connection that writes."""
    for statement in _TEMPORARY:
        connection.execute(statement)


def append(connection: sqlite3.Connection, segment: Segment, head: Head) -> None:
    """Write the only segment of an append, and where its stream ends now; on disk when this returns."""
    connection.execute(_APPEND, (*segment.row, head.events))


def fold(connection: sqlite3.Connection, whole: Segment) -> None:
    """Put a merged segment in the place of those that it was made of.

    Raises:
        sqlite3.IntegrityError: other events lie there; nothing was changed.
    """
    connection.execute(_FOLD, whole.row)
