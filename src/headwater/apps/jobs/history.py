"""What was before, for ``schedule``: from the kept jobs and the kept reports, and from nothing heavier.

Called by ``desk``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.apps.jobs.schedule import History, Watched
from headwater.apps.jobs.timetable import Timing
from headwater.core.instant import instant
from headwater.models.metrics import Metric
from headwater.monitoring.outcomes import FIGURES, Performance, Period
from headwater.monitoring.verdict import Level
from headwater.store.folder import DataFolder
from headwater.store.jobs import Job
from headwater.store.protocol import Jobs
from headwater.store.reports import Report, ReportStore

DRIFT, OUTCOMES = "drift", "outcomes"  # kinds of reports, as ``apps.watching`` keeps them


@dataclass(frozen=True, slots=True)
class KeptFinding:
    """A finding of a kept drift report."""

    subject: str
    level: Level
    words: str
    form: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As it was kept."""
        return dict(self.form)


@dataclass(frozen=True, slots=True)
class KeptDrift:
    """A kept drift report, as ``retraining.triggers`` reads one."""

    start: int
    stop: int
    level: Level
    findings: tuple[KeptFinding, ...]


def history(folder: DataFolder, jobs: Jobs, timings: Sequence[Timing], now: int) -> History:
    """What the data folder knows.

    Raises:
        StoreError: jobs or reports cannot be read.
    """
    newest = {one.name: jobs.newest(one.name) for one in timings}
    models = [one.model for one in timings if one.kind == "retrain" and one.model is not None]
    trained = {
        model: when
        for model in models
        if (when := trained_at(jobs.newest_done(f"retrain.{model}"))) is not None
    }
    return History(
        since=jobs.known_since([one.name for one in timings], now=now),
        last={name: job.due for name, job in newest.items() if job is not None},
        open={job.name for job in jobs.open_ones()},
        trained=trained,
        watched=_watched(folder.reports, jobs, models) if folder.reports.is_file() else {},
    )


def trained_at(job: Job | None) -> int | None:
    """The moment of the training that a done retraining found or made; None without one."""
    if job is None:
        return None
    found = job.outcome.get("trained")
    return job.due if found is None else int(found)


def _watched(path: Path, jobs: Jobs, models: Sequence[str]) -> dict[str, Watched]:
    with ReportStore.open(path) as reports:
        return {
            model: _of(
                reports.newest(DRIFT, model),
                reports.newest(OUTCOMES, model),
                jobs.newest_done(f"{OUTCOMES}.{model}"),
            )
            for model in models
        }


def _of(drift: Report | None, outcomes: Report | None, counted: Job | None) -> Watched:
    facts = {} if counted is None else counted.outcome
    volume = facts.get("volume") or {}
    return Watched(
        None if drift is None else kept_drift(drift),
        None if outcomes is None else kept_performance(outcomes),
        facts.get("registered") or {},
        volume.get("matured", 0),
        volume.get("learned", 0),
        counted.due if counted is not None and volume else 0,
    )


def kept_drift(report: Report) -> KeptDrift:
    """A kept drift report."""
    body = report.body
    findings = tuple(KeptFinding(one["subject"], one["level"], one["words"], one) for one in body["findings"])
    return KeptDrift(report.start, report.stop, body["level"], findings)


def kept_performance(report: Report) -> Performance:
    """The outcomes of a kept report, as far as they were measured; as of its end."""
    periods = tuple(_period(one) for one in report.body["periods"])
    return Performance(report.stop, report.body["wait"], periods, FIGURES)


def _period(form: Mapping[str, Any]) -> Period:
    measured = {
        name: Metric(*(math.nan if figure is None else figure for figure in figures))
        for name, figures in form["measured"].items()
    }
    return Period(
        form["start"],
        form["stop"],
        form["decided"],
        form["matured"],
        form["positives"],
        instant(form["known_from"]),
        dict(form["estimated"]),
        measured,
        form["why_not"],
    )
