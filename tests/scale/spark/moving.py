"""Delta and Iceberg tables as they are met: rewritten, with rows deleted, and written to while they are read.

A program, for it needs another PySpark than the tests: ``python -m tests.scale.spark.moving read FOLDER``,
with ``build/tables`` in front; ``refused`` is for the PySpark of the tests, which these packages do not fit.
It writes what it found as JSON. Called by ``test_moving``, which says what must hold.

::

    version   wrong ── rows deleted ── amounts mended        what an embedded log of the same events holds
                │                          │                                   │
                └── hw.spark.asof          └── train, hw.spark.asof    =    train, hw.asof
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pyspark import __version__
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import partitioning

import headwater as hw
from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.definitions.loading import load_project
from headwater.definitions.project import Project
from headwater.log.embedded import EmbeddedLog
from headwater.scale.spark.tables import Place, tables
from headwater.store.folder import DataFolder
from tests.apps.cli.shop import payments as shop_payments
from tests.apps.cli.shop import project_text, write_csv
from tests.scale.spark.host import to_polars, to_spark
from tests.scale.spark.streaming import QUICK

CLOCK = pl.Datetime("us", "UTC")
ON = ("train", "--on", "spark", "--events")
MENDED = (
    "DELETE FROM {table} WHERE who = 999",
    "UPDATE {table} SET amount = -amount WHERE amount < 0",
)
# What whoever reads Delta and Iceberg gives Spark (docs/how-to/spark.md), and what makes small ones quick.
CATALOGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension"
    ",org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.catalog.ice": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.ice.type": "hadoop",
}
SMALL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "Asia/Kathmandu",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.python.daemon.module": "headwater.scale.spark.daemon",
}


@dataclass(frozen=True)
class Shop:
    """A project with its log, in a folder; some payments came up to nine days late."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Shop:
        """In a new folder."""
        folder.mkdir()
        (folder / "project.py").write_text(project_text(), encoding="utf-8")
        frame, random = shop_payments(days=80), np.random.default_rng(5)
        late = np.where(random.random(len(frame)) < 0.3, random.integers(0, 9 * 86_400, len(frame)), 0)
        frame = frame.with_columns(came=pl.col("time") + pl.Series(late * 1_000_000).cast(pl.Duration("us")))
        write_csv(frame, folder / "payments.csv")
        shop = cls(folder)
        shop.command("import", str(folder / "payments.csv"), "--arrival", "came")
        return shop

    @cached_property
    def project(self) -> Project:
        """As declared."""
        return load_project(self.folder)

    @property
    def stream(self) -> hw.Stream:
        """Of payments."""
        return self.project.models[0].features[0].stream

    @cached_property
    def events(self) -> pl.DataFrame:
        """The log's events with their places and arrivals."""
        with EmbeddedLog.open(DataFolder(self.folder / ".headwater").log, [self.stream]) as log:
            return pl.concat(
                batch.frame.with_columns(
                    pl.Series("offset", batch.offset), pl.Series("arrived_at", batch.arrival).cast(CLOCK)
                )
                for batch in log.scan(["payments"], by_stream=True)
            )

    @cached_property
    def wrong(self) -> pl.DataFrame:
        """The events before they were mended: amounts that are not so, and a customer who is none."""
        more = self.events.head(100).with_columns(
            pl.col("id") + 100_000, pl.col("offset") + 100_000, pl.lit(999, pl.Int64).alias("who")
        )
        changed = pl.when(pl.col("id") % 10 == 0).then(-pl.col("amount")).otherwise("amount")
        return pl.concat([self.events.with_columns(changed.alias("amount")), more])

    def command(self, *args: str) -> Any:
        """What ``headwater`` answers as JSON, or the letter with which it ends."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(cli, [*args, "--project", str(self.folder)])
        if code:
            return err.getvalue().replace(str(self.folder), "FOLDER")
        return json.loads(out.getvalue()) if "--json" in args else out.getvalue()

    def on_delta(self) -> Any:
        """What training on the project's own lake ends with."""
        return self.command(*ON, f"{self.folder}/.headwater/lake/events", "--format", "delta")

    def trained(self, events: str | None = None, form: str = "") -> Any:
        """The model, and all that is told of it: from the log, or from tables."""
        which = ["train"] if events is None else [*ON, events, "--format", form]
        return self.command(*which, "--json", "--no-register", "--bootstrap", "5")


def views(stream: hw.Stream) -> list[hw.FeatureView]:
    """Features whose bits depend on each amount, and on the order of events."""
    kinds = (hw.sum, hw.mean, hw.std, hw.first, hw.last, hw.max)
    found = {kind.__name__: kind("amount", over=["5d", "30d"]) for kind in kinds}
    return [hw.FeatureView("rich", stream, "who", {**found, "kind": hw.last("kind"), "n": hw.count()})]


def spine() -> pl.DataFrame:
    """Customers at moments, some of whom there are not."""
    random = np.random.default_rng(9)
    time = 1_767_225_600_000_000 + random.integers(0, 130 * 86_400_000_000, 500)
    who = random.choice([*range(32), 999], 500)
    return pl.DataFrame({"row": np.arange(500), "who": who, "time": pl.Series(time).cast(CLOCK)})


def compared(shop: Shop, session: SparkSession, events: DataFrame, held: pl.DataFrame) -> dict[str, int]:
    """Rows, values, and how many of them differ by a bit between a table and the embedded engine."""
    asked, own = spine(), views(shop.stream)
    here = hw.asof(own, {"payments": held.sort("offset").drop("offset")}, asked, arrival="arrived_at")
    found = to_polars(
        hw.spark.asof(
            own, {"payments": events}, to_spark(session, asked), arrival="arrived_at", order="offset"
        )
    )
    there = found.sort("row").select(pl.col(name).cast(dtype) for name, dtype in here.schema.items())
    pairs = zip(bits(here).iter_columns(), bits(there).iter_columns(), strict=True)
    return {
        "rows": len(there),
        "values": len(here) * len(own[0].outputs),
        "differing": sum(int(one.ne_missing(other).sum()) for one, other in pairs),
    }


def bits(frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers by their bits: -0.0 is not 0.0."""
    return frame.with_columns(pl.col(pl.Float64).reinterpret(dtype=pl.Int64))


def kept(files: Iterable[Path]) -> int:
    """Rows of all data files, whatever a table makes of them."""
    return sum(pl.scan_parquet(file).select(pl.len()).collect().item() for file in files)


def written(shop: Shop, session: SparkSession) -> None:
    """Make the tables with the wrong events."""
    wrong = to_spark(session, shop.wrong)
    mapped = {"delta.columnMapping.mode": "name", "delta.enableDeletionVectors": "true"}
    path = f"{shop.folder}/delta/payments"
    wrong.write.format("delta").partitionBy("kind").options(**mapped).save(path)
    session.sql(f"CREATE TABLE payments USING delta LOCATION '{path}'")
    making = wrong.writeTo("ice.bank.payments").using("iceberg").partitionedBy(partitioning.months("time"))
    for one in ("delete", "update"):
        making = making.tableProperty(f"write.{one}.mode", "merge-on-read")
    making.create()
    session.sql("CREATE TABLE ice.empty.payments (id BIGINT) USING iceberg")


def mended(session: SparkSession) -> None:
    """Bring the tables to what the log holds; the files that they had stay."""
    for table in ("payments", "ice.bank.payments"):
        for change in MENDED:
            session.sql(change.format(table=table))
    session.sql("INSERT INTO ice.empty.payments VALUES (1)")


def read(shop: Shop, session: SparkSession) -> dict[str, Any]:
    """Everything that is to be found with the packages that fit."""
    folder = shop.folder
    places = {
        "delta": Place(f"{folder}/delta", "delta"),
        "delta by name": Place("default", "table"),
        "iceberg": Place(f"{folder}/ice/bank", "iceberg"),
        "iceberg by name": Place("ice.bank", "table"),
        "empty": Place("ice.empty", "table"),
        "view": Place("global_temp", "table"),
    }

    def opened() -> dict[str, DataFrame]:
        found = {name: tables(session, place, [shop.stream]) for name, place in places.items()}
        return {name: one["payments"].frame for name, one in found.items()}

    written(shop, session)
    session.sql("CREATE GLOBAL TEMP VIEW payments AS SELECT * FROM payments VERSION AS OF 0")
    first = session.table("ice.bank.payments.refs").collect()[0]["snapshot_id"]
    before = opened()
    mended(session)
    after = opened()
    old = session.read.option("versionAsOf", 0).format("delta").load(f"{folder}/delta/payments")
    return {
        "rows": {name: [before[name].count(), after[name].count()] for name in places},
        "files": {
            "delta": kept(Path(folder, "delta").rglob("part-*.parquet")),
            "iceberg": kept(Path(folder, "ice", "bank").rglob("*[!s].parquet")),
        },
        "trained": {
            "embedded": shop.trained(),
            "lake": shop.trained(f"{folder}/.headwater/lake/events", "delta"),
            "iceberg": shop.trained(f"{folder}/ice/bank", "iceberg"),
        },
        "asof": {
            "delta": compared(shop, session, session.table("payments"), shop.events),
            "delta 0": compared(shop, session, old, shop.wrong),
            "iceberg": compared(shop, session, session.table("ice.bank.payments"), shop.events),
            "iceberg 0": compared(
                shop,
                session,
                session.read.option("versionAsOf", first).table("ice.bank.payments"),
                shop.wrong,
            ),
        },
        "letters": {
            "nowhere": shop.command(*ON, f"{folder}/ice", "--format", "delta"),
            "no table": shop.command(*ON, "ice.away", "--format", "table"),
        },
    }


def bare(shop: Shop, session: SparkSession) -> dict[str, Any]:
    """What is told where Spark has the packages, and was not set up for them."""
    found = {"not set up": shop.on_delta()}
    session.conf.set("spark.databricks.delta.requiredSparkConfsCheck.enabled", "false")
    return {**found, "no versions": shop.on_delta()}


def refused(shop: Shop) -> dict[str, Any]:
    """What is told where the packages are those of another Spark."""
    return {"iceberg": shop.command(*ON, "nowhere", "--format", "iceberg")}


@contextlib.contextmanager
def started(shop: Shop, settings: Mapping[str, str]) -> Iterator[SparkSession]:
    """A session with the packages that were given to Spark, set up in some way or not."""
    options: dict[str, Any] = {
        **SMALL,
        **QUICK,
        **settings,
        "spark.sql.warehouse.dir": f"{shop.folder}/spark",
    }
    if settings:
        options["spark.sql.catalog.ice.warehouse"] = f"{shop.folder}/ice"
    session = SparkSession.builder.master("local[2]").config(map=options).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


def main(what: str, folder: Path) -> None:
    """Find it, and say it."""
    shop = Shop.made(folder / what)
    found: dict[str, Any] = {"spark": __version__}
    shop.command("lake", "export", "--format", "delta")
    if what == "read":  # first, for a JVM that was set up once stays so
        with started(shop, {}) as session:
            found["bare"] = bare(shop, session)
    with started(shop, CATALOGS) as session:
        found |= read(shop, session) if what == "read" else {"letters": refused(shop)}
    (folder / f"{what}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
