"""``headwater keys list``: which keys there are. Secrets are not kept, so none can be shown."""

from __future__ import annotations

import click

from headwater.apps.cli.keys.keyring import keys_of, told
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="Revoked keys too.")
@at_workplace
def command(work: Workplace, screen: Screen, everything: bool) -> None:
    """List the API keys, without their secrets."""
    now = work.clock.now()
    with keys_of(work) as store:
        keys = [told(key, now) for key in store.listing() if everything or key.revoked is None]
    if screen.as_json:
        screen.write({"keys": keys})
    elif not keys:
        screen.say("No API keys.")
        screen.note("make one with `headwater keys create NAME --role ROLE`")
    else:
        columns = ("id", "name", "roles", "state", "created", "expires", "rotated", "old_until")
        rows = [[", ".join(key[name]) if name == "roles" else key[name] for name in columns] for key in keys]
        screen.table(None, (*columns[:-1], "old secret until"), rows)
