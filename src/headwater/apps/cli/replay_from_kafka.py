"""``headwater replay --kafka``: decisions that rest on Kafka's topics, made again from there.

::

    record: places ──► events of its entity, out of the topics ──► a log of its own ──► replay as ever

Called by ``replay``; what is read of Kafka is in ``scale.kafka.past``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from headwater.apps.cli.brokers import cluster_of, library
from headwater.apps.cli.workplace import Workplace
from headwater.apps.settings import environment
from headwater.core.errors import LogError, Problem
from headwater.log.embedded import EmbeddedLog
from headwater.log.protocol import EventLog
from headwater.serving.replay import Replayed
from headwater.store.decisions import Record

Again = Callable[[Sequence[Record], EventLog], list[Replayed]]


def from_kafka(work: Workplace, brokers: str, records: Sequence[Record], again: Again) -> list[Replayed]:
    """Make decisions again, in their order.

    Args:
        work: whose project.
        brokers: of the topics.
        records: with places.
        again: makes some again from a log.

    Raises:
        LogError: a decision rests on no topics, they lack what it rested on, or the brokers do not answer.
    """
    LogError.raise_if(_nowhere(record) for record in records if not record.decision.places)
    kafka = library()
    cluster = cluster_of(kafka, brokers, environment())
    found = []
    rested = kafka.rested_on(cluster, work.project, [record.decision for record in records])
    for record, one in zip(records, rested, strict=True):
        with TemporaryDirectory(prefix="headwater-") as folder:
            (made,) = _again(work, Path(folder), record, one, again)
        if one.cut and not made.same:
            raise _cut(record, one.cut)
        found.append(made)
    return found


def _again(work: Workplace, folder: Path, record: Record, rested: Any, again: Again) -> list[Replayed]:
    with EmbeddedLog.open(folder / "events.log", work.project.streams) as log:
        for stream, frame in rested.events.items():
            if len(frame):
                log.append(stream, frame, arrival=0)
        alone = replace(record.decision, offset=log.end() - 1, places={})
        return again([replace(record, decision=alone)], log)


def _nowhere(record: Record) -> Problem:
    return Problem(
        f"the decision {record.id} rests on the embedded log",
        expected="one that rests on Kafka's topics",
        got="no places in its record",
        where=record.decision.model,
        do="leave --kafka out",
    )


def _cut(record: Record, topics: Sequence[str]) -> LogError:
    return LogError.of(
        f"the decision {record.id} cannot be made again",
        expected="topics with all their records",
        got="their first ones are gone",
        where=", ".join(topics),
        do="keep events as long as decisions are to be proven (`retention.ms`)",
    )
