"""Where the database is: a URL that holds a password, and never shows it.

Made by ``apps.stores`` from the settings; read by ``database``.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from headwater.core.errors import DataError
from headwater.core.secret import Secret

_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_DRIVER = "postgresql+psycopg"


@dataclass(frozen=True)
class Address:
    """A database.

    Attributes:
        url: all that it takes to connect. A secret.
        place: the same for people and logs: without password and parameters.
    """

    url: Secret
    place: str

    @classmethod
    def read(cls, url: Secret) -> Address:
        """Read a URL such as ``postgresql://user:password@host:5432/name?sslmode=verify-full``.

        Raises:
            DataError: it is none. Does not quote it.

        Example:
            >>> address = Address.read(Secret("postgresql://bank:hunter2@db.local/records?sslmode=require"))
            >>> print(address.place, address.url)
            postgresql://bank@db.local/records (secret)
        """
        try:
            found = make_url(url.reveal().strip())
        except (ArgumentError, ValueError):
            raise _no_address("a text that is no address") from None
        if found.drivername not in _SCHEMES:
            raise _no_address(f"an address of {found.drivername.partition('+')[0] or 'nothing'}")
        if not found.database:
            raise _no_address("an address without the name of a database")
        shown = URL.create(
            "postgresql", username=found.username, host=found.host, port=found.port, database=found.database
        )
        whole = found.set(drivername=_DRIVER).render_as_string(hide_password=False)
        return cls(Secret(whole), shown.render_as_string())


def _no_address(got: str) -> DataError:
    return DataError.of(
        "the address of the database cannot be read",
        expected="postgresql://user:password@host:port/name",
        got=got,
        where="HEADWATER_DATABASE_URL",
        do="correct the setting; an @, : or / in a password is written %40, %3A or %2F",
    )
