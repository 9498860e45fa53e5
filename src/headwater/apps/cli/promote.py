"""``headwater promote``: make a version the champion, if its gate said so."""

from __future__ import annotations

import click

from headwater.apps.cli.office import office_of, tell_change
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.definitions.finding import find_model
from headwater.models.registry import CHALLENGER
from headwater.retraining.promotion import promote


@click.command("promote")
@click.argument("model", required=False)
@click.option(
    "--version",
    "which",
    metavar="WHICH",
    default=CHALLENGER,
    show_default=True,
    help="The version's number or alias.",
)
@click.option("--force", is_flag=True, help="Past its gate; needs --why.")
@click.option("--why", metavar="TEXT", help="The reason, kept in the audit trail.")
@at_workplace
def command(
    work: Workplace, screen: Screen, model: str | None, which: str, force: bool, why: str | None
) -> None:
    """Make a version the champion.

    Takes a version whose gate said promote, against today's champion. The champion changes in one step, and
    the audit trail says who did it and why. The earlier one is remembered; see `headwater rollback`.
    """
    chosen = find_model(work.project, model)
    wanted = int(which) if which.isdecimal() else which
    with office_of(work) as office:
        changed = promote(office, chosen.name, wanted, force=force, why=why)
    tell_change(screen, changed)
