"""``headwater keys revoke``: a key is taken back."""

from __future__ import annotations

import click

from headwater.apps.cli.keys.keyring import actor, keys_of, told
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace


@click.command("revoke")
@click.argument("key")
@at_workplace
def command(work: Workplace, screen: Screen, key: str) -> None:
    """Take an API key back, at once and for good.

    Named by its id or its name. A server that runs refuses it from its next request on. The key stays in
    the list with `--all`, and in the audit trail.
    """
    now = work.clock.now()
    with keys_of(work) as store:
        document = told(store.revoke(key, now=now, actor=actor()), now)
    if screen.as_json:
        screen.write({"key": document})
    else:
        screen.say(f"The key {document['name']} ({document['id']}) is revoked.", "bold")
