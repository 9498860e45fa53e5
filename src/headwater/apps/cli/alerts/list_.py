"""``headwater alerts list``: what somebody must look at."""

from __future__ import annotations

import click

from headwater.apps.cli.alerts.telling import plain, show
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.store.alerts import AlertStore, State
from headwater.store.folder import DataFolder


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are resolved.")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="At most so many."
)
@at_workplace
def command(work: Workplace, screen: Screen, everything: bool, limit: int) -> None:
    """List alerts, the newest first.

    Those that are open or acknowledged; with --all also those that are resolved.
    """
    states: tuple[State, ...] = () if everything else ("open", "acknowledged")
    path = DataFolder(work.settings.data).alerts
    found = []
    if path.is_file():
        with AlertStore.open(path) as store:
            found = store.page(states, limit=limit)
    if screen.as_json:
        screen.write({"alerts": [plain(alert) for alert in found]})
    elif not found:
        screen.say("There is no alert." if everything else "No alert is open.")
    else:
        show(screen, found)
