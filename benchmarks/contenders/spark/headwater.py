"""Headwater: ``hw.spark.asof`` over Parquet, brought into this process as one Arrow table."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
from pyspark.sql import DataFrame

import headwater as hw
from benchmarks.contenders.spark.session import Ran, answer, figures, runs
from benchmarks.contenders.spark.sides import processor_seconds
from benchmarks.contenders.training_set.headwater import views
from benchmarks.work import Work

BUCKETS = 16  # window functions keep 8 parts: with 16 they took 46 s instead of 40

__all__ = ["answer", "figures", "prepare", "processor_seconds"]


def prepare(work: Work) -> Callable[[], Ran]:
    wanted = views(pl.read_parquet_schema(work.data / "events.parquet"))  # type: ignore[arg-type]

    def make(events: DataFrame, spine: DataFrame) -> DataFrame:
        return hw.spark.asof(wanted, {"payments": events}, spine, row="row", buckets=BUCKETS)

    return runs(work, make)
