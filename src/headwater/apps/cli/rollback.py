"""``headwater rollback``: bring the earlier champion back."""

from __future__ import annotations

import click

from headwater.apps.cli.office import office_of, tell_change
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.definitions.finding import find_model
from headwater.retraining.promotion import rollback


@click.command("rollback")
@click.argument("model", required=False)
@click.option("--why", metavar="TEXT", help="The reason, kept in the audit trail.")
@at_workplace
def command(work: Workplace, screen: Screen, model: str | None, why: str | None) -> None:
    """Bring the earlier champion back.

    Asks no gate. A second rollback goes one champion further back. Who did it, and why, stands in the audit
    trail.
    """
    chosen = find_model(work.project, model)
    with office_of(work) as office:
        changed = rollback(office, chosen.name, why=why)
    tell_change(screen, changed)
