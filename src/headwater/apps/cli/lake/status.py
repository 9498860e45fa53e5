"""``headwater lake status``: how far each table is, and how far behind."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.lake.shore import opened, with_lake
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace

_NUMBERS = ("rows", "files", "bytes", "place", "end", "behind")


@click.command("status")
@with_lake
@at_workplace
def command(work: Workplace, screen: Screen, **options: Any) -> None:
    """Show how far the lake is behind.

    Of events, a place is an offset of the log, over all streams; of decisions it is a number.
    """
    with opened(work, options) as lake:
        found = lake.status()
        if screen.as_json:
            screen.write({"lake": lake.settings.place, "format": lake.settings.form, "tables": found})
            return
        rows = [list(one.values()) for one in found]
        screen.table(lake.settings.place, ("table", *_NUMBERS), rows, _NUMBERS)
