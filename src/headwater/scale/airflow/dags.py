"""DAG files for Airflow 3, one for each job of a project: Airflow runs what a server would run itself.

A file is plain text that imports Airflow and nothing of Headwater; to write it needs no Airflow. Its one task
calls the command line with the moment of the run, so that a run that Airflow tries again finds what the first
one did: a job is known by its name and its moment. Written by ``headwater airflow dags``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.core.instant import DAY, MINUTE

_TEMPLATE = '''\
"""{summary}

Written by `headwater airflow dags`: write it again rather than change it.
"""

from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id={dag_id},
    description={summary_text},
    schedule={schedule},
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,  # what was missed is not made up for: the newest run stands for it
    max_active_runs=1,
    tags=["headwater", {project_name}],
):
    BashOperator(
        task_id="run",
        # run_after is there in every run; a run that was asked for by hand may have no logical date.
        bash_command={command},
        env={{{env}}},
        append_env=True,
        retries={retries},
        retry_delay=timedelta(minutes=5),
        execution_timeout=timedelta(hours=6),
    )
'''
AT = "{{ dag_run.run_after.isoformat() }}"


@dataclass(frozen=True, slots=True)
class Timed:
    """A job, as Airflow is to run it.

    Attributes:
        name: of the job, such as ``retrain.risk``.
        meaning: one sentence.
        every: how often, microseconds; None: only by hand.
        at: of a daily job, at which time of the day, microseconds after midnight UTC; None: any.
    """

    name: str
    meaning: str
    every: int | None
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the project is for Airflow's workers.

    Attributes:
        project: its name.
        command: the ``headwater`` program.
        file: the project file.
        data: the data folder.
        tracking_uri: of the registry; None for the data folder.
    """

    project: str
    command: str
    file: str
    data: str
    tracking_uri: str | None = None


def dag_files(place: Place, jobs: Sequence[Timed], retries: int = 2) -> dict[str, str]:
    """File name to its text, one for each job.

    Example:
        >>> place = Place("lender", "headwater", "/srv/lender/project.py", "/srv/lender/.headwater")
        >>> files = dag_files(place, [Timed("alerts", "Tell people.", 3_600_000_000)])
        >>> list(files)
        ['headwater_lender_alerts.py']
        >>> "schedule=timedelta(seconds=3600)" in files["headwater_lender_alerts.py"]
        True
        >>> morning = Timed("reports", "Mail the report.", 86_400_000_000, at=23_400_000_000)
        >>> 'schedule="30 6 * * *"' in dag_files(place, [morning])["headwater_lender_reports.py"]
        True
    """
    return {f"{dag_id(place, job).replace('.', '_')}.py": _text(place, job, retries) for job in jobs}


def dag_id(place: Place, job: Timed) -> str:
    """What Airflow calls a job."""
    return f"headwater_{place.project}_{job.name}"


def _text(place: Place, job: Timed, retries: int) -> str:
    what = f"{job.name} of {place.project}: {job.meaning}"
    env = {"HEADWATER_PROJECT": place.file, "HEADWATER_HOME": place.data}
    if place.tracking_uri is not None:
        env["MLFLOW_TRACKING_URI"] = place.tracking_uri
    told = ", ".join(f"{_quoted(name)}: {_quoted(value)}" for name, value in env.items())
    return _TEMPLATE.format(
        summary=what,
        dag_id=_quoted(dag_id(place, job)),
        summary_text=_quoted(what),
        schedule=_schedule(job),
        project_name=_quoted(place.project),
        command=_quoted(f"{_shell(place.command)} jobs run {job.name} --at '{AT}' --why 'Airflow.' --json"),
        env=told,
        retries=retries,
    )


def _schedule(job: Timed) -> str:
    """When, as Airflow's DAG takes it."""
    if job.every is None:
        return "None"
    if job.every == DAY and job.at is not None:
        hour, minute = divmod(job.at // MINUTE, 60)
        return f'"{minute} {hour} * * *"'
    return f"timedelta(seconds={max(job.every, MINUTE) // 1_000_000})"


def _quoted(text: str) -> str:
    """A text as Python reads it; JSON's quotes are Python's."""
    return json.dumps(text)


def _shell(text: str) -> str:
    """A text as a shell reads it, one word."""
    return "'" + text.replace("'", "'\"'\"'") + "'"
