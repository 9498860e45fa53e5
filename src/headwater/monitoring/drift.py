"""Drift: a window of served vectors against the training reference, feature by feature.

For each feature and for the score: population stability index, Kolmogorov-Smirnov, Jensen-Shannon, the share
of nulls, categories never seen and categories gone, values outside what was ever seen. A p-value counts
independent rows, not rows (``models.clusters``), and never more of them than the usual change from week to
week leaves; ``verdict`` then corrects for all that was looked at. Streams are looked at in ``streams``.

    rows --> effective rows --> at most 1 / variation      each feature's test counts these
    p of every test in the window --> Benjamini-Hochberg --> alpha of this window --> floor of the effect

``docs/explanation/drift.md`` says why, with false alarms counted. Called by jobs and reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from headwater.core.instant import iso
from headwater.models.baseline import Baseline
from headwater.models.spread import Rows
from headwater.monitoring.feature import FeatureDrift, measure
from headwater.monitoring.streams import StreamDrift, StreamWindow, stream_drift
from headwater.monitoring.verdict import LEVELS, Finding, Level, Rule, judge, worst
from headwater.monitoring.window import Window

SCORE = "score"
_NAMED = 5  # features that a sentence names
_VARIANCE_ROWS = 20_000  # of a window, that its design effects are taken from


@dataclass(frozen=True)
class DriftReport:
    """One window against the reference.

    Attributes:
        start, stop: of the window, microseconds UTC.
        rows, entities: in it.
        level: the gravest of everything.
        alpha: the chance that so quiet a window raises an alarm.
        features: the gravest first.
        score: of the score; None if it was not looked at.
        streams: the gravest first.
        notes: what could not be looked at, as sentences.
    """

    start: int
    stop: int
    rows: int
    entities: int
    level: Level
    alpha: float
    features: tuple[FeatureDrift, ...]
    score: FeatureDrift | None = None
    streams: tuple[StreamDrift, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that is not quiet, the gravest first; of equal level the likelier cause first.

        A stream that stopped or is late moves the features that are made from it, and features the score.
        """
        ranked = [(0, one) for one in self.streams] + [(1, one) for one in self.features]
        ranked += [(2, self.score)] if self.score is not None else []
        found = [
            (-LEVELS.index(finding.level), place, -finding.severity, finding)
            for place, one in ranked
            for finding in one.findings
            if finding.level in ("watch", "alarm")
        ]
        return tuple(finding for *_, finding in sorted(found, key=lambda row: row[:3]))

    def words(self) -> str:
        """The verdict and its reasons, one sentence a line.

        The first line is the verdict.
        """
        span = f"{iso(self.start)} to {iso(self.stop)}"
        head = f"{self.level}: {self.rows:,} rows of {self.entities:,} entities, {span}"
        lines = [f"{one.subject} {one.words} ({one.level})" for one in self.findings]
        return "\n".join([head, *lines, *self.notes, *self.unjudged()])

    def unjudged(self) -> Iterator[str]:
        """A sentence on the features whose distribution got no verdict, by why; none where all got one."""
        parts = [*self.features, *([] if self.score is None else [self.score])]
        short = [(one.name, one.unjudged) for one in parts if one.unjudged is not None]
        if short:
            named = "; ".join(f"{name} ({why})" for name, why in short[:_NAMED])
            more = f"; and {len(short) - _NAMED:,} more" if len(short) > _NAMED else ""
            yield f"Whether {len(short):,} of {len(parts):,} moved is not known: {named}{more}."

    def frame(self) -> pl.DataFrame:
        """A row for each feature and the score, the gravest first."""
        rows = [*self.features, *([] if self.score is None else [self.score])]
        names = [name for name in FeatureDrift.__dataclass_fields__ if name != "findings"]
        return pl.DataFrame({name: [getattr(row, name) for row in rows] for name in names})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            **{name: getattr(self, name) for name in ("start", "stop", "rows", "entities", "level", "alpha")},
            "features": [one.to_json() for one in self.features],
            "score": None if self.score is None else self.score.to_json(),
            "streams": [one.to_json() for one in self.streams],
            "notes": list(self.notes),
            "unjudged": list(self.unjudged()),
            "words": self.words(),
        }


def compare(
    baseline: Baseline,
    window: Window,
    *,
    streams: Mapping[str, StreamWindow] | None = None,
    rule: Rule | None = None,
) -> DriftReport:
    """Hold a window against the reference.

    Args:
        baseline: of the model version that served it.
        window: what was served.
        streams: stream to its events of the window; None leaves streams out.
        rule: when to say what. Its ``every`` must say how often windows are looked at.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> base = Baseline.learned_from(
        ...     rng.normal(size=(5_000, 1)), ("age",), categories={}, entities=np.arange(5_000),
        ...     times=np.arange(5_000), flows={})
        >>> shifted = Window(0, 86_400_000_000, ("age",), rng.normal(0.5, 1, (900, 1)), np.arange(900))
        >>> compare(base, shifted).level
        'alarm'
    """
    how = rule or Rule()
    measured = list(_measured(baseline, window, how))
    flowing = [
        stream_drift(name, baseline.flows[name], events, how)
        for name, events in (streams or {}).items()
        if name in baseline.flows
    ]
    everything: list[FeatureDrift | StreamDrift] = [*flowing, *measured]
    seen = [(place, finding) for place, one in enumerate(everything) for finding in one.findings]
    verdicts: list[list[Finding]] = [[] for _ in everything]
    for (place, _), finding in zip(seen, judge([finding for _, finding in seen], how), strict=True):
        verdicts[place].append(finding)
    judged = [one.judged(found) for one, found in zip(everything, verdicts, strict=True)]
    features = [one for one in judged if isinstance(one, FeatureDrift)]
    return DriftReport(
        start=window.start,
        stop=window.stop,
        rows=len(window),
        entities=len(np.unique(window.entities)),
        level=worst(one.level for one in judged),
        alpha=how.alpha,
        features=_gravest([one for one in features if one.name != SCORE]),
        score=next((one for one in features if one.name == SCORE), None),
        streams=_gravest([one for one in judged if isinstance(one, StreamDrift)]),
        notes=(*window.notes, *_notes(baseline, window, streams or {})),
    )


def _measured(baseline: Baseline, window: Window, rule: Rule) -> Iterator[FeatureDrift]:
    rows = Rows.of(len(window), window.entities, most=_VARIANCE_ROWS)
    for place, name in enumerate(window.names):
        if name in baseline.spreads:
            column = np.ascontiguousarray(window.X[:, place])
            yield measure(name, baseline.spreads[name], column, rows, window.unseen.get(name), rule)
    if window.scores is not None and baseline.scores is not None:
        yield measure(SCORE, baseline.scores, window.scores, rows, None, rule)


def _gravest(parts: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(sorted(parts, key=lambda one: (-LEVELS.index(one.level), -one.severity)))


def _notes(baseline: Baseline, window: Window, streams: Mapping[str, StreamWindow]) -> Iterator[str]:
    unknown = [name for name in window.names if name not in baseline.spreads]
    if unknown:
        yield f"There is no reference for {', '.join(unknown)}."
    if window.scores is not None and baseline.scores is None:
        yield "There is no reference for the score: the model was not judged on rows of its own."
    for name in streams:
        if name not in baseline.flows:
            yield f"There is no reference for the stream {name}."
