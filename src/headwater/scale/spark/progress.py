"""What Spark says of a query's batches: how long each took, what is left to read, and how large the state is.

::

    {"batchId": 7, "numInputRows": 250, "durationMs": {"triggerExecution": 612, ...},
     "stateOperators": [{"numRowsTotal": 41, "memoryUsedBytes": 91200, ...}],
     "sources": [{"endOffset": '{"shop.payments": {"0": 120}}', "latestOffset": '{...: {"0": 131}}'}]}

A query that finds nothing to do says so every ten seconds: then nothing ran. Asked for by the driver, now and
then; Spark keeps the last hundred. Called by ``headwater stream --on spark``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql.streaming.query import StreamingQuery

from headwater.scale.spark.failing import failed, letter_of


@dataclass(frozen=True, slots=True)
class Look:
    """A batch that ended, or a look for records that found none.

    Attributes:
        at: when it began, as text that sorts.
        seconds: that it took; None if nothing ran.
        lag: partition and topic to the records that were left in it.
        rows, bytes: of the state.
    """

    at: str
    seconds: float | None
    lag: Mapping[tuple[int, str], int]
    rows: int
    bytes: int


def looks(query: StreamingQuery, after: str) -> list[Look]:
    """What ended since a look that began ``after``, in order; all for "".

    Raises:
        HeadwaterError: Spark does not answer.
    """
    try:
        told: Sequence[Mapping[str, Any]] = query.recentProgress
    except (PySparkException, Py4JError) as error:
        raise letter_of(str(error)) or failed(error) from error
    return [look_of(one) for one in told if one["timestamp"] > after]


def look_of(told: Mapping[str, Any]) -> Look:
    """A look, out of what Spark says of it; see above."""
    lag: dict[tuple[int, str], int] = {}
    for source in told["sources"]:
        read, there = (json.loads(source[name] or "null") or {} for name in ("endOffset", "latestOffset"))
        for topic, ends in there.items():
            for number, end in ends.items():
                lag[int(number), topic] = max(0, end - read.get(topic, {}).get(number, 0))
    took, states = told["durationMs"], told["stateOperators"]
    return Look(
        told["timestamp"],
        took["triggerExecution"] / 1e3 if "addBatch" in took else None,
        lag,
        sum(one["numRowsTotal"] for one in states),
        sum(one["memoryUsedBytes"] for one in states),
    )
