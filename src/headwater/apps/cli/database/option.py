"""The option that names a database, and what ``serve`` and the commands of ``database`` do with it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.database import URL, DatabaseSettings
from headwater.apps.settings import environment
from headwater.apps.stores import library
from headwater.core.errors import DataError

DATABASE = click.option(
    "--database",
    metavar="URL",
    help="The Postgres database that servers share for their records.  [default: HEADWATER_DATABASE_URL]",
)


def database_of(url: str | None) -> tuple[Any, Any]:
    """The door of ``scale.postgres``, and the database that is named, open; to be closed.

    Raises:
        MissingExtraError: the extra is not installed.
        DataError: no database is named, or its address is none.
    """
    settings = DatabaseSettings.read(environment(), url)
    if settings is None:
        raise DataError.of(
            "no database is named",
            expected="postgresql://user:password@host:port/name",
            where=URL,
            do=f"set {URL}, or {URL}_FILE to a file that holds it",
        )
    door = library()
    return door, door.Database(door.Address.read(settings.url), pool=1)


def warn_of_password(screen: Screen, url: str | None) -> None:
    """Everybody on the machine can read the options of a process."""
    try:
        password = url is not None and urlsplit(url).password is not None
    except ValueError:
        password = False
    if password:
        screen.note(f"a password stands on the command line, for all to see; better set {URL}_FILE")
