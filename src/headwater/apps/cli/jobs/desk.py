"""The desk of the command line, and jobs as it shows them. Called by the commands of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace
from headwater.apps.jobs.desk import Desk
from headwater.apps.jobs.settings import JobSettings
from headwater.apps.jobs.telling import plain
from headwater.apps.settings import environment
from headwater.apps.stores import records_of
from headwater.store.jobs import Job

STYLES = {"done": "bold green", "refused": "bold yellow", "failed": "bold red"}


@contextmanager
def desk_of(work: Workplace) -> Iterator[Desk]:
    """The desk of a project.

    Raises:
        DataError: a setting of the jobs cannot be read.
        StoreError: the jobs cannot be opened.
    """
    environ = environment()
    how = JobSettings.read(environ)
    with records_of(work.settings.data, work.settings.database) as records, records.jobs() as jobs:
        yield Desk(work.project, work.settings, how, environ, jobs, work.clock.now)


def show(screen: Screen, desk: Desk, job: Job) -> None:
    """A job for people, or as JSON."""
    form = plain(desk, job)
    if screen.as_json:
        screen.write(form)
        return
    screen.say(f"{job.id} {job.name}, for {form['due']}: {form['state']}", STYLES.get(job.state, "bold"))
    screen.say(f"  why       {job.why}")
    if job.asked_by is not None:
        screen.say(f"  asked by  {job.asked_by}")
    for name in ("started", "ended", "again"):
        if form[name] is not None:
            screen.say(f"  {name:<9} {form[name]}")
    if job.attempt > 1:
        screen.say(f"  attempt   {job.attempt}")
    for name, value in job.outcome.items():
        screen.say(f"  {name}: {_shown(value)}")
    for problem in job.letter:
        screen.say(str(problem))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(_shown(one) for one in value) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
