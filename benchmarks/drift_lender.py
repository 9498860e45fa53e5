"""Drift on the simulated lender: how long its change of regime goes unseen, and how quiet the time before is.

A model of the demo's definition learns until half a year before the regime changes. Then weekly windows of
fresh vectors, each replayed from the events, are held against its reference, and performance is estimated and
measured by four weeks. Run: ``python -m benchmarks.drift_lender``; takes about a minute.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import polars as pl

from headwater.apps.demo import project as demo
from headwater.apps.demo.lender import simulate
from headwater.apps.demo.lender.simulation import Lender
from headwater.core.batch import Batch
from headwater.core.instant import WEEK, iso
from headwater.monitoring.drift import DriftReport, compare
from headwater.monitoring.outcomes import Float64, Scored, performance
from headwater.monitoring.reference import reference
from headwater.monitoring.score_drift import attribute
from headwater.monitoring.streams import StreamWindow
from headwater.monitoring.verdict import Rule
from headwater.monitoring.window import Window
from headwater.training.dataset import TrainingSet, build
from headwater.training.fit import FittedModel, fit_model, with_judged
from headwater.training.split import temporal

ACCOUNTS = 1_500
BEFORE = 26  # weeks from the training to the change of regime
SHOWN = (
    "start",
    "matured",
    "roc_auc_estimated",
    "roc_auc",
    "roc_auc_low",
    "roc_auc_high",
    "brier_estimated",
    "brier",
)


def main() -> None:
    lender = simulate(accounts=ACCOUNTS, years=3)
    regime = lender.start + (lender.stop - lender.start) * 2 // 3
    trained_at = regime - BEFORE * WEEK
    streams = {view.stream.name: view.stream.time for view in demo.early_warning.features}
    events = {name: batch(lender, name, time) for name, time in streams.items()}
    fitted = trained(events, trained_at)
    later = build(demo.early_warning, events, start=trained_at)
    scores = fitted.scorer.score(fitted.artifact.inputs.matrix(later.frame))
    say(f"{ACCOUNTS} accounts; trained at {iso(trained_at)}; the regime changes at {iso(regime)}")
    levels: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    for start in range(trained_at, int(later.times.max()) - WEEK + 1, WEEK):
        report = look(fitted, later, scores, events, start)
        week = (start - regime) // WEEK
        levels[week >= 0][report.level] += 1
        named = ", ".join(
            f"{one.subject} {one.measure} {one.effect:.2f} {one.level}" for one in report.findings[:4]
        )
        say(f"week {week:+d}: {report.rows} rows, {report.level}: {named}")
    say(f"before the change {dict(levels[False])}, after it {dict(levels[True])}")
    tell_performance(later, scores)


def trained(events: dict[str, Batch], until: int) -> FittedModel:
    known = build(demo.early_warning, events, end=until, known_by=until)
    split = temporal(known.times, known.gap, test_share=0.25)
    fitted = fit_model(known, split)
    return with_judged(fitted, known, split)


def look(
    fitted: FittedModel, later: TrainingSet, scores: Float64, events: dict[str, Batch], start: int
) -> DriftReport:
    inside = (later.times >= start) & (later.times < start + WEEK)
    inputs, stop = fitted.artifact.inputs, start + WEEK
    X = inputs.matrix(later.frame.filter(inside))
    window = Window(start, stop, inputs.names, X, later.entities[inside], scores[inside])
    streams = {name: StreamWindow.of(one.time, one.arrival, start, stop) for name, one in events.items()}
    baseline = reference(fitted.artifact)
    report = compare(baseline, window, streams=streams, rule=Rule(every=WEEK))
    if baseline.contributions is not None and report.score is not None and report.score.level == "alarm":
        say(attribute(baseline.contributions, fitted.scorer, window).words())
    return report


def tell_performance(later: TrainingSet, scores: Float64) -> None:
    """By four weeks, as of the end."""
    scored = Scored(later.times, later.entities, scores, later.y)
    now = int(later.times.max()) + later.gap
    told = performance(scored, now=now, wait=later.gap, every=4 * WEEK, bootstrap=50)
    say(told.frame().select(SHOWN).write_csv(float_precision=3, datetime_format="%Y-%m-%d"))
    say(told.words())


def batch(lender: Lender, name: str, time: str) -> Batch:
    """The events of one stream in the order of their arrival."""
    stream = next(view.stream for view in demo.early_warning.features if view.stream.name == name)
    order = np.argsort(lender.arrival[name], kind="stable")
    frame = lender.events[name].select(list(stream.schema)).cast(pl.Schema(stream.schema))[order]
    happened = frame[time].to_physical().to_numpy()
    return Batch(name, np.arange(len(frame)), lender.arrival[name][order], happened, frame)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
