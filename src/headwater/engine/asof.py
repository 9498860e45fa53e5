"""The as-of host: features for a spine of keys and times, each from what was known by then.

::

    events ──► batches ───► reach ───► values ───► merge ─────────► state ──► columns, in the
               by arrival,  what can   as numbers  the spine's      kernels   spine's order
               each once    be seen                rows in between

One pass over the log in the order of arrival, the spine's rows merged in as readings: the same kernels
as live, so the same bits. ``asof`` is the engine as one function, for a data scientist; ``asof_batches``
the same for batches of a log, for ``training``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl

from headwater.core.batch import Batch
from headwater.core.cast import fit
from headwater.core.errors import DataError, Problem
from headwater.core.frame import as_polars
from headwater.core.schema import faults_of
from headwater.definitions.view import FeatureView
from headwater.engine import values
from headwater.engine.asking import missing_from_spine, missing_streams, shared_names
from headwater.engine.batches import batch_of, instants
from headwater.engine.kernels import layout as at
from headwater.engine.merge import merged
from headwater.engine.reach import Reach, Readings, seen
from headwater.engine.state import ViewState

TOGETHER = 2  # views at a time: while one is in the kernels, the next is made ready


def asof(
    views: FeatureView | Sequence[FeatureView],
    events: Mapping[str, Any],
    spine: Any,
    *,
    time: str = "time",
    arrival: str | None = None,
) -> pl.DataFrame:
    """The features of each row of a spine, as they could have been known at its time.

    A row at time ``t`` sees the events of its key that had arrived by ``t`` and whose event time lies in
    the feature's window ``(t - span, t]``. A key without events reads an empty window.

    Args:
        views: one or more feature views; their outputs must have different names.
        events: stream name to a Polars, pandas or Arrow frame with the stream's columns.
        spine: n rows with one column per key, and a time. A key may be of any type that holds the stream's
            keys without loss, such as the Float64 that pandas makes of whole numbers.
        time: the spine's column with the time, a Datetime with a zone, or a Date.
        arrival: the events' column that tells when each arrived; without it, events arrive when they
            happen. Ties in time are ordered by arrival, then by row.

    Returns:
        The spine's n rows, in order, with one more column per feature.

    Raises:
        DataError: a stream or column is missing, a value does not fit, two features share a name, or an
            event id comes twice with different content.

    Example:
        >>> import polars as pl
        >>> import headwater as hw
        >>> day = pl.Datetime("us", "UTC")
        >>> payments = hw.Stream("payments", schema={"at": day, "who": pl.Int64}, time="at")
        >>> view = hw.FeatureView("v", stream=payments, key="who", features={"n": hw.count(over="7d")})
        >>> rows = pl.DataFrame({"at": [0, 86_400_000_000], "who": [1, 1]}, schema=payments.schema)
        >>> asked = pl.DataFrame({"who": [1, 2], "time": [5, 5]}, schema={"who": pl.Int64, "time": day})
        >>> hw.asof(view, {"payments": rows}, asked)["n_7d"].to_list()
        [1, 0]
    """
    asked = [views] if isinstance(views, FeatureView) else list(views)
    frame = as_polars(spine, "the spine")
    streams = {view.stream.name: view.stream for view in asked}
    DataError.raise_if(missing_streams(streams, events, "frame"))
    times = _times(asked, frame, time)
    batches = {}
    for name, stream in streams.items():
        own = [view for view in asked if view.stream.name == name]
        bounds = Reach.of(own).bounds(times, times)
        batches[name] = batch_of(stream, events[name], arrival, [view.key for view in own], bounds)
    return _answers(asked, batches, frame, times, times)


def asof_batches(
    views: Sequence[FeatureView],
    batches: Mapping[str, Batch],
    spine: pl.DataFrame,
    *,
    time: str = "time",
    known: at.Int64 | None = None,
    threads: int | None = None,
) -> pl.DataFrame:
    """As :func:`asof`, for events that a log has accepted: one batch per stream, ascending by offset.

    ``known``, int64 microseconds, shape (n,), is when each row was asked, if that was later than its time:
    it sees what had arrived by then. ``threads`` are as many as there are processors, unless said otherwise.

    Raises:
        DataError: the spine lacks a column, holds a null, or two columns would share a name.
    """
    times = _times(views, spine, time)
    return _answers(views, batches, spine, times, times if known is None else known, threads)


def _times(views: Sequence[FeatureView], spine: pl.DataFrame, time: str) -> at.Int64:
    """When each row of the spine asks, once the spine is what it should be."""
    DataError.raise_if(_spine_problems(views, spine, time))
    return instants(spine, time, "spine")


def _answers(
    views: Sequence[FeatureView],
    batches: Mapping[str, Batch],
    spine: pl.DataFrame,
    times: at.Int64,
    known: at.Int64,
    threads: int | None = None,
) -> pl.DataFrame:
    """The spine with all views' columns. A view costs memory while it is answered, so not all at once."""

    def answer(view: FeatureView) -> pl.DataFrame:
        return _answer(view, batches[view.stream.name], spine, times, known, threads)

    with ThreadPoolExecutor(min(TOGETHER, threads or TOGETHER)) as pool:
        columns = list(pool.map(answer, views))
    return spine.hstack([series for frame in columns for series in frame.get_columns()])


def _answer(
    view: FeatureView,
    batch: Batch,
    spine: pl.DataFrame,
    times: at.Int64,
    known: at.Int64,
    threads: int | None,
) -> pl.DataFrame:
    """One view's columns for the spine's rows."""
    ahead = batch.time is not batch.arrival and bool((batch.time > batch.arrival).any())
    state = ViewState(view, shards=threads, keep_all=ahead or bool((known != times).any()))
    readings = Readings(state.keys.number(_keys(view, spine), add=True), times, known)
    events = seen(state.plan, state.keys, batch, readings)
    columns, flags = values.evaluate(state.plan, events.frame, state.book)
    out = state.output(len(readings))
    state.feed(merged(events, columns, flags, readings), out)
    return state.frame(out)


def _keys(view: FeatureView, spine: pl.DataFrame) -> pl.Series:
    """The spine's keys in the stream's type."""
    dtype = view.stream.schema[view.key]
    fitted = fit(spine[view.key], dtype)
    if fitted is None:
        raise DataError.of(
            "a key of the spine has another type than the stream's",
            expected=str(dtype),
            got=str(spine[view.key].dtype),
            where=f"spine.{view.key}",
            do="cast the spine's column to the stream's type",
        )
    DataError.raise_if(faults_of(spine, {view.key: fitted}, personal=view.stream.personal, name="spine"))
    return fitted.values


def _spine_problems(views: Sequence[FeatureView], spine: pl.DataFrame, time: str) -> list[Problem]:
    keys = dict.fromkeys(view.key for view in views)
    nulls = [
        Problem(
            "the spine has rows without a key",
            expected="a key in each row",
            got=f"{len(rows)} nulls, the first in row {rows[0]}",
            where=f"spine.{key}",
            do="drop these rows",
        )
        for key in keys
        if key != time and key in spine.columns and len(rows := spine[key].is_null().arg_true())
    ]
    missing = missing_from_spine([*keys, time], spine.columns)
    return [*missing, *nulls, *shared_names(views, spine.columns)]
