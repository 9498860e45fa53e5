"""What is set about the database that servers share: its address, a secret, and how it is used.

Part of ``apps.settings``, which has the rows of the reference; read by ``apps.stores``, which opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headwater.apps.access.secret import read_secret
from headwater.core.errors import DataError
from headwater.core.secret import Secret

URL = "HEADWATER_DATABASE_URL"
POOL = "HEADWATER_DATABASE_POOL"
PATIENCE = "HEADWATER_DATABASE_PATIENCE"
_MOST = {POOL: 100, PATIENCE: 60}


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """A database.

    Attributes:
        url: its address, with a password most often. A secret.
        pool: connections that each process keeps.
        patience: seconds that a decision waits for a database that is away, before it is refused.
    """

    url: Secret
    pool: int = 5
    patience: float = 5.0

    @classmethod
    def read(cls, environ: Mapping[str, str], url: str | None = None) -> DatabaseSettings | None:
        """Read the settings; None where no database is named.

        Args:
            environ: the environment.
            url: the option ``--database``.

        Raises:
            DataError: a setting cannot be read; never with the address in it.

        Example:
            >>> DatabaseSettings.read({"HEADWATER_DATABASE_URL": "postgresql://a:b@c/d"})
            DatabaseSettings(url=Secret((secret)), pool=5, patience=5.0)
        """
        secret = Secret(url) if url else read_secret(URL, environ)
        if secret is None:
            return None
        return cls(secret, int(_number(POOL, environ, 5, 1)), _number(PATIENCE, environ, 5.0, 0))

    def handed_down(self) -> dict[str, str]:
        """The environment that lets a child process find the same database."""
        return {URL: self.url.reveal(), f"{URL}_FILE": "", POOL: str(self.pool), PATIENCE: str(self.patience)}


def _number(variable: str, environ: Mapping[str, str], default: float, least: int) -> float:
    text = environ.get(variable, "")
    try:
        found = float(text) if text else default
    except ValueError:
        found = -1.0
    if not least <= found <= _MOST[variable]:
        raise DataError.of(
            f"the setting {variable} cannot be read",
            expected=f"a number from {least} to {_MOST[variable]}",
            got=repr(text),
            where=variable,
            do="correct the environment variable, or unset it",
        )
    return found
