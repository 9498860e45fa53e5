"""Whether a model is due to be trained again, and why: pure functions of facts, with the reason in words.

Four reasons: the time has come (``hw.rolling``), the data drifted, the measured outcomes decayed, or enough
labels matured. Each function answers with a :class:`Why` or None; :func:`due` asks them all. Called by jobs
and by ``headwater retrain``; the reason that is found goes with the run into MLflow (``run``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from headwater.core.instant import DAY, iso, span_text
from headwater.monitoring.outcomes import Performance
from headwater.monitoring.verdict import LEVELS, Level

Kind = Literal["asked", "first", "schedule", "drift", "outcomes", "volume"]


class Told(Protocol):
    """What a drift report says of one subject."""

    @property
    def subject(self) -> str:
        """The feature, ``score``, or the stream."""
        ...

    @property
    def level(self) -> Level:
        """The verdict."""
        ...

    @property
    def words(self) -> str:
        """What was found, without the subject."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        ...


class Drifted(Protocol):
    """A drift report as it is made (``monitoring.drift``), or as it was kept."""

    @property
    def start(self) -> int:
        """Of its window, microseconds UTC."""
        ...

    @property
    def stop(self) -> int:
        """The first instant after it."""
        ...

    @property
    def level(self) -> Level:
        """The gravest verdict."""
        ...

    @property
    def findings(self) -> Sequence[Told]:
        """All that is not quiet, the gravest first."""
        ...


HIGHER_IS_BETTER = ("roc_auc", "average_precision", "ks")
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Why:
    """A reason to train again.

    Attributes:
        kind: which of the reasons.
        words: one sentence.
        facts: the numbers behind it, plain JSON values.
    """

    kind: Kind
    words: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"kind": self.kind, "words": self.words, "facts": dict(self.facts)}


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a reason is reason enough.

    Attributes:
        drift: the least level of a drift report; the report corrects for many features and many windows.
        figure: which measured figure of the outcomes is watched.
        drop: how far it may fall short of what the model was registered with.
        periods: so many measured windows in a row.
        share: newly matured labels, as a share of the rows that the model learned from.
        least: and at least so many of them.
        rest: after a training nothing but the schedule gives a reason for so long, microseconds.
    """

    drift: Level = "alarm"
    figure: str = "roc_auc"
    drop: float = 0.03
    periods: int = 1
    share: float = 0.25
    least: int = 500
    rest: int = DAY


@dataclass(frozen=True)
class Facts:
    """What is known of a model at a moment.

    Attributes:
        now: microseconds UTC.
        every: how often it is to be trained, microseconds; None where it has no schedule.
        trained: as of when it was trained last, microseconds; None if it never was.
        drift: the newest window against the training reference.
        performance: the outcomes of its decisions.
        registered: figure to what the champion was registered with.
        matured: labels that matured since the last training.
        learned: rows that it learned from then.
    """

    now: int
    every: int | None = None
    trained: int | None = None
    drift: Drifted | None = None
    performance: Performance | None = None
    registered: Mapping[str, float] = field(default_factory=dict)
    matured: int = 0
    learned: int = 0


def asked(who: str | None = None) -> Why:
    """Somebody asked for it."""
    return Why("asked", f"Asked for by {who}." if who else "Asked for.")


def by_schedule(now: int, trained: int | None, every: int | None) -> Why | None:
    """Due because the time has come; a model without a schedule never is.

    Args:
        now: microseconds UTC.
        trained: as of when it was trained last; None if it never was.
        every: how often, microseconds.

    Example:
        >>> by_schedule(10 * DAY, 3 * DAY, 7 * DAY).words
        'Trained every 7d; the last time was 1970-01-04T00:00:00Z, 7 days ago.'
        >>> by_schedule(9 * DAY, 3 * DAY, 7 * DAY) is None
        True
    """
    if every is None:
        return None
    if trained is None:
        return Why("first", f"Trained every {span_text(every)}, and never was yet.", {"every": every})
    if now - trained < every:
        return None
    words = f"Trained every {span_text(every)}; the last time was {iso(trained)}, {_days(now - trained)} ago."
    return Why("schedule", words, {"every": every, "trained": trained, "moment": moment(now, trained, every)})


def moment(now: int, trained: int, every: int) -> int:
    """The newest moment of the schedule up to now: late jobs of one moment are one job.

    Example:
        >>> moment(now=25, trained=3, every=10)
        23
    """
    return trained + (now - trained) // every * every


def by_drift(report: Drifted | None, level: Level = "alarm") -> Why | None:
    """Due because what is served no longer looks like what was learned from."""
    if report is None or LEVELS.index(report.level) < LEVELS.index(level) or report.level == "too few":
        return None
    told = [one for one in report.findings if LEVELS.index(one.level) >= LEVELS.index(level)]
    named = "; ".join(f"{one.subject} {one.words}" for one in told[:_NAMED])
    more = f"; and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    words = f"Drift ({report.level}) in the window to {iso(report.stop)}: {named}{more}."
    facts = {"start": report.start, "stop": report.stop, "findings": [one.to_json() for one in told]}
    return Why("drift", words, facts)


def by_outcomes(
    performance: Performance | None,
    registered: float | None,
    *,
    figure: str = "roc_auc",
    drop: float = 0.03,
    periods: int = 1,
) -> Why | None:
    """Due because measured outcomes are surely worse than what the model was registered with.

    Surely: of each of the newest ``periods`` measured windows the better end of the interval lies beyond the
    bound. Estimates never count.

    Args:
        performance: estimated and measured, window by window.
        registered: the figure when the model was registered; None gives no reason.
        figure: which; ``roc_auc``, ``average_precision``, ``ks``, ``brier`` or ``calibration_error``.
        drop: how far it may fall short.
        periods: so many windows in a row.
    """
    if performance is None or registered is None:
        return None
    measured = [one for one in performance.periods if figure in one.measured][-periods:]
    if len(measured) < periods:
        return None
    falls = figure in HIGHER_IS_BETTER
    bound = registered - drop if falls else registered + drop
    ends = [one.measured[figure].high if falls else one.measured[figure].low for one in measured]
    if not all(math.isfinite(end) and (end < bound if falls else end > bound) for end in ends):
        return None
    newest = measured[-1]
    words = (
        f"The {figure} of decisions from {iso(newest.start)} to {iso(newest.stop)} is "
        f"{newest.measured[figure]}; the model was registered with {registered:.4f}."
    )
    facts = {
        "figure": figure,
        "registered": registered,
        "measured": newest.measured[figure].to_json(),
        "start": newest.start,
        "stop": newest.stop,
    }
    return Why("outcomes", words, facts)


def by_volume(matured: int, learned: int, *, share: float = 0.25, least: int = 500) -> Why | None:
    """Due because many labels matured that the model has not learned from.

    Example:
        >>> by_volume(600, 2_000).words
        '600 labels matured since the last training, beside the 2,000 rows that it learned from.'
        >>> by_volume(600, 20_000) is None
        True
    """
    if matured < max(least, share * learned):
        return None
    words = (
        f"{matured:,} labels matured since the last training, "
        f"beside the {learned:,} rows that it learned from."
    )
    return Why("volume", words, {"matured": matured, "learned": learned})


def due(facts: Facts, bounds: Bounds | None = None) -> tuple[Why, ...]:
    """All reasons to train a model now, the schedule first; none if it is not due.

    Example:
        >>> [why.kind for why in due(Facts(now=30 * DAY, every=7 * DAY, trained=0, matured=900, learned=800))]
        ['schedule', 'volume']
        >>> due(Facts(now=DAY // 2, every=7 * DAY, trained=0, matured=900, learned=800))
        ()
    """
    how = bounds or Bounds()
    scheduled = by_schedule(facts.now, facts.trained, facts.every)
    if facts.trained is not None and facts.now - facts.trained < how.rest:
        return () if scheduled is None else (scheduled,)
    found = (
        scheduled,
        by_drift(facts.drift, how.drift),
        by_outcomes(
            facts.performance,
            facts.registered.get(how.figure),
            figure=how.figure,
            drop=how.drop,
            periods=how.periods,
        ),
        by_volume(facts.matured, facts.learned, share=how.share, least=how.least),
    )
    return tuple(one for one in found if one is not None)


def joined(reasons: tuple[Why, ...]) -> Why:
    """Several reasons as one, the first one's kind.

    Example:
        >>> joined((Why("schedule", "It is time."), Why("volume", "Much came."))).words
        'It is time. Much came.'
    """
    if len(reasons) == 1:
        return reasons[0]
    facts: dict[str, Any] = {one.kind: dict(one.facts) for one in reasons}
    return Why(reasons[0].kind, " ".join(one.words for one in reasons), facts)


def _days(size: int) -> str:
    days = size / DAY
    return f"{days:.0f} day{'' if round(days) == 1 else 's'}" if days >= 1 else span_text(size)
