"""Streams in a window: how many events came, and how late, beside what was usual in training.

The count is held against the weekday profile of the training days. What a count is worth is taken from how
much the counts of so many days differed there, so that holidays and growth that were usual are no alarm. How
late events come is compared as a feature is, the hour of arrival standing for the entity: what one hold-up
delays is late together. Called by ``drift``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.instant import DAY, span_text
from headwater.models.flow import Flow, hours, lateness
from headwater.models.tails import t_tail
from headwater.monitoring.feature import measure
from headwater.monitoring.verdict import Finding, Level, Rule, ranked, worst

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_LEAST_BLOCKS = 8  # stretches of training as long as the window, to say how much is usual
_LEAST_DAYS = 28
_LEAST_HOURS = 6  # of arrivals, for a verdict on lateness


@dataclass(frozen=True)
class StreamWindow:
    """Events of one stream.

    Attributes:
        start, stop: of the window, microseconds UTC; volume is judged in whole days of it.
        time: int64 microseconds, shape (n,): when the events happened that lie in the window.
        arrived: int64 microseconds, shape (m, 2): event and arrival time of what arrived in the window.
    """

    start: int
    stop: int
    time: Int64
    arrived: Int64

    @classmethod
    def of(cls, time: Int64, arrival: Int64, start: int, stop: int) -> StreamWindow:
        """From events, int64 microseconds, shape (n,), some of which lie in the window."""
        inside = (arrival >= start) & (arrival < stop)
        arrived = np.column_stack([time[inside], arrival[inside]])
        return cls(start, stop, time[(time >= start) & (time < stop)], arrived)


@dataclass(frozen=True)
class StreamDrift:
    """One stream in one window.

    Attributes:
        name: of the stream.
        level: the gravest of ``findings``; ``too few`` where no verdict can be given.
        events: in the whole days of the window, by event time.
        expected: as many as these days would usually have; NaN where that is not known.
        lateness: median seconds from event to arrival of what arrived; NaN where nothing did.
        usual_lateness: NaN where the history was imported and nothing is known of it.
        findings: what was measured, the gravest first.
    """

    name: str
    level: Level
    events: int
    expected: float
    lateness: float
    usual_lateness: float
    findings: tuple[Finding, ...] = ()

    @property
    def severity(self) -> float:
        """Effect over its floor, of the gravest finding."""
        return self.findings[0].severity if self.findings else 0.0

    def judged(self, findings: Sequence[Finding]) -> StreamDrift:
        """With findings that are judged, the gravest first."""
        if not findings:
            return self
        return replace(self, findings=ranked(findings), level=worst(one.level for one in findings))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; null for NaN."""
        form: dict[str, Any] = {name: getattr(self, name) for name in ("name", "level", "events")}
        for name in ("expected", "lateness", "usual_lateness"):
            value = getattr(self, name)
            form[name] = None if np.isnan(value) else value
        return form | {"findings": [finding.to_json() for finding in self.findings]}


def stream_drift(name: str, flow: Flow, window: StreamWindow, rule: Rule) -> StreamDrift:
    """Measure one stream; its findings are not judged yet."""
    first, stop = -(-window.start // DAY), window.stop // DAY
    inside = (window.time >= first * DAY) & (window.time < stop * DAY)
    events = int(inside.sum())
    expected, error, degrees = _expected(flow, first, max(stop - first, 0))
    late = lateness(window.arrived[:, 0], window.arrived[:, 1])
    usual = flow.lateness
    found = [
        *_volume(name, events, expected, error, degrees, stop - first),
        *_late(name, flow, late, window.arrived[:, 1], rule),
    ]
    return StreamDrift(
        name=name,
        level="quiet" if found else "too few",
        events=events,
        expected=expected,
        lateness=float(np.median(late)) if len(late) else np.nan,
        usual_lateness=np.nan if usual is None else _middle(usual.points, usual.below),
        findings=tuple(found),
    )


def _volume(
    name: str, events: int, expected: float, error: float, degrees: int, days: int
) -> Iterator[Finding]:
    if not np.isfinite(expected) or expected <= 0 or days < 1:
        return
    ratio = events / expected
    p = float(t_tail((ratio - 1) / error, degrees)) if error > 0 else float(ratio == 1)
    lacking = 1 - min(ratio, 1 / ratio) if ratio > 0 else 1.0
    way = "fewer" if ratio < 1 else "more"
    words = (
        f"has {events:,} events in {span_text(days * DAY)}, {way} than the {expected:,.0f} usual in training"
        if events
        else f"has no events in {span_text(days * DAY)}, where {expected:,.0f} are usual"
    )
    yield Finding(name, "volume", lacking, p, words)


def _late(name: str, flow: Flow, late: Float64, arrival: Int64, rule: Rule) -> Iterator[Finding]:
    rows = hours(arrival)
    if flow.lateness is None or rows.entities < _LEAST_HOURS:
        return
    one = measure(name, flow.lateness, late, rows, None, replace(rule, least_entities=_LEAST_HOURS))
    for finding in one.findings:
        if finding.measure in ("psi", "ks"):
            now, usual = _time(one.median), _time(one.usual_median)
            words = (
                f"comes late otherwise than in training: half the events within {now}, usually within {usual}"
            )
            yield replace(finding, measure="lateness", effect=one.ks, words=words)


def _expected(flow: Flow, first: int, days: int) -> tuple[float, float, int]:
    """Events in so many days, the relative standard error of that, and its degrees of freedom."""
    counts = np.array(flow.days, np.float64)
    if len(counts) < _LEAST_DAYS or days < 1 or not counts.any():
        return np.nan, np.nan, 0
    weekday = (flow.first_day + np.arange(len(counts))) % 7
    profile = np.bincount(weekday, weights=counts, minlength=7) / np.bincount(weekday, minlength=7)
    asked = profile[(first + np.arange(days)) % 7].sum()
    usual = profile[weekday]
    if asked <= 0:
        return float(asked), np.nan, 0
    ratio = np.divide(counts, usual, out=np.ones_like(counts), where=usual > 0)
    error, degrees = _usual_error(ratio, days)
    chance = 1 / asked  # Poisson, which no count is steadier than for long
    return float(asked), float(np.sqrt(max(error, chance))), degrees


def _usual_error(ratio: Float64, days: int) -> tuple[float, int]:
    """The variance of the mean ratio of so many days, as it was in training, and its degrees of freedom."""
    blocks = len(ratio) // days
    if blocks >= _LEAST_BLOCKS:
        means = ratio[len(ratio) - blocks * days :].reshape(blocks, days).mean(axis=1)
        return float(means.var(ddof=1) * (1 + 1 / blocks)), blocks - 1
    gaps = ratio - ratio.mean()
    kept = min(max(float(gaps[1:] @ gaps[:-1] / max(gaps @ gaps, 1e-12)), 0.0), 0.9)
    longer = (1 + kept) / (1 - kept)  # an autoregression of order 1
    return float(gaps.var() * longer * (1 / days + 1 / len(ratio))), _LEAST_BLOCKS - 1


def _middle(points: Sequence[float], below: Sequence[float]) -> float:
    return points[min(int(np.searchsorted(below, 0.5 - 1e-12)), len(points) - 1)]


def _time(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
