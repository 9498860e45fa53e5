"""The timetable of a project: which jobs it has, and how often each is due.

Follows from the definitions and the settings. Called by ``desk``, ``headwater jobs``, the API and
``scale.airflow``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headwater.apps.jobs.kinds import KINDS, Kind
from headwater.apps.jobs.settings import JobSettings
from headwater.core.errors import DataError
from headwater.definitions.model import Model
from headwater.definitions.project import Project


@dataclass(frozen=True, slots=True)
class Timing:
    """One job of a project.

    Attributes:
        name: ``drift.risk``, or ``alerts``.
        kind: of ``kinds.KINDS``.
        model: that it is about; None where it is about the project.
        every: how often it is due, microseconds; None: only when it is asked for.
        triggers: whether it is also due for what watching found.
        at: at which time of the day, microseconds after midnight UTC; None: from when it was seen first on.
    """

    name: str
    kind: str
    model: str | None
    every: int | None
    triggers: bool = False
    at: int | None = None


def timetable(project: Project, how: JobSettings) -> tuple[Timing, ...]:
    """The jobs of a project, kind by kind.

    Raises:
        DataError: a job is set that the project has not.
    """
    found = tuple(_timings(project, how))
    known = {one.name for one in found} | set(KINDS)
    if odd := [name for name in how.every if name not in known]:
        raise DataError.of(
            "the setting HEADWATER_JOBS_EVERY names a job that there is not",
            expected="some of " + ", ".join([*KINDS, *(one.name for one in found if one.model)]),
            got=", ".join(odd),
            do="correct the environment variable, or unset it",
        )
    return found


def timing_of(name: str, timings: tuple[Timing, ...]) -> Timing:
    """The job of a name.

    Raises:
        DataError: there is none.
    """
    found = next((one for one in timings if one.name == name), None)
    if found is None:
        raise DataError.of(
            "there is no such job",
            expected="one of " + ", ".join(one.name for one in timings),
            got=repr(name[:80]),
            do="name one of them; `headwater jobs` lists them",
        )
    return found


def _timings(project: Project, how: JobSettings) -> Iterator[Timing]:
    decided = {policy.model.name for policy in project.policies}
    for name, kind in KINDS.items():
        if kind.of == "recipients":
            if how.morning is not None:
                yield Timing(name, name, None, how.every.get(name, kind.every), at=how.morning)
            continue
        if kind.of == "project" or (kind.of == "lake" and how.lake):
            yield Timing(name, name, None, how.every.get(name, kind.every))
            continue
        if kind.of == "lake":
            continue
        for model in project.models:
            if _has(model, kind, decided=model.name in decided):
                whole = f"{name}.{model.name}"
                every = how.every.get(whole, how.every.get(name, _usual(model, kind)))
                asked = name == "retrain" and how.triggers and every is not None
                yield Timing(whole, name, model.name, every, asked)


def _has(model: Model, kind: Kind, *, decided: bool) -> bool:
    return kind.of == "model" or (decided and (kind.of == "policy" or bool(model.protected)))


def _usual(model: Model, kind: Kind) -> int | None:
    if kind.every is not None:
        return kind.every
    return None if model.retrain is None else model.retrain.every
