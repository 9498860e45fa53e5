"""The live host on Spark: Kafka in, the kernel in ``transformWithState``, scores out exactly once.

::

    topics ──► by bucket (Kafka's partition) ──► keeper ──► sink ──► topics
                                                   │          │
    checkpoint: offsets of each batch, state ──────┘          └── group's offsets: what was told

A batch is a function of the offsets in the checkpoint and of the state of the batch before; so whoever
repeats it tells the same bits, and ``sink`` leaves out what was told. Called by ``headwater stream --on
spark``; read ``keeper`` and ``sink`` next.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkFiles, __version__, cloudpickle
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from headwater.core.errors import ClusterError, MissingExtraError
from headwater.definitions.project import Project
from headwater.scale.kafka.cluster import Cluster, Topics, has_topic, make_topics
from headwater.scale.kafka.turns import Tally, Turn
from headwater.scale.spark.calling import Calling
from headwater.scale.spark.failing import failed, letter_of
from headwater.scale.spark.keeper import OUT, Keeper
from headwater.scale.spark.publishing import Publishing
from headwater.scale.spark.sink import COUNTED, FAULT, MISSED, REASONS, SAID, STREAM, Sink, security_of
from headwater.serving.scoring import Scoring

CONNECTOR = f"org.apache.spark:spark-sql-kafka-0-10_2.13:{__version__}"
PROVIDER = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"

# What a session of our own is started with: real threads overflowed their stack under load without it.
SETTINGS = {"spark.driver.extraJavaOptions": "-Xss8m", "spark.executor.extraJavaOptions": "-Xss8m"}

_STATE = {
    "spark.sql.streaming.stateStore.providerClass": PROVIDER,
    # what changed is written behind each batch, and the whole now and then
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How a query goes.

    Attributes:
        seconds: between the beginnings of two batches; 0 for one after the other.
        most: records of one batch.
        parallel: how many parts a batch is worked on in; kept by the checkpoint once it is made.
        least: bytes of records behind a bucket's snapshot before another is worth it.
    """

    seconds: float = 0.0
    most: int = 500_000
    parallel: int = 2
    least: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Running:
    """A query that was started.

    Attributes:
        query: Spark's.
        calling: looks after the parts of the online store, if it is published.
    """

    query: StreamingQuery
    calling: Calling | None = None

    def check(self) -> None:
        """See that it goes on, and look after the online store: to be called some times a second.

        Raises:
            HeadwaterError: as :func:`check`.
        """
        check(self.query)
        if self.calling is not None:
            self.calling.look()


def start(
    session: SparkSession,
    cluster: Cluster,
    project: Project,
    scorings: Mapping[str, Scoring],
    *,
    group: str,
    checkpoint: str,
    pace: Pace | None = None,
    on_turn: Callable[[Turn], None] = lambda _turn: None,
    online: Publishing | None = None,
    on_fault: Callable[[str, BaseException], None] = lambda _where, _error: None,
) -> Running:
    """Start to keep the scores of some models fresh.

    Args:
        session: where.
        cluster: of Kafka.
        project: the definitions.
        scorings: model to its version.
        group: whose offsets say what was told.
        checkpoint: a folder or address for Spark's offsets and state; on a disk that all executors share.
        pace: how it goes.
        on_turn: called after each batch, in a thread of the query's, and must not raise.
        online: where the states of the buckets are published, if anywhere.
        on_fault: what was got over: where, and what; as ``on_turn``.

    Raises:
        DefinitionError: the project's entities do not lie in one partition each.
        LogError: the brokers do not answer.
        MissingExtraError: Spark has no Kafka connector.
        ClusterError: the query cannot be started.
        OnlineError: the online store is another kind of owner's.
    """
    how = pace or Pace()
    topics = Topics(project)
    parts = make_topics(cluster, topics)
    calling = None
    if online is not None:
        online = replace(online, parts=parts, run=secrets.token_hex(8))
        calling = Calling(online, project, cluster, on_fault)
        calling.begin()
    sink = Sink(cluster, group, project.name)

    def out(frame: DataFrame, _number: int) -> None:
        said = frame.mapInArrow(sink, SAID).collect()
        for fault in dict.fromkeys(one[FAULT] for one in said if one[FAULT]):
            on_fault("online", letter_of(fault) or failed(RuntimeError(fault)))
        if calling is not None:
            calling.missed(one[MISSED] for one in said if one[MISSED] is not None)
        on_turn(turn_of(said))

    try:
        kept = keep(_records(session, cluster, topics, how, parts), project, scorings, how, online)
        writer = kept.writeStream.foreachBatch(out).queryName(project.name)
        if how.seconds:
            writer = writer.trigger(processingTime=f"{round(how.seconds * 1_000)} milliseconds")
        return Running(writer.option("checkpointLocation", checkpoint).start(), calling)
    except AnalysisException as error:
        if "kafka" not in str(error):
            raise failed(error) from error
        raise MissingExtraError.of(
            "Spark has no Kafka connector",
            expected=CONNECTOR,
            do="name its jars with --jars, or let Spark fetch it: spark-submit --packages",
        ) from error
    except (PySparkException, Py4JError) as error:
        raise failed(error) from error


def keep(
    records: DataFrame,
    project: Project,
    scorings: Mapping[str, Scoring],
    pace: Pace,
    online: Publishing | None = None,
) -> DataFrame:
    """What records do to their buckets: a streaming frame with the columns of ``keeper.OUT``.

    Args:
        records: a streaming frame with ``bucket``, ``topic``, ``offset``, ``arrival`` in microseconds and
            ``value``; the records of a topic and bucket ascend by offset from batch to batch.
        project: the definitions.
        scorings: model to its version.
        pace: how it goes.
        online: where the states are published, if anywhere.
    """
    for name, value in {**_STATE, "spark.sql.shuffle.partitions": str(pace.parallel)}.items():
        records.sparkSession.conf.set(name, value)
    blob: bytes = cloudpickle.dumps((project, dict(scorings), online))  # type: ignore[no-untyped-call]
    keeper = Keeper(_sent(records.sparkSession, blob), pace.least)
    return records.groupBy("bucket").transformWithStateInPandas(
        keeper, OUT, outputMode="append", timeMode="none"
    )


def turn_of(said: Sequence[Any]) -> Turn:
    """What all workers did in a batch, by the rows of their sinks."""
    counts: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {}
    for row in said:
        if row[STREAM] is not None:
            counts.setdefault(row[STREAM], Counter()).update({name: row[name] for name in COUNTED})
            reasons.setdefault(row[STREAM], Counter()).update(json.loads(row[REASONS]))
    return Turn.of({stream: Tally(**count, refused=reasons[stream]) for stream, count in counts.items()})


def _sent(session: SparkSession, blob: bytes) -> str:
    """The name of a file with these bytes, which every worker gets; it goes when the session does."""
    name = f"headwater-{hashlib.sha256(blob).hexdigest()}.pickle"
    path = Path(SparkFiles.getRootDirectory()) / "headwater" / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(blob)
        session.sparkContext.addFile(str(path))
    return name


def check(query: StreamingQuery) -> None:
    """See that a query goes on.

    Raises:
        HeadwaterError: a worker's letter.
        ClusterError: it ended.
    """
    if query.isActive:
        return
    error = query.exception()
    if error is None:
        raise ClusterError.of("the query ended", expected="one that goes on", do="look at Spark's own log")
    raise letter_of(str(error)) or failed(error) from error


def _records(session: SparkSession, cluster: Cluster, topics: Topics, pace: Pace, parts: int) -> DataFrame:
    known = list(topics.streams)
    if has_topic(cluster, topics.calls):  # also where nothing is published now: a checkpoint keeps its topics
        known.append(topics.calls)
    reader = (
        session.readStream.format("kafka")
        .option("kafka.bootstrap.servers", cluster.brokers)
        .option("kafka.isolation.level", "read_committed")
        .option("subscribe", ",".join(known))
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", pace.most)
    )
    for name, value in security_of(cluster.security).items():
        reader = reader.option(f"kafka.{name}", value)
    return (
        reader.load()
        .selectExpr(
            f"IF(topic = '{topics.calls}', try_cast(CAST(key AS STRING) AS INT), partition) AS bucket",
            "topic",
            "offset",
            "unix_micros(timestamp) AS arrival",
            "value",
        )
        .where(f"bucket BETWEEN 0 AND {parts - 1}")  # anybody may have sent a call
    )
