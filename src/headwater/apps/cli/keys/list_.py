"""``headwater keys list``: which keys there are. Secrets are not kept, so none can be shown."""

from __future__ import annotations

import click

from headwater.apps.cli.keys.keyring import keys_of, told
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace

_COLUMNS = {
    **{name: name for name in ("id", "name", "roles", "state", "rate")},
    "used": "last used",
    **{name: name for name in ("created", "expires", "rotated")},
    "old_until": "old secret until",
}


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="Revoked keys too.")
@at_workplace
def command(work: Workplace, screen: Screen, everything: bool) -> None:
    """List the API keys, without their secrets.

    When a key was last used is written down once a minute by a server that runs. A rate of none is the
    server's own (`HEADWATER_RATE`).
    """
    now = work.clock.now()
    with keys_of(work) as store:
        keys = [told(key, now) for key in store.listing() if everything or key.revoked is None]
    if screen.as_json:
        screen.write({"keys": keys})
    elif not keys:
        screen.say("No API keys.")
        screen.note("make one with `headwater keys create NAME --role ROLE`")
    else:
        rows = [[", ".join(key[name]) if name == "roles" else key[name] for name in _COLUMNS] for key in keys]
        screen.table(None, list(_COLUMNS.values()), rows)
