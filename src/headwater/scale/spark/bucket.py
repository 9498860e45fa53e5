"""One bucket of keys in a Python worker: its events put in the order of the log, its spine's rows answered.

::

    events, in any order ──► by place in the log ──► batch ─┐
                                                            ├──► engine.asof ──► the features' columns
    spine's keys and times ─────────────────────────────────┘                    beside the spine's own

The same functions as ``hw.asof``, with one thread. Called by ``worker``; read ``engine.asof`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from headwater.core.errors import DataError
from headwater.definitions.stream import Stream
from headwater.definitions.view import FeatureView
from headwater.engine.asof import asof_batches
from headwater.engine.batches import batch_of, instants
from headwater.engine.reach import Reach

_UTC = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of every bucket.

    Attributes:
        views: of one stream and one key.
        stream: their stream, with the columns that they read.
        time, known: the spine's columns; without ``known``, a row sees what had arrived by its time.
        arrival, order: the events' columns, each None if there is none.
        held: the spine's column that says whether ``sight`` had seen the row when it chose the events.
        cut: columns of both tables that only say where a row is worked on.
        fields: of what comes out, in Arrow's types, as Spark awaits them: the spine's, then the features.
    """

    views: tuple[FeatureView, ...]
    stream: Stream
    time: str
    known: str | None
    arrival: str | None
    order: str | None
    held: str
    cut: tuple[str, ...]
    fields: pa.Schema


def answer(asked: Asked, spine: pa.Table, events: pa.Table) -> pa.Table:
    """The rows of the spine in the order in which they came, with a column for each feature.

    Raises:
        DataError: a value does not fit, or the events were chosen for another spine.
    """
    _same_spine(spine[asked.held])
    spine = spine.drop_columns([asked.held, *asked.cut])
    found = _features(asked, spine, events.drop_columns(list(asked.cut)))
    fields = list(asked.fields)[spine.num_columns :]
    made = [_arrow(series, field.type) for series, field in zip(found.get_columns(), fields, strict=True)]
    whole = pa.table([*spine.columns, *made], names=asked.fields.names)
    return whole.cast(asked.fields)  # times in UTC, as Spark awaits them, and not in the session's zone


def _same_spine(held: pa.ChunkedArray) -> None:
    """See that the events were chosen with these rows in sight: Spark computes the spine once more for it."""
    strange = held.length() - (pc.sum(held).as_py() or 0)
    if strange:
        raise DataError.of(
            "the spine has other rows when Spark computes it again",
            expected="the same rows each time",
            got=f"{strange} rows beyond the times of those before",
            where="spine",
            do="write it to a table, or checkpoint() it; limit() and sampling give other rows each time",
        )


def _features(asked: Asked, spine: pa.Table, events: pa.Table) -> pl.DataFrame:
    if not spine.num_rows:
        return pl.DataFrame(schema={one.name: one.dtype for view in asked.views for one in view.outputs})
    key = asked.views[0].key
    read = dict.fromkeys([key, asked.time, *([asked.known] if asked.known else [])])
    rows = _polars(spine.select(list(read)))
    times = instants(rows, asked.time, "spine")
    known = None if asked.known is None else np.maximum(instants(rows, asked.known, "spine"), times)
    bounds = Reach.of(asked.views).bounds(times, times if known is None else known)
    came = in_order(_polars(events), asked)
    if asked.order is not None and asked.order not in asked.stream.schema:
        came = came.drop(asked.order)
    batch = batch_of(asked.stream, came, asked.arrival, [key], bounds)
    found = asof_batches(
        asked.views, {asked.stream.name: batch}, rows, time=asked.time, known=known, threads=1
    )
    return found.drop(rows.columns)


def in_order(events: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """The events by their place in the log; where none is told or it is shared, by what they hold.

    Spark hands out the rows of a table in no order. So what is equal in time (and place) is put in order by
    the columns that are read: the same table gives the same bits, however it is cut.
    """
    first = asked.order if asked.order is not None else asked.arrival or asked.stream.time
    came = events.sort(first, nulls_last=True, maintain_order=True)
    more = [asked.stream.id] if asked.stream.id is not None else []
    rest = [name for name in events.columns if name not in (first, *more)]
    return _ties_in_order(came, first, [*more, *rest])


def _ties_in_order(events: pl.DataFrame, first: str, rest: Sequence[str]) -> pl.DataFrame:
    """Events that ascend by one column, and where that is shared by the others.

    To sort by many columns costs ten times as much as by one, and most events share their place with none.

    Example:
        >>> events = pl.DataFrame({"at": [1, 2, 2, 3], "paid": [7, 9, 8, 1]})
        >>> _ties_in_order(events, "at", ["paid"])["paid"].to_list()
        [7, 8, 9, 1]
    """
    as_next = events[first].eq_missing(events[first].shift(-1)).to_numpy()
    if len(as_next):
        as_next[-1] = False
    shared = as_next.copy()
    shared[1:] |= as_next[:-1]
    places = np.flatnonzero(shared)
    if not len(places):
        return events
    tied = events[places].with_columns(pl.Series(_free("place", events.columns), places))
    rows = np.arange(len(events))
    rows[places] = tied.sort([first, *rest], nulls_last=True)[tied.columns[-1]].to_numpy()
    return events[rows]


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _polars(table: pa.Table) -> pl.DataFrame:
    """A table of Spark's as Polars reads it: whatever zone the session shows times in, they are UTC."""
    fields = [
        pa.field(field.name, _UTC if pa.types.is_timestamp(field.type) and field.type.tz else field.type)
        for field in table.schema
    ]
    frame = pl.from_arrow(table.cast(pa.schema(fields)))
    return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()


def _arrow(series: pl.Series, dtype: pa.DataType) -> pa.ChunkedArray:
    text = isinstance(series.dtype, pl.Enum | pl.Categorical)
    return pa.chunked_array([(series.cast(pl.String) if text else series).to_arrow().cast(dtype)])
