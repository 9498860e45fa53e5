"""``headwater lake export``: bring the lake up to date, once."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.lake.shore import opened, plain, show, with_lake
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace


@click.command("export")
@with_lake
@at_workplace
def command(work: Workplace, screen: Screen, **options: Any) -> None:
    """Bring the lake up to date, once.

    Writes the events of each stream and the decisions of each policy that are not in the lake yet. What is
    committed stays if it is interrupted or killed; the next one goes on from there, and no row comes twice.
    May run beside a server, but one export at a time.
    """
    with opened(work, options) as lake:
        with screen.progress() as advance:
            done = lake.export(advance)
        show(screen, lake, plain(done))
