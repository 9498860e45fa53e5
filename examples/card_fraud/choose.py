"""How the model was chosen without a look at the test week: ``python examples/card_fraud/choose.py DATA``.

The test begins on 2018-08-08. Whoever chooses a model on that day knows the frauds until a week before. So
each candidate is trained and judged as published, but two to six weeks earlier (the handbook's prequential
validation), on nothing that became known later. The last line of the table is the model of ``project.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.base import clone

from headwater.core.instant import DAY, WEEK, instant, iso
from headwater.definitions.loading import load_project
from headwater.models.fitting import fit
from headwater.models.metrics import evaluate
from headwater.models.scorer import scorer_for
from headwater.training.dataset import TrainingSet, build
from headwater.training.split import Split, temporal, without_known

TEST_FROM = instant("2018-08-08T00:00:00Z")
WEEKS = 5

# What is asked of the model beside its parameters in project.py: those to change, and which inputs it sees.
CANDIDATES: dict[str, tuple[dict[str, Any], bool]] = {
    "published inputs": ({}, True),
    "all inputs, 15 leaves": ({"num_leaves": 15, "n_estimators": 150}, False),
    "all inputs, 8 leaves, slow": ({"num_leaves": 8, "n_estimators": 300, "learning_rate": 0.02}, False),
    "all inputs, half the rows": ({"subsample": 0.5, "colsample_bytree": 0.4}, False),
    "all inputs, frauds x 5": ({"scale_pos_weight": 5}, False),
    "all inputs": ({}, False),
}


def known_rows(folder: Path) -> TrainingSet:
    """The rows whose label was known on the day of the choice, as far back as is needed."""
    file = folder / "fraud_handbook" / "transactions.parquet"
    model = load_project(Path(__file__).parent).models[0]
    columns = list(model.features[0].stream.schema)
    frame = pl.read_parquet(file, columns=columns).with_columns(
        pl.col("event_at").dt.replace_time_zone("UTC")
    )
    start = TEST_FROM - (WEEKS + 3) * WEEK
    return build(model, {"transactions": frame}, start, known_by=TEST_FROM - 1)


def weeks(rows: TrainingSet) -> list[Split]:
    """The published split, so many weeks earlier; the newest test ends where the known labels do."""
    found = []
    for back in range(WEEKS, 0, -1):
        start = TEST_FROM - (back + 1) * WEEK
        split = temporal(rows.times, rows.gap, test_from=start, test_until=start + WEEK, window=WEEK)
        found.append(without_known(split, rows.entity, rows.y, rows.times))
    return found


def judged(rows: TrainingSet, estimator: Any, names: tuple[str, ...]) -> list[tuple[float, float, float]]:
    """ROC AUC, average precision and card precision at 100 of each week."""
    X = rows.X[:, [rows.inputs.names.index(name) for name in names]]
    card = rows.entity.to_numpy()
    found = []
    for split in weeks(rows):
        fitted = fit(estimator, X[split.train], rows.y[split.train], names).estimator
        scores = scorer_for(fitted, names, X[split.train]).score(X[split.test])
        test = split.test
        said = evaluate(
            rows.y[test], scores, by=card[test], times=rows.times[test], cards_at=[100], bootstrap=0
        )
        found.append((said.roc_auc.value, said.average_precision.value, said.card_precision[100].value))
    return found


def main(folder: Path) -> None:
    """Print the means of all candidates, and the weeks of the last."""
    rows = known_rows(folder)
    published = [output.name for view in rows.model.features[:2] for output in view.outputs]
    fewer = tuple(name for name in rows.inputs.names if name in {*published, "amount", "weekend", "night"})
    print(f"{len(rows):,} rows, {(int(rows.times[-1]) - int(rows.times[0])) // DAY + 1} days\n")
    print(f"{'mean of five weeks':<28}{'ROC AUC':>9}{'avg. prec.':>12}{'card pr.':>10}{'sum':>8}")
    for name, (changes, narrow) in CANDIDATES.items():
        estimator = clone(rows.model.estimator).set_params(**changes)
        found = np.array(judged(rows, estimator, fewer if narrow else rows.inputs.names))
        mean = found.mean(axis=0)
        print(f"{name:<28}{mean[0]:>9.4f}{mean[1]:>12.4f}{mean[2]:>10.4f}{mean.sum():>8.4f}")
    for split, week in zip(weeks(rows), found, strict=True):
        print(f"  {'from ' + iso(split.test_from)[:10]:<26}{week[0]:>9.4f}{week[1]:>12.4f}{week[2]:>10.4f}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/card_fraud/choose.py DATA_FOLDER (it holds fraud_handbook/)")
    main(Path(sys.argv[1]))
