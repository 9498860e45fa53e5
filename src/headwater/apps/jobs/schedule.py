"""What is due at a moment, and why: a pure function of the timetable, the moment, and what was before.

::

    since          +1d          +2d          +3d     now
      |-------------|------------|------------|-------|
    first seen                                newest moment: due, unless a job of that moment, or of a
                                              later one, is there. Those that were missed before it are
                                              not made up for: its reason says how many it stands for.

A retraining counts from the last one, and has more reasons: ``retraining.triggers`` on what the kept reports
say. Of those only windows count that begin after the last training, whether its model was promoted or not: an
older window tells of a model that was answered already, and would ask for a training every day. Nothing here
reads a clock or a file. Called by ``desk``; read ``history`` for where the facts come from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from headwater.apps.jobs.timetable import Timing
from headwater.core.instant import DAY, iso, span_text
from headwater.monitoring.outcomes import Performance
from headwater.retraining.triggers import Drifted, Facts, Why, by_schedule, due, joined, moment


@dataclass(frozen=True)
class Watched:
    """What watching says of a model.

    Attributes:
        drift: the newest kept window.
        performance: the newest kept outcomes.
        registered: figure to what the champion was registered with.
        matured: labels that matured since the last training, when they were counted last.
        learned: rows that the champion learned from.
        counted: when they were counted, microseconds UTC.
    """

    drift: Drifted | None = None
    performance: Performance | None = None
    registered: Mapping[str, float] = field(default_factory=dict)
    matured: int = 0
    learned: int = 0
    counted: int = 0


@dataclass(frozen=True)
class History:
    """What was before. Times are microseconds UTC.

    Attributes:
        since: job to when it was seen first; a job that is not in it is seen now.
        last: job to the moment of its newest one, however it ended.
        open: jobs that wait, run or are tried again.
        trained: model to the moment of its last training.
        watched: model to what watching says.
    """

    since: Mapping[str, int] = field(default_factory=dict)
    last: Mapping[str, int] = field(default_factory=dict)
    open: Collection[str] = ()
    trained: Mapping[str, int] = field(default_factory=dict)
    watched: Mapping[str, Watched] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Due:
    """A job that is due: its name, its moment in microseconds UTC, and the reason in words."""

    name: str
    moment: int
    why: str


def due_jobs(timings: Sequence[Timing], now: int, history: History) -> list[Due]:
    """What is due now, in the order of the timetable.

    Example:
        >>> from headwater.core.instant import DAY
        >>> daily = Timing("drift.risk", "drift", "risk", DAY)
        >>> due_jobs([daily], 3 * DAY + 1, History(since={"drift.risk": 0}, last={"drift.risk": DAY}))[0].why
        'Due every 1d. One earlier moment was missed while nothing ran; this one stands for it.'
    """
    return [found for timing in timings if (found := _due(timing, now, history)) is not None]


def next_moment(timing: Timing, now: int, history: History) -> int | None:
    """When a job is due next by the clock, which may be now or before; None if never by itself."""
    if timing.every is None:
        return None
    anchor = _anchor(timing, now, history)
    newest = moment(now, anchor, timing.every)
    return newest if _is_due(newest, anchor, timing, history) else newest + timing.every


def _due(timing: Timing, now: int, history: History) -> Due | None:
    if timing.every is None or timing.name in history.open:
        return None
    anchor = _anchor(timing, now, history)
    newest = moment(now, anchor, timing.every)
    on_time = _is_due(newest, anchor, timing, history)
    reasons: list[Why] = []
    moments = [newest] if on_time else []
    if timing.triggers and timing.model is not None:
        last = history.last.get(timing.name, anchor)
        for when, why in _triggered(history.watched.get(timing.model, Watched()), anchor, last, now):
            moments.append(when)
            reasons.append(why)
    if not moments:
        return None
    words = [_on_schedule(timing, newest, anchor, history)] if on_time else []
    if reasons:
        words.append(joined(tuple(reasons)).words)
    return Due(timing.name, max(moments), " ".join(words))


def _triggered(watched: Watched, trained: int, last: int, now: int) -> Iterator[tuple[int, Why]]:
    """Each reason beside the schedule, with the moment that it is of; none that was acted on already."""
    drift = watched.drift if watched.drift is not None and watched.drift.start >= trained else None
    performance = None if watched.performance is None else _after(watched.performance, trained)
    counted = watched.counted > max(trained, last)
    facts = Facts(
        now,
        trained=max(trained, last),
        drift=drift if drift is not None and drift.stop > last else None,
        performance=performance if performance is not None and performance.now > last else None,
        registered=watched.registered,
        matured=watched.matured if counted else 0,
        learned=watched.learned,
    )
    moments = {
        "drift": 0 if drift is None else drift.stop,
        "outcomes": 0 if performance is None else performance.now,
        "volume": watched.counted,
    }
    for why in due(facts):
        yield moments[why.kind], why


def _after(found: Performance, trained: int) -> Performance:
    """Without the windows that began before a training."""
    periods = tuple(one for one in found.periods if one.start >= trained)
    return Performance(found.now, found.wait, periods, found.figures)


def _anchor(timing: Timing, now: int, history: History) -> int:
    since = history.since.get(timing.name, now)
    if timing.at is not None:  # the newest such time of day that was not after it
        since = (since - timing.at) // DAY * DAY + timing.at
    trained = None if timing.kind != "retrain" else history.trained.get(timing.model or "")
    return since if trained is None else trained


def _is_due(newest: int, anchor: int, timing: Timing, history: History) -> bool:
    return newest > max(anchor, history.last.get(timing.name, anchor))


def _on_schedule(timing: Timing, newest: int, anchor: int, history: History) -> str:
    every = timing.every or 0
    trained = timing.kind == "retrain" and (timing.model or "") in history.trained
    why = by_schedule(newest, anchor, every) if trained else None
    words = f"Due every {span_text(every)}." if why is None else why.words
    if history.last.get(timing.name) is None and why is None:
        seen = history.since.get(timing.name, anchor)
        words = f"Due every {span_text(every)}, for the first time since {iso(seen)}."
    missed = (newest - max(anchor, history.last.get(timing.name, anchor)) - 1) // every
    if missed:
        counted = "One earlier moment was" if missed == 1 else f"{missed:,} earlier moments were"
        them = "it" if missed == 1 else "them"
        words += f" {counted} missed while nothing ran; this one stands for {them}."
    return words
