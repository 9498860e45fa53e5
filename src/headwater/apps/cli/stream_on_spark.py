"""``headwater stream --on spark``: a streaming query of ``scale.spark.stream``, watched until it is to end.

Called by ``stream``, whose host is the other way to do the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from headwater.apps.cli.metering import Meter, unmeasured
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.sparking import library
from headwater.apps.cli.workplace import Workplace
from headwater.apps.http.parts import Part
from headwater.apps.online import Online, address
from headwater.apps.settings import environment
from headwater.core.errors import DataError, HeadwaterError

MISSING = "no batch has ended yet"  # what keeps it from being ready at first
_LOOK = 0.2  # seconds between two looks at the query
_ASK = 1.0  # seconds between two questions for what it did


class Told:
    """What was done so far, for the screen."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.counts = {"records": 0, "events": 0, "duplicates": 0, "refused": 0, "scores": 0}
        self.heard = time.monotonic()

    def count(self, turn: Any) -> None:
        """A turn of a host, or a batch of Spark's."""
        for each in self.counts:
            self.counts[each] += getattr(turn, each)
        if turn.records:
            self.heard = time.monotonic()

    def fault(self, where: str, error: BaseException) -> None:
        """What was got over."""
        self.screen.note(f"{where}: {str(error).partition(chr(10))[0]}")


def run_on_spark(
    work: Workplace,
    told: Told,
    cluster: Any,
    served: Mapping[str, Any],
    group: str,
    end: Event,
    meter: Meter | None,
    *,
    master: str | None,
    checkpoint: str | None,
    every: float,
    most: int,
    parallel: int,
    jars: str | None,
    until_idle: float | None,
    online: str | None,
    **_of_the_host: Any,
) -> None:
    """Run the query until it is asked to end, or idle for so long.

    Raises:
        MissingExtraError: PySpark, Java or the connector is missing.
        ClusterError: Spark does not start, or the query ended.
        FencedError: another publishes a part of the online store.
    """
    spark = library("stream_door")
    place = checkpoint or str(work.settings.data.resolve() / "spark")
    pace = spark.Pace(every, most, parallel)
    publishing = None
    if online is not None:
        Online.read(environment(), part=Part.ALL, url=online)  # what cannot be read is told here, and at once
        where = partial(address, online)
        publishing = spark.Publishing(where, work.clock.now, time.perf_counter_ns)
    with spark.session(work.project.name, master, {**spark.SETTINGS, **_connector(spark, jars)}) as session:
        running = spark.start(
            session,
            cluster,
            work.project,
            served,
            group=group,
            checkpoint=place,
            pace=pace,
            on_turn=told.count if meter is None else meter.counting(told.count),
            online=publishing,
            on_fault=told.fault if meter is None else meter.noting(told.fault),
        )
        told.screen.note(f"Spark {session.version} keeps {', '.join(served) or 'features'} fresh")
        told.heard = time.monotonic()
        look = unmeasured
        if meter is not None:
            look = _looking(spark, running.query, meter, meter.noting(told.fault))
        try:
            while not end.wait(_LOOK):
                running.check()
                look()
                idle = time.monotonic() - told.heard
                if until_idle is not None and idle > until_idle and _rests(running.query):
                    break
        finally:
            running.query.stop()


def _looking(
    spark: Any, query: Any, meter: Meter, on_fault: Callable[[str, BaseException], None]
) -> Callable[[], None]:
    """What tells a meter, about once a second, which batches ended; what cannot be asked for ends nothing."""
    last, due = "", 0.0

    def look() -> None:
        nonlocal last, due
        meter.pulse.beat()
        if time.monotonic() < due:
            return
        due = time.monotonic() + _ASK
        try:
            for one in spark.looks(query, last):
                meter.looked(one)
                last = one.at
        except HeadwaterError as error:
            on_fault("metrics", error)

    return look


def _rests(query: Any) -> bool:
    return not query.status["isDataAvailable"]


def _connector(spark: Any, jars: str | None) -> dict[str, str]:
    if jars is None:
        return {"spark.jars.packages": spark.CONNECTOR}
    found = sorted(str(path) for path in Path(jars).resolve().glob("*.jar"))
    if not found:
        raise DataError.of(
            "there are no jars of Spark's Kafka connector",
            expected="spark-sql-kafka-0-10, spark-token-provider-kafka-0-10, kafka-clients, commons-pool2",
            got="no file that ends in .jar",
            where=jars,
            do=f"put {spark.CONNECTOR} and what it needs there, or leave --jars out",
        )
    return {"spark.jars": ",".join(found)}
