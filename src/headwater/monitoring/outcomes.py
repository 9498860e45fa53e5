"""Concept drift: how good decisions were, once what they foresaw came true or not; an estimate until then.

A label that looks ninety days ahead is known ninety days later: of last month's decisions nothing is
*measured* yet. :func:`performance` tells both in one table, per window of decision time: what was measured
on the rows whose label is mature, and what the scores alone let one *expect*, which is all there is for the
newest windows.

The estimate is confidence-based performance estimation (CBPE, NannyML): if scores are calibrated, a row
scored 0.9 is a positive with probability 0.9, so the expected count of true positives at each threshold is
a sum of scores, and with it the expected ROC curve, average precision and Brier score. It sees the model
become less sure, and shifts of the inputs to where the model is weaker; it does **not** see the relation of
inputs and outcome change: that is concept drift proper, and shows as measured figures below estimated ones.
Scores are calibrated by isotonic regression on the newest mature rows first. Source: NannyML, "Estimation
of performance of the monitored model",
https://nannyml.readthedocs.io/en/stable/how_it_works/performance_estimation.html.

Called by jobs and reports. The metrics are those of ``models.metrics``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import DataError, TrainingError
from headwater.core.instant import iso, span_text
from headwater.models.calibration import Calibrator
from headwater.models.metrics import Evaluation, Metric, evaluate
from headwater.models.ranking import Ranking, Steps

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

FIGURES = ("roc_auc", "average_precision", "ks", "brier", "calibration_error")
LEAST_ROWS = 50
LEAST_POSITIVES = 10


@dataclass(frozen=True)
class Scored:
    """Decisions, or fresh scores, with what became of them.

    Attributes:
        times: int64 microseconds, shape (n,): as of when each was decided.
        entities: int64, shape (n,): whose each is.
        scores: float64, shape (n,), probabilities as served.
        outcomes: float64, shape (n,): 1, 0, or NaN where that is not known. Those of unmatured rows are
            never looked at.
    """

    times: Int64
    entities: Int64
    scores: Float64
    outcomes: Float64

    def __post_init__(self) -> None:
        """Every part has a row for each row.

        Raises:
            DataError: the parts differ in length.
        """
        sizes = {len(part) for part in (self.times, self.entities, self.scores, self.outcomes)}
        if len(sizes) > 1:
            raise DataError.of(
                "decisions and their outcomes differ in number",
                expected=f"{len(self.times):,} of each",
                got=", ".join(f"{size:,}" for size in sorted(sizes)),
                do="join the outcomes to the decisions first",
            )

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, rows: npt.NDArray[np.bool_]) -> Scored:
        return Scored(self.times[rows], self.entities[rows], self.scores[rows], self.outcomes[rows])


@dataclass(frozen=True, slots=True)
class Period:
    """Decisions of one window of time.

    Attributes:
        start, stop: of the window, microseconds UTC.
        decided: how many were decided.
        matured: of how many the outcome is known and mature; ``positives`` of them came true.
        known_from: when the last label of the window is mature, microseconds.
        estimated: figure to what the scores let one expect; empty where they are too few, or nothing is
            mature yet to calibrate them with.
        measured: figure to what came out; empty where a verdict would be a guess.
        why_not: why nothing is measured; None if it is.
    """

    start: int
    stop: int
    decided: int
    matured: int
    positives: int
    known_from: int
    estimated: dict[str, float]
    measured: dict[str, Metric]
    why_not: str | None


@dataclass(frozen=True)
class Performance:
    """Estimated and measured performance side by side.

    Attributes:
        now: as of when, microseconds UTC.
        wait: how long after a decision its label is mature, microseconds.
        periods: by rising time.
        figures: which are told.
    """

    now: int
    wait: int
    periods: tuple[Period, ...]
    figures: tuple[str, ...]

    @property
    def measured_until(self) -> int | None:
        """Up to when decisions are measured, microseconds; None if none are."""
        newest = max((one.stop for one in self.periods if one.measured), default=None)
        return None if newest is None else min(newest, self.now - self.wait)

    def frame(self) -> pl.DataFrame:
        """One row per window: counts, then per figure estimated, measured, and its interval."""
        rows: list[dict[str, Any]] = []
        for one in self.periods:
            row: dict[str, Any] = {
                "start": one.start,
                "stop": one.stop,
                "decided": one.decided,
                "matured": one.matured,
                "positives": one.positives,
                "known_from": one.known_from,
            }
            for name in self.figures:
                metric = one.measured.get(name)
                row[f"{name}_estimated"] = one.estimated.get(name)
                row[name] = None if metric is None else metric.value
                row[f"{name}_low"] = None if metric is None else metric.low
                row[f"{name}_high"] = None if metric is None else metric.high
            row["why_not"] = one.why_not
            rows.append(row)
        instants = [pl.col(name).cast(pl.Datetime("us", "UTC")) for name in ("start", "stop", "known_from")]
        return pl.DataFrame(rows, infer_schema_length=None).with_columns(instants)

    def words(self) -> str:
        """The honest delay in one sentence."""
        until = self.measured_until
        wait = span_text(self.wait) if self.wait else "no time"
        if until is None:
            return f"Nothing is measured yet: a label takes {wait} to mature."
        late = max(self.now - until, 0)
        days = late / 86_400_000_000
        return (
            f"Measured until {iso(until)}, {days:.0f} days ago; a label takes {wait} to mature, "
            "so what is newer is estimated."
        )


def performance(
    scored: Scored,
    *,
    now: int,
    wait: int,
    every: int,
    start: int | None = None,
    bootstrap: int = 200,
    seed: int = 0,
    calibrate_on: Scored | None = None,
) -> Performance:
    """Measure what is mature, window by window, and estimate the rest.

    Args:
        scored: decisions with outcomes as far as they are known.
        now: as of when; nothing decided later is looked at, and no outcome that matures later.
        wait: horizon and delay of the label, microseconds.
        every: the length of a window of decision time, microseconds.
        start: of the first window; the first decision's by default.
        bootstrap: resamples of whole entities, for the intervals.
        seed: of the bootstrap.
        calibrate_on: mature rows that scores are calibrated on; by default, for each window, all that was
            mature when the window ended.

    Raises:
        TrainingError: there are no decisions.
    """
    scored = scored[scored.times <= now]
    if not len(scored):
        raise TrainingError.of(
            "there are no decisions to judge",
            expected="decisions up to " + iso(now),
            got="none",
            do="wait until decisions were made",
        )
    first = int(scored.times.min()) if start is None else start
    count = max((now - first) // every + 1, 1)
    periods = [
        _period(scored, first + i * every, every, now, wait, bootstrap, seed, calibrate_on)
        for i in range(count)
    ]
    return Performance(now, wait, tuple(periods), FIGURES)


def estimate(probability: Float64, score: Float64 | None = None) -> dict[str, float]:
    """What rows are expected to score, if each is a positive with its probability.

    Args:
        probability: float64, shape (n,), calibrated.
        score: float64, shape (n,), what they are ranked and judged by; ``probability`` itself by default.

    Example:
        >>> expected = estimate(np.array([0.0, 0.0, 1.0, 1.0]))
        >>> expected["roc_auc"], expected["brier"]
        (1.0, 0.0)
    """
    given = probability if score is None else score
    ranking = Ranking.of(np.zeros(len(given)), given)
    chance = probability[ranking.order]
    steps = Steps(np.cumsum(chance)[ranking.ends], np.cumsum(1 - chance)[ranking.ends])
    brier = float((chance * (1 - ranking.score) ** 2 + (1 - chance) * ranking.score**2).mean())
    if steps.one_class():
        return {"brier": brier}
    return {
        "roc_auc": steps.roc_auc(),
        "average_precision": steps.average_precision(),
        "ks": steps.ks(),
        "brier": brier,
    }


def _period(
    scored: Scored,
    start: int,
    every: int,
    now: int,
    wait: int,
    bootstrap: int,
    seed: int,
    calibrate_on: Scored | None,
) -> Period:
    stop = start + every
    inside = scored[(scored.times >= start) & (scored.times < stop)]
    mature = inside[_mature(inside, now, wait)]
    positives = int(mature.outcomes.sum())
    why_not = _too_few(mature, positives, inside, stop, wait)
    measured: dict[str, Metric] = {}
    if why_not is None:
        judged = evaluate(
            mature.outcomes, mature.scores, by=mature.entities, bootstrap=bootstrap, seed=seed, at=()
        )
        measured = {name: _figure(judged, name) for name in FIGURES}
    learned = _known_then(scored, min(stop, now), wait) if calibrate_on is None else calibrate_on
    return Period(
        start=start,
        stop=stop,
        decided=len(inside),
        matured=len(mature),
        positives=positives,
        known_from=stop + wait,
        estimated=_estimated(inside, learned),
        measured=measured,
        why_not=why_not,
    )


def _figure(judged: Evaluation, name: str) -> Metric:
    metric: Metric = getattr(judged, name)
    return metric


def _estimated(inside: Scored, learned: Scored) -> dict[str, float]:
    """From the window's scores, calibrated on rows that were mature when the window ended."""
    if len(inside) < LEAST_ROWS or not _two_classes(learned.outcomes):
        return {}
    calibrator = Calibrator.fit(learned.scores, learned.outcomes)
    return estimate(calibrator(inside.scores), inside.scores)


def _known_then(scored: Scored, time: int, wait: int) -> Scored:
    return scored[_mature(scored, time, wait)]


def _mature(scored: Scored, time: int, wait: int) -> npt.NDArray[np.bool_]:
    return np.asarray((scored.times + wait <= time) & ~np.isnan(scored.outcomes), np.bool_)


def _two_classes(outcomes: Float64) -> bool:
    positives = int(outcomes.sum())
    return positives >= LEAST_POSITIVES and len(outcomes) - positives >= LEAST_POSITIVES


def _too_few(mature: Scored, positives: int, inside: Scored, stop: int, wait: int) -> str | None:
    """Why a window is not measured."""
    if not len(inside):
        return "nothing was decided"
    if not len(mature):
        return f"no label is mature yet; all are from {iso(stop + wait)} on"
    negatives = len(mature) - positives
    if len(mature) < LEAST_ROWS or min(positives, negatives) < LEAST_POSITIVES:
        return f"too few mature labels: {positives:,} positives and {negatives:,} negatives"
    return None


def gaps(periods: Sequence[Period], figure: str = "roc_auc") -> Iterator[tuple[Period, float]]:
    """Measured minus estimated, where there are both: below 0 the world changed, not only the inputs."""
    for one in periods:
        if figure in one.measured and figure in one.estimated:
            yield one, one.measured[figure].value - one.estimated[figure]
