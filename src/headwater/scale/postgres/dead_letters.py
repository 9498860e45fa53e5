"""Dead letters in Postgres: those of all logs in one table, moved there from the logs that wrote them.

::

    append ──► log and letter, one transaction ──► move ──► insert, note the last id: one transaction
                                                     └────► then removed from the log

A letter is written with its event's append, as ever, so that an event is in the log or here and never in
neither, whether the database is there or not. It is moved once it can be; one that was moved and not yet
removed from the log is known by the last id. Obeys ``log.protocol.DeadLetters``; called by ``apps.stores``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import sqlalchemy as sa

from headwater.log.protocol import DeadLetter, DeadLetters
from headwater.scale.postgres.borrowed import Borrowed
from headwater.scale.postgres.database import Database
from headwater.scale.postgres.tables import LETTERS

PAGE = 1_000  # letters that are moved at once
_l = LETTERS.c
_READ = sa.select(_l.stream, _l.arrival, _l.reason, _l.message, _l.event, _l.source, _l.id)
_NOTE = (
    "INSERT INTO headwater.dead_letters_moved (origin, last) VALUES (%s, 0) ON CONFLICT DO NOTHING",
    "SELECT last FROM headwater.dead_letters_moved WHERE origin = %s FOR UPDATE",
    "UPDATE headwater.dead_letters_moved SET last = %s WHERE origin = %s",
)


class PostgresDeadLetters(Borrowed):
    """The dead letters of a database. Safe to share between threads and between servers.

    Args:
        database: open, with tables of this version.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._one = Lock()

    def move(self, log: DeadLetters, origin: str) -> int:
        """Bring the letters of a log here; how many.

        Args:
            log: open for writing.
            origin: what the log is known by, and no other.

        Raises:
            StoreError: the database; what was not moved stays in the log.
            LogError: the log.
        """
        moved = 0
        with self._one:
            while page := log.dead_letters(limit=PAGE):
                self._take(page, origin)
                log.remove_dead_letters(ids=[letter.id for letter in page])
                moved += len(page)
        return moved

    def dead_letters(
        self, *, stream: str | None = None, reason: str | None = None, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Refused events, the oldest first: at most ``limit`` of those behind the id ``after``."""
        asked = _READ.where(_l.id > after, *_match(stream, reason)).order_by(_l.id).limit(limit)
        with self._database.reading() as connection:
            return [DeadLetter(*row) for row in connection.execute(asked)]

    def dead_letter_counts(self, stream: str | None = None) -> dict[str, int]:
        """How many dead letters there are, by reason, the most frequent first."""
        many = sa.func.count()
        asked = sa.select(_l.reason, many).where(*_match(stream, None)).group_by(_l.reason)
        with self._database.reading() as connection:
            found = [(reason, count) for reason, count in connection.execute(asked)]
        return dict(sorted(found, key=lambda one: (-one[1], one[0])))

    def remove_dead_letters(
        self, *, stream: str | None = None, reason: str | None = None, ids: Sequence[int] | None = None
    ) -> int:
        """Delete the dead letters that match all that is given; how many."""
        which = _match(stream, reason) + ([] if ids is None else [_l.id.in_(ids)])
        with self._database.writing() as connection:
            return connection.execute(sa.delete(LETTERS).where(*which)).rowcount

    def _take(self, letters: Sequence[DeadLetter], origin: str) -> None:
        begin, look, note = _NOTE
        with self._database.writing() as connection:
            connection.exec_driver_sql(begin, (origin,))
            last = connection.exec_driver_sql(look, (origin,)).scalar_one()
            new = [_row(letter, origin) for letter in letters if letter.id > last]
            if new:
                connection.execute(sa.insert(LETTERS), new)
                connection.exec_driver_sql(note, (new[-1]["origin_id"], origin))


class Moved:
    """The dead letters of a database, those of this process's own log among them: moved before they show.

    Args:
        shared: the letters of the database.
        log: gives the log as it is open now.
        origin: what the log is known by.
    """

    def __init__(self, shared: PostgresDeadLetters, log: Callable[[], DeadLetters], origin: str) -> None:
        self._shared, self._log, self._origin = shared, log, origin

    def move(self) -> int:
        """Bring what the log holds here; how many letters. Raises as ``PostgresDeadLetters.move``."""
        return self._shared.move(self._log(), self._origin)

    def dead_letters(
        self, *, stream: str | None = None, reason: str | None = None, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Refused events, the oldest first: at most ``limit`` of those behind the id ``after``."""
        self.move()
        return self._shared.dead_letters(stream=stream, reason=reason, after=after, limit=limit)

    def dead_letter_counts(self, stream: str | None = None) -> dict[str, int]:
        """How many dead letters there are, by reason, the most frequent first."""
        self.move()
        return self._shared.dead_letter_counts(stream)

    def remove_dead_letters(
        self, *, stream: str | None = None, reason: str | None = None, ids: Sequence[int] | None = None
    ) -> int:
        """Delete the dead letters that match all that is given; how many."""
        self.move()
        return self._shared.remove_dead_letters(stream=stream, reason=reason, ids=ids)


def _row(letter: DeadLetter, origin: str) -> dict[str, Any]:
    facts = {name: getattr(letter, name) for name in ("stream", "arrival", "reason", "message")}
    event = {"event": letter.event.replace("\0", "\\u0000"), "source": letter.source}
    return {**facts, **event, "origin": origin, "origin_id": letter.id}


def _match(stream: str | None, reason: str | None) -> list[Any]:
    return ([] if stream is None else [_l.stream == stream]) + (
        [] if reason is None else [_l.reason == reason]
    )
