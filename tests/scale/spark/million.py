"""The demo's million events on Spark, as a batch and as a stream, against the embedded engine.

::

    simulated lender ──► events in the order in which they arrived ──┬──► hw.asof            ┐ every tenth
                                                                     ├──► hw.spark.asof      ┘ event's account
                                                                     ├──► one engine         ┐ all accounts
                                                                     └──► a query's state    ┘ at the end

``python -m tests.scale.spark.million``: some minutes, so it is not among the tests; they hold the same on the
semantic suite. Prints what it compared as JSON; the exit status is 1 if a bit differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

import headwater as hw
from headwater.apps.demo import project as demo
from headwater.apps.demo.lender import simulate
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.log.ingest import Incoming, import_history
from headwater.scale.spark.session import session
from headwater.scale.spark.stream import SETTINGS, Pace, keep
from headwater.scale.spark.tables import export
from headwater.serving.live import Live
from tests.scale.spark.streaming import buckets, end, source_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEY, BUCKETS, EVERY, FILES = "account_id", 4, 10, 12
CLOCK = pl.Datetime("us", "UTC")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=4_000)
    parser.add_argument("--master", default="local[2]")
    told = parser.parse_args()
    lender = simulate(accounts=told.accounts)
    settings = {**SETTINGS, "spark.driver.host": "127.0.0.1", "spark.sql.shuffle.partitions": "8"}
    with (
        tempfile.TemporaryDirectory() as folder,
        session("million", told.master, settings) as spark,
        EmbeddedLog.open(Path(folder) / "log", demo.project.streams) as log,
    ):
        incoming = [
            Incoming(stream, lender.events[stream.name], (KEY,), "lender", lender.arrival[stream.name])
            for stream in demo.project.streams
        ]
        events = sum(one.accepted for one in import_history(log, incoming))
        found: dict[str, Any] = {
            "events": events,
            "batch": batch(spark, log, Path(folder)),
            "stream": stream(spark, log, Path(folder)),
        }
    sys.stdout.write(json.dumps(found) + "\n")
    return int(any(found[name]["differing bits"] for name in ("batch", "stream")))


def batch(spark: SparkSession, log: EmbeddedLog, folder: Path) -> dict[str, Any]:
    """Every tenth event's account at the moment at which it arrived."""
    streams = demo.project.streams
    export(log, streams, folder / "tables")
    tables = {one.name: pl.read_parquet(folder / "tables" / one.name / "*.parquet") for one in streams}
    tables = {name: frame.sort("offset") for name, frame in tables.items()}
    spine = tables["transactions"].select(KEY, time=pl.col("arrived_at"))[::EVERY]
    views = demo.project.views
    fitted = {one.name: tables[one.name].with_columns(_typed(one)).drop("offset") for one in streams}
    here = hw.asof(views, fitted, spine, arrival="arrived_at").drop(spine.columns)
    begun = time.perf_counter()
    spine.with_row_index("row").write_parquet(folder / "spine.parquet")
    there = pl.DataFrame(
        hw.spark.asof(
            views,
            {one.name: spark.read.parquet(str(folder / "tables" / one.name)) for one in streams},
            spark.read.parquet(str(folder / "spine.parquet")),
            arrival="arrived_at",
            order="offset",
        ).toArrow()
    ).sort("row")
    seconds = time.perf_counter() - begun
    return {
        "rows": len(spine),
        "features": here.width,
        "differing bits": differing(here, there.select(here.columns)),
        "seconds": round(seconds, 1),
    }


def stream(spark: SparkSession, log: EmbeddedLog, folder: Path) -> dict[str, Any]:
    """All accounts after the last event, from the state of a query that read the log in twelve batches."""
    project = demo.project
    records = _records(log)
    source = source_of(spark, records, folder / "records", FILES)
    begun = time.perf_counter()
    kept = keep(source, project, {}, Pace())
    end(kept.writeStream.format("noop").option("checkpointLocation", str(folder / "spark")).start())
    seconds = time.perf_counter() - begun
    state = buckets(spark, project, {}, folder / "spark").partitions
    engine = Engine(project.views)
    Live(log, engine, []).catch_up()
    accounts = _accounts(log)
    at = int(records["arrival"].max())  # type: ignore[arg-type]
    bits = 0
    for view in project.views:
        whole = engine.read(view.name, accounts, at)
        for number, one in state.items():
            mine = [place for place, account in enumerate(accounts) if account % BUCKETS == number]
            own = one.engine.read(view.name, [accounts[place] for place in mine], at)
            bits += differing(whole[mine], own)
    features = sum(len(view.outputs) for view in project.views)
    return {
        "records": len(records),
        "batches": FILES,
        "accounts": len(accounts),
        "features": features,
        "differing bits": bits,
        "seconds": round(seconds, 1),
    }


def _accounts(log: EmbeddedLog) -> list[int]:
    found: set[int] = set()
    for one in log.scan([each.name for each in demo.project.streams], by_stream=True):
        found.update(one.frame[KEY].unique().to_list())
    return sorted(found)


def _records(log: EmbeddedLog) -> pl.DataFrame:
    """The log as Kafka would hold it: by account in buckets, JSON, an offset in its topic and bucket."""
    parts = []
    for one in log.scan([each.name for each in demo.project.streams]):
        topic = pl.lit(f"{demo.project.name}.{one.stream}")
        values = one.frame.with_columns(pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
        value = values.select(pl.struct(pl.all()).struct.json_encode().alias("value"))["value"]
        parts.append(
            one.frame.select(
                (pl.col(KEY) % BUCKETS).cast(pl.Int32).alias("bucket"),
                topic.alias("topic"),
                place=pl.Series(one.offset),
                arrival=pl.Series(one.arrival),
                value=value.cast(pl.Binary),
            )
        )
    whole = pl.concat(parts).sort("place")
    offset = pl.int_range(pl.len()).over("topic", "bucket")
    return whole.select("bucket", "topic", offset.cast(pl.Int64).alias("offset"), "arrival", "value")


def _typed(stream: hw.Stream) -> list[pl.Expr]:
    return [pl.col(name).cast(dtype) for name, dtype in stream.schema.items()]


def differing(one: pl.DataFrame, other: pl.DataFrame) -> int:
    """Bits that differ in two frames of numbers; a null against a value counts as 64."""
    assert one.columns == other.columns
    assert len(one) == len(other)
    count = 0
    for left, right in zip(one.get_columns(), other.get_columns(), strict=True):
        if left.dtype in (pl.String, pl.Enum, pl.Categorical):
            count += 64 * int((left.cast(pl.String).ne_missing(right.cast(pl.String))).sum())
            continue
        count += 64 * int((left.is_null() != right.is_null()).sum())
        pair = [np.asarray(each.cast(pl.Float64).fill_null(0.0).to_numpy()) for each in (left, right)]
        words = [np.ascontiguousarray(each).view(np.uint64) for each in pair]
        count += int(np.bitwise_count(words[0] ^ words[1]).sum())
    return count


if __name__ == "__main__":
    sys.exit(main())
