"""A small lender for tests of watching: a folder with a trained model, events that go on, and decisions.

::

    2026-01-01         05-01        05-08        05-15        05-22
    | history, trained | quiet week | quiet week | all pay 4 x as much
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.apps.watching.place import Place, Watched
from headwater.core.instant import DAY, instant
from headwater.definitions.loading import load_project
from headwater.log.embedded import EmbeddedLog
from headwater.serving.decide import Decider
from headwater.serving.live import Scored
from headwater.serving.rederive import Asked, rederive
from headwater.store.decisions import DecisionStore
from headwater.store.folder import DataFolder
from tests.apps.cli.shop import CLOCK, payments, project_text, write_csv

CUSTOMERS = 160
START = instant("2026-01-01T00:00:00Z")
LEARNED = START + 120 * DAY  # 2026-05-01
QUIET = (LEARNED, LEARNED + 14 * DAY)
SHIFTED = (LEARNED + 14 * DAY, LEARNED + 21 * DAY)


def build(folder: Path) -> None:
    """A project with 120 days of history and a trained champion, then 21 days more with decisions."""
    (folder / "project.py").write_text(project_text(limit="400"), encoding="utf-8")
    write_csv(payments(CUSTOMERS, 120), folder / "payments.csv")
    at = ["--project", str(folder)]
    assert run(cli, ["import", str(folder / "payments.csv"), *at]) == 0
    assert run(cli, ["train", "--bootstrap", "20", *at]) == 0
    place = open_place(folder)
    with EmbeddedLog.open(place.folder.log, place.project.streams) as log:
        for start, stop, factor in ((*QUIET, 1.0), (*SHIFTED, 4.0)):
            more = later(start, stop, factor)
            log.append("payments", more, arrival=more["time"].to_physical().to_numpy())
        decide(place, place.watched(), log, *QUIET)
        decide(place, place.watched(), log, *SHIFTED)


def open_place(folder: Path) -> Place:
    """The place that a command would look at."""
    return Place(DataFolder(folder / ".headwater"), load_project(folder))


def later(start: int, stop: int, factor: float) -> pl.DataFrame:
    """Payments like those of the history; amounts times ``factor``."""
    days = (stop - start) // DAY
    past = payments(CUSTOMERS, days, seed=start % 1_000 + 11)
    time = past["time"].to_physical() - START + start
    return past.with_columns(
        pl.col("kind").cast(pl.Enum(["card", "cash"])),
        pl.col("id") + start // DAY * 1_000_000,
        time.cast(CLOCK).alias("time"),
        pl.col("amount") * factor,
    )


def decide(place: Place, watched: Watched, log: EmbeddedLog, start: int, stop: int) -> None:
    """Every customer is decided on once every two days, on what the log held by then."""
    times = np.arange(start + DAY, stop, 2 * DAY)
    asked = [
        Asked({"who": who}, int(time), log.offset_at(int(time)) - 1)
        for time in times
        for who in range(CUSTOMERS)
    ]
    keep_decisions(place, watched, asked, log)


def keep_decisions(place: Place, watched: Watched, asked: Sequence[Asked], log: EmbeddedLog) -> None:
    """Decide as a server would, and keep the records."""
    assert watched.policy is not None
    decider = Decider(watched.policy, watched.scoring)
    vectors = rederive(watched.scoring, asked, log)
    scores = watched.scoring.scorer.score(vectors)
    made = [
        decider.decide(
            Scored(watched.model.name, one.keys, one.time, one.offset, {}, x, float(score)), one.time
        )
        for one, x, score in zip(asked, vectors, scores, strict=True)
    ]
    with DecisionStore.open(place.folder.decisions) as store:
        store.append(made)
