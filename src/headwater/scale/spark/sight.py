"""The events that some row of a spine may see: the others are left where they lie, before any is moved.

::

    rows of the spine                t . . . . . . t'
    some row sees        (---------------------------]            (first - far, last - near]
    events           x x . . . . . . . . . . . . . . . x x x      x stays on its disk
                         oldest                     newest

What a worker does for its bucket (``engine.reach``), once for the whole table: a value is a function of its
window's contents, so no bit changes. The first and the last time of the spine come from a subquery of the
same plan, so nothing is computed before the result is read. A spine that is another each time that Spark
computes it would be answered from the wrong events: each row carries whether it was in sight, and a worker
refuses one that was not. Called by ``point_in_time``.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import TimestampType

from headwater.engine.reach import Reach
from headwater.scale.spark.bucket import Asked
from headwater.scale.spark.types import micros

_MOST = 1 << 61  # microseconds, 73,000 years: whoever looks further back sees everything


@dataclass(frozen=True, slots=True)
class Sight:
    """What the rows of a spine may see together.

    Attributes:
        time, known: the spine's columns, as ``asof`` takes them.
        first, last: its first and last time, in microseconds, each a subquery.
        late: when the last of its rows was asked.
    """

    time: str
    known: str | None
    first: Column
    last: Column
    late: Column

    @classmethod
    def of(cls, spine: DataFrame, time: str, known: str | None) -> Sight:
        """Of a spine as it was given. Each subquery is laid out once, and read by every pass."""
        moment = micros(spine, time)
        first, last = (spine.select(end(moment)).scalar() for end in (sf.min, sf.max))
        late = last if known is None else spine.select(sf.max(_asked(spine, time, known))).scalar()
        return cls(time, known, first, last, late)

    def held(self, rows: DataFrame, name: str) -> DataFrame:
        """The rows, with a column that says whether each lies between the first and the last.

        A row without a time does: it is the worker that refuses it.
        """
        time = micros(rows, self.time)
        inside = (time >= self.first) & (time <= self.last)
        if self.known is not None:
            inside &= _asked(rows, self.time, self.known) <= self.late
        return rows.withColumn(name, sf.coalesce(inside, sf.lit(True)))

    def seen(self, events: DataFrame, asked: Asked) -> DataFrame:
        """The events that some row may see; and those that lack what all must have, for a worker to refuse.

        Args:
            events: of the stream that is asked.
            asked: what is asked of them.
        """
        reach, stream = Reach.of(asked.views), asked.stream
        inside = _before(events, stream.time, self.last - sf.lit(min(reach.near, _MOST)))
        if reach.far is not None:
            inside &= _after(events, stream.time, self.first - sf.lit(min(reach.far, _MOST)))
        must = [stream.time, asked.views[0].key]
        if asked.arrival is not None:
            inside &= _before(events, asked.arrival, self.late)
            must.append(asked.arrival)
        for name in must:
            inside |= events[_quoted(name)].isNull()
        return events.where(inside)


def _asked(rows: DataFrame, time: str, known: str) -> Column:
    """When each row was asked: never before its time."""
    return sf.greatest(micros(rows, time), micros(rows, known))


def _before(events: DataFrame, name: str, moment: Column) -> Column:
    """Which events stand at the moment or before it."""
    if isinstance(events.schema[name].dataType, TimestampType):  # as it lies in a file, which may skip by it
        return events[_quoted(name)] <= sf.timestamp_micros(moment)
    return micros(events, name) <= moment


def _after(events: DataFrame, name: str, moment: Column) -> Column:
    """Which events stand behind the moment."""
    if isinstance(events.schema[name].dataType, TimestampType):
        return events[_quoted(name)] > sf.timestamp_micros(moment)
    return micros(events, name) > moment


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
