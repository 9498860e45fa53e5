"""The session that all contenders on Spark have, on so many cores.

``runs`` is what a contender's ``prepare`` gives back: Spark is started, the set made once, then small sets
until Java has compiled what it needs, all of it apart from what the harness times. Who worked how long:
``sides``.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pyspark.sql import DataFrame, SparkSession

from benchmarks.contenders.spark.sides import processor_seconds, seconds
from benchmarks.contenders.training_set.frame import answer as named
from benchmarks.work import Work

_FILES = ("events.parquet", "spine.parquet")


@dataclass(frozen=True)
class Ran:
    """What was made, and how long what took: see ``figures``."""

    frame: pl.DataFrame
    asked: int
    facts: Mapping[str, float]


def session(work: Work) -> SparkSession:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    cores = int(work.options["cores"])
    made = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.python.daemon.module", "headwater.scale.spark.daemon")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "5g")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", str(work.options.get("parts", 8)))
        .getOrCreate()
    )
    made.sparkContext.setLogLevel("ERROR")
    return made


def runs(work: Work, make: Callable[[DataFrame, DataFrame], DataFrame]) -> Callable[[], Ran]:
    """Start Spark, make the set a first time, settle, and give back what makes it as often as it is called.

    Args:
        work: what is asked; its option ``small`` says by how many small sets.
        make: the rows with their features, and ``row``, from events and spine.
    """
    start = time.perf_counter()
    spark = session(work)
    asked = spark.read.parquet(str(work.data / "spine.parquet")).count()
    facts = {"start": time.perf_counter() - start}
    later: dict[str, list[float]] = {}

    def once(folder: Path = work.data) -> pl.DataFrame:
        events, spine = (spark.read.parquet(str(folder / name)) for name in _FILES)
        return pl.DataFrame(make(events, spine).toArrow()).sort("row")

    def run() -> Ran:
        before = seconds()
        frame = once()
        for who, now in seconds().items():
            later.setdefault(who, []).append(now - before[who])
        return Ran(frame, asked, facts | {who: statistics.median(each) for who, each in later.items()})

    start, before = time.perf_counter(), processor_seconds()
    once()
    facts |= {"first": time.perf_counter() - start, "first_cpu": processor_seconds() - before}
    start = time.perf_counter()
    for _ in range(int(work.options["small"])):
        once(work.data / "part")
    facts["settling"] = time.perf_counter() - start
    return run


def answer(result: Ran) -> dict[str, Any]:
    return named((result.frame, result.asked))


def figures(result: Ran) -> dict[str, float]:
    """Rows; seconds of start, first run and settling; of the processor in later runs, by who spent them."""
    return {"rows": result.frame.height, "asked": result.asked, **result.facts}
