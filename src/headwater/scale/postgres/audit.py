"""The audit trail in Postgres: one chain of what was administered on any server.

Obeys ``store.protocol.Trail``. Acts on API keys are written by ``credentials`` in the transaction that does
them, by :func:`record`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from headwater.core.errors import StoreError
from headwater.scale.postgres.borrowed import Borrowed
from headwater.scale.postgres.tables import TRAIL
from headwater.store.audit import Act, Entry
from headwater.store.chain import Walk, follow

PAGE = 2_000  # entries at a time, where all are read
_t = TRAIL.c
_READ = sa.select(_t.number, _t.entry, _t.chain)


class PostgresTrail(Borrowed):
    """The audit trail of a database. Safe to share between threads and between servers.

    Args:
        database: open, with tables of this version.
    """

    def append(self, act: Act) -> Entry:
        """Append an act; durable when this returns.

        Raises:
            StoreError: the database, or an act that JSON cannot hold. Nothing was appended.
        """
        with self._database.writing() as connection:
            return record(connection, act)

    def page(self, *, after: int = 0, limit: int = 100) -> list[Entry]:
        """Entries ascending by number, at most ``limit`` of those behind the number ``after``."""
        return self._entries(_READ.where(_t.number > after).order_by(_t.number).limit(limit))

    def newest(self, limit: int = 100) -> list[Entry]:
        """The newest entries, the newest first."""
        return self._entries(_READ.order_by(_t.number.desc()).limit(limit))

    def __len__(self) -> int:
        with self._database.reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(TRAIL)).scalar_one())

    def verify(self, marks: Collection[bytes] = ()) -> Walk:
        """Follow the chain from the first entry to the last: see :class:`~headwater.store.protocol.Trail`."""
        with self._database.reading() as connection:
            return follow(_rows(connection), self._database.place, "audit entry", marks)

    def _entries(self, asked: Any) -> list[Entry]:
        with self._database.reading() as connection:
            return [_entry(*row) for row in connection.execute(asked)]


def record(connection: Connection, act: Act) -> Entry:
    """Append an act inside the caller's transaction."""
    asked = "SELECT * FROM headwater.append_act(%s::text)"
    number, chain = connection.exec_driver_sql(asked, (act.canonical(),)).one()
    return Entry(number, act, bytes(chain))


def acts(connection: Connection, noun: str) -> Iterator[Act]:
    """All acts on a noun, the oldest first."""
    for number, text, chain in _rows(connection):
        act = _entry(number, text.decode(), chain).act
        if act.action.partition(".")[0] == noun:
            yield act


def _rows(connection: Connection) -> Iterator[tuple[int, bytes, bytes]]:
    after = -(2**63)
    while page := connection.execute(_READ.where(_t.number > after).order_by(_t.number).limit(PAGE)).all():
        for number, text, chain in page:
            yield number, text.encode(), bytes(chain)
        after = page[-1].number


def _entry(number: int, text: str, chain: bytes) -> Entry:
    try:
        return Entry(number, Act(**json.loads(text)), bytes(chain))
    except (ValueError, TypeError):
        raise StoreError.of(
            "an audit entry cannot be read",
            where=f"number {number}",
            do="run `headwater audit verify` to see what is left of the chain",
        ) from None
