"""The handbook's experiment by Headwater: ``python examples/card_fraud/run.py DATA_FOLDER``.

First the twelve published features of all 1,754,155 payments, held against Polars. Then the commands that a
user would type, ``headwater import`` and ``headwater train``, over the published weeks, in a temporary
folder; and the figures beside the published ones. How the model was chosen is in ``choose.py``.

The handbook: Le Borgne, Siblini, Lebichot and Bontempi, "Reproducible Machine Learning for Credit Card Fraud
Detection", Université Libre de Bruxelles, 2022.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

import headwater as hw
from headwater.definitions.loading import load_project

HERE = Path(__file__).parent

DELAY = 7
DAYS = (1, 7, 30)
COLUMNS = ("transaction_id", "event_at", "customer_id", "terminal_id", "amount", "is_fraud")

COUNTS = tuple(f"{who}_n_{days}d" for who in ("customer", "terminal") for days in DAYS)
RATIOS = tuple(f"{what}_{days}d" for what in ("customer_mean", "terminal_risk") for days in DAYS)

TRAINED_ON, TESTED_ON = (67_240, 598), (58_264, 385)  # rows and frauds of the published design

# Test week: area under the ROC curve, average precision, card precision at 100.
PUBLISHED = {
    "logistic regression": (0.871, 0.606, 0.291),
    "random forest": (0.867, 0.658, 0.287),
    "XGBoost": (0.862, 0.639, 0.273),
    "tuned XGBoost": (0.872, 0.694, 0.304),
    "balanced bagging": (0.879, 0.680, 0.305),
    "prequential XGBoost": (0.869, 0.687, 0.303),
    "prequential MLP": (0.876, 0.675, 0.303),
}
WANTED = (0.88, 0.69, 0.30)

TOLERANCE = 1e-12  # of means and shares, relative
PUBLISHED_WEEKS = (
    "--from=2018-07-25",  # seven days to learn from,
    "--test-from=2018-08-08",  # seven days until their frauds are known,
    "--test-until=2018-08-15",  # seven days to be judged on;
    "--to=2018-08-15",
    "--leave-known",  # cards known to be defrauded are blocked by then
    "--cards-at=100",
)


def transactions(folder: Path) -> pl.DataFrame:
    """The events, 1,754,155 rows, ascending by time.

    The times of the file have no zone and are read as UTC. ``fraud_scenario``, which says how a fraud was
    simulated, is left where it is.
    """
    frame = pl.read_parquet(folder / "fraud_handbook" / "transactions.parquet", columns=list(COLUMNS))
    return frame.with_columns(pl.col("event_at").dt.replace_time_zone("UTC"))


def twelve_features(frame: pl.DataFrame) -> pl.DataFrame:
    """The twelve published features of each row, in its order, by Polars alone and by the book's own method.

    A delayed window is the difference of two that end now: what lies within ``7 + n`` days, less what lies
    within 7. Where nothing lies in the window the share is null (the book writes 0).
    """
    return frame.select(
        *(_count("customer_id", days).alias(f"customer_n_{days}d") for days in DAYS),
        *(_mean_amount(days).alias(f"customer_mean_{days}d") for days in DAYS),
        *(_delayed_count(days).alias(f"terminal_n_{days}d") for days in DAYS),
        *(_delayed_share(days).alias(f"terminal_risk_{days}d") for days in DAYS),
    )


def _sum(column: str, key: str, days: int) -> pl.Expr:
    number = pl.col(column) if column == "amount" else pl.col(column).cast(pl.Int64)
    return number.rolling_sum_by("event_at", f"{days}d", closed="right").over(key)


def _count(key: str, days: int) -> pl.Expr:
    one = pl.col("event_at").is_not_null().cast(pl.Int64)
    return one.rolling_sum_by("event_at", f"{days}d", closed="right").over(key)


def _mean_amount(days: int) -> pl.Expr:
    return _sum("amount", "customer_id", days) / _count("customer_id", days)


def _delayed_count(days: int) -> pl.Expr:
    return _count("terminal_id", DELAY + days) - _count("terminal_id", DELAY)


def _delayed_share(days: int) -> pl.Expr:
    frauds = _sum("is_fraud", "terminal_id", DELAY + days) - _sum("is_fraud", "terminal_id", DELAY)
    rows = _delayed_count(days)
    return pl.when(rows > 0).then(frauds / rows)


def compare(ours: pl.DataFrame, theirs: pl.DataFrame) -> dict[str, tuple[int, float]]:
    """Per feature: in how many rows counts, or nulls, differ; and the largest relative error otherwise."""
    found = {}
    for name in (*COUNTS, *RATIOS):
        mine, other = ours[name], theirs[name]
        if name in COUNTS:
            found[name] = (int(mine.ne_missing(other).sum()), 0.0)
            continue
        error = pl.select(pl.when(mine != other).then((mine / other - 1).abs()).otherwise(0.0)).to_series()
        found[name] = (int((mine.is_null() != other.is_null()).sum()), float(error.max() or 0.0))  # type: ignore[arg-type]
    return found


def check_features(frame: pl.DataFrame) -> bool:
    """Compute the twelve features twice, print how far apart they are, and say whether they are equal."""
    model = load_project(HERE).models[0]
    views = [view for view in model.features if view.name in ("customer", "terminal")]
    ours = hw.asof(views, {"transactions": frame}, frame, time="event_at")
    found = compare(ours, twelve_features(frame))
    print(f"Twelve features of {len(frame):,} payments, beside Polars")
    for name, (differ, error) in found.items():
        print(f"  {name:<20}{differ:>3} rows differ{f', values by at most {error:.1e}' if error else ''}")
    return all(not differ and error <= TOLERANCE for differ, error in found.values())


def headwater(*arguments: str, data: str) -> dict[str, Any]:
    """Run a command of Headwater's and return the document that it writes.

    One thread, unless OMP_NUM_THREADS says otherwise: on few cores, threads wait for one another.
    """
    command = [sys.executable, "-m", "headwater.apps.cli.main", *arguments]
    print("$ headwater", *arguments, flush=True)
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    where = (f"--project={HERE}", f"--data={data}", "--json")
    done = subprocess.run([*command, *where], env=environment, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(done.returncode)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def train(frame: pl.DataFrame) -> dict[str, Any]:
    """Bring the payments into a log and train on the published weeks; the report of ``headwater train``."""
    with TemporaryDirectory(prefix="headwater-") as folder:
        file = Path(folder) / "transactions.parquet"
        frame.write_parquet(file)
        headwater("import", str(file), data=folder)
        return headwater("train", *PUBLISHED_WEEKS, data=folder)


def frauds_learned(frame: pl.DataFrame) -> int:
    """How many of the payments of the training week are frauds."""
    begin, end = datetime(2018, 7, 25, tzinfo=UTC), datetime(2018, 8, 1, tzinfo=UTC)
    week = frame.filter(pl.col("event_at").is_between(begin, end, closed="left"))
    return int(week["is_fraud"].sum())


def show(report: dict[str, Any], frauds: int) -> bool:
    """Print the figures beside the published table, and say whether they are what was wanted."""
    rows, judged = report["rows"], report["evaluation"]
    named = ("roc_auc", "average_precision", "card_precision_at_100")
    figures = [judged["figures"][name] for name in named]
    print(f"\nLearned from {rows['train']:,} payments with {frauds} frauds,", end=" ")
    print(f"judged on {judged['rows']:,} with {judged['positives']}")
    print(f"\n{'':<26}{'ROC AUC':>10}{'avg. prec.':>12}{'card pr. at 100':>17}")
    for model, published in PUBLISHED.items():
        print("{:<26}{:>10.3f}{:>12.3f}{:>17.3f}".format(model, *published))
    print("{:<26}{:>10.3f}{:>12.3f}{:>17.3f}".format("Headwater, LightGBM", *(f[0] for f in figures)))
    for place, end in ((1, "from"), (2, "to (95 %)")):
        print("{:<26}{:>10.3f}{:>12.3f}{:>17.3f}".format(f"  {end}", *(f[place] for f in figures)))
    print("{:<26}{:>10.2f}{:>12.2f}{:>17.2f}".format("wanted, at least", *WANTED))
    as_published = ((rows["train"], frauds), (judged["rows"], judged["positives"])) == (TRAINED_ON, TESTED_ON)
    if not as_published:
        print(f"\nThe split is not the published one: {TRAINED_ON} and {TESTED_ON}")
    reached = all(f[0] >= least for f, least in zip(figures, WANTED, strict=True))
    return as_published and reached


def main(folder: Path) -> int:
    """Compare, train, print; 0 if all is as it should be."""
    frame = transactions(folder)
    equal = check_features(frame)
    print("Equal.\n" if equal else "NOT equal.\n")
    return 0 if show(train(frame), frauds_learned(frame)) and equal else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/card_fraud/run.py DATA_FOLDER (it holds fraud_handbook/)")
    sys.exit(main(Path(sys.argv[1])))
