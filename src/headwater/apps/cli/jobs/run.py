"""``headwater jobs run``: a job, here and now; what Airflow and cron call."""

from __future__ import annotations

import time

import click

from headwater.apps.cli.exits import Exit
from headwater.apps.cli.jobs.desk import desk_of, show
from headwater.apps.cli.keys.keyring import actor
from headwater.apps.cli.moments import MOMENT, SPAN
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.jobs.desk import Desk
from headwater.apps.jobs.timetable import timing_of
from headwater.core.errors import DataError, StoreError
from headwater.core.instant import iso
from headwater.store.jobs import Job

_LOOK = 0.2  # seconds between two tries to get the turn
_ENDS = {"refused": Exit.DATA, "failed": Exit.MODEL}


@click.command("run")
@click.argument("name")
@click.option("--at", "moment", type=MOMENT, help="The moment that it is for.  [default: now]")
@click.option(
    "--wait", type=SPAN, default="1h", help="So long for the end of other jobs at most.  [default: 1h]"
)
@click.option("--why", metavar="TEXT", help="The reason, kept with the run.")
@at_workplace
def command(
    work: Workplace, screen: Screen, name: str, moment: int | None, wait: int, why: str | None
) -> None:
    """Run a job now, and wait for its end.

    A job is known by its name and its moment: what was done for the same moment is not done again, and what
    was cut short goes on. One job of a project runs at a time, also beside a server. Ends with 4 if the data
    does not allow it, and with 6 if it failed.
    """
    now = work.clock.now()
    due = now if moment is None else moment
    if due > now:
        raise DataError.of(
            "the moment of a job is still to come", expected=f"at most {iso(now)}", got=iso(due), where="--at"
        )
    with desk_of(work) as desk:
        timing_of(name, desk.timings)
        done = _in_turn(desk, name, due, why or "Asked for.", wait / 1e6)
        show(screen, desk, done)
    if done.state in _ENDS:
        click.get_current_context().exit(_ENDS[done.state])


def _in_turn(desk: Desk, name: str, due: int, why: str, patience: float) -> Job:
    end = time.monotonic() + patience
    while True:
        with desk.turn() as mine:
            if mine:
                return desk.run(desk.jobs.plan(name, due, why, now=desk.clock(), asked_by=actor()))
        if time.monotonic() >= end:
            raise StoreError.of(
                "another job of this project still runs",
                expected="its end",
                got=", ".join(job.name for job in desk.jobs.running()) or "no job's name yet",
                where=str(desk.folder.jobs_lock),
                do="wait longer with --wait, or look at it: headwater jobs list --runs 5",
            )
        time.sleep(_LOOK)
