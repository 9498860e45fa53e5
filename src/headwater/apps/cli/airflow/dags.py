"""``headwater airflow dags``: the jobs of a project as DAG files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace, write_whole
from headwater.apps.jobs.kinds import KINDS
from headwater.apps.jobs.settings import JobSettings
from headwater.apps.jobs.timetable import timetable
from headwater.apps.settings import environment
from headwater.scale.airflow.dags import Place, Timed, dag_files


@click.command("dags")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--command", "program", metavar="PATH", help="The headwater of Airflow's workers.  [default: this one]"
)
@click.option(
    "--retries", type=click.IntRange(0, 20), default=2, show_default=True, help="Of a run that failed."
)
@at_workplace
def command(work: Workplace, screen: Screen, out: Path, program: str | None, retries: int) -> None:
    """Write a DAG file for each job of the project.

    OUT is Airflow's folder of DAGs. The files are for Airflow 3, run `headwater jobs run`, hold no secret.
    Set HEADWATER_JOBS to off where the server runs, so that each job is run once.
    """
    settings = work.settings
    secret = "@" in (settings.tracking_uri or "")  # a name and a password
    place = Place(
        work.project.name,
        program or str(Path(sys.executable).parent / "headwater"),
        str(settings.project.absolute()),
        str(settings.data.absolute()),
        None if secret else settings.tracking_uri,
    )
    timings = timetable(work.project, JobSettings.read(environment()))
    jobs = [Timed(one.name, KINDS[one.kind].meaning, one.every, one.at) for one in timings]
    out.mkdir(parents=True, exist_ok=True)
    files = dag_files(place, jobs, retries)
    for name, text in files.items():
        write_whole(out / name, text)
    if screen.as_json:
        screen.write({"files": [str(out / name) for name in files]})
        return
    for name in files:
        screen.say(str(out / name))
    if secret:
        screen.note("MLFLOW_TRACKING_URI holds a password and is left out: set it for Airflow's workers")
    if JobSettings.read(environment()).on:
        screen.note("set HEADWATER_JOBS=off where the server runs, so that each job is run once")
