"""The job that trains a model again: train, ask the gate, and promote where a setting says so.

Every step finds what an earlier attempt left: the moment that it trains as of is noted before anything else,
the training of that moment is found by its key, and a version that is champion already is not gated again.
Until the promotion, which is one step, the champion is never touched. Called by ``desk``, through ``kinds``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headwater.apps.jobs.kinds import Task
from headwater.apps.stores import records_of
from headwater.core.instant import iso
from headwater.definitions.finding import find_model
from headwater.definitions.model import Model
from headwater.log.embedded import EmbeddedLog
from headwater.models.registry import CHAMPION, Registry, Version
from headwater.retraining.gate import gate
from headwater.retraining.promotion import Office, promote
from headwater.retraining.report import GateReport
from headwater.retraining.run import AS_OF, Retraining, retrain
from headwater.retraining.triggers import Why
from headwater.store.protocol import Trail
from headwater.training.train import open_registry


def retrain_job(task: Task) -> dict[str, Any]:
    """Train as of the moment that the job was due, or of the newest arrival before it.

    Raises:
        TrainingError: the data does not allow it; the refusal is in the registry, too.
        ModelError: the registry is away, or the estimator cannot be fitted.
        GateError: somebody else is at it.
    """
    model = find_model(task.project, task.subject)
    registry = open_registry(task.settings.data, task.project, task.settings.tracking_uri)
    with EmbeddedLog.open(task.settings.log, task.project.streams, writer=False) as log:
        noted = task.job.outcome.get("as_of_us")
        as_of = int(noted) if noted is not None else _moment(task, log)
        by_hand = None if task.job.asked_by or noted is not None else _by_hand(task, model, registry)
        if by_hand is not None:
            return by_hand
        task.note(as_of_us=as_of, as_of=iso(as_of))
        done = retrain(
            task.project,
            model.name,
            log,
            registry,
            folder=task.settings.data,
            as_of=as_of,
            why=Why("asked" if task.job.asked_by else "schedule", task.job.why),
            now=task.now,
            progress=lambda _stage, _done, _total: task.step(),
        )
        found = _facts(task, done)
        task.note(version=done.version.number)
        if CHAMPION in done.version.aliases:
            return found | ({"promoted": done.version.number} if task.how.promote else {})
        report = gate(
            task.project,
            model.name,
            log,
            registry,
            as_of=as_of,
            now=task.now,
            which=done.version.number,
            ticks=time.perf_counter_ns,
            progress=lambda _stage, _done, _total: task.step(),
        )
    found |= {"verdict": report.verdict, "gate": report.digest, "words": report.summary()}
    if task.how.promote and report.verdict == "promote":
        found |= _promoted(task, registry, done.version, report)
    return found


def _moment(task: Task, log: EmbeddedLog) -> int:
    return min(log.arrival(), task.job.due) if log.end() else task.job.due


def _by_hand(task: Task, model: Model, registry: Registry) -> dict[str, Any] | None:
    """What to say where somebody trained the model meanwhile, so that it is not due any more."""
    before = task.jobs.newest_done(task.job.name)
    own = -1 if before is None else before.outcome.get("version", -1)
    newest = next(iter(registry.versions(model.name)), None)
    if newest is None or model.retrain is None or newest.number <= own or AS_OF not in newest.tags:
        return None
    trained = int(newest.tags[AS_OF])
    if trained + model.retrain.every <= task.job.due:
        return None
    words = f"Version {newest.number} was trained by hand as of {iso(trained)}; nothing was done."
    return {"skipped": words, "trained": trained, "version": newest.number}


def _facts(task: Task, done: Retraining) -> dict[str, Any]:
    return {
        "model": done.model,
        "version": done.version.number,
        "digest": done.version.digest,
        "found": done.found,
        "trained": task.job.due,
    }


def _promoted(task: Task, registry: Registry, version: Version, report: GateReport) -> dict[str, Any]:
    with _trail(task) as trail:
        office = Office(registry, trail, task.settings.data, f"job:{task.job.id}", task.now)
        changed = promote(office, report.model, version.number, why=task.job.why)
    return {"promoted": changed.champion.number, "words": f"{report.summary()} {changed.words}"}


@contextmanager
def _trail(task: Task) -> Iterator[Trail]:
    settings = task.settings
    with records_of(settings.data, settings.database) as records, records.trail() as trail:
        yield trail
