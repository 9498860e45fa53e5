"""The proof that decision records in Postgres are those that were written: as ``store.ledger`` of a file.

Called by ``decisions``, inside a transaction that sees one moment.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from headwater.core.errors import StoreError
from headwater.scale.postgres.tables import DECISIONS, KEYS, REQUESTS, index_value
from headwater.store.chain import GENESIS
from headwater.store.ledger import Head, key_rows, misplaced, missing, other, proved

PAGE = 2_000  # records at a time
_d = DECISIONS.c
_ROWS = sa.select(
    _d.number, _d.model, _d.policy, _d.band, _d.decided_at, _d.time, _d.log_offset, _d.chain, _d.record
)


def proof(connection: Connection, place: str, known: Head | None) -> int:
    """Follow the chain over the whole table; how many records there are.

    Raises:
        StoreError: at the first record that is missing, changed, or not found where it should be.
    """
    chain, number = GENESIS, 0
    while rows := connection.execute(_ROWS.where(_d.number > number).order_by(_d.number).limit(PAGE)).all():
        of = KEYS.c.number.between(rows[0].number, rows[-1].number)
        keys = {tuple(row) for row in connection.execute(sa.select(KEYS).where(of))}
        for row in rows:
            chain, decision = proved(place, chain, number + 1, (*row[:7], bytes(row.chain), row.record))
            number += 1
            own = {(index_value(value), name, at) for value, name, at in key_rows(decision, number)}
            if not own <= keys:
                raise misplaced(place, number)
            keys -= own
            if known is not None and number == known.number and chain != known.chain:
                raise other(place, number, known.chain, chain)
        if keys:
            raise _damaged(place, f"an entry for record {min(keys)[2]}")
    _nothing_beside(connection, place, number)
    if known is not None and number < known.number:
        raise missing(place, known.number, f"no record after {number}")
    return number


def _nothing_beside(connection: Connection, place: str, count: int) -> None:
    """What leads to records leads to nothing else."""
    for table in (KEYS, REQUESTS):
        stray = connection.execute(
            sa.select(table.c.number).where((table.c.number > count) | (table.c.number < 1)).limit(1)
        ).scalar()
        if stray is not None:
            raise _damaged(place, f"an entry for record {stray}")


def _damaged(place: str, got: str) -> StoreError:
    return StoreError.of(
        "the index of the decision records is damaged; the records themselves are whole",
        expected="an index that leads to the records",
        got=got,
        where=place,
        do="restore the records from a copy",
    )
