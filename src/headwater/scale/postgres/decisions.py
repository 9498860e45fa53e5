"""Decision records in Postgres: one chain for all servers, linked by the database under a lock.

::

    server a   texts ──► append_decisions(...) ──► lock, link, insert, commit ──► numbers and links
    server b   texts ──►        waits                                        ──► ...

One call is one statement and one transaction. It carries the number of the call; a server that lost its
connection and does not know what became of a call asks again with the same number, and gets the answer of the
first time. So a decision is recorded once or not at all, and it is acknowledged only once it is recorded.
Obeys ``store.protocol.Decisions``; called by ``serving.record`` and whoever reads records.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from threading import Event, Lock
from time import monotonic
from typing import Any

import sqlalchemy as sa

from headwater.core.errors import HeadwaterError, StoreError, UnavailableError
from headwater.core.instant import DAY
from headwater.scale.postgres.borrowed import Borrowed
from headwater.scale.postgres.database import Database
from headwater.scale.postgres.proof import proof
from headwater.scale.postgres.tables import DECISIONS, KEYS, REQUESTS, index_value
from headwater.store.chain import GENESIS
from headwater.store.decision import Decision
from headwater.store.ledger import Head, found_by, key_rows, key_value
from headwater.store.readings import Idempotency, Readings, Record, conflict, number_of, record_of

RESTS = 0.05, 0.5  # seconds between two tries: the first, and at most
_CALL = (
    "SELECT * FROM headwater.append_decisions(%s::bigint, %s::bigint, %s::boolean, %s::text[], %s::text[],"
    " %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[],"
    " %s::integer[], %s::text[], %s::text[])"
)
_CONFLICT = "HW001"
_d = DECISIONS.c
_READ = sa.select(_d.number, _d.record, _d.chain)


class PostgresDecisions(Borrowed, Readings):
    """The decision records of a database. Safe to share between threads and between servers.

    Args:
        database: open, with tables of this version.
        writer: how this server is called among those that write.
    """

    def __init__(self, database: Database, writer: str | None = None) -> None:
        super().__init__(database)
        self._who = writer or socket.gethostname()
        self._lock = Lock()
        self._writer: int | None = None
        self._call = 0
        self._rest = Event()

    @property
    def name(self) -> str:
        """What the records are called in the audit trail."""
        return "decisions"

    def close(self) -> None:
        """Try nothing again; the database is closed by whoever opened it."""
        self._rest.set()

    # --- Writing ---------------------------------------------------------------------------------

    def append(
        self, decisions: Sequence[Decision], idempotency: Sequence[Idempotency | str | None] = ()
    ) -> list[Record]:
        """Append decisions, all or none: see :class:`~headwater.store.protocol.Decisions`."""
        texts = [decision.canonical() for decision in decisions]
        answers = self._append(decisions, texts, _names(decisions, idempotency), together=True)
        return [one for one in answers if isinstance(one, Record)]

    def append_each(
        self, decisions: Sequence[Decision], idempotency: Sequence[Idempotency | str | None] = ()
    ) -> list[Record | HeadwaterError]:
        """Append decisions of several senders with one wait: one's error is not another's."""
        names = _names(decisions, idempotency)
        answers: list[Record | HeadwaterError | None] = []
        texts: list[str] = []
        for decision in decisions:
            try:
                texts.append(decision.canonical())
                answers.append(None)
            except StoreError as error:
                answers.append(error)
        fit = [at for at, answer in enumerate(answers) if answer is None]
        found = self._append([decisions[at] for at in fit], texts, [names[at] for at in fit], together=False)
        for at, answer in zip(fit, found, strict=True):
            answers[at] = answer
        return [one for one in answers if one is not None]

    def earlier(self, idempotency: Idempotency) -> Record | None:
        """What was decided when this request came before; None if it did not.

        Raises:
            ConflictError: the key came before with another request.
        """
        asked = (
            sa.select(REQUESTS.c.digest, _d.number, _d.record, _d.chain)
            .join(DECISIONS, _d.number == REQUESTS.c.number)
            .where(REQUESTS.c.key == idempotency.key)
        )
        with self._database.reading() as connection:
            row = connection.execute(asked).one_or_none()
        if row is None:
            return None
        if row.digest != idempotency.digest:
            raise conflict(row.number)
        return record_of(row[1:])

    def write_ahead(self) -> None:
        """Nothing to make: that is the database's own business, too."""

    def fold(self) -> None:
        """Nothing to tidy up: that is the database's own business."""

    # --- Reading ---------------------------------------------------------------------------------

    def find(self, id: int | str) -> Record | None:
        """A record by its number or id, or None."""
        number = number_of(id)
        found = [] if number is None else self._records(_READ.where(_d.number == number))
        return found[0] if found else None

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
        """Records that match all that is given, in their order: see ``DecisionStore.page``."""
        asked = _READ.where(*_where(model, policy, key, since, until, band))
        if after:
            asked = asked.where(_d.number < after if newest else _d.number > after)
        return self._records(asked.order_by(_d.number.desc() if newest else _d.number).limit(limit))

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
        asked = sa.select(sa.func.count()).select_from(DECISIONS)
        with self._database.reading() as connection:
            found = connection.execute(asked.where(*_where(model, policy, key, since, until, band)))
            return int(found.scalar_one())

    def tally(self, model: str, since: int, until: int) -> list[tuple[int, str, int]]:
        """Day, band and how many decisions of a model, in a stretch, ascending."""
        day = (_d.decided_at // DAY).label("day")
        stretch = _d.model == model, _d.decided_at >= since, _d.decided_at < until
        return self._sums(sa.select(day, _d.band, sa.func.count()).where(*stretch).group_by(day, _d.band))

    def sides(self, model: str, since: int) -> list[tuple[str, str, int]]:
        """The seal of a version, a band, and how many decisions of a model, ascending."""
        seal = sa.cast(_d.record, sa.JSON)["model_digest"].as_string().label("seal")
        stretch = _d.model == model, _d.decided_at >= since
        return self._sums(sa.select(seal, _d.band, sa.func.count()).where(*stretch).group_by(seal, _d.band))

    def between(
        self, model: str, key: Mapping[str, Any], *, before: int, since: int, until: int | None, last: int
    ) -> list[Record]:
        """Decisions that an event of an entity would have been part of: see ``DecisionStore.between``."""
        asked = _READ.where(
            *_where(model, None, key, None, None, None),
            _d.log_offset < before,
            _d.time >= since,
            _d.number <= last,
        )
        if until is not None:
            asked = asked.where(_d.time < until)
        return self._records(asked.order_by(_d.number))

    def head(self) -> Head:
        """The last record's number and link: whoever notes it elsewhere can prove that no end was cut off."""
        asked = sa.select(_d.number, _d.chain).order_by(_d.number.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(asked).one_or_none()
        return Head(0, GENESIS) if row is None else Head(row.number, bytes(row.chain))

    def verify(self, known: Head | None = None) -> int:
        """Follow the chain over all records: see :class:`~headwater.store.protocol.Decisions`."""
        with self._database.reading() as connection:
            return proof(connection, self.place, known)

    # --- Inside ----------------------------------------------------------------------------------

    def _records(self, asked: Any) -> list[Record]:
        with self._database.reading() as connection:
            return [record_of(row) for row in connection.execute(asked)]

    def _sums(self, asked: Any) -> list[Any]:
        with self._database.reading() as connection:
            return sorted(tuple(row) for row in connection.execute(asked))

    def _append(
        self,
        decisions: Sequence[Decision],
        texts: Sequence[str],
        names: Sequence[Idempotency | None],
        *,
        together: bool,
    ) -> list[Record | HeadwaterError]:
        if not decisions:
            return []
        keys = [(at, *row[:2]) for at, one in enumerate(decisions, 1) for row in key_rows(one, 0)]
        columns = [list(column) for column in zip(*(found_by(one) for one in decisions), strict=True)]
        facts = [
            together,
            *columns,
            list(texts),
            [None if one is None else one.key for one in names],
            [None if one is None else one.digest for one in names],
            [at for at, _, _ in keys],
            [name for _, _, name in keys],
            [index_value(value) for _, value, _ in keys],
        ]
        with self._lock:
            self._call += 1
            rows = self._until_known(facts)
        return [_answer(decision, row) for decision, row in zip(decisions, sorted(rows), strict=True)]

    def _until_known(self, facts: Sequence[Any]) -> list[Any]:
        """Call until it is known what became of it, or patience ends; a database that is away gets none."""
        patience = 0.0 if self._database.away else self._database.patience
        give_up, rest = monotonic() + patience, RESTS[0]
        while True:
            try:
                return self._once(facts)
            except UnavailableError:
                if monotonic() + rest > give_up or self._rest.wait(rest):
                    raise
                rest = min(2 * rest, RESTS[1])

    def _once(self, facts: Sequence[Any]) -> list[Any]:
        with self._database.calling() as connection:
            if self._writer is None:
                asked = "INSERT INTO headwater.writers (name) VALUES (%s) RETURNING id"
                self._writer = int(connection.exec_driver_sql(asked, (self._who,)).scalar_one())
            try:
                given = (self._writer, self._call, *facts)
                return list(connection.exec_driver_sql(_CALL, given).all())
            except sa.exc.DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) == _CONFLICT:
                    raise conflict(int(str(error.orig).partition("\n")[0])) from None
                raise


def _names(
    decisions: Sequence[Decision], idempotency: Sequence[Idempotency | str | None]
) -> list[Idempotency | None]:
    """A name for each decision; a text is a key alone, its request then known by what was asked."""
    return [
        Idempotency(given, decision.asked()) if isinstance(given, str) else given
        for decision, given in zip(decisions, idempotency or [None] * len(decisions), strict=True)
    ]


def _answer(decision: Decision, row: Any) -> Record | HeadwaterError:
    _, number, chain, how, earlier = row
    if how == "conflict":
        return conflict(number)
    if how == "same":
        return record_of((number, earlier, chain))
    return Record(number, decision, bytes(chain))


def _where(
    model: str | None,
    policy: str | None,
    key: Mapping[str, Any] | str | None,
    since: int | None,
    until: int | None,
    band: str | None,
) -> list[Any]:
    where: list[Any] = [
        column == value
        for column, value in ((_d.model, model), (_d.policy, policy), (_d.band, band))
        if value is not None
    ]
    where += [] if since is None else [_d.decided_at >= since]
    where += [] if until is None else [_d.decided_at < until]
    if isinstance(key, str):  # a number's text as it stands, or a text in quotes
        values = [index_value(one) for one in (key, key_value(key)) if "\0" not in one]
        where.append(_d.number.in_(sa.select(KEYS.c.number).where(KEYS.c.value.in_(values))))
    elif key is not None:
        for name, value in key.items():
            same = KEYS.c.value == index_value(key_value(value)), KEYS.c.name == name
            where.append(_d.number.in_(sa.select(KEYS.c.number).where(*same)))
    return where
