"""A frame of events as the batch that a log would hold: checked, by arrival, each id once.

For a frame that is in order already, which most are, nothing is copied. Called by ``engine.asof`` and by
``training.history``; read ``core.schema`` for the checks and ``engine.repeats`` for the ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.cast import fit, microseconds
from headwater.core.errors import DataError
from headwater.core.frame import as_polars
from headwater.core.schema import Checked, check_frame, faults_of
from headwater.definitions.stream import Stream
from headwater.engine.kernels.layout import Int64
from headwater.engine.reach import Bounds, Places
from headwater.engine.repeats import first_of_each, repeated

_CLOCK = pl.Datetime("us", "UTC")


def batch_of(
    stream: Stream, frame: Any, arrival: str | None, keys: Sequence[str], bounds: Bounds | None = None
) -> Batch:
    """Events of a frame as a log would hold them.

    Args:
        stream: which the events are of.
        frame: a Polars, pandas or Arrow frame, n rows.
        arrival: the column that tells when each event arrived; None if they arrive when they happen.
        keys: columns that may not be null.
        bounds: leave out the events beyond them, once all are checked.

    Returns:
        At most n events by arrival, ties by row. If they arrive when they happen, ``time`` and ``arrival``
        are one array.

    Raises:
        DataError: the frame does not fit the stream, or has no such arrival column.
        ConflictError: an id comes twice, with different content.
    """
    came = as_polars(frame, f"events[{stream.name!r}]")
    checked = _checked(stream, came, arrival, keys)
    when = checked.time if arrival is None else instants(came, arrival, f"events.{stream.name}")
    rows = _rows(stream, checked, when, bounds)
    time = checked.time[rows]
    return Batch(
        stream.name,
        np.arange(len(time), dtype=np.int64),
        time if arrival is None else when[rows],
        time,
        checked.accepted[rows],
    )


def _rows(stream: Stream, checked: Checked, when: Int64, bounds: Bounds | None) -> Places:
    """The rows that the batch holds, by arrival; a slice if they stand so already."""
    if stream.id is not None and repeated(checked.accepted[stream.id]):
        order = _by_arrival(when)
        rows = order[first_of_each(checked.accepted[order], stream)]
        return rows if bounds is None else rows[bounds.places(checked.time[rows], when[rows])]
    if bool((when[1:] >= when[:-1]).all()):
        return slice(None) if bounds is None else bounds.places(checked.time, when)
    rows = np.arange(len(when)) if bounds is None else np.flatnonzero(bounds.mask(checked.time, when))
    return rows[_by_arrival(when[rows])]


def _by_arrival(when: Int64) -> Int64:
    """The stable order, so that ties stay in the order of their rows."""
    return np.argsort(when, kind="stable").astype(np.int64, copy=False)


def instants(frame: pl.DataFrame, column: str, name: str) -> Int64:
    """A column of times from outside as microseconds, shape (n,); the array may be read only.

    Raises:
        DataError: it holds no times with a zone, or nulls, or one that is out of range.
    """
    series = frame[column]
    fitted = fit(series, _CLOCK, instant=True)
    if fitted is None or series.null_count():
        raise DataError.of(
            "a column does not hold times",
            expected="a Datetime with a zone, or a Date, without nulls",
            got=f"{series.dtype} with {series.null_count()} nulls"
            if series.null_count()
            else str(series.dtype),
            where=f"{name}.{column}",
            do="cast it, for example with .dt.replace_time_zone('UTC')",
        )
    DataError.raise_if(faults_of(frame, {column: fitted}, name=name))
    return microseconds(fitted.values).to_numpy()


def _checked(stream: Stream, came: pl.DataFrame, arrival: str | None, keys: Sequence[str]) -> Checked:
    """The frame through the door; an arrival that the stream does not declare stays outside."""
    if arrival is not None and arrival not in came.columns:
        raise DataError.of(
            "the events have no such arrival column",
            expected=", ".join(came.columns),
            got=repr(arrival),
            where=f"events.{stream.name}",
            do="name the column that tells when each event arrived, or leave arrival= out",
        )
    return check_frame(
        came if arrival is None or arrival in stream.schema else came.drop(arrival),
        stream.schema,
        time=stream.time,
        id=stream.id,
        keys=keys,
        personal=stream.personal,
        strict=True,
        name=f"events.{stream.name}",
    )
