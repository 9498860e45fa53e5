"""Secrets that are set: out of a variable of the environment, or out of the file that another one names.

Called by ``settings`` here, by ``apps.database``, by ``alerting`` and by the client's commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headwater.core.errors import DataError
from headwater.core.secret import Secret

_LONGEST_SECRET = 64 * 1024


def read_secret(variable: str, environ: Mapping[str, str]) -> Secret | None:
    """A secret from its variable or from the file that ``<variable>_FILE`` names; None if neither is set.

    Raises:
        DataError: both are set, or the file cannot be read, is empty or is too large to be a secret.

    Example:
        >>> read_secret("HEADWATER_API_KEY", {"HEADWATER_API_KEY": "hw_..."})
        Secret((secret))
    """
    text, name = environ.get(variable), environ.get(f"{variable}_FILE")
    if text and name:
        raise unreadable(variable, f"{variable} or {variable}_FILE", "both", "unset one of them")
    if not name:
        return Secret(text) if text else None
    try:
        with Path(name).open(encoding="utf-8") as file:
            text = file.read(_LONGEST_SECRET + 1).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        got = (error.strerror if isinstance(error, OSError) else None) or "no text"
        raise unreadable(f"{variable}_FILE", "a file with the secret", got, "look at the file") from None
    if not text or len(text) > _LONGEST_SECRET:
        got = "nothing in it" if not text else "too much to be a secret"
        raise unreadable(f"{variable}_FILE", "a file with the secret", got, "look at the file")
    return Secret(text)


def unreadable(variable: str, expected: str, got: str, do: str) -> DataError:
    """A setting that cannot be read."""
    return DataError.of(
        f"the setting {variable} cannot be read", expected=expected, got=got, where=variable, do=do
    )
