"""The as-of host: features for a spine of keys and times, each from what was known by then.

::

    events of a key, by arrival      e0      e1   e2        e3          (e2 happened before e1: it is late)
    the spine's rows of the key          r0          r1  r2     r3      each sees what stands to its left

One pass over the log in the order of arrival, the spine's rows merged in as readings: the same kernels
as live, so the same bits. ``asof`` is the engine as one function, for a data scientist; ``asof_batches``
the same for batches of a log, for ``training``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.cast import fit, microseconds
from headwater.core.errors import DataError, Problem
from headwater.core.frame import as_polars
from headwater.core.schema import check_frame
from headwater.definitions.stream import Stream
from headwater.definitions.view import FeatureView
from headwater.engine.block import Rows
from headwater.engine.kernels import layout as at
from headwater.engine.repeats import first_of_each
from headwater.engine.state import ViewState

_SHOWN = 3
_CLOCK = pl.Datetime("us", "UTC")


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
        spine: n rows with one column per key, and a time.
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
    _require_streams(streams, events)
    batches = {
        name: batch_of(stream, events[name], arrival, [v.key for v in asked if v.stream.name == name])
        for name, stream in streams.items()
    }
    return asof_batches(asked, batches, frame, time=time)


def asof_batches(
    views: Sequence[FeatureView],
    batches: Mapping[str, Batch],
    spine: pl.DataFrame,
    *,
    time: str = "time",
    known: at.Int64 | None = None,
) -> pl.DataFrame:
    """As :func:`asof`, for events that a log has accepted: one batch per stream, ascending by offset.

    ``known``, int64 microseconds, shape (n,), is when each row was asked, if that was later than its time:
    it sees what had arrived by then.

    Raises:
        DataError: the spine lacks a column, holds a null, or two columns would share a name.
    """
    DataError.raise_if(_spine_problems(views, spine, time))
    times = _times(spine[time], time)
    asked = times if known is None else at.owned(known)
    columns = [_answer(view, batches[view.stream.name], spine[view.key], times, asked) for view in views]
    return spine.hstack([series for frame in columns for series in frame.get_columns()])


def _answer(
    view: FeatureView, batch: Batch, keys: pl.Series, times: at.Int64, known: at.Int64
) -> pl.DataFrame:
    """One view's columns for the spine's rows."""
    state = ViewState(view, keep_all=bool((batch.time > batch.arrival).any() or (known != times).any()))
    fitted = fit(keys, view.stream.schema[view.key])
    if fitted is None or fitted.failures:
        raise DataError.of(
            "a key of the spine has another type than the stream's",
            expected=str(view.stream.schema[view.key]),
            got=str(keys.dtype),
            where=f"spine.{keys.name}",
            do="cast the spine's column to the stream's type",
        )
    ids = state.keys.number(fitted.values, add=True)
    mine = np.flatnonzero(state.keys.number(batch.frame[view.key], add=False) >= 0)
    events = state.rows(_take(batch, mine), emit=False)
    out = state.output(len(ids))
    state.feed(_merged(events, batch.arrival[mine], ids, times, known), out)
    return state.frame(out)


def _take(batch: Batch, rows: at.Int64) -> Batch:
    if len(rows) == len(batch):
        return batch
    return Batch(batch.stream, batch.offset[rows], batch.arrival[rows], batch.time[rows], batch.frame[rows])


def _merged(events: Rows, arrival: at.Int64, ids: at.Int64, times: at.Int64, known: at.Int64) -> Rows:
    """Events in order of arrival with the spine's rows between them, each behind what it may see."""
    order = np.argsort(known, kind="stable")
    seen = np.searchsorted(arrival, known[order], side="right")
    places = seen + np.arange(len(order))
    total = len(arrival) + len(order)
    is_event = np.ones(total, dtype=bool)
    is_event[places] = False
    newest = np.r_[np.int64(-1), events.offset][seen]

    def merge(of_events: np.ndarray, of_spine: Any) -> np.ndarray:
        merged = np.empty((*of_events.shape[:-1], total), dtype=of_events.dtype)
        merged[..., is_event] = of_events
        merged[..., places] = of_spine
        return merged

    return Rows(
        ids=merge(events.ids, ids[order]),
        time=merge(events.time, times[order]),
        offset=merge(events.offset, newest),
        kind=merge(events.kind, 1),
        emit=merge(events.emit, order),
        columns=merge(events.columns, 0),
        flags=merge(events.flags, 0),
    )


def batch_of(stream: Stream, frame: Any, arrival: str | None, keys: Sequence[str]) -> Batch:
    """Events of a frame as a log would hold them: by arrival, each id once. Called by ``training`` too."""
    came = as_polars(frame, f"events[{stream.name!r}]")
    if arrival is not None and arrival not in came.columns:
        raise DataError.of(
            "the events have no such arrival column",
            expected=", ".join(came.columns),
            got=repr(arrival),
            where=f"events.{stream.name}",
            do="name the column that tells when each event arrived, or leave arrival= out",
        )
    checked = check_frame(
        came if arrival is None or arrival in stream.schema else came.drop(arrival),
        stream.schema,
        time=stream.time,
        id=stream.id,
        keys=keys,
        personal=stream.personal,
        strict=True,
        name=f"events.{stream.name}",
    )
    when = checked.time if arrival is None else _times(came[arrival], f"{stream.name}.{arrival}")
    order = np.argsort(when, kind="stable").astype(np.int64)
    if stream.id is not None:
        order = order[first_of_each(checked.accepted[order], stream)]
    whole = len(order) == len(checked.accepted) and bool((np.diff(order) > 0).all())
    return Batch(
        stream.name,
        np.arange(len(order), dtype=np.int64),
        at.owned(when[order]),
        at.owned(checked.time[order]),
        checked.accepted if whole else checked.accepted[order],
    )


def _times(series: pl.Series, name: str) -> at.Int64:
    """A column of times as microseconds."""
    fitted = fit(series, _CLOCK)
    if fitted is None or fitted.failures or series.null_count():
        raise DataError.of(
            "a column does not hold times",
            expected="a Datetime with a zone, or a Date, without nulls",
            got=f"{series.dtype} with {series.null_count()} nulls"
            if series.null_count()
            else str(series.dtype),
            where=name,
            do="cast it, for example with .dt.replace_time_zone('UTC')",
        )
    return at.owned(microseconds(fitted.values).to_numpy())


def _require_streams(streams: Mapping[str, Stream], events: Mapping[str, Any]) -> None:
    DataError.raise_if(
        Problem(
            "the events of a stream are missing",
            expected=f"events={{{name!r}: frame}}",
            got=", ".join(sorted(events)) or "no streams",
            where=f"events.{name}",
            do="give a frame for each stream that the views read",
        )
        for name in streams
        if name not in events
    )


def _spine_problems(views: Sequence[FeatureView], spine: pl.DataFrame, time: str) -> list[Problem]:
    problems = []
    for column in dict.fromkeys([*(view.key for view in views), time]):
        if column not in spine.columns:
            problems.append(
                Problem(
                    "the spine lacks a column",
                    expected=f"the column {column!r}",
                    got=", ".join(spine.columns) or "no columns",
                    where=f"spine.{column}",
                    do="add one column per key and the time; name the time with time=",
                )
            )
        elif column != time and spine[column].null_count():
            rows = spine[column].is_null().arg_true()
            problems.append(
                Problem(
                    "the spine has rows without a key",
                    expected="a key in each row",
                    got=f"{len(rows)} nulls, the first in row {rows[0]}",
                    where=f"spine.{column}",
                    do="drop these rows",
                )
            )
    names = Counter([*spine.columns, *(output.name for view in views for output in view.outputs)])
    doubled = [name for name, n in names.items() if n > 1]
    if doubled:
        problems.append(
            Problem(
                "two columns would share a name",
                expected="different names for all features and the spine's columns",
                got=", ".join(doubled[:_SHOWN]) + (", ..." if len(doubled) > _SHOWN else ""),
                where="views",
                do="rename the features or the spine's columns",
            )
        )
    return problems
