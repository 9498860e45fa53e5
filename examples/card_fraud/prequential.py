"""The handbook's prequential design, run by the loop: ``python .../prequential.py DATA [WEEKS]``.

Each week ``headwater.retraining`` trains the model again on what was known that morning, exactly as
``headwater retrain --as-of`` does, and the version that it registers is judged on the week to come::

    as of     learns from             waits           is judged on
    08-08     07-25 .......... 07-31  08-01 .. 08-07  08-08 .......... 08-14     fold 1
    08-15             08-01 .......... 08-07          08-15 .......... 08-21     fold 2
    ...                                                                          four folds, to 09-04

Cards that are known to be defrauded leave the test, as in the handbook. Its four test folds begin their
training on 2018-07-25, 08-01, 08-08 and 08-15 (chapter 5.3: four folds, of
seven days each to train, to wait and to test).
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.instant import WEEK, instant, iso
from headwater.definitions.loading import load_project
from headwater.definitions.project import Project
from headwater.engine.batches import batch_of
from headwater.models.metrics import evaluate
from headwater.models.registry import Registry
from headwater.retraining.run import Recipe, retrain
from headwater.retraining.triggers import Why
from headwater.serving.scoring import Scoring
from headwater.training.dataset import TrainingSet, build
from headwater.training.split import temporal, without_known

FIRST = instant("2018-08-08T00:00:00Z")
WEEKS = 4
CARDS = 100

# Mean over the four folds: area under the ROC curve, average precision, card precision at 100.
PUBLISHED = {
    "XGBoost, prequential": (0.869, 0.687, 0.303),
    "MLP, prequential": (0.876, 0.675, 0.303),
    "balanced bagging": (0.879, 0.680, 0.305),
}


@dataclass(frozen=True)
class Fold:
    """One week: what was learned from and judged on, and how well.

    Attributes:
        start: the first instant of the test, microseconds; the retraining is as of the instant before.
        learned, judged: rows and frauds of the two.
        figures: ROC AUC, average precision and card precision at 100 of the test.
        seconds: that the retraining took.
    """

    start: int
    learned: tuple[int, int]
    judged: tuple[int, int]
    figures: tuple[float, float, float]
    seconds: float


def payments(folder: Path, project: Project) -> Batch:
    """The events as a batch, ascending by time; a payment arrives when it happens."""
    stream = project.streams[0]
    file = folder / "fraud_handbook" / "transactions.parquet"
    frame = pl.read_parquet(file, columns=list(stream.schema))
    frame = frame.with_columns(pl.col("event_at").dt.replace_time_zone("UTC"))
    return batch_of(stream, frame, None, project.models[0].keys)


def prequential(folder: Path, weeks: int = WEEKS) -> list[Fold]:
    """Retrain week by week and judge each version on the week after.

    Args:
        folder: holds ``fraud_handbook/transactions.parquet``.
        weeks: how many of the handbook's folds, from the first on.
    """
    project = load_project(Path(__file__).parent)
    events = {project.streams[0].name: payments(folder, project)}
    starts = [FIRST + fold * WEEK for fold in range(weeks)]
    rows = build(project.models[0], events, starts[0] - 2 * WEEK, starts[-1] + WEEK)
    with TemporaryDirectory(prefix="headwater-") as place:
        registry = Registry(place, project.name)
        return [_fold(project, events, registry, Path(place), rows, start) for start in starts]


def _fold(
    project: Project,
    events: dict[str, Batch],
    registry: Registry,
    place: Path,
    rows: TrainingSet,
    start: int,
) -> Fold:
    model, watch = project.models[0], time.perf_counter()
    done = retrain(
        project,
        model.name,
        events,
        registry,
        folder=place,
        as_of=start - 1,
        why=Why("schedule", "Trained every 7 days."),
        now=start,
        recipe=Recipe(test=WEEK, bootstrap=0),  # the window of seven days stands in project.py
    )
    seconds = time.perf_counter() - watch
    scoring = Scoring(model, registry.load(model.name, done.version.number), done.version.digest)
    cards = rows.entity.to_numpy()
    split = temporal(rows.times, rows.gap, test_from=start, test_until=start + WEEK, window=WEEK)
    test = without_known(split, cards, rows.y, rows.times).test
    said = evaluate(
        rows.y[test],
        scoring.scorer.score(scoring.artifact.inputs.matrix(rows.frame[test])),
        by=cards[test],
        times=rows.times[test],
        cards_at=[CARDS],
        bootstrap=0,
    )
    learned = scoring.artifact.baseline.learned if scoring.artifact.baseline else (0, 0)
    inside = (rows.times >= learned[0]) & (rows.times <= learned[1])
    return Fold(
        start,
        (int(inside.sum()), int(rows.y[inside].sum())),
        (len(test), int(rows.y[test].sum())),
        (said.roc_auc.value, said.average_precision.value, said.card_precision[CARDS].value),
        seconds,
    )


def show(folds: list[Fold]) -> bool:
    """Print the folds beside the published means, and say whether all of these are reached."""
    print(
        f"{'':<26}{'learned (frauds)':>19}{'judged (frauds)':>19}"
        f"{'ROC AUC':>10}{'avg. prec.':>12}{'card pr.':>10}"
    )
    for fold in folds:
        counts = (f"{rows:,} ({frauds:,})" for rows, frauds in (fold.learned, fold.judged))
        told = "".join(f"{one:>19}" for one in counts)
        print(
            "{:<26}{}{:>10.3f}{:>12.3f}{:>10.3f}".format(
                "test from " + iso(fold.start)[:10], told, *fold.figures
            )
        )
    figures = np.array([fold.figures for fold in folds])
    blank = " " * 38
    for name, row in (("mean", figures.mean(axis=0)), ("standard deviation", figures.std(axis=0))):
        print("{:<26}{}{:>10.3f}{:>12.3f}{:>10.3f}".format(name, blank, *row))
    for name, published in PUBLISHED.items():
        print("{:<26}{}{:>10.3f}{:>12.3f}{:>10.3f}".format(name, blank, *published))
    best = np.max(list(PUBLISHED.values()), axis=0)
    short = [
        f"{what} {got:.4f}, published {least:.3f}"
        for what, got, least in zip(
            ("ROC AUC", "average precision", "card precision"), figures.mean(axis=0), best, strict=True
        )
        if round(float(got), 3) < least
    ]
    took = ", ".join(f"{fold.seconds:.1f}" for fold in folds)
    print(f"Retrainings took {took} s. " + (f"Short: {'; '.join(short)}." if short else "All reached."))
    return not short


def main(folder: Path, weeks: int = WEEKS) -> int:
    """Run and print; 0 if the published means are reached."""
    print(f"{weeks} of the handbook's {WEEKS} folds, each retrained by the loop as of its first morning\n")
    return 0 if show(prequential(folder, weeks)) else 1


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python examples/card_fraud/prequential.py DATA_FOLDER [WEEKS]")
    sys.exit(main(Path(sys.argv[1]), *(int(text) for text in sys.argv[2:])))
