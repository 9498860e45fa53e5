"""``headwater database upgrade``: the tables of this version, made in one transaction."""

from __future__ import annotations

from contextlib import closing

import click

from headwater.apps.cli.database.option import DATABASE, database_of, warn_of_password
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import JSON


@click.command("upgrade")
@DATABASE
@JSON
def command(database: str | None, as_json: bool) -> None:
    """Make the tables, or bring them to this version.

    All that is missing is made in one transaction: it is there whole, or not at all. To run it again, or
    twice at once, changes nothing. Servers of an older version refuse to start afterwards; those that run go
    on. Make a copy of the database first. The role needs the right to create a schema; servers get along with
    less.
    """
    screen = Screen(as_json=as_json)
    warn_of_password(screen, database)
    door, opened = database_of(database)
    with closing(opened):
        before, now = door.upgrade(opened), door.standing(opened)
    if screen.as_json:
        screen.write({"place": opened.place, "before": before.found, "now": now.found})
    elif before.found == now.found:
        screen.say(f"{opened.place} has the tables of this version ({now.found}) already.")
    else:
        was = "were none" if before.found is None else f"were those of version {before.found}"
        screen.say(f"{opened.place} has the tables of version {now.found} now; there {was} before.", "bold")
