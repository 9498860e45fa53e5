"""Where records may lie, for tests that hold all places to one contract.

::

    Embedded    files in a temporary folder
    Postgres    a database of the session's own, made by the migrations and emptied for each test

``tamper`` changes what was written behind the guards' back, in SQL that both understand: ``{decisions}``,
``{keys}``, ``{trail}`` and ``{api_keys}`` stand for the tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from headwater.core.secret import Secret
from headwater.scale.postgres.door import (
    Address,
    Database,
    PostgresCredentials,
    PostgresDecisions,
    PostgresJobs,
    PostgresTrail,
    upgrade,
)
from headwater.store.audit import AuditTrail
from headwater.store.credentials import CredentialStore
from headwater.store.decisions import DecisionStore
from headwater.store.jobs import JobStore
from headwater.store.protocol import Credentials, Decisions, Jobs, Trail


class Host(Protocol):
    """A place for records. Each call opens it anew, as another process would."""

    place: str
    trail_place: str

    def decisions(self) -> Decisions: ...
    def trail(self) -> Trail: ...
    def jobs(self) -> Jobs: ...
    def credentials(self) -> Credentials: ...
    def tamper(self, statement: str) -> None: ...


class Embedded:
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = str(folder / "decisions.db")
        self.trail_place = str(folder / "access.db")

    def decisions(self) -> DecisionStore:
        return DecisionStore.open(self._folder / "decisions.db")

    def trail(self) -> AuditTrail:
        return AuditTrail.open(self._folder / "access.db")

    def jobs(self) -> JobStore:
        return JobStore.open(self._folder / "jobs.db")

    def credentials(self) -> CredentialStore:
        return CredentialStore.open(self._folder / "access.db")

    def tamper(self, statement: str) -> None:
        file = "access.db" if "{trail}" in statement or "{api_keys}" in statement else "decisions.db"
        connection = sqlite3.connect(self._folder / file)
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        named = {"decisions": "decisions", "keys": "keys", "trail": "trail", "api_keys": "keys"}
        connection.execute(statement.format(**named))
        connection.commit()
        connection.close()


class Postgres:
    """A database, empty."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url = url
        self._stack = stack
        self.address = Address.read(Secret(url))
        self.place = self.trail_place = self.address.place

    def database(self, patience: float = 5.0) -> Database:
        database = Database(self.address, pool=2, patience=patience)
        self._stack.callback(database.close)
        return database

    def decisions(self) -> PostgresDecisions:
        return PostgresDecisions(self.database())

    def trail(self) -> PostgresTrail:
        return PostgresTrail(self.database())

    def jobs(self, lease: float = 120.0) -> PostgresJobs:
        return PostgresJobs(self.database(), lease)

    def credentials(self) -> PostgresCredentials:
        return PostgresCredentials(self.database())

    def tamper(self, statement: str) -> None:
        self.run(
            "SET session_replication_role = replica",  # a superuser's way around triggers
            statement.format(
                decisions="headwater.decisions",
                keys="headwater.decision_keys",
                trail="headwater.trail",
                api_keys="headwater.api_keys",
            ),
        )

    def empty(self) -> None:
        """Take out what another test left."""
        named = "decisions decision_keys decision_requests trail jobs jobs_known dead_letters writers"
        tables = [*named.split(), "dead_letters_moved", "api_keys", "api_key_uses"]
        counted = [f"ALTER TABLE headwater.{one} ALTER COLUMN {id} RESTART" for one, id in _COUNTED.items()]
        gone = [f"DELETE FROM headwater.{one}" for one in tables]  # noqa: S608 - our own words
        self.tamper("; ".join([*gone, *counted]))

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


_COUNTED = {"jobs": "number", "dead_letters": "id", "writers": "id"}


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """The URL of a database that is there until the end of the block."""
    name = f"hw_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def with_tables(server: str) -> Iterator[str]:
    """The URL of a database of its own with all tables."""
    with own_database(server) as url:
        database = Database(Address.read(Secret(url)))
        upgrade(database)
        database.close()
        yield url
