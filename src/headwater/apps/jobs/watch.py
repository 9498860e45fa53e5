"""The jobs that watch: drift, outcomes and fairness of the decisions up to a job's moment, kept as reports.

What they look at follows from the moment that a job is due, so that a job that is run twice keeps one report.
Called by ``desk``, through ``kinds``; the work itself is ``apps.watching``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from headwater.apps.jobs.history import trained_at
from headwater.apps.jobs.kinds import Task
from headwater.apps.watching import drift, fairness, outcomes
from headwater.apps.watching.place import Place, Watched
from headwater.core.batch import Batch
from headwater.core.errors import DataError, HeadwaterError, TrainingError
from headwater.core.instant import DAY, HOUR, WEEK, iso
from headwater.log.embedded import EmbeddedLog
from headwater.models.registry import CHAMPION
from headwater.training.history import gather, streams_of
from headwater.training.labels import gap
from headwater.training.spine import observations
from headwater.training.train import open_registry

OUTCOMES_SPAN = 26 * WEEK
FAIRNESS_SPAN = 365 * DAY


def drift_job(task: Task) -> dict[str, Any]:
    """The last seven days; of a model that was trained meanwhile, the days since, if it is one at least.

    Raises:
        DataError: there is no champion, or it decided nothing in the window.
        ModelError: the registry is away.
    """
    place = _place(task)
    stop = task.job.due // HOUR * HOUR
    start = stop - WEEK
    trained = trained_at(task.jobs.newest_done(f"retrain.{task.subject}"))
    if trained is not None and start < (since := -(-trained // HOUR) * HOUR) <= stop - DAY:
        start = since
    with _log(task) as log:
        found = drift.drift(place, log, start, stop, model=task.subject)
    kept = drift.keep(place, found, now=task.now)
    told = [f"{one.subject}: {one.level}" for one in found.report.findings[:5]]
    return _window(start, stop) | {"level": found.report.level, "findings": told, "report": kept.number}


def outcomes_job(task: Task) -> dict[str, Any]:
    """The last 26 whole weeks and the one that runs; and how many labels matured since the last training.

    Raises:
        DataError: there is no champion, or it decided nothing in the stretch.
        ModelError: the registry is away.
    """
    place = _place(task)
    stop = task.job.due // HOUR * HOUR
    start = (stop - OUTCOMES_SPAN) // WEEK * WEEK
    with _log(task) as log:
        found = outcomes.outcomes(place, log, start, stop, now=task.job.due, model=task.subject)
        task.step()
        volume = _volume(task, found.watched, log)
    kept = outcomes.keep(place, found, now=task.now)
    registered = dict(found.watched.scoring.artifact.metrics)
    return _window(start, stop) | {
        "words": found.performance.words(),
        "measured": sum(bool(one.measured) for one in found.performance.periods),
        "registered": {name: value for name, value in registered.items() if np.isfinite(value)},
        "report": kept.number,
        **({"volume": volume} if volume else {}),
    }


def fairness_job(task: Task) -> dict[str, Any]:
    """The last 365 days, by each protected column; one that cannot be told does not hide the others.

    Raises:
        DataError: there is no champion, or none of the columns can be told by.
        ModelError: the registry is away.
    """
    place = _place(task)
    stop = task.job.due // HOUR * HOUR
    start = stop - FAIRNESS_SPAN
    levels: dict[str, str] = {}
    refused: list[HeadwaterError] = []
    protected = next(one.protected for one in task.project.models if one.name == task.subject)
    with _log(task) as log:
        for column in protected:
            task.step()
            try:
                found = fairness.fairness(
                    place, log, start, stop, by=column, now=task.job.due, model=task.subject
                )
            except DataError as error:
                refused.append(error)
                continue
            fairness.keep(place, found, now=task.now)
            levels[column] = found.fairness.level
    if not levels:
        DataError.raise_if(problem for error in refused for problem in error.problems)
    return _window(start, stop) | {"levels": levels, "refused": [str(error) for error in refused]}


def _place(task: Task) -> Place:
    """Where to look, once there is a champion to look at."""
    registry = open_registry(task.settings.data, task.project, task.settings.tracking_uri)
    if not any(CHAMPION in one.aliases for one in registry.versions(str(task.subject))):
        raise DataError.of(
            "the model has no champion yet, so there is nothing to watch",
            expected="a champion that decides",
            where=task.subject,
            do="train one and promote it: headwater retrain, gate, promote",
        )
    return Place(task.folder, task.project, task.settings.tracking_uri, task.settings.database)


def _log(task: Task) -> EmbeddedLog:
    return EmbeddedLog.open(task.settings.log, task.project.streams, writer=False)


def _window(start: int, stop: int) -> dict[str, Any]:
    return {"from": iso(start), "to": iso(stop)}


def _volume(task: Task, watched: Watched, log: EmbeddedLog) -> dict[str, int] | None:
    """Observations whose labels matured since the last training, and those that the champion learned from.

    None where no log holds the observations, or nobody trained by a job yet.
    """
    model, baseline = watched.model, watched.scoring.artifact.baseline
    trained = trained_at(task.jobs.newest_done(f"retrain.{model.name}"))
    if baseline is None or trained is None:
        return None
    batches: Mapping[str, Batch] = gather(log, streams_of(model), model.keys)
    wait = gap(model.label)
    known = min(task.job.due, log.arrival())
    try:
        times = observations(model, batches, None, known - wait).time
    except TrainingError:
        return None
    first, last = baseline.learned
    learned = int(((times >= first) & (times <= last)).sum())
    return {"matured": int((times > trained - wait).sum()), "learned": learned}
