"""Train and judge the loan model on a real bank's accounts: ``python examples/berka/run.py DATA_FOLDER``.

Prints how well the model ranks loans that it has not seen, beside a model that knows the loan's terms
alone, and what moved its scores.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before any library that reads it: threads only wait here

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold

from headwater.core.instant import instant
from headwater.definitions.loading import load_project
from headwater.models.fitting import fit
from headwater.models.metrics import Metric, evaluate
from headwater.models.scorer import scorer_for
from headwater.training.dataset import TrainingSet, build
from headwater.training.evaluate import importance

TERMS = ("amount", "duration_months", "monthly_payment")
FOLDS, REPEATS, SEED = 5, 5, 0
WANTED = 0.90
MATURE_UNTIL = instant("1998-01-01T00:00:00Z")

CLOCK = pl.Datetime("us", "UTC")
LAST_SECOND = pl.duration(seconds=86_399)

Float64 = npt.NDArray[np.float64]


def streams(folder: Path) -> dict[str, pl.DataFrame]:
    """All 79,302 bookings and all 682 loans, each ascending by time.

    A booking happens in the last second of its day, as many microseconds into it as ``day_seq`` says; a
    loan is granted at the midnight that begins its day.
    """
    tables = folder / "berka"
    transactions = pl.read_parquet(tables / "trans.parquet").select(
        "trans_id",
        "account_id",
        booked_at=pl.col("date").cast(CLOCK) + LAST_SECOND + pl.duration(microseconds=pl.col("day_seq")),
        direction="direction",
        operation="operation",
        purpose="purpose",
        amount="amount",
        balance="balance_after",
    )
    loans = pl.read_parquet(tables / "loan.parquet").select(
        "loan_id",
        "account_id",
        "amount",
        "duration_months",
        "monthly_payment",
        "is_bad",
        granted_at=pl.col("granted_on").cast(CLOCK),
    )
    return {
        "transactions": transactions.sort("booked_at", "trans_id"),
        "loans": loans.sort("granted_at", "loan_id"),
    }


def training_set(folder: Path) -> TrainingSet:
    """One row for each of the 392 loans whose account's bookings before the grant are all there."""
    project = load_project(Path(__file__).parent)
    return build(project.models[0], streams(folder))


@dataclass(frozen=True)
class Judged:
    """What cross-validation says of one model.

    Attributes:
        auc: of each held-out fold, shape (REPEATS, FOLDS).
        pooled: of each loan's mean held-out score, with an interval over resampled loans.
        early: as ``pooled``, of the loans that had at least a year to go bad.
    """

    auc: Float64
    pooled: Metric
    early: Metric

    def row(self, model: str) -> str:
        """One line of the table."""
        repeats = " ".join(f"{one:.3f}" for one in self.auc.mean(axis=1))
        folds = f"{self.auc.mean():>7.3f}{self.auc.std():>9.3f}"
        pooled = f"{self.pooled.value:.3f} ({self.pooled.low:.3f} to {self.pooled.high:.3f})"
        return f"{model:<42}{folds}   {pooled:<24}{self.early.value:>9.3f}   {repeats}"


def cross_validated(rows: TrainingSet, names: Sequence[str], estimator: object) -> Judged:
    """Repeated stratified cross-validation, every loan scored as in serving.

    Columns are made as of each loan's own grant and none is learned from other rows, so that the matrix of
    the whole set may be cut into folds.
    """
    X = rows.X[:, [rows.inputs.names.index(name) for name in names]]
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=SEED)
    mean, auc = np.zeros(len(rows)), []
    for train, test in folds.split(X, rows.y):
        fitted = fit(estimator, X[train], rows.y[train], names, SEED).estimator
        scores = scorer_for(fitted, names, X[train]).score(X[test])
        auc.append(roc_auc_score(rows.y[test], scores))
        mean[test] += scores / REPEATS
    early = rows.times < MATURE_UNTIL
    return Judged(
        np.array(auc).reshape(REPEATS, FOLDS),
        evaluate(rows.y, mean, seed=SEED).roc_auc,
        evaluate(rows.y[early], mean[early], seed=SEED).roc_auc,
    )


def main(folder: Path) -> int:
    """Build, judge, print; 0 if the model reaches what it should."""
    rows = training_set(folder)
    names, mine = rows.inputs.names, rows.model.estimator
    print(f"{len(rows)} loans, {int(rows.y.sum())} of them bad; {len(names)} inputs as of each grant")
    print(f"training set {rows.manifest.digest[:16]}, of definition {rows.manifest.definition_hash[:16]}\n")

    plain = HistGradientBoostingClassifier(random_state=SEED)
    asked = {
        "loan terms alone, LightGBM": (TERMS, mine),
        "all inputs, HistGradientBoosting as it is": (names, plain),
        "all inputs, LightGBM of project.py": (names, mine),
    }
    print(f"{REPEATS} x repeated stratified {FOLDS}-fold cross-validation, area under the ROC curve")
    print(f"{'':<42}{'mean':>7}{'SD fold':>9}   {'pooled (95 %)':<24}{'bef. 1998':>9}   by repeat")
    judged = {}
    for model, (inputs, estimator) in asked.items():
        judged[model] = cross_validated(rows, inputs, estimator)
        print(judged[model].row(model))

    fitted = fit(mine, rows.X, rows.y, names, SEED).estimator
    moved = importance(scorer_for(fitted, names, rows.X), rows.X)
    print("\nWhat moves the score most (mean absolute contribution, log-odds)")
    for name, size in list(moved.items())[:8]:
        print(f"  {name:<24}{size:.3f}")

    reached = float(judged[model].auc.mean())
    print(f"\nWanted: a mean of at least {WANTED:.2f}. Reached: {reached:.3f}.")
    return 0 if reached >= WANTED else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/berka/run.py DATA_FOLDER (the folder that holds berka/)")
    sys.exit(main(Path(sys.argv[1])))
