"""Rules: what is an alert. Pure functions from reports and facts to signals; each knows its default.

A rule answers with what is wrong *and* with what it looked at: a subject that was looked at and is not wrong
resolves its alert, one that could not be looked at (too few rows, no label is mature) leaves it as it is. No
text holds a key or a value of a person: features by name, measures as numbers.

Called by ``check``, and by a running service for what only it knows (freshness, its parts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headwater.core.instant import DAY, HOUR, iso
from headwater.store.alerts import Signal
from headwater.store.parity import Compared, Mismatch
from headwater.store.reports import Report

SLOWEST = 0.25  # seconds from an event to its fresh score, of 99 in 100
LETTERS = (1, 100)  # dead letters in a day: from so many a warning, from so many critical
FIGURES: Mapping[str, tuple[int, float]] = {  # which way is worse, and from how much on it matters
    "roc_auc": (-1, 0.02),
    "brier": (1, 0.005),
}
_NAMED = 3  # findings that a text names


@dataclass(frozen=True)
class Judged:
    """What a rule found.

    Attributes:
        rule: its name.
        signals: what is wrong.
        clear: subjects that were looked at and are not wrong.
    """

    rule: str
    signals: tuple[Signal, ...] = ()
    clear: tuple[str, ...] = field(default=())


def drift(reports: Sequence[Report]) -> Judged:
    """The newest window of a model is in drift alarm.

    Args:
        reports: of one model, the newest window first.
    """
    newest = reports[0]
    level = newest.body["level"]
    if level == "too few":
        return Judged("drift")
    if level != "alarm":
        return Judged("drift", clear=(newest.subject,))
    found = [one for one in newest.body["findings"] if one["level"] == "alarm"]
    names = list(dict.fromkeys(one["subject"] for one in found))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    measures = [f"{one['subject']} {one['measure']} {one['effect']:.2g}" for one in found[:_NAMED]]
    since = newest.start
    for one in reports:
        if one.body["level"] != "alarm":
            break
        since = min(since, one.start)
    window = f"--from {iso(newest.start)} --to {iso(newest.stop)}"
    return Judged(
        "drift",
        (
            Signal(
                "drift",
                newest.subject,
                "warning",
                since,
                f"The model {newest.subject} meets other data than it was trained on:"
                f" {', '.join(names[:_NAMED])}{more}",
                f"{', '.join(measures)}; {newest.body['rows']:,} rows up to {iso(newest.stop)}",
                f"headwater drift {newest.subject} {window} shows what changed; retrain, or mend the source",
            ),
        ),
    )


def decay(report: Report, figures: Mapping[str, tuple[int, float]] = FIGURES) -> Judged:
    """Figures of a model are worse than its scores let one expect, in the two newest measured windows.

    That is a changed relation of inputs and outcome, which no look at inputs shows. One window in forty would
    be so by chance; two in a row are not.

    Args:
        report: of the outcomes of a model.
        figures: figure to which way is worse, and how far the interval must lie beyond the estimate.
    """
    subject = report.subject
    periods = [one for one in report.body["periods"] if one["measured"] and one["estimated"]][-2:]
    if len(periods) < 2:
        return Judged("outcomes")
    worse = [
        name
        for name, (way, floor) in figures.items()
        if all(_decayed(one, name, way, floor) for one in periods)
    ]
    if not worse:
        return Judged("outcomes", clear=(subject,))
    last = periods[-1]
    told = [
        f"{name.replace('_', ' ')} {last['measured'][name][0]:.3f}"
        f" where {last['estimated'][name]:.3f} was expected"
        for name in worse
    ]
    return Judged(
        "outcomes",
        (
            Signal(
                "outcomes",
                subject,
                "critical",
                periods[0]["start"],
                f"What the model {subject} foretells comes true otherwise than it says",
                f"{'; '.join(told)}; measured on decisions up to {iso(last['stop'])}",
                f"see it by week: headwater outcomes {subject}; then retrain on newer labels",
            ),
        ),
    )


def _decayed(period: Mapping[str, Any], name: str, way: int, floor: float) -> bool:
    expected, figure = period["estimated"].get(name), period["measured"].get(name)
    if expected is None or figure is None:
        return False
    best = figure[2] if way < 0 else figure[1]  # the end of the interval that is kinder to the model
    return best is not None and way * (best - expected) > floor


def unfair(report: Report) -> Judged:
    """Decisions break a bound of fairness, even at the favourable end of the interval."""
    level, attribute = report.body["level"], report.body["attribute"]
    if level == "too few":
        return Judged("fairness")
    if level != "alarm":
        return Judged("fairness", clear=(report.subject,))
    impact, difference = report.body["impact"][0], report.body["opportunity_difference"][0]
    shares = "unknown" if impact is None else f"{impact:.2f}"
    gap = "unknown" if difference is None else f"{difference:.1%}"
    model = report.body["model"]
    return Judged(
        "fairness",
        (
            Signal(
                "fairness",
                report.subject,
                "critical",
                report.start,
                f"Decisions of {model} fall unequally on the groups of {attribute}",
                f"adverse impact ratio {shares} (bound 0.80), equal opportunity apart by {gap} (bound 10 %)",
                f"see the groups: headwater fairness {model} --by {attribute}; do not promote a model before",
            ),
        ),
    )


def letters(counts: Mapping[str, int], now: int, bounds: tuple[int, int] = LETTERS) -> Judged:
    """Events were refused in the last day of the log.

    Args:
        counts: stream to dead letters that arrived in the last day; 0 for a stream without.
        now: the end of that day, microseconds UTC.
        bounds: from how many on it is a warning, and critical.
    """
    signals = [
        Signal(
            "dead-letters",
            stream,
            "critical" if count >= bounds[1] else "warning",
            now - DAY,
            f"Events of the stream {stream} are refused",
            f"{count:,} dead letters in the last day of the log",
            f"see why: headwater log dead-letters --stream {stream}; mend the sender and send them again",
        )
        for stream, count in counts.items()
        if count >= bounds[0]
    ]
    return Judged(
        "dead-letters", tuple(signals), tuple(s for s, count in counts.items() if count < bounds[0])
    )


def parity(stands: Compared, causes: Sequence[Mismatch], now: int) -> Judged:
    """A served vector has other bits than the log gives: the counts of the ledger, and what differed last."""
    if not stands.compared:
        return Judged("parity")
    if not stands.mismatches:
        return Judged("parity", clear=("served vectors",))
    features = sorted({name for one in causes for name in one.features})
    named = ", ".join(features[:_NAMED]) or "unknown inputs"
    return Judged(
        "parity",
        (
            Signal(
                "parity",
                "served vectors",
                "critical",
                min((one.time for one in causes), default=now),
                "Served values are not those that the log gives",
                f"{stands.mismatches:,} of {stands.compared:,} compared, in {named}",
                "stop deciding on them: restart the service from the log; report it as a bug",
            ),
        ),
    )


def freshness(p99: float, events: int, now: int, slowest: float = SLOWEST) -> Judged:
    """Scores become fresh too late after an event.

    Args:
        p99: seconds, of 99 in 100 events of the last while.
        events: how many there were; nothing is said of fewer than a hundred.
        now: microseconds UTC.
        slowest: seconds that are still good.
    """
    if events < 100:
        return Judged("freshness")
    if p99 <= slowest:
        return Judged("freshness", clear=("fresh scores",))
    return Judged(
        "freshness",
        (
            Signal(
                "freshness",
                "fresh scores",
                "warning",
                now,
                "Scores become fresh too late",
                f"99 in 100 within {p99:.3g} s, where {slowest:g} s are good; {events:,} events",
                "see what is busy: the dashboard's queues and commits; give the service more of the machine",
            ),
        ),
    )


def failing(parts: Mapping[str, tuple[int, str] | None], now: int) -> Judged:
    """A part that works in the background fails: snapshots, monitors, jobs.

    Args:
        parts: part to since when it fails (microseconds UTC) and with what error code; None if it does not.
        now: microseconds UTC.
    """
    signals = [
        Signal(
            "failing",
            part,
            "warning" if now - found[0] < HOUR else "critical",
            found[0],
            f"A part of the service fails: {part}",
            f"its last error was {found[1]}",
            "look in the service's log; decisions go on meanwhile",
        )
        for part, found in parts.items()
        if found is not None
    ]
    return Judged("failing", tuple(signals), tuple(part for part, found in parts.items() if found is None))
