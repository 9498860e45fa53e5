"""Drift on the simulated lender: how long its change of regime goes unseen, and how quiet the time before is.

A model of the demo's definition learns from the first year and a half; then weekly windows of fresh vectors, every
one replayed from the events, are held against its reference: half a year of the old regime and half a year of the
new one. Beside it, performance is estimated and measured. Run: ``python -m benchmarks.drift_lender``.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from headwater.apps.demo import project as demo
from headwater.apps.demo.lender import simulate
from headwater.core.batch import Batch
from headwater.core.instant import DAY, WEEK, iso
from headwater.monitoring.drift import compare
from headwater.monitoring.outcomes import Scored, performance
from headwater.monitoring.reference import reference
from headwater.monitoring.score_drift import attribute
from headwater.monitoring.streams import StreamWindow
from headwater.monitoring.verdict import Rule
from headwater.monitoring.window import Window
from headwater.training.dataset import TrainingSet, build
from headwater.training.fit import fit_model, judged_baseline
from headwater.training.split import temporal

ACCOUNTS = 1_500


def main() -> None:
    lender = simulate(accounts=ACCOUNTS, years=3)
    regime = lender.start + (lender.stop - lender.start) * 2 // 3
    trained_at = regime - 26 * WEEK
    model = demo.early_warning
    events = {view.stream.name: _batch(lender, view.stream.name) for view in model.features}
    known = build(model, events, end=trained_at, known_by=trained_at)
    split = temporal(known.times, known.gap, test_share=0.25)
    fitted = fit_model(known, split)
    scores = fitted.scorer.score(fitted.artifact.inputs.matrix(known.frame[split.test]))
    baseline = judged_baseline(fitted, known, split, scores)
    later = build(model, events, start=trained_at)
    X = fitted.artifact.inputs.matrix(later.frame)
    fresh = fitted.scorer.score(X)
    sys.stdout.write(f"trained at {iso(trained_at)}, regime changes at {iso(regime)}\n")
    stop = int(later.times.max())
    for start in range(trained_at, stop - WEEK + 1, WEEK):
        inside = (later.times >= start) & (later.times < start + WEEK)
        window = Window(
            start, start + WEEK, fitted.artifact.inputs.names, X[inside], later.entities[inside], fresh[inside]
        )
        streams = {
            name: StreamWindow.of(one.time, one.arrival, start, start + WEEK) for name, one in events.items()
        }
        report = compare(baseline, window, streams=streams, rule=Rule(every=WEEK))
        week = (start - regime) // WEEK
        named = [f"{one.subject} {one.measure} {one.effect:.2f} {one.level}" for one in report.findings[:4]]
        sys.stdout.write(json.dumps({"week": week, "rows": len(window), "level": report.level, "named": named}) + "\n")
        if week in (-1, 3) and baseline.contributions is not None:
            sys.stdout.write(attribute(baseline.contributions, fitted.scorer, window).words() + "\n")
    _told(later, fresh, stop)


def _told(later: TrainingSet, fresh: np.ndarray, stop: int) -> None:
    """Performance by four weeks, as of the end."""
    scored = Scored(later.times, later.entities, fresh, later.y)
    told = performance(scored, now=stop, wait=30 * DAY, every=4 * WEEK, bootstrap=50)
    frame = told.frame().select("start", "matured", "roc_auc_estimated", "roc_auc", "roc_auc_low", "roc_auc_high", "brier_estimated", "brier")
    sys.stdout.write(frame.write_csv() + told.words() + "\n")


def _batch(lender, name):
    stream = next(view.stream for view in demo.early_warning.features if view.stream.name == name)
    frame = lender.events[name].select(list(stream.schema)).cast(dict(stream.schema))
    order = np.argsort(lender.arrival[name], kind="stable")
    frame = frame[order]
    return Batch(
        name, np.arange(len(frame)), lender.arrival[name][order], frame[stream.time].to_physical().to_numpy(), frame
    )


if __name__ == "__main__":
    main()
