"""The kinds of jobs: what each does, how often by default, and where its work is done.

A kind is one line of :data:`KINDS`; its module is imported when one of its jobs is run, so that whoever only
plans carries neither MLflow nor the kernels. Called by ``timetable`` and ``desk``; to add a kind, add a line
and a function that takes a :class:`Task`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from headwater.apps.jobs.settings import JobSettings
from headwater.apps.settings import Settings
from headwater.core.instant import DAY, HOUR, MINUTE, WEEK
from headwater.definitions.project import Project
from headwater.store.folder import DataFolder
from headwater.store.jobs import Job
from headwater.store.protocol import Jobs

_HERE = "headwater.apps.jobs"


@dataclass(frozen=True)
class Task:
    """A job that is run now, and what it needs.

    Attributes:
        job: the job, running.
        subject: the model that it is about; None where it is about the project.
        project: the definitions.
        settings: where project, data and registry are.
        how: what is set about jobs.
        environ: the environment, for settings that are read elsewhere.
        jobs: what was run before.
        now: microseconds UTC, stamped on what is kept. What is looked at follows from ``job.due`` alone.
        step: to be called now and then; may raise to end the job.
    """

    job: Job
    subject: str | None
    project: Project
    settings: Settings
    how: JobSettings
    environ: Mapping[str, str]
    jobs: Jobs
    now: int
    step: Callable[[], None]

    @property
    def folder(self) -> DataFolder:
        """The data folder."""
        return DataFolder(self.settings.data)

    def note(self, **facts: Any) -> None:
        """Keep facts that another attempt at the job needs."""
        self.jobs.note(self.job.number, facts)


Work = Callable[[Task], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job.

    Attributes:
        work: module and function that do it.
        meaning: one sentence.
        every: how often it is due unless something else is set, microseconds; None: as the model says.
        of: of what there is one: each ``model``, each ``policy``'s model, each ``protected`` model's, or the
            ``project``, or the project if ``recipients`` or a ``lake`` are set.
        then: the job that is due when one of these is done.
    """

    work: str
    meaning: str
    every: int | None
    of: Literal["model", "policy", "protected", "project", "recipients", "lake"]
    then: str | None = None


KINDS: Mapping[str, Kind] = {
    "retrain": Kind(f"{_HERE}.retrain:retrain_job", "Train again, and ask the gate.", None, "model"),
    "drift": Kind(f"{_HERE}.watch:drift_job", "Compare decisions with training.", DAY, "policy", "alerts"),
    "outcomes": Kind(f"{_HERE}.watch:outcomes_job", "Measure past decisions.", DAY, "policy", "alerts"),
    "fairness": Kind(f"{_HERE}.watch:fairness_job", "Compare groups.", WEEK, "protected", "alerts"),
    "alerts": Kind(f"{_HERE}.alerts:alerts_job", "Judge what was found, and tell people.", HOUR, "project"),
    "reports": Kind(f"{_HERE}.reports:reports_job", "Mail the report.", DAY, "recipients"),
    "lake": Kind(f"{_HERE}.lake:lake_job", "Bring the lake up to date.", 5 * MINUTE, "lake"),
}


def work_of(kind: str) -> Work:
    """The function that does the work of a kind; imports it."""
    module, _, name = KINDS[kind].work.partition(":")
    work: Work = getattr(import_module(module), name)
    return work
