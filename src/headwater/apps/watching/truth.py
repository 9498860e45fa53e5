"""What became of served rows: labels by replay, as far as they are mature; and columns of the model then.

A label comes through the same kernels as in training (``training.labels``), and only where everything that it
needs had arrived; all others are NaN. Called by ``outcomes`` and ``fairness``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.apps.watching.served import Served
from headwater.core.batch import Batch
from headwater.core.errors import DataError
from headwater.definitions.label import Happens
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.log.protocol import EventLog
from headwater.serving.recall import recalled
from headwater.serving.rederive import Asked, features
from headwater.training.labels import gap, labels
from headwater.training.spine import Spine

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

_ROW = "row of the decision"


def known_by(batches: Mapping[str, Batch], now: int) -> int:
    """Up to when the log says all that happened: its newest arrival, or now."""
    newest = max((int(batch.arrival[-1]) for batch in batches.values() if len(batch)), default=now)
    return min(newest, now)


def outcomes(served: Served, batches: Mapping[str, Batch], now: int) -> Float64:
    """The label of each row, float64, shape (n,): 1, 0, or NaN where it is not mature or not known.

    A label that is a column of the observed event is that of the event with the decision's keys and time; a
    decision that is as of no event's time has none.

    Args:
        served: n rows.
        batches: all events of the model's streams.
        now: as of when, microseconds UTC.

    Raises:
        TrainingError: an outcome is neither 0 nor 1.
    """
    model = served.watched.model
    mature = served.time + gap(model.label) <= known_by(batches, now)
    spine, joined = _spine(served, model, batches)
    found = np.full(len(served), np.nan)
    chosen = mature & joined
    if chosen.any():
        found[chosen] = labels(model, batches, spine[chosen])
    return found


def _spine(served: Served, model: Model, batches: Mapping[str, Batch]) -> tuple[Spine, Bool]:
    """The rows as observations, and which of them have what the label reads."""
    everyone = np.ones(len(served), np.bool_)
    if served.spine is not None:
        return served.spine, everyone
    if isinstance(model.label, Happens) or not isinstance(model.observe, Each):
        return Spine(served.keys, served.time, served.time, pl.DataFrame()), everyone
    batch = batches[model.observe.stream.name]
    place = _event_of(served, model, batch)
    observed = batch.frame[np.maximum(place, 0)]
    return Spine(served.keys, served.time, served.time, observed), place >= 0


def _event_of(served: Served, model: Model, batch: Batch) -> npt.NDArray[np.int64]:
    """The place of the event with a row's keys and time, the first of several; -1 where there is none."""
    keys = list(model.keys)
    time = "time of the row"
    events = batch.frame.select(keys).with_columns(pl.Series(time, batch.time)).with_row_index("event")
    rows = served.keys.select(keys).with_columns(pl.Series(time, served.time)).with_row_index(_ROW)
    events = events.unique([*keys, time], keep="first", maintain_order=True)
    found = rows.join(events, on=[*keys, time], how="left", maintain_order="left")["event"]
    place: npt.NDArray[np.int64] = found.cast(pl.Int64).fill_null(-1).to_numpy()
    return place


def values_of(served: Served, column: str, log: EventLog) -> pl.Series:
    """A column of the model for each row, as it was when the row was served, by replay.

    Args:
        served: n rows.
        column: a view's output, a request column or a derived one; protected ones too.
        log: the events.

    Raises:
        DataError: the model has no such column, or a row rests on Kafka's topics.
    """
    model = served.watched.model
    if column not in model.columns:
        raise DataError.of(
            f"the model has no column {column!r}",
            expected="one of "
            + ", ".join([*model.protected, *(n for n in model.columns if n not in model.protected)]),
            where=model.name,
            do="name one of them; a protected one is declared with hw.Model(protected=[...])",
        )
    frame = served.columns
    if frame is None:
        asked = Asked.of(served.decisions)
        frame = features(model.features, asked, log).frame
        for name in model.request:
            given = [recalled(model, one.request).get(name) for one in served.decisions]
            frame = frame.with_columns(pl.Series(name, given, model.columns[name], strict=False))
    if column in model.derived:
        frame = frame.with_columns(model.derived[column].alias(column))
    return frame[column]
