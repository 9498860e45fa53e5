"""``headwater jobs list``: what is done by the clock, when it was done last, and when it is due next."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.jobs.desk import desk_of
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.jobs.telling import listed, plain


@click.command("list")
@click.option(
    "--runs", type=click.IntRange(1, 100_000), metavar="N", help="The newest N runs instead, the last first."
)
@at_workplace
def command(work: Workplace, screen: Screen, runs: int | None) -> None:
    """List the jobs of the project: how often, last run, next due.

    A running service does them by itself, unless HEADWATER_JOBS is off. With --runs, what was run.
    """
    with desk_of(work) as desk:
        if runs is None:
            timed, on = listed(desk, work.clock.now()), desk.how.on
            document: dict[str, Any] = {"on": on, "jobs": timed}
        else:
            document = {"runs": [plain(desk, job) for job in desk.jobs.page(limit=runs)]}
    if screen.as_json:
        screen.write(document)
    elif runs is None:
        rows = [_row(one) for one in document["jobs"]]
        screen.table(None, ("job", "every", "last run", "state", "id", "next due"), rows)
        if not document["on"]:
            screen.note("HEADWATER_JOBS is off: a server runs none of them by itself")
    else:
        columns = ("id", "job", "due", "state", "attempt", "ended", "why")
        screen.table(None, columns, [[one[name] for name in columns] for one in document["runs"]])


def _row(one: dict[str, Any]) -> list[Any]:
    last = one["last"] or {}
    every = one["every"] or "when asked"
    also = ", or by trigger" if one["triggers"] else ""
    return [
        one["job"],
        every + also,
        last.get("ended") or last.get("started"),
        last.get("state"),
        last.get("id"),
        one["next"],
    ]
