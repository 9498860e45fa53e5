"""Drift of a model in a window: put together from the data folder, judged, and kept.

Called by ``headwater drift`` and by jobs; what is kept is read by alerts and pages. The judgement is
``monitoring.drift``'s, the reference that of the model version's artifact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headwater.apps.masking import personal_inputs
from headwater.apps.watching.flows import stream_windows
from headwater.apps.watching.place import Place, Watched
from headwater.apps.watching.served import Source, events_of, from_decisions, from_log, need
from headwater.core.instant import DAY
from headwater.log.protocol import EventLog
from headwater.models.baseline import Baseline
from headwater.monitoring.drift import DriftReport, compare
from headwater.monitoring.reference import reference
from headwater.monitoring.score_drift import ScoreDrift, attribute
from headwater.monitoring.verdict import Finding, Rule
from headwater.monitoring.window import Window
from headwater.store.reports import Report, ReportStore

KIND = "drift"
_MEASURES = "has changed: {measure} {effect:.3g}; its values are personal"


@dataclass(frozen=True)
class Drift:
    """What was found.

    Attributes:
        watched: the model version.
        source: whether decisions or the log's observations were looked at.
        report: the verdict, feature by feature.
        score: why the mean score moved; None where that is not known.
    """

    watched: Watched
    source: Source
    report: DriftReport
    score: ScoreDrift | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values. Of personal inputs it holds measures alone, no values."""
        personal = personal_inputs(self.watched.model)
        form = self.report.to_json()
        for one in form["features"]:
            if one["name"] in personal:
                one |= {"median": None, "usual_median": None}
                for finding in one["findings"]:
                    finding["words"] = _MEASURES.format(**finding)
        del form["words"]  # they may quote values
        form["findings"] = [_told(one, personal) for one in self.report.findings]
        return {
            "model": self.watched.model.name,
            "version": self.watched.version.number,
            "digest": self.watched.version.digest,
            "definition_hash": self.watched.scoring.definition_hash,
            "source": self.source,
            **form,
            "score_drift": None if self.score is None else self.score.to_json(),
        }


def drift(
    place: Place,
    log: EventLog,
    start: int,
    stop: int,
    *,
    model: str | None = None,
    which: int | str = "champion",
    source: Source = "decisions",
    every: int = DAY,
) -> Drift:
    """Hold what was served in a window against the training reference.

    Args:
        place: project and data folder.
        log: its events.
        start: of the window, microseconds UTC.
        stop: the first instant after it.
        model: which; the project's only one.
        which: version number or alias.
        source: ``decisions``, or ``log`` for the model's observations by replay.
        every: how often a window is looked at, microseconds: for so few false alarms as are allowed.

    Raises:
        DataError: nothing was served in the window.
        ModelError: there is no such version, or it has no training reference.
    """
    watched = place.watched(model, which)
    baseline = reference(watched.scoring.artifact)
    if source == "log":
        served = from_log(watched, events_of(watched, log), start, stop)
    else:
        with place.records() as records, records.decisions() as decisions:
            served = from_decisions(watched, decisions, start, stop)
    need(served)
    window = served.window()
    streams = stream_windows(place, watched, log, start, stop)
    report = compare(baseline, window, streams=streams, rule=Rule(every=every))
    return Drift(watched, source, report, _score_drift(baseline, watched, window))


def keep(place: Place, found: Drift, *, now: int) -> Report:
    """Keep what was found in the data folder; the same window with the same findings is kept once.

    Raises:
        StoreError: the disk.
    """
    with ReportStore.open(place.folder.make().reports) as reports:
        report = found.report
        name = found.watched.model.name
        return reports.keep(KIND, name, report.start, report.stop, found.to_json(), now=now)


def _score_drift(baseline: Baseline, watched: Watched, window: Window) -> ScoreDrift | None:
    if baseline.contributions is None:
        return None
    return attribute(baseline.contributions, watched.scoring.scorer, window)


def _told(finding: Finding, personal: set[str]) -> dict[str, Any]:
    told = {name: getattr(finding, name) for name in ("subject", "level", "measure", "effect", "words")}
    return told | ({"words": _MEASURES.format(**told)} if finding.subject in personal else {})
