"""Headwater: ``hw.spark.asof`` over Parquet, brought into this process as one Arrow table."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

import headwater as hw
from benchmarks.contenders.spark.session import read, session
from benchmarks.contenders.training_set.frame import answer, figures
from benchmarks.contenders.training_set.headwater import views
from benchmarks.work import Work

__all__ = ["answer", "figures", "prepare"]


def prepare(work: Work) -> Callable[[], tuple[pl.DataFrame, int]]:
    spark = session(work)
    wanted = views(pl.read_parquet_schema(work.data / "events.parquet"))  # type: ignore[arg-type]

    def run(slice_: int = 1) -> pl.DataFrame:
        events, spine = read(spark, work, slice_)
        found = hw.spark.asof(wanted, {"payments": events}, spine, row="row")
        return pl.DataFrame(found.toArrow()).sort("row")

    run(int(work.options.get("warm", 10)))  # every core is at work, and Java has compiled
    asked = spark.read.parquet(str(work.data / "spine.parquet")).count()
    return lambda: (run(), asked)
