"""Which version the tables are of, and how they get to be of this package's: Alembic over ``migrations``.

All versions that are missing are made in one transaction, under a lock: two that upgrade at once do it once.
Called by ``headwater database``, and by ``apps.stores`` before anything is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from headwater.core.errors import StoreError
from headwater.scale.postgres.database import Database
from headwater.scale.postgres.tables import SCHEMA

OLDEST = 14  # of PostgreSQL
_TABLE = "schema_version"
_LOCK = "SELECT pg_advisory_xact_lock(1212630084, 0)"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the tables stand.

    Attributes:
        found: their version; None where there are none.
        wanted: this package's.
        known: whether this package knows the version that was found.
    """

    found: str | None
    wanted: str
    known: bool

    @property
    def state(self) -> Literal["current", "empty", "older", "newer"]:
        """What that means."""
        if self.found == self.wanted:
            return "current"
        if self.found is None:
            return "empty"
        return "older" if self.known else "newer"


def standing(database: Database) -> Standing:
    """How the tables stand.

    Raises:
        UnavailableError: the database is away.
    """
    with database.writing() as connection:
        return _standing(connection)


def need_current(database: Database) -> None:
    """See that the tables are of this package's version.

    Raises:
        StoreError: they are not; says what to do.
        UnavailableError: the database is away.
    """
    found = standing(database)
    if found.state == "current":
        return
    upgrade_first = "run `headwater database upgrade` once, then start again"
    got, do = {
        "empty": ("no tables of Headwater", upgrade_first),
        "older": (f"version {found.found}", upgrade_first),
        "newer": (f"version {found.found}", "start the Headwater that made them, or a newer one"),
    }[found.state]
    raise StoreError.of(
        "the tables of the database are not those of this Headwater",
        expected=f"version {found.wanted}",
        got=got,
        where=database.place,
        do=do,
    )


def upgrade(database: Database) -> Standing:
    """Bring the tables to this package's version; how they stood before.

    Raises:
        StoreError: they are newer, or the database is not fit.
        UnavailableError: the database is away.
    """
    with database.writing() as connection:
        _need_fit(connection, database.place)
        connection.exec_driver_sql(_LOCK)
        before = _standing(connection)
        if before.state == "newer":
            raise StoreError.of(
                "the tables of the database are of a newer Headwater",
                expected=f"version {before.wanted} or older",
                got=f"version {before.found}",
                where=database.place,
                do="upgrade with the Headwater that made them, or a newer one",
            )
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        context, script = _context(connection), _script()
        missing = (
            []
            if before.state == "current"
            else list(script.iterate_revisions("head", before.found or "base"))
        )
        with Operations.context(context):
            for revision in reversed(missing):
                revision.module.upgrade()
                context.stamp(script, revision.revision)
    return before


def _standing(connection: Connection) -> Standing:
    script = _script()
    found = _context(connection).get_current_revision()
    known = found is None or found in {one.revision for one in script.walk_revisions()}
    return Standing(found, script.get_current_head() or "", known)


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(
        connection, opts={"version_table": _TABLE, "version_table_schema": SCHEMA}
    )


def _script() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent / "migrations"))


def _need_fit(connection: Connection, place: str) -> None:
    """Raises StoreError where hashes or waits would not be what they must be."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    number = int(connection.exec_driver_sql("SHOW server_version_num").scalar() or 0)
    if encoding != "UTF8" or number < OLDEST * 10_000:
        raise StoreError.of(
            "the database is not fit for Headwater's records",
            expected=f"PostgreSQL {OLDEST} or newer, encoding UTF8",
            got=f"PostgreSQL {number // 10_000}, encoding {encoding}",
            where=place,
            do="make one: CREATE DATABASE headwater ENCODING 'UTF8' TEMPLATE template0",
        )
