"""Alerts: what somebody must look at, since when, who took it on, and who was told.

::

                 signal                  nothing is wrong any more
    (nothing) ──────────► open ─────────────────────────────► resolved
                           │  acknowledge                        ▲
                           └────────────► acknowledged ──────────┘      a new signal opens a new alert,
                                                                        which names the one before

One alert at most is not resolved for each rule and subject, whoever raises it: the table's index says so.
What is to be told stands in ``notices``, and what became of it, channel by channel, in ``deliveries``: so
that a channel that is down is tried again later, by whoever comes next. Written by ``apps.alerting``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headwater.core.errors import StoreError
from headwater.core.instant import DAY
from headwater.store.database import Kind
from headwater.store.opened import Opened

State = Literal["open", "acknowledged", "resolved"]
Severity = Literal["warning", "critical"]
Event = Literal["opened", "reopened", "worse", "still", "resolved"]

STILL = 7 * DAY  # how rarely an open alert is told again
_REOPENED = 30 * DAY  # a new alert so long after the one before names it

_TABLES = """
CREATE TABLE alerts (
    number INTEGER PRIMARY KEY, rule TEXT NOT NULL, subject TEXT NOT NULL, state TEXT NOT NULL,
    severity TEXT NOT NULL, since INTEGER NOT NULL, opened_at INTEGER NOT NULL, seen_at INTEGER NOT NULL,
    what TEXT NOT NULL, how_bad TEXT NOT NULL, do TEXT NOT NULL, previous INTEGER,
    acknowledged_by TEXT, acknowledged_at INTEGER, resolved_at INTEGER
)

CREATE UNIQUE INDEX one_unresolved ON alerts (rule, subject) WHERE state != 'resolved'

CREATE TABLE notices (
    number INTEGER PRIMARY KEY, alert INTEGER NOT NULL, event TEXT NOT NULL, made_at INTEGER NOT NULL
)

CREATE INDEX notices_of ON notices (alert)

CREATE TABLE deliveries (
    notice INTEGER NOT NULL, channel TEXT NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER,
    delivered_at INTEGER, fault TEXT, PRIMARY KEY (notice, channel)
) WITHOUT ROWID
"""
KIND = Kind("alerts", 0x4857414C, 1, _TABLES)  # "HWAL"
_COLUMNS = (
    "number, rule, subject, state, severity, since, opened_at, seen_at, what, how_bad, do, previous,"
    " acknowledged_by, acknowledged_at, resolved_at"
)
_SELECT = f"SELECT {_COLUMNS} FROM alerts"  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Signal:
    """Something is wrong, as a rule found it. No text of it holds a key or a value of a person.

    Attributes:
        rule: which rule, such as ``drift``.
        subject: what it is about, such as a model.
        severity: ``critical`` where decisions may be wrong or events lost.
        since: from when on it was so, microseconds UTC.
        what: what happened, one sentence.
        how_bad: by how much, and what it was held against.
        do: what to do.
    """

    rule: str
    subject: str
    severity: Severity
    since: int
    what: str
    how_bad: str
    do: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A signal that was kept. Times are microseconds UTC.

    Attributes:
        number: counts from 1.
        signal: as it was seen last; ``since`` as it was seen first.
        state: ``open``, ``acknowledged`` or ``resolved``.
        opened_at, seen_at: when it was opened, and seen last.
        previous: the number of the alert of the same rule and subject that was resolved not long before.
        acknowledged_by, acknowledged_at: who took it on.
        resolved_at: when nothing was wrong any more.
    """

    number: int
    signal: Signal
    state: State
    opened_at: int
    seen_at: int
    previous: int | None = None
    acknowledged_by: str | None = None
    acknowledged_at: int | None = None
    resolved_at: int | None = None

    @property
    def id(self) -> str:
        """What it is called outside, such as ``a3``."""
        return f"a{self.number}"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to be told about an alert.

    Attributes:
        number: counts from 1; what a receiver knows repetitions by.
        alert: as it is now.
        event: what happened to it.
        made_at: when, microseconds UTC.
        attempts: how often this channel was tried.
    """

    number: int
    alert: Alert
    event: Event
    made_at: int
    attempts: int = 0


class AlertStore(Opened):
    """The alerts of a project. Open it with :meth:`open`; safe to share between threads and processes.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> signal = Signal("drift", "risk", "warning", 5, "income drifted", "PSI 0.3", "look at it")
        >>> with AlertStore.open(folder.name + "/alerts.db") as alerts:
        ...     alerts.signal(signal, now=7), alerts.signal(signal, now=8)  # one alert, told once
        ...     alerts.resolve("drift", "risk", now=9)
        ...     alerts.signal(signal, now=10)
        ...     [(one.id, one.state, one.previous) for one in alerts.page()]
        ('opened', None)
        'resolved'
        'reopened'
        [('a2', 'open', 1), ('a1', 'resolved', None)]
        >>> folder.cleanup()
    """

    KIND = KIND

    # --- What happens ------------------------------------------------------------------------------

    def signal(self, signal: Signal, *, now: int, still: int = STILL) -> Event | None:
        """Something is wrong: open an alert, or note that an open one is still so.

        Args:
            signal: what a rule found.
            now: microseconds UTC.
            still: an alert that nobody acknowledged is told again so long after it was told last.

        Returns:
            What there is to tell; None if that was told already.
        """
        with self._database.writing() as connection:
            held = _unresolved(connection, signal.rule, signal.subject)
            if held is None:
                previous = _previous(connection, signal, now)
                number = _insert(connection, signal, previous, now)
                return _tell(connection, number, "opened" if previous is None else "reopened", now)
            worse = held.signal.severity == "warning" and signal.severity == "critical"
            connection.execute(
                "UPDATE alerts SET seen_at = ?, severity = ?, what = ?, how_bad = ?, do = ?, state = ?"
                " WHERE number = ?",
                (
                    now,
                    signal.severity,
                    signal.what,
                    signal.how_bad,
                    signal.do,
                    "open" if worse else held.state,
                    held.number,
                ),
            )
            if worse:
                return _tell(connection, held.number, "worse", now)
            if held.state == "open" and now - _told(connection, held.number) >= still:
                return _tell(connection, held.number, "still", now)
            return None

    def resolve(self, rule: str, subject: str, *, now: int) -> Event | None:
        """Nothing is wrong any more; says ``resolved`` if there was an alert."""
        with self._database.writing() as connection:
            held = _unresolved(connection, rule, subject)
            if held is None:
                return None
            connection.execute(
                "UPDATE alerts SET state = 'resolved', resolved_at = ? WHERE number = ?", (now, held.number)
            )
            return _tell(connection, held.number, "resolved", now)

    def acknowledge(self, id: int | str, by: str, *, now: int) -> Alert:
        """Somebody takes it on: it is not told again until it gets worse, or is resolved.

        Raises:
            StoreError: there is no such alert, or it is resolved.
        """
        held = self.get(id)
        if held.state == "resolved":
            raise StoreError.of(
                f"the alert {held.id} is resolved",
                expected="an alert that is open",
                where=f"{held.signal.rule} of {held.signal.subject}",
                do="there is nothing to take on",
            )
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE alerts SET state = 'acknowledged', acknowledged_by = ?, acknowledged_at = ?"
                " WHERE number = ? AND state != 'resolved'",
                (by, now, held.number),
            )
        return self.get(held.number)

    # --- What there is -----------------------------------------------------------------------------

    def get(self, id: int | str) -> Alert:
        """An alert by its number or id, such as ``a3``.

        Raises:
            StoreError: there is no such alert.
        """
        text = str(id).removeprefix("a")
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
        with self._database.reading() as connection:
            row = connection.execute(f"{_SELECT} WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise StoreError.of(
                f"there is no alert {id}",
                expected="the id of an alert, such as a3",
                got=str(id),
                do="list them: headwater alerts list --all",
            )
        return _alert(row)

    def page(self, states: Sequence[State] = (), *, limit: int = 100) -> list[Alert]:
        """Alerts, the newest first; of all states if none is named."""
        marks = ", ".join("?" for _ in states)
        where = f" WHERE state IN ({marks})" if states else ""
        with self._database.reading() as connection:
            rows = connection.execute(f"{_SELECT}{where} ORDER BY number DESC LIMIT ?", (*states, limit))
            return [_alert(row) for row in rows]

    # --- Who is told -------------------------------------------------------------------------------

    def waiting(self, channel: str, *, now: int, since: int, limit: int = 100) -> list[Notice]:
        """What a channel has still to tell and may be tried with now, in order.

        Args:
            channel: its name.
            now: microseconds UTC.
            since: only what came up from this time on: a channel that is new tells no old news.
            limit: how many at most.
        """
        asked = (
            f"SELECT n.number, n.event, n.made_at, coalesce(d.attempts, 0), {_prefixed('a')}"  # noqa: S608
            " FROM notices n JOIN alerts a ON a.number = n.alert"
            " LEFT JOIN deliveries d ON d.notice = n.number AND d.channel = ?1"
            " WHERE n.made_at >= ?3 AND (d.notice IS NULL OR (d.delivered_at IS NULL AND d.next_at <= ?2))"
            " ORDER BY n.number LIMIT ?4"
        )
        with self._database.reading() as connection:
            rows = connection.execute(asked, (channel, now, since, limit)).fetchall()
        return [Notice(row[0], _alert(row[4:]), row[1], row[2], row[3]) for row in rows]

    def delivered(self, notice: Notice, channel: str, *, now: int) -> None:
        """A channel has told it."""
        self._note(notice, channel, None, now, None)

    def undelivered(self, notice: Notice, channel: str, fault: str, *, next_at: int | None) -> None:
        """A channel could not tell it; it is tried again at ``next_at``, or given up."""
        self._note(notice, channel, next_at, None, fault)

    def _note(
        self, notice: Notice, channel: str, next_at: int | None, delivered_at: int | None, fault: str | None
    ) -> None:
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " attempts = excluded.attempts, next_at = excluded.next_at,"
                " delivered_at = excluded.delivered_at, fault = excluded.fault",
                (notice.number, channel, notice.attempts + 1, next_at, delivered_at, fault),
            )


def _unresolved(connection: sqlite3.Connection, rule: str, subject: str) -> Alert | None:
    where = " WHERE rule = ? AND subject = ? AND state != 'resolved'"
    row = connection.execute(_SELECT + where, (rule, subject)).fetchone()
    return None if row is None else _alert(row)


def _previous(connection: sqlite3.Connection, signal: Signal, now: int) -> int | None:
    row = connection.execute(
        "SELECT number FROM alerts WHERE rule = ? AND subject = ? AND resolved_at >= ?"
        " ORDER BY number DESC LIMIT 1",
        (signal.rule, signal.subject, now - _REOPENED),
    ).fetchone()
    return None if row is None else int(row[0])


def _insert(connection: sqlite3.Connection, signal: Signal, previous: int | None, now: int) -> int:
    s = signal
    cursor = connection.execute(
        "INSERT INTO alerts (rule, subject, state, severity, since, opened_at, seen_at, what, how_bad, do,"
        " previous) VALUES (?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?)",
        (s.rule, s.subject, s.severity, s.since, now, now, s.what, s.how_bad, s.do, previous),
    )
    return int(cursor.lastrowid or 0)


def _tell(connection: sqlite3.Connection, alert: int, event: Event, now: int) -> Event:
    connection.execute("INSERT INTO notices (alert, event, made_at) VALUES (?, ?, ?)", (alert, event, now))
    return event


def _told(connection: sqlite3.Connection, alert: int) -> int:
    row = connection.execute("SELECT max(made_at) FROM notices WHERE alert = ?", (alert,)).fetchone()
    return int(row[0] or 0)


def _prefixed(table: str) -> str:
    return ", ".join(f"{table}.{name}" for name in _COLUMNS.split(", "))


def _alert(row: Any) -> Alert:
    number, rule, subject, state, severity, since, opened, seen, what, how_bad, do, previous, *rest = row
    found = Signal(rule, subject, severity, since, what, how_bad, do)
    return Alert(number, found, state, opened, seen, previous, *rest)
