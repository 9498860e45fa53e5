"""PySpark by its own window functions: after every event, then the rows that are asked for.

It works only because the rows are events themselves and none is late, as for Polars by hand. With the option
``cut`` the events that no row sees are filtered out first, as an expert who knows the windows would.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as sf

from benchmarks.contenders.spark.session import Ran, answer, figures, runs
from benchmarks.contenders.spark.sides import processor_seconds
from benchmarks.contenders.training_set.frame import SPANS
from benchmarks.work import Work

__all__ = ["answer", "figures", "prepare", "processor_seconds"]

_DAY = 86_400_000_000
_REACH = timedelta(days=37)


def prepare(work: Work) -> Callable[[], Ran]:
    def make(events: DataFrame, spine: DataFrame) -> DataFrame:
        if work.options.get("cut"):
            first, last = spine.agg(sf.min("time"), sf.max("time")).collect()[0]
            events = events.where(sf.col("event_at").between(first - _REACH, last))
        return _features(events, spine)

    return runs(work, make)


def _features(events: DataFrame, spine: DataFrame) -> DataFrame:
    found = spine.withColumn("row", sf.monotonically_increasing_id())
    for key, value, names, delay in (
        ("customer_id", "amount", ("n_customer", "mean_customer"), 0),
        ("terminal_id", "is_fraud", ("n_terminal", "risk_terminal"), 7),
    ):
        timed = events.select(key, value, sf.unix_micros("event_at").alias("at"))
        columns = []
        for span in SPANS:
            begin = (int(span[:-1]) + delay) * _DAY
            over = Window.partitionBy(key).orderBy("at").rangeBetween(1 - begin, -delay * _DAY)
            columns += [
                sf.count(sf.lit(1)).over(over).alias(f"{names[0]}_{span}"),
                sf.avg(value).over(over).alias(f"{names[1]}_{span}"),
            ]
        made = timed.select(key, "at", *columns).dropDuplicates([key, "at"])
        found = found.withColumn("at", sf.unix_micros("time")).join(made, [key, "at"], "left").drop("at")
    return found
