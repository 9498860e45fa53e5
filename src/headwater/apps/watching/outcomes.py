"""How good the decisions of a model were: measured where labels are mature, else estimated; kept.

Called by ``headwater outcomes`` and by jobs. The figures are ``monitoring.outcomes``'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headwater.apps.watching.place import Place, Watched
from headwater.apps.watching.served import Source, events_of, from_decisions, from_log, need
from headwater.apps.watching.truth import outcomes as outcomes_of
from headwater.core.instant import WEEK, iso
from headwater.log.protocol import EventLog
from headwater.monitoring.outcomes import Performance, Period, Scored, gaps, performance
from headwater.store.reports import Report, ReportStore
from headwater.training.labels import gap

KIND = "outcomes"


@dataclass(frozen=True)
class Outcomes:
    """What was found.

    Attributes:
        watched: the model version whose scores were judged.
        source: whether decisions or the log's observations were judged.
        start, stop: the stretch, microseconds UTC.
        performance: by window.
        notes: what could not be taken as it is, as sentences.
    """

    watched: Watched
    source: Source
    start: int
    stop: int
    performance: Performance
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; times as microseconds and, in ``from`` and ``known_from``, as ISO 8601."""
        found = self.performance
        below = {one.start: value for one, value in gaps(found.periods)}
        return {
            "model": self.watched.model.name,
            "version": self.watched.version.number,
            "digest": self.watched.version.digest,
            "source": self.source,
            "start": self.start,
            "stop": self.stop,
            "wait": found.wait,
            "measured_until": None if found.measured_until is None else iso(found.measured_until),
            "words": found.words(),
            "periods": [{**_period(one), "gap": below.get(one.start)} for one in found.periods],
            "notes": list(self.notes),
        }


def outcomes(
    place: Place,
    log: EventLog,
    start: int,
    stop: int,
    *,
    now: int,
    model: str | None = None,
    which: int | str = "champion",
    source: Source = "decisions",
    every: int = WEEK,
    bootstrap: int = 200,
) -> Outcomes:
    """Judge what was served in a stretch, window by window.

    Args:
        place: project and data folder.
        log: its events.
        start: of the stretch, microseconds UTC, and of its first window.
        stop: the first instant after it.
        now: as of when labels are mature; not before ``stop``.
        model: which; the project's only one.
        which: version number or alias.
        source: ``decisions``, or ``log`` for the model's observations by replay.
        every: the length of a window, microseconds.
        bootstrap: resamples, for the intervals.

    Raises:
        DataError: nothing was served in the stretch.
        ModelError: there is no such version.
    """
    watched = place.watched(model, which)
    batches = events_of(watched, log)
    if source == "log":
        served = from_log(watched, batches, start, stop)
    else:
        with place.records() as records, records.decisions() as decisions:
            served = from_decisions(watched, decisions, start, stop)
    need(served)
    scored = Scored(served.time, served.entities, served.scores, outcomes_of(served, batches, now))
    found = performance(
        scored, now=now, wait=gap(watched.model.label), every=every, start=start, bootstrap=bootstrap
    )
    inside = tuple(one for one in found.periods if one.start < stop)
    judged = Performance(found.now, found.wait, inside, found.figures)
    return Outcomes(watched, source, start, stop, judged, served.notes)


def keep(place: Place, found: Outcomes, *, now: int) -> Report:
    """Keep what was found in the data folder; the same stretch with the same figures is kept once.

    Raises:
        StoreError: the disk.
    """
    with ReportStore.open(place.folder.make().reports) as reports:
        name = found.watched.model.name
        body = found.to_json()
        del body["words"]  # says how many days ago
        return reports.keep(KIND, name, found.start, found.stop, body, now=now)


def _period(one: Period) -> dict[str, Any]:
    return {
        "start": one.start,
        "stop": one.stop,
        "from": iso(one.start),
        "decided": one.decided,
        "matured": one.matured,
        "positives": one.positives,
        "known_from": iso(one.known_from),
        "estimated": dict(one.estimated),
        "measured": {name: metric.to_json() for name, metric in one.measured.items()},
        "why_not": one.why_not,
    }
