"""What the commands on keys share: the store, who acts, how a key and its secret are shown.

Called by the modules beside it, and by ``audit`` for the actor's name.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from headwater.apps.cli.moments import read_moment
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace
from headwater.apps.stores import records_of
from headwater.core.errors import DataError, HeadwaterError
from headwater.core.instant import iso, span
from headwater.core.secret import Secret
from headwater.store.apikey import ApiKey
from headwater.store.protocol import Credentials


@contextmanager
def keys_of(work: Workplace) -> Iterator[Credentials]:
    """The project's keys: of its data folder, or of the database that its servers share.

    Raises:
        StoreError: where they lie cannot be used.
    """
    with (
        records_of(work.settings.data, work.settings.database) as records,
        records.credentials() as store,
    ):
        yield store


def actor() -> str:
    """Who acts, for the audit trail: the user of the machine."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"cli:{os.getuid()}"


def ends_at(text: str | None, now: int) -> int | None:
    """The end of a key's life, from a span such as ``90d``, a date or a time.

    Raises:
        DataError: it is none of these.
    """
    if text is None:
        return None
    try:
        return now + span(text)
    except HeadwaterError:
        return read_moment(text)


def told(key: ApiKey, now: int) -> dict[str, Any]:
    """A key as plain JSON values."""
    times = {
        name: None if moment is None else iso(moment)
        for name in ("created", "expires", "revoked", "rotated", "old_until", "used")
        for moment in (getattr(key, name),)
    }
    return {
        "id": key.id,
        "name": key.name,
        "roles": [role.value for role in key.roles],
        "state": key.state(now),
        "rate": key.rate,
        **times,
    }


def show_secret(screen: Screen, key: dict[str, Any], secret: Secret, file: Path | None) -> None:
    """The one time that a secret is shown, or written to a file of its own."""
    if screen.as_json:
        kept = {"secret": secret.reveal()} if file is None else {"secret_file": str(file)}
        screen.write({"key": key, **kept})
        return
    roles = ", ".join(key["roles"])
    ends = "never ends" if key["expires"] is None else f"ends {key['expires']}"
    screen.say(f"The key {key['name']} ({key['id']}) may {roles}; it {ends}.", "bold")
    if file is None:
        screen.say(secret.reveal())
        screen.note("This is its secret. It is not kept here and cannot be shown again.")
    else:
        screen.say(f"Its secret lies in {file}, which only you can read.")


class SecretFile:
    """A file for a secret, made before the secret is drawn, so that none is lost on a full disk.

    Raises:
        DataError: the file is there already.
    """

    def __init__(self, name: str) -> None:
        self.path = Path(name)
        try:
            self._descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            raise DataError.of(
                "the file for the secret is there already",
                expected="a new file",
                where=name,
                do="name another one, or remove it first",
            ) from None

    def write(self, secret: Secret) -> None:
        """Write the secret."""
        with os.fdopen(self._descriptor, "w", encoding="ascii") as file:
            file.write(secret.reveal() + "\n")

    def drop(self) -> None:
        """There is no secret after all."""
        with suppress(OSError):  # closed, if the secret was written
            os.close(self._descriptor)
        self.path.unlink(missing_ok=True)


@contextmanager
def secret_file(name: str | None) -> Iterator[SecretFile | None]:
    """The file that was named, gone again if no secret came to be."""
    file = None if name is None else SecretFile(name)
    try:
        yield file
    except BaseException:
        if file is not None:
            file.drop()
        raise
