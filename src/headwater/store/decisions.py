"""Decision records: append-only, each chained to the one before by its hash.

::

    chain(n) = sha256(chain(n-1) + text(n))      text: ``Decision.canonical``      chain(0) = 32 zero bytes

The chain covers everything, so that no record can be changed, dropped from the middle or slipped in without
every later link being wrong; whoever notes the last link elsewhere (:meth:`DecisionStore.head`) can prove
that the end was not cut off either. What was appended is on disk. Triggers refuse changes that come through
SQL. Called by ``serving`` and ``apps``; a decision is made again by ``serving.replay``. The tables and the
proof are in ``ledger``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from headwater.core.errors import HeadwaterError, StoreError
from headwater.core.instant import DAY
from headwater.store import stroke
from headwater.store.chain import GENESIS, link
from headwater.store.database import Database
from headwater.store.decision import Decision
from headwater.store.ledger import KIND, Head, fill, key_value, verify
from headwater.store.opened import Opened
from headwater.store.readings import Idempotency, Readings, Record, conflict, number_of, record_of

__all__ = ["GENESIS", "DecisionStore", "Head", "Idempotency", "Record", "key_text", "link", "number_of"]

_MOST = 64  # decisions that one statement writes
_SELECT = "SELECT number, record, chain FROM decisions"


class DecisionStore(Readings, Opened):
    """The decision records of a project. Open it with :meth:`open`; safe to share between threads.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> decision = Decision("m", "d", "h", "p", "q", {"who": 1}, 5, 0, 5, {"n": 0.1}, 0.5, "act")
        >>> with DecisionStore.open(folder.name + "/decisions.db") as store:
        ...     record = store.append([decision], ["order 7"])[0]
        ...     again = store.append([decision], ["order 7"])[0]
        ...     record.id, again.id, store.get("d1").decision == decision, store.verify()
        ('d1', 'd1', True, 1)
        >>> folder.cleanup()
    """

    KIND = KIND

    def __init__(self, database: Database) -> None:
        """Use :meth:`open`."""
        super().__init__(database)
        self._last: Head | None = None  # where the records end, as far as this process knows
        with database.alone() as connection:
            stroke.prepare(connection)

    @property
    def name(self) -> str:
        """What the records are called in the audit trail."""
        return self.path.name

    @property
    def place(self) -> str:
        """Where they lie."""
        return str(self.path)

    # --- Writing ---------------------------------------------------------------------------------

    def append(
        self, decisions: Sequence[Decision], idempotency: Sequence[Idempotency | str | None] = ()
    ) -> list[Record]:
        """Append decisions, all or none; on disk when this returns.

        Args:
            decisions: what was decided.
            idempotency: nothing, or one for each decision. Where the same key came before, with the same
                request, the earlier record is the answer and nothing is appended. A text is a key alone; its
                request is then known by :meth:`Decision.asked`.

        Raises:
            ConflictError: a key came before with another request. Nothing was appended.
            StoreError: the disk, or a decision that JSON cannot hold. Nothing was appended.
        """
        texts = [decision.canonical() for decision in decisions]
        with self._database.writing() as connection:
            found, _ = self._append(connection, decisions, texts, idempotency)
            records = []
            for each in found:
                if isinstance(each, HeadwaterError):
                    raise each
                records.append(each)
            return records

    def append_each(
        self, decisions: Sequence[Decision], idempotency: Sequence[Idempotency | str | None] = ()
    ) -> list[Record | HeadwaterError]:
        """Append decisions of several senders with one wait for the disk: one's error is not another's.

        Returns:
            For each decision its record, or the ``ConflictError`` or ``StoreError`` that keeps it out.

        Raises:
            StoreError: the disk. Nothing was appended.
        """
        texts = [_text(decision) for decision in decisions]
        given = idempotency or [None] * len(decisions)
        names = [_named(decision, name) for decision, name in zip(decisions, given, strict=True)]
        found = self._at_once(decisions, texts, names)
        if found is not None:
            return found
        with self._database.writing() as connection:
            answers, last = self._append(connection, decisions, texts, names)
        self._last = last
        return answers

    def earlier(self, idempotency: Idempotency) -> Record | None:
        """What was decided when this request came before; None if it did not.

        Raises:
            ConflictError: the key came before with another request.
        """
        with self._database.reading() as connection:
            known = _known(connection, idempotency.key)
            if known is None:
                return None
            digest, number = known
            if digest != idempotency.digest:
                raise conflict(number)
            return record_of(_row(connection, number))

    def write_ahead(self) -> None:
        """Make room for the records that are to come: see :meth:`Database.write_ahead`."""
        self._database.write_ahead()

    def fold(self) -> None:
        """Tidy up behind the writer, from a thread in the background: see :meth:`Database.fold`."""
        self._database.fold()

    # --- Reading ---------------------------------------------------------------------------------

    def find(self, id: int | str) -> Record | None:
        """A record by its number or id, or None."""
        number = number_of(id)
        if number is None:
            return None
        with self._database.reading() as connection:
            row = _row(connection, number)
        return None if row is None else record_of(row)

    def page(
        self,
        *,
        model: str | None = None,
        policy: str | None = None,
        key: Mapping[str, Any] | str | None = None,
        since: int | None = None,
        until: int | None = None,
        band: str | None = None,
        after: int = 0,
        limit: int = 100,
        newest: bool = False,
    ) -> list[Record]:
        """Records that match all that is given, in their order.

        Args:
            model: of this model.
            policy: of this policy.
            key: about this entity: key column to key, one or several; or the key as text, of any column.
            since: decided at or after this instant, microseconds.
            until: decided before this instant.
            band: with this outcome.
            after: the number of the last record of the page before; 0 for the first page. Records are never
                changed, so that pages neither repeat nor lose one, whatever is appended meanwhile.
            limit: how many at most.
            newest: the newest first; ``after`` then leads to older ones.
        """
        where, given = _where(model, policy, key, since, until, band)
        if after:
            where.append("number < ?" if newest else "number > ?")
            given.append(after)
        condition = " WHERE " + " AND ".join(where) if where else ""
        order = " ORDER BY number DESC LIMIT ?" if newest else " ORDER BY number LIMIT ?"
        with self._database.reading() as connection:
            rows = connection.execute(_SELECT + condition + order, (*given, limit)).fetchall()
        return [record_of(row) for row in rows]

    def count(
        self,
        *,
        model: str | None = None,
        policy: str | None = None,
        key: Mapping[str, Any] | str | None = None,
        since: int | None = None,
        until: int | None = None,
        band: str | None = None,
    ) -> int:
        """How many records :meth:`scan` would give."""
        where, given = _where(model, policy, key, since, until, band)
        condition = " WHERE " + " AND ".join(where) if where else ""
        with self._database.reading() as connection:
            counted = connection.execute(f"SELECT count(*) FROM decisions{condition}", given)  # noqa: S608
            return int(counted.fetchone()[0])

    def tally(self, model: str, since: int, until: int) -> list[tuple[int, str, int]]:
        """Day (of 86,400 s, since 1970), band and how many decisions of a model, in a stretch, ascending.

        Args:
            model: whose decisions.
            since: decided at or after this instant, microseconds.
            until: decided before this instant.
        """
        asked = (
            "SELECT decided_at / ?1 AS day, band, count(*) FROM decisions"
            " WHERE model = ?2 AND decided_at >= ?3 AND decided_at < ?4 GROUP BY day, band ORDER BY day, band"
        )
        with self._database.reading() as connection:
            return [tuple(row) for row in connection.execute(asked, (DAY, model, since, until))]

    def sides(self, model: str, since: int) -> list[tuple[str, str, int]]:
        """The seal of a version, a band, and how many decisions of a model, ascending.

        Args:
            model: whose decisions.
            since: decided at or after this instant, microseconds.
        """
        asked = (
            "SELECT json_extract(record, '$.model_digest') AS digest, band, count(*) FROM decisions"
            " WHERE model = ? AND decided_at >= ? GROUP BY digest, band ORDER BY digest, band"
        )
        with self._database.reading() as connection:
            return [tuple(row) for row in connection.execute(asked, (model, since))]

    def between(
        self, model: str, key: Mapping[str, Any], *, before: int, since: int, until: int | None, last: int
    ) -> list[Record]:
        """Decisions that an event of an entity would have been part of, had it been known in time.

        Args:
            model: whose decisions.
            key: the entity, or the part of it that the event names.
            before: taken on less of the log than this offset.
            since: as of this time or later, microseconds.
            until: as of a time before this; None for any.
            last: the last record's number that counts.
        """
        where, given = _where(model, None, key, None, None, None)
        where += ["log_offset < ?", "time >= ?", "number <= ?"]
        given += [before, since, last]
        if until is not None:
            where.append("time < ?")
            given.append(until)
        asked = f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY number"
        with self._database.reading() as connection:
            return [record_of(row) for row in connection.execute(asked, given)]

    def head(self) -> Head:
        """The last record's number and link: whoever notes it elsewhere can prove that no end was cut off."""
        with self._database.reading() as connection:
            return _head(connection)

    def verify(self, known: Head | None = None) -> int:
        """Follow the chain from the first record to the last; how many there are.

        Args:
            known: the head as somebody noted it: its record must still be there, with that link.

        Raises:
            StoreError: a record is missing, is not the one that was written, cannot be read or is not found
                where it should be. Says which.
        """
        with self._database.reading() as connection:
            return verify(connection, self.path, known)

    # --- Inside ----------------------------------------------------------------------------------

    def _at_once(
        self,
        decisions: Sequence[Decision],
        texts: Sequence[str | StoreError],
        names: Sequence[Idempotency | None],
    ) -> list[Record | HeadwaterError] | None:
        """Append by one statement, if nothing speaks against it; else None, and nothing was appended."""
        if not 0 < len(decisions) <= _MOST:
            return None
        with self._database.alone() as connection:
            head, rows, records = self._last, [], []
            for decision, text, name in zip(decisions, texts, names, strict=True):
                if head is None or isinstance(text, StoreError):
                    return None
                head = Head(head.number + 1, link(head.chain, text))
                rows.append(stroke.row(head, decision, text, name))
                records.append(Record(head.number, decision, head.chain))
            self._last = None  # until it is known what the disk has
            if not stroke.write(connection, rows):
                return None
            self._last = head
            return list(records)

    def _append(
        self,
        connection: sqlite3.Connection,
        decisions: Sequence[Decision],
        texts: Sequence[str | StoreError],
        idempotency: Sequence[Idempotency | str | None],
    ) -> tuple[list[Record | HeadwaterError], Head]:
        """The answers, and where the records end once this transaction is on disk."""
        head = _head(connection)
        answers: list[Record | HeadwaterError] = []
        names = idempotency or [None] * len(decisions)
        for decision, text, given in zip(decisions, texts, names, strict=True):
            if isinstance(text, StoreError):
                answers.append(text)
                continue
            name = _named(decision, given)
            known = None if name is None else _known(connection, name.key)
            if name is not None and known is not None:
                same = known[0] == name.digest
                answers.append(record_of(_row(connection, known[1])) if same else conflict(known[1]))
                continue
            head = Head(head.number + 1, link(head.chain, text))
            fill(connection, head, decision, text)
            if name is not None:
                connection.execute(
                    "INSERT INTO requests VALUES (?, ?, ?)", (name.key, name.digest, head.number)
                )
            answers.append(Record(head.number, decision, head.chain))
        return answers, head


def _named(decision: Decision, name: Idempotency | str | None) -> Idempotency | None:
    return Idempotency(name, decision.asked()) if isinstance(name, str) else name


def key_text(decision: Decision) -> str:
    """An entity as text, as it is looked up.

    Example:
        >>> key_text(Decision("m", "d", "h", "p", "q", {"who": 1}, 5, 0, 5, {}, 0.5, "act"))
        '{"who": 1}'
    """
    return json.dumps(dict(decision.keys), sort_keys=True, ensure_ascii=False)


def _where(
    model: str | None,
    policy: str | None,
    key: Mapping[str, Any] | str | None,
    since: int | None,
    until: int | None,
    band: str | None,
) -> tuple[list[str], list[Any]]:
    facts = [("model = ?", model), ("policy = ?", policy), ("band = ?", band)]
    facts += [("decided_at >= ?", since), ("decided_at < ?", until)]  # type: ignore[list-item]
    where = [fact for fact, value in facts if value is not None]
    given: list[Any] = [value for _, value in facts if value is not None]
    if isinstance(key, str):
        where.append("number IN (SELECT number FROM keys WHERE value IN (?, ?))")
        given += [key, key_value(key)]  # a number's text as it stands, or a text in quotes
    elif key is not None:
        for name, value in key.items():
            where.append("number IN (SELECT number FROM keys WHERE value = ? AND name = ?)")
            given += [key_value(value), name]
    return where, given


def _head(connection: sqlite3.Connection) -> Head:
    row = connection.execute("SELECT number, chain FROM decisions ORDER BY number DESC LIMIT 1").fetchone()
    return Head(0, GENESIS) if row is None else Head(int(row[0]), row[1])


def _row(connection: sqlite3.Connection, number: int) -> Any:
    return connection.execute(_SELECT + " WHERE number = ?", (number,)).fetchone()


def _known(connection: sqlite3.Connection, key: str) -> tuple[str, int] | None:
    found = connection.execute("SELECT digest, number FROM requests WHERE key = ?", (key,)).fetchone()
    return None if found is None else (str(found[0]), int(found[1]))


def _text(decision: Decision) -> str | StoreError:
    try:
        return decision.canonical()
    except StoreError as error:
        return error
