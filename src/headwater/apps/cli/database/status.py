"""``headwater database status``: which version the tables are of, and what lies in them."""

from __future__ import annotations

from contextlib import closing

import click

from headwater.apps.cli.database.option import DATABASE, database_of, warn_of_password
from headwater.apps.cli.exits import Exit
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import JSON

_DO = {
    "current": "Servers of this version start.",
    "empty": "There are no tables yet: run `headwater database upgrade`.",
    "older": "Run `headwater database upgrade` before servers of this version start.",
    "newer": "They are of a newer Headwater: servers of this version do not start.",
}


@click.command("status")
@DATABASE
@JSON
def command(database: str | None, as_json: bool) -> None:
    """Show of which version the tables are.

    Ends with 5 if servers of this version would not start, or the database is away.
    """
    screen = Screen(as_json=as_json)
    warn_of_password(screen, database)
    door, opened = database_of(database)
    with closing(opened):
        found = door.standing(opened)
        held = None
        if found.state == "current":
            decisions, trail = door.PostgresDecisions(opened), door.PostgresTrail(opened)
            letters = door.PostgresDeadLetters(opened).dead_letter_counts()
            held = {"decisions": len(decisions), "acts": len(trail), "dead_letters": sum(letters.values())}
    if screen.as_json:
        told = {"place": opened.place, "state": found.state, "found": found.found, "wanted": found.wanted}
        screen.write({**told, "held": held})
    else:
        screen.say(f"{opened.place}: {found.state}", "bold")
        screen.say(f"  tables    {found.found or 'none'}; this version wants {found.wanted}")
        if held is not None:
            what = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in held.items())
            screen.say(f"  holds     {what}")
        screen.say(f"  {_DO[found.state]}")
    if found.state != "current":
        click.get_current_context().exit(Exit.STORE)
