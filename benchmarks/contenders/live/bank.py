"""Makes the bank once: events up to now in the log, a trained model, and each account's features for others.

The events are recent, because features are as of now; so the folder is made anew for every run.
"""

from __future__ import annotations

import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.work import Work
from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.apps.cli.models import registry_of
from headwater.apps.cli.workplace import Workplace
from headwater.apps.http.shelf import Shelf
from headwater.apps.settings import Settings
from headwater.definitions.loading import load_project
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.serving.rising import catch_up
from headwater.store.folder import DataFolder

DAY = 86_400_000_000
DAYS = 100
PART = 100_000  # events that are appended at once
PROJECT = Path(__file__).with_name("project.py")
CLOCK = pl.Datetime("us", "UTC")


def prepare(work: Work) -> Callable[[], dict[str, int]]:
    return lambda: _make(work)


def figures(result: dict[str, int]) -> dict[str, int]:
    return result


def _make(work: Work) -> dict[str, int]:
    folder, count, keys = work.data / "bank", work.options["events"], work.options["keys"]
    shutil.rmtree(folder, ignore_errors=True)
    data = DataFolder(folder / ".headwater").make()
    shutil.copy(PROJECT, folder / "project.py")
    project = load_project(folder / "project.py")
    now = time.time_ns() // 1_000
    with EmbeddedLog.open(data.log, project.streams) as log:
        append(log, count, keys, now)
    if run(cli, ["train", "--bootstrap", "0", "--project", str(folder)]):
        raise RuntimeError("the model could not be trained")
    trees = _for_others(folder, keys, now)
    return {"events": count, "keys": keys, "trees": trees}


def append(log: EmbeddedLog, count: int, keys: int, now: int, days: int = DAYS) -> None:
    """So many payments of the last days, in order, each arrived when it happened."""
    start = now - days * DAY
    for first in range(0, count, PART):
        part = min(PART, count - first)
        random = np.random.default_rng(first)
        bounds = (first, first + part)
        low, high = (start + (now - start) * bound // count for bound in bounds)
        at = np.sort(random.integers(low, high, part))
        who = 1 + random.integers(0, keys, part)
        spent = random.gamma(2.0, 20.0 + who % 7 * 10.0)
        frame = pl.DataFrame(
            {
                "id": np.arange(*bounds),
                "who": who,
                "time": pl.Series(at).cast(CLOCK),
                "amount": spent.round(2),
                "balance": (random.normal(900.0, 400.0, part) - 6 * spent).round(2),
                "way": pl.Series(random.choice(["card", "cash", "transfer"], part)),
            }
        )
        way = pl.Enum(["card", "cash", "transfer"])
        log.append("payments", frame.with_columns(pl.col("way").cast(way)), arrival=at)


def _for_others(folder: Path, keys: int, now: int) -> int:
    """The features of every account as of now, and the model that was learned; how many trees it has."""
    work = Workplace(Settings.read({}, project=str(folder)))
    project = work.project
    (one,) = Shelf(registry_of(work), project).champions().values()
    estimator: Any = one.scoring.artifact.estimator
    (folder / "model.pkl").write_bytes(pickle.dumps(estimator))
    (view,) = project.views
    with work.reading() as log:
        engine = Engine(project.views)
        catch_up(engine, log)
    found = engine.read(view.name, list(range(1, keys + 1)), now)
    names = [output.name for output in view.outputs]
    frame = pl.DataFrame({"who": range(1, keys + 1)}).hstack(found.select(names).cast(pl.Float64))
    frame.write_parquet(folder / "features.parquet")
    return int(estimator.n_iter_)
