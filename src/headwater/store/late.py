"""The late ledger: each late event, how late it was, what it moved, which decisions it would have changed.

One row for each late event and model, in the order of the log, and how far log and decisions have been looked
through: written together, so that after a crash it goes on where it was, and no row comes twice. Filled by
``monitoring.late``, read by ``apps``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.store.database import Kind
from headwater.store.ledger import key_value
from headwater.store.opened import Opened

_TABLES = """
CREATE TABLE late (
    number INTEGER PRIMARY KEY, log_offset INTEGER NOT NULL, model TEXT NOT NULL, stream TEXT NOT NULL,
    arrival INTEGER NOT NULL, time INTEGER NOT NULL, late INTEGER NOT NULL, keys TEXT NOT NULL,
    moved TEXT NOT NULL, UNIQUE (log_offset, model)
)

CREATE TABLE late_keys (
    value TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (value, name, number)
) WITHOUT ROWID

CREATE TABLE touched (
    number INTEGER NOT NULL, decision INTEGER NOT NULL, then_score REAL NOT NULL, then_band TEXT NOT NULL,
    now_score REAL, now_band TEXT, features TEXT NOT NULL, PRIMARY KEY (number, decision)
) WITHOUT ROWID

CREATE TABLE reached (
    one INTEGER PRIMARY KEY CHECK (one = 1), log_offset INTEGER NOT NULL, decisions INTEGER NOT NULL
)

INSERT INTO reached VALUES (1, 0, 0)
"""
KIND = Kind("rows of the late ledger", 0x48574C54, 1, _TABLES, durable=False)  # "HWLT"
_SELECT = "SELECT number, log_offset, model, stream, arrival, time, late, keys, moved FROM late"


@dataclass(frozen=True, slots=True)
class Touched:
    """A decision that would have been different, had a late event been known in time.

    Attributes:
        decision: the number of its record.
        then: score and band as recorded.
        now: score and band as of the decision's time, with all that was known once the event was; None
            where the decision's model or policy was not at hand.
        features: the inputs that the event moved.
    """

    decision: int
    then: tuple[float, str]
    now: tuple[float, str] | None
    features: tuple[str, ...]

    @property
    def id(self) -> str:
        """The decision's id."""
        return f"d{self.decision}"


@dataclass(frozen=True, slots=True)
class LateEvent:
    """A late event, as one model met it.

    Attributes:
        offset, stream, arrival, time: the event; times in microseconds UTC.
        late: how long before the newest event of its entity it happened, microseconds.
        model: whose features.
        keys: the model's keys that the event names.
        moved: inputs that it changed as of that newest event.
        decisions: those made in between that would have been different.
    """

    offset: int
    stream: str
    arrival: int
    time: int
    late: int
    model: str
    keys: Mapping[str, Any]
    moved: tuple[str, ...]
    decisions: tuple[Touched, ...] = ()


@dataclass(frozen=True, slots=True)
class Reached:
    """How far was looked: events before ``offset``, decisions up to number ``decisions``."""

    offset: int
    decisions: int


class LateLedger(Opened):
    """The ledger of a project. Open it with :meth:`open`; safe to share between threads.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with LateLedger.open(folder.name + "/late.db") as ledger:
        ...     event = LateEvent(7, "payments", 90, 50, 20, "risk", {"who": 1}, ("n_7d",))
        ...     ledger.write(ledger.reached(), Reached(8, 0), [event])
        ...     ledger.page(key={"who": 1})[0][1] == event, len(ledger)
        True
        (True, 1)
        >>> folder.cleanup()
    """

    KIND = KIND

    def __len__(self) -> int:
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM late").fetchone()[0])

    def touched(self) -> int:
        """How many decisions its events would have changed, each counted with each of them."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM touched").fetchone()[0])

    def reached(self) -> Reached:
        """How far was looked."""
        with self._database.reading() as connection:
            return _reached(connection)

    def write(
        self,
        start: Reached,
        end: Reached,
        events: Sequence[LateEvent] = (),
        more: Sequence[tuple[int, Touched]] = (),
    ) -> bool:
        """Go on from ``start`` to ``end`` with what was found on the way, all or none.

        Args:
            start: where the ledger must stand.
            end: where it stands afterwards.
            events: late events on the way, in the order of the log.
            more: decisions that came to be known since, for events that are in the ledger: its number and
                the decision.

        Returns:
            False if it stood elsewhere, for somebody else went on; nothing is written then.

        Raises:
            StoreError: the disk. Nothing was written.
        """
        with self._database.writing() as connection:
            if _reached(connection) != start:
                return False
            connection.execute(
                "UPDATE reached SET log_offset = ?, decisions = ?", (end.offset, end.decisions)
            )
            for event in events:
                number = _insert(connection, event)
                _touch(connection, ((number, touched) for touched in event.decisions))
            _touch(connection, more)
            return True

    def page(
        self,
        *,
        model: str | None = None,
        key: Mapping[str, Any] | str | None = None,
        since: int | None = None,
        until: int | None = None,
        changed: bool = False,
        after: int = 0,
        limit: int = 100,
        newest: bool = False,
    ) -> list[tuple[int, LateEvent]]:
        """Late events that match all that is given, each with its number in the ledger.

        Args:
            model: as this model met them.
            key: of this entity: key column to key; or the key as text, of any column.
            since: arrived at or after this instant, microseconds.
            until: arrived before this instant.
            changed: only those that would have changed a decision.
            after: the number of the last event of the page before; 0 for the first page.
            limit: how many at most.
            newest: the newest first; ``after`` then leads to older ones.
        """
        where, given = _where(model, key, since, until)
        if changed:
            where.append("EXISTS (SELECT 1 FROM touched WHERE touched.number = late.number)")
        if after:
            where.append("number < ?" if newest else "number > ?")
            given.append(after)
        condition = " WHERE " + " AND ".join(where) if where else ""
        order = " ORDER BY number DESC LIMIT ?" if newest else " ORDER BY number LIMIT ?"
        with self._database.reading() as connection:
            rows = connection.execute(_SELECT + condition + order, (*given, limit)).fetchall()
            return [_event(connection, row) for row in rows]

    def missed_by(
        self, model: str, key: Mapping[str, Any], *, offset: int, time: int, before: int
    ) -> list[tuple[int, LateEvent]]:
        """Late events that a decision did not see, each with its number; without their decisions.

        Args:
            model: the decision's.
            key: one of its keys.
            offset: the last place in the log that it rests on.
            time: as of when it was made: later events are none of its business.
            before: only events before this offset.
        """
        where, given = _where(model, key, None, None)
        where += ["log_offset > ?", "time <= ?", "log_offset < ?"]
        given += [offset, time, before]
        asked = f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY number"
        with self._database.reading() as connection:
            return [(row[0], _bare(row)) for row in connection.execute(asked, given)]


def _reached(connection: sqlite3.Connection) -> Reached:
    return Reached(*connection.execute("SELECT log_offset, decisions FROM reached").fetchone())


def _insert(connection: sqlite3.Connection, event: LateEvent) -> int:
    cursor = connection.execute(
        "INSERT INTO late (log_offset, model, stream, arrival, time, late, keys, moved)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.offset,
            event.model,
            event.stream,
            event.arrival,
            event.time,
            event.late,
            json.dumps(dict(event.keys), ensure_ascii=False),
            json.dumps(event.moved),
        ),
    )
    number = int(cursor.lastrowid or 0)
    keys = [(key_value(value), name, number) for name, value in event.keys.items()]
    connection.executemany("INSERT INTO late_keys VALUES (?, ?, ?)", keys)
    return number


def _touch(connection: sqlite3.Connection, found: Any) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO touched VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (number, one.decision, *one.then, *(one.now or (None, None)), json.dumps(one.features))
            for number, one in found
        ),
    )


def _where(
    model: str | None, key: Mapping[str, Any] | str | None, since: int | None, until: int | None
) -> tuple[list[str], list[Any]]:
    facts = [("model = ?", model), ("arrival >= ?", since), ("arrival < ?", until)]
    where = [fact for fact, value in facts if value is not None]
    given: list[Any] = [value for _, value in facts if value is not None]
    if isinstance(key, str):
        where.append("number IN (SELECT number FROM late_keys WHERE value IN (?, ?))")
        given += [key, key_value(key)]
    elif key is not None:
        for name, value in key.items():
            where.append("number IN (SELECT number FROM late_keys WHERE value = ? AND name = ?)")
            given += [key_value(value), name]
    return where, given


def _event(connection: sqlite3.Connection, row: Any) -> tuple[int, LateEvent]:
    touched = connection.execute("SELECT * FROM touched WHERE number = ? ORDER BY decision", (row[0],))
    return row[0], _bare(row, tuple(_touched(*each) for each in touched))


def _touched(
    _number: int, decision: int, score: float, band: str, now: float | None, then: str | None, features: str
) -> Touched:
    after = None if now is None or then is None else (now, then)
    return Touched(decision, (score, band), after, tuple(json.loads(features)))


def _bare(row: Any, decisions: tuple[Touched, ...] = ()) -> LateEvent:
    _, offset, model, stream, arrival, time, late, keys, moved = row
    facts = json.loads(keys), tuple(json.loads(moved)), decisions
    return LateEvent(offset, stream, arrival, time, late, model, *facts)
