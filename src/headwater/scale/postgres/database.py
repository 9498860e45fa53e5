"""The database: one pool of connections for all that lies in it, bounded waits, and whether it is there.

::

    reading()   a transaction that sees one moment      pool: asked whether it lives before it is used;
    writing()   a transaction, all or nothing                 waits are bounded: WAIT for a free connection,
    alone()     one statement                                 CONNECT for a new one, STATEMENT for an answer
    calling()   the same, for calls that are made again       one connection of its own, not asked first

What goes wrong comes out as ours: ``UnavailableError`` where to come again later may help. Whoever serves
asks :attr:`Database.away`, and calls :meth:`Database.look` now and then, so that a database that is back is
seen even if nobody uses it. Made by ``apps.stores``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from psycopg.errors import Error as DriverError
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoneFreeError

from headwater.core.errors import HeadwaterError, StoreError, UnavailableError
from headwater.scale.postgres.address import Address

POOL = 5  # connections that are kept
WAIT = 5.0  # seconds for a free connection
CONNECT = 2  # seconds for a new one
STATEMENT = 30  # seconds for an answer; reading a whole chain is many statements
RECYCLE = 1_800  # seconds after which a connection is made anew
_AGAIN = ("08", "53", "57P", "25006", "40001", "40P01", "55P03", "57014")  # SQLSTATEs that may pass


class Database:
    """A database of ours. Safe to share between threads.

    Args:
        address: where it is.
        pool: how many connections are kept; twice as many are made when they are needed.
        patience: seconds that a writer tries again before it says that the database is away.

    Attributes:
        place: for errors and logs.
        away: why it could not be used the last time; None while it can.
    """

    def __init__(self, address: Address, *, pool: int = POOL, patience: float = 5.0) -> None:
        self.place = address.place
        self.patience = patience
        self.away: str | None = None
        self._engine = _engine(address, pool, asked_first=True)
        self._quick = _engine(address, 1, asked_first=False).execution_options(isolation_level="AUTOCOMMIT")
        self._alone = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._moment = self._engine.execution_options(isolation_level="REPEATABLE READ")

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()
        self._quick.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all or nothing, and durable when this ends without an error.

        Raises:
            UnavailableError: the database is away; nothing is known to be written.
            StoreError: it refused.
        """
        with self.letters(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One moment of the database, whatever is written meanwhile; raises as :meth:`writing`."""
        with self.letters(), self._moment.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A connection on which each statement is a transaction of its own; raises as :meth:`writing`."""
        with self.letters(), self._alone.connect() as connection:
            yield connection

    @contextmanager
    def calling(self) -> Iterator[Connection]:
        """As :meth:`alone`, on a connection that is not asked first whether it lives: for calls that are made
        again where it does not. It saves the way there and back."""  # noqa: D205, D209
        with self.letters(), self._quick.connect() as connection:
            yield connection

    def look(self) -> bool:
        """Whether the database answers; notes it."""
        try:
            with self.alone() as connection:
                connection.exec_driver_sql("SELECT 1")
        except StoreError:
            return False
        return True

    @contextmanager
    def letters(self) -> Iterator[None]:
        """The libraries' errors as ours; notes whether the database is there."""
        try:
            yield
        except HeadwaterError:
            raise
        except NoneFreeError:
            raise self._unavailable(f"no connection became free in {WAIT:g} s") from None
        except (SQLAlchemyError, DriverError) as error:
            told, passing = _said(error)
            if passing:
                self.away = told
                raise self._unavailable(told) from error
            raise StoreError.of(
                "the database refused",
                got=told,
                where=self.place,
                do="look at the database, and at `headwater database status`",
            ) from error
        self.away = None

    def _unavailable(self, told: str) -> UnavailableError:
        return UnavailableError.of(
            "the database is away",
            got=told,
            where=self.place,
            do="try again; nothing is answered that is not recorded. If it lasts, look at the database",
        )


def _engine(address: Address, pool: int, *, asked_first: bool) -> Engine:
    return sa.create_engine(
        address.url.reveal(),
        pool_size=pool,
        max_overflow=pool,
        pool_timeout=WAIT,
        pool_pre_ping=asked_first,
        pool_recycle=RECYCLE,
        hide_parameters=True,
        connect_args={
            "application_name": "headwater",
            "connect_timeout": CONNECT,
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            "options": f"-c statement_timeout={STATEMENT}s -c idle_in_transaction_session_timeout=60s",
        },
    )


def _said(error: Exception) -> tuple[str, bool]:
    """The first line of what the driver said, and whether it may pass by itself.

    The driver's first lines hold no values of rows: those stand in the lines behind.
    """
    lost, source = False, error
    if isinstance(error, DBAPIError):
        lost, source = bool(error.connection_invalidated), error.orig or error
    state = getattr(source, "sqlstate", None)
    told = str(source).strip().partition("\n")[0] or type(source).__name__
    if state is None:  # no server answered: refused, cut off, or not in time
        return told, lost or type(source).__name__ in (
            "OperationalError",
            "ConnectionTimeout",
            "InterfaceError",
        )
    return told, lost or str(state).startswith(_AGAIN)
