"""Feature vectors of the past, many at once, from the log alone: each as of its own time and offset.

::

    asked:   keys, time t, offset o   (n of them)
    log ──► the events of these keys ──► one pass in the order of offsets ──► n rows as of (t, o)
            one scan a stream, or        (``engine.asof``)
            an ``extract`` that has them

The same kernels as live and as training, so the same bits. Snapshots are not used: a vector that started from
state would prove less. Called by ``replay``, ``timeline`` and ``monitoring``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import DataError, Problem
from headwater.definitions.aggregate import Aggregate
from headwater.definitions.compile import dtype_text
from headwater.definitions.stream import Stream
from headwater.definitions.view import FeatureView
from headwater.engine.asof import asof_batches
from headwater.engine.kernels.decay import CUTOFF
from headwater.engine.keys import entity_keys
from headwater.log.protocol import EventLog
from headwater.serving.extract import Extract
from headwater.serving.recall import recalled
from headwater.serving.scoring import Float64, Scoring
from headwater.store.decision import Decision

Int64 = npt.NDArray[np.int64]
Step = Callable[[], None]  # called now and then; may raise to stop

_CLOCK = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the past.

    Attributes:
        keys: key column to the entity's key.
        time: as of when, microseconds UTC.
        offset: the last place in the log that is seen.
        request: request columns as they came, or as a record holds them.
    """

    keys: Mapping[str, Any]
    time: int
    offset: int
    request: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, decisions: Iterable[Decision]) -> list[Asked]:
        """What decisions rested on.

        Raises:
            DataError: one rests on Kafka's topics, and on no log of events.
        """
        asked = list(decisions)
        DataError.raise_if(_elsewhere(one) for one in asked if one.places)
        return [cls(one.keys, one.time, one.offset, one.request) for one in asked]


def _elsewhere(decision: Decision) -> Problem:
    return Problem(
        "the decision rests on Kafka's topics",
        expected="one that rests on the embedded log",
        got=", ".join(f"{place} up to {last:,}" for place, last in sorted(decision.places.items())),
        where=decision.model,
        do="make it again from there: headwater replay ID --kafka BROKERS",
    )


@dataclass(frozen=True)
class Found:
    """Features of the past.

    Attributes:
        frame: n rows, one column per output of the views.
        events: int64, shape (n,): how many events of its keys each row could see; 0 throughout if only the
            part of the log was read that can matter.
    """

    frame: pl.DataFrame
    events: Int64


def features(
    views: Sequence[FeatureView],
    asked: Sequence[Asked],
    log: EventLog | Extract,
    *,
    whole: bool = False,
    step: Step | None = None,
) -> Found:
    """The features of each row as of its (time, offset).

    Args:
        views: of one model.
        asked: n rows, in any order.
        log: the events, or an extract of them.
        whole: read the log from its beginning and count the events; otherwise only what the longest window
            reaches.
        step: called once per batch of the log.

    Raises:
        DataError: a row lacks a key, or a key is none of its stream's.
    """
    times = np.array([one.time for one in asked], dtype=np.int64)
    offsets = np.array([one.offset for one in asked], dtype=np.int64)
    keys = pl.DataFrame([_keys(view.key, view.stream, asked) for view in _by_key(views)])
    streams = {view.stream.name: view.stream for view in views}
    batches = {}
    for name, stream in streams.items():
        own = [view for view in views if view.stream.name == name]
        since = None if whole or not asked else _since(own, int(times.min()))
        read = _reading(own)
        stop = int(offsets.max(initial=-1)) + 1
        wanted = {view.key: keys[view.key] for view in own}
        if isinstance(log, Extract):
            parts = log.events_of(stream, wanted, read, stop=stop, since=since, step=step)
        else:
            parts = events_of(log, stream, wanted, read, stop=stop, since=since, step=step)
        batches[name] = _by_offset(stream, parts, read)
    time = _free("time", [*keys.columns, *(output.name for view in views for output in view.outputs)])
    spine = keys.with_columns(pl.Series(time, times).cast(_CLOCK))
    frame = asof_batches(views, batches, spine, time=time, known=offsets).drop(spine.columns)
    counted = np.zeros(len(asked), dtype=np.int64)
    if whole:
        for stream_name, key in dict.fromkeys((view.stream.name, view.key) for view in views):
            counted += _count(batches[stream_name], key, keys[key], offsets)
    return Found(frame, counted)


def vectors(scoring: Scoring, frame: pl.DataFrame, asked: Sequence[Asked]) -> Float64:
    """The model's input vectors, float64, shape (n, f): features of the past with their request columns.

    Raises:
        DataError: a row lacks a request column, or one is of another type.
    """
    if not scoring.model.request:
        return scoring.artifact.inputs.matrix(frame)
    X = np.empty((len(asked), len(scoring.names)))
    for place, (row, one) in enumerate(zip(frame.iter_rows(named=True), asked, strict=True)):
        X[place] = scoring.vector({**recalled(scoring.model, one.request), **row})
    return X


def rederive(
    scoring: Scoring, asked: Sequence[Asked], log: EventLog | Extract, *, step: Step | None = None
) -> Float64:
    """The model's input vectors as of each row's (time, offset), float64, shape (n, f).

    Raises:
        DataError: a row lacks a key or a request column.
    """
    if not asked:
        return np.empty((0, len(scoring.names)))
    return vectors(scoring, features(scoring.model.features, asked, log, step=step).frame, asked)


def events_of(
    log: EventLog,
    stream: Stream,
    wanted: Mapping[str, pl.Series],
    read: Sequence[str],
    *,
    start: int = 0,
    stop: int | None = None,
    since: int | None = None,
    step: Step | None = None,
) -> Iterable[Batch]:
    """The events of a stream that have a wanted key in one of some columns, ascending by offset.

    Args:
        log: the events.
        stream: which stream.
        wanted: column to keys; an event with any of them is given.
        read: the columns to keep.
        start: from this offset.
        stop: before this offset.
        since: with this event time or a later one.
        step: called once per batch of the log.
    """
    chosen = {column: series.unique() for column, series in wanted.items()}
    for batch in log.scan([stream.name], start=start, stop=stop, since=since, by_stream=True):
        if step is not None:
            step()
        frame = _as_declared(batch.frame, stream, dict.fromkeys((*chosen, *read)))
        fits = np.zeros(len(batch), dtype=bool)
        for column, keys in chosen.items():
            own = frame.get_column(column)
            same = own == keys[0] if len(keys) == 1 else own.is_in(keys.cast(own.dtype).implode())
            fits |= same.fill_null(value=False).to_numpy()
        rows = np.flatnonzero(fits)
        if len(rows):
            kept = frame.select(read)[rows]
            yield Batch(batch.stream, batch.offset[rows], batch.arrival[rows], batch.time[rows], kept)


def _as_declared(frame: pl.DataFrame, stream: Stream, read: Iterable[str]) -> pl.DataFrame:
    """The columns of the log in the types of a definition, which may be an older or another one.

    An Enum that has grown since loses the categories that came later: no event of that time has them.

    Raises:
        DataError: the log does not hold a column, or holds it as another type.
    """
    held = frame.schema
    other = [name for name in read if held.get(name) != stream.schema[name]]
    DataError.raise_if(
        _unfit(stream, name, held.get(name))
        for name in other
        if not (isinstance(held.get(name), pl.Enum) and isinstance(stream.schema[name], pl.Enum))
    )
    return frame.with_columns(pl.col(name).cast(stream.schema[name], strict=False) for name in other)


def _unfit(stream: Stream, name: str, held: pl.DataType | None) -> Problem:
    return Problem(
        "the log does not hold a stream as the definition declares it",
        expected=f"the column {name!r} as {dtype_text(stream.schema[name])}",
        got="no such column" if held is None else dtype_text(held),
        where=stream.name,
        do="use definitions whose streams are those of this log",
    )


def reach(views: Iterable[FeatureView]) -> int | None:
    """How long before its time a vector may rest on an event, in microseconds; None if forever.

    Example:
        >>> import headwater as hw
        >>> visits = hw.Stream("visits", {"user": pl.Int64, "time": pl.Datetime("us", "UTC")})
        >>> reach([hw.FeatureView("v", visits, "user", {"n": hw.count(over=["1s", "2s"], delay="1s")})])
        3000000
    """
    longest = 0
    for view in views:
        for output in view.outputs:
            span = _span(output.aggregate, output.over)
            if span is None:
                return None
            longest = max(longest, output.aggregate.delay + span)
    return longest


def _span(aggregate: Aggregate, over: int | None) -> int | None:
    if aggregate.half_life is None:
        return over
    decayed = CUTOFF * aggregate.half_life
    return decayed if over is None else min(over, decayed)


def _since(views: Sequence[FeatureView], first: int) -> int | None:
    span = reach(views)
    return None if span is None else first - span


def _by_key(views: Sequence[FeatureView]) -> list[FeatureView]:
    """The first view of each key."""
    return list({view.key: view for view in reversed(views)}.values())


def _keys(column: str, stream: Stream, asked: Sequence[Asked]) -> pl.Series:
    lacking = [place for place, one in enumerate(asked) if one.keys.get(column) is None]
    if lacking:
        raise DataError.of(
            "an entity of the past lacks a key of the model",
            expected=f"a value for {column!r}",
            got="no such key, or null",
            where=f"row {lacking[0]}",
            do="name the entity by all keys of the model's views",
        )
    return entity_keys([one.keys[column] for one in asked], stream.schema[column], column).alias(column)


def _reading(views: Sequence[FeatureView]) -> list[str]:
    """The columns that the views read, keys included."""
    read = (name for view in views for name in view.reads)
    return list(dict.fromkeys([*(view.key for view in views), *read]))


def _by_offset(stream: Stream, parts: Iterable[Batch], read: Sequence[str]) -> Batch:
    """One batch in which an event arrives at its offset: so that what is known is counted in offsets."""
    whole = list(parts)
    empty = np.empty(0, dtype=np.int64)
    offset = np.concatenate([part.offset for part in whole] or [empty])
    time = np.concatenate([part.time for part in whole] or [empty])
    nothing = pl.DataFrame(schema={name: stream.schema[name] for name in read})
    frame = pl.concat([part.frame for part in whole]) if whole else nothing
    return Batch(stream.name, offset, offset, time, frame)


def _count(batch: Batch, key: str, keys: pl.Series, offsets: Int64) -> Int64:
    """How many events of its key each row could see."""
    place = pl.Series("offset", batch.offset)
    events = pl.DataFrame([batch.frame[key].alias("key"), place])
    events = events.with_columns(pl.int_range(1, pl.len() + 1).over("key").alias("seen"))
    rows = (
        pl.DataFrame([keys.alias("key"), pl.Series("offset", offsets)]).with_row_index("row").sort("offset")
    )
    seen = rows.join_asof(events, on="offset", by="key", check_sortedness=False).sort("row")["seen"]
    counted: Int64 = seen.fill_null(0).to_numpy()
    return counted


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name
