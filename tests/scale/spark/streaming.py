"""Spark's query over the bank of ``tests.scale.kafka.cases``: run to the end of the topics, its state read.

As a program, with brokers, the project's name, a checkpoint and the connector's jars: a driver that is killed
when its second batch is told and not yet committed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import polars as pl
from pyspark.errors import StreamingQueryException

import headwater as hw
from headwater.scale.kafka.cluster import Cluster
from headwater.scale.kafka.turns import Turn
from headwater.scale.spark.keeping import Keeping
from headwater.scale.spark.session import session
from headwater.scale.spark.stream import SETTINGS, Pace, check, keep, start
from headwater.serving.scoring import Scoring
from tests.serving import bank as small

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from tests.scale.kafka.cases import Bank

PACE = Pace(most=250, least=4_000)
# Of a JVM that lives for a minute: it begins sooner if Java does not look for the best code first.
QUICK = {"spark.driver.extraJavaOptions": "-Xss8m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


def drain(
    spark: SparkSession, bank: Bank, checkpoint: Path, on_turn: Callable[[Turn], None] = lambda _turn: None
) -> None:
    """Run the query until it has read the topics to their ends."""
    running = start(
        spark,
        bank.cluster,
        bank.project,
        {"risk": bank.scoring},
        group=bank.project.name,
        checkpoint=str(checkpoint),
        pace=PACE,
        on_turn=on_turn,
    )
    end(running.query)


def source_of(spark: SparkSession, records: pl.DataFrame, folder: Path, files: int) -> Any:
    """Records as a stream that brings so many files, one in a batch."""
    folder.mkdir()
    step = -(-len(records) // files)
    for number in range(files):
        path = folder / f"{number:02d}.parquet"
        records[number * step : (number + 1) * step].write_parquet(path)
        os.utime(path, (1_000_000 + number, 1_000_000 + number))  # files are read in the order of their age
    return (
        spark.readStream.schema("bucket int, topic string, offset long, arrival long, value binary")
        .option("maxFilesPerTrigger", 1)
        .parquet(str(folder))
    )


def state_of(spark: SparkSession, project: hw.Project, records: pl.DataFrame, folder: Path) -> Any:
    """The state after a stream of records, which come in three batches as files."""
    source = source_of(spark, records, folder / "records", 3)
    kept = keep(source, project, {}, Pace())
    query = kept.writeStream.format("noop").option("checkpointLocation", str(folder / "checkpoint")).start()
    end(query)
    return buckets(spark, project, {}, folder / "checkpoint")


def buckets(spark: SparkSession, project: hw.Project, scorings: dict[str, Scoring], checkpoint: Path) -> Any:
    """What a host's ``partitions`` are, built from what is in the checkpoint."""

    def rows(name: str) -> list[Any]:
        reader = spark.read.format("statestore").option("stateVarName", name)
        return reader.load(str(checkpoint)).collect()

    behind: dict[int, list[tuple[str, bytes]]] = {}
    for row in rows("behind"):
        behind.setdefault(row["key"]["bucket"], []).append(
            (row.list_element.stream, row.list_element.records)
        )
    snapshots = {row["key"]["bucket"]: row["value"].blob for row in rows("snapshot")}
    found = {}
    for row in rows("place"):
        number, value = row["key"]["bucket"], row["value"]
        state = SimpleNamespace(
            place=Value(tuple(value)),
            snapshot=Value((snapshots[number],) if number in snapshots else None),
            behind=Value(behind.get(number, [])),
        )
        keeping = Keeping(project, scorings)
        found[number] = keeping.bucket(number, keeping.place(state)[0], state)
    return SimpleNamespace(partitions=found, snapshots=len(snapshots))


def end(query: StreamingQuery) -> None:
    """Let a query read all that is there, and stop it.

    Raises:
        HeadwaterError: as it was told to whoever watches the query.
    """
    try:
        catch_up(query)
    finally:
        query.stop()


def catch_up(query: StreamingQuery) -> None:
    """Let a query read all that is there.

    Raises:
        HeadwaterError: as it was told to whoever watches the query.
    """
    with suppress(StreamingQueryException):
        query.processAllAvailable()  # it may have looked where the topics end before the last records came
        query.processAllAvailable()
    check(query)


class Value:
    """A state variable as it was read."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def exists(self) -> bool:
        return self._value is not None

    def get(self) -> Any:
        return self._value


@contextmanager
def killed(number: int) -> Iterator[Callable[[Turn], None]]:
    """Kills this process when so many batches with records were told, and says what the last and all held."""
    seen = scores = 0

    def count(turn: Turn) -> None:
        nonlocal seen, scores
        seen += turn.records > 0
        scores += turn.scores
        if seen == number:
            sys.stdout.write(f"{turn.records} {scores}\n")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    yield count


def main(brokers: str, project: str, checkpoint: str, jars: str) -> None:
    model = small.model(features=[small.SPENDING], derived={})
    declared = hw.Project(project, models=[model])
    scorings = {"risk": small.scoring(model)}
    settings = {**SETTINGS, **QUICK, "spark.jars": jars, "spark.driver.host": "127.0.0.1"}
    with session(project, "local[2]", settings) as spark, killed(2) as count:
        at = Cluster(brokers)
        running = start(
            spark, at, declared, scorings, group=project, checkpoint=checkpoint, pace=PACE, on_turn=count
        )
        running.query.awaitTermination()


if __name__ == "__main__":
    main(*sys.argv[1:])
