"""Tables of events: one table a stream, in a folder or a catalog; or the log, written out as such.

::

    FOLDER/STREAM/*.parquet              the stream's columns, and two more:
    FOLDER/STREAM/_delta_log/ ...         ``offset``, the place in the log, and ``arrived_at``

Called by ``door`` for ``headwater train --on spark``; read ``versions`` for how a table that moves is held,
and ``past`` for what is done with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from headwater.core.errors import DataError
from headwater.definitions.stream import Stream
from headwater.log.protocol import EventLog
from headwater.scale.spark.failing import failed
from headwater.scale.spark.past import Table
from headwater.scale.spark.types import plain
from headwater.scale.spark.versions import held

OFFSET, ARRIVAL = "offset", "arrived_at"
_CLOCK = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Place:
    """Where tables lie.

    Attributes:
        folder: a path or an address that Spark can read, such as ``s3a://lake/events``; or, with the form
            ``table``, what stands before the dot of their names in the catalog.
        form: ``parquet``, ``delta`` or whatever else Spark can load by name; or ``table``.
        arrival, order: their columns, as ``hw.spark.asof`` takes them; None if they have none.
    """

    folder: str
    form: str = "parquet"
    arrival: str | None = ARRIVAL
    order: str | None = OFFSET


def tables(session: SparkSession, place: Place, streams: Sequence[Stream]) -> dict[str, Table]:
    """The tables of some streams, each as it is now: Delta's and Iceberg's are held at their newest version.

    Raises:
        DataError: there is no table of a stream, or it cannot be held.
        ClusterError: Spark cannot read one.
    """
    return {
        one.name: Table(one, _frame(session, place, one.name), place.arrival, place.order) for one in streams
    }


def export(log: EventLog, streams: Sequence[Stream], folder: Path) -> None:
    """Write the events of some streams as tables.

    Args:
        log: whose events.
        streams: which.
        folder: a new one.
    """
    for stream in streams:
        place = folder / stream.name
        place.mkdir(parents=True)
        empty = pl.DataFrame(schema={**stream.schema, OFFSET: pl.Int64, ARRIVAL: _CLOCK})
        _write(empty, place / "empty.parquet")
        for batch in log.scan([stream.name], by_stream=True):
            frame = batch.frame.with_columns(
                pl.Series(OFFSET, batch.offset), pl.Series(ARRIVAL, batch.arrival).cast(_CLOCK)
            )
            _write(frame, place / f"{batch.offset[0]:020d}.parquet")


def exportable(streams: Sequence[Stream]) -> None:
    """See that the two columns of the log can stand beside the streams' own.

    Raises:
        DataError: a stream has a column of such a name.
    """
    taken = [
        f"{stream.name}.{name}" for stream in streams for name in (OFFSET, ARRIVAL) if name in stream.schema
    ]
    if taken:
        raise DataError.of(
            "a stream's column has the name that the log's own gets in a table",
            expected=f"no column called {OFFSET} or {ARRIVAL}",
            got=", ".join(taken),
            do="write the tables yourself, and name the columns with --events, --order and --arrival",
        )


def _write(frame: pl.DataFrame, path: Path) -> None:
    plain(frame).write_parquet(path, statistics=False)


def _frame(session: SparkSession, place: Place, stream: str) -> DataFrame:
    where = f"{place.folder}.{stream}" if place.form == "table" else f"{place.folder.rstrip('/')}/{stream}"
    try:
        return held(session, where, place.form)
    except AnalysisException as error:
        raise DataError.of(
            f"there is no table of the stream {stream} that Spark can read",
            expected="a table of the catalog" if place.form == "table" else f"a {place.form} table",
            got=str(error.getCondition() or type(error).__name__),
            where=where,
            do="look at --events and --format; Delta and Iceberg need packages and settings for this Spark",
        ) from error
    except (PySparkException, Py4JError) as error:
        raise failed(error) from error
