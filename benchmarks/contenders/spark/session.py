"""The session that all contenders on Spark have, on so many cores; started outside of the clock."""

from __future__ import annotations

import os
import sys

from pyspark.sql import DataFrame, SparkSession

from benchmarks.work import Work


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


def read(spark: SparkSession, work: Work, slice_: int = 1) -> tuple[DataFrame, DataFrame]:
    """Events and spine; or a slice of both, to warm up on."""
    events, spine = (spark.read.parquet(str(work.data / f"{name}.parquet")) for name in ("events", "spine"))
    if slice_ > 1:
        few = f"customer_id % {slice_} = 0"
        return events.where(few), spine.where(few)
    return events, spine
