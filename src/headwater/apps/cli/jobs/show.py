"""``headwater jobs show``: one run of a job."""

from __future__ import annotations

import click

from headwater.apps.cli.jobs.desk import desk_of, show
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.core.errors import DataError
from headwater.store.jobs import number_of


@click.command("show")
@click.argument("id")
@at_workplace
def command(work: Workplace, screen: Screen, id: str) -> None:
    """Show a run: why, when, and what came of it.

    A run that was refused or failed says so with the letter that it ended in.
    """
    with desk_of(work) as desk:
        number = number_of(id)
        job = None if number is None else desk.jobs.find(number)
        if job is None:
            raise DataError.of(
                "there is no such run of a job",
                expected="an id such as j12",
                got=repr(id[:40]),
                do="look it up: headwater jobs list --runs 20",
            )
        show(screen, desk, job)
