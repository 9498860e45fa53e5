"""``headwater jobs``: list, run and show. Each a module."""

from __future__ import annotations

from headwater.apps.cli.lazy import LazyGroup

_HERE = "headwater.apps.cli.jobs"

COMMANDS = {
    "list": (f"{_HERE}.list_", "List the jobs of the project: how often, last run, next due."),
    "run": (f"{_HERE}.run", "Run a job now, and wait for its end."),
    "show": (f"{_HERE}.show", "Show a run: why, when, and what came of it."),
}

command = LazyGroup("jobs", "List, run and show what is done by the clock.", COMMANDS, default="list")
