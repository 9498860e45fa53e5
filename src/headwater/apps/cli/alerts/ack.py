"""``headwater alerts ack``: somebody takes an alert on."""

from __future__ import annotations

import getpass

import click

from headwater.apps.cli.alerts.telling import plain, show
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.store.alerts import AlertStore
from headwater.store.folder import DataFolder


@click.command("ack")
@click.argument("alert")
@click.option("--by", metavar="WHO", help="Who takes it on.  [default: you]")
@at_workplace
def command(work: Workplace, screen: Screen, alert: str, by: str | None) -> None:
    """Take an alert on: it is not told again until it gets worse, or is resolved."""
    with AlertStore.open(DataFolder(work.settings.data).make().alerts) as store:
        taken = store.acknowledge(alert, by or getpass.getuser(), now=work.clock.now())
    if screen.as_json:
        screen.write(plain(taken))
    else:
        show(screen, [taken])
