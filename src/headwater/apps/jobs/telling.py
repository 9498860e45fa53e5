"""Jobs as plain JSON values, for the command line and the API; times as ISO 8601."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from headwater.apps.jobs.desk import Desk
from headwater.apps.jobs.history import history
from headwater.apps.jobs.kinds import KINDS
from headwater.apps.jobs.schedule import next_moment
from headwater.core.instant import iso, span_text
from headwater.store.jobs import Job


def plain(desk: Desk, job: Job) -> dict[str, Any]:
    """A job: ``JobAnswer`` of the API."""
    return {
        "id": job.id,
        "job": job.name,
        "due": iso(job.due),
        "state": "interrupted" if desk.interrupted(job) else job.state,
        "why": job.why,
        "asked_by": job.asked_by,
        "planned": iso(job.planned),
        "attempt": job.attempt,
        "started": _iso(job.started),
        "ended": _iso(job.ended),
        "again": _iso(job.again),
        "outcome": dict(job.outcome),
        "letter": [
            {name: fact for name, fact in asdict(one).items() if fact is not None} for one in job.letter
        ],
    }


def listed(desk: Desk, now: int) -> list[dict[str, Any]]:
    """Every job of the project, with its last run and when it is due next: ``TimedJob`` of the API."""
    before = history(desk.folder, desk.jobs, desk.timings, now)
    found = []
    for timing in desk.timings:
        last = desk.jobs.newest(timing.name)
        found.append(
            {
                "job": timing.name,
                "kind": timing.kind,
                "model": timing.model,
                "meaning": KINDS[timing.kind].meaning,
                "every": None if timing.every is None else span_text(timing.every),
                "triggers": timing.triggers,
                "next": _iso(next_moment(timing, now, before)),
                "last": None if last is None else plain(desk, last),
            }
        )
    return found


def _iso(moment: int | None) -> str | None:
    return None if moment is None else iso(moment)
