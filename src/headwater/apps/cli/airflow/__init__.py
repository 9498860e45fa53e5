"""``headwater airflow``: dags. Each a module."""

from __future__ import annotations

from headwater.apps.cli.lazy import LazyGroup

COMMANDS = {
    "dags": ("headwater.apps.cli.airflow.dags", "Write a DAG file for each job of the project."),
}

command = LazyGroup("airflow", "Let Airflow run the jobs of the project.", COMMANDS)
