"""Entities at a moment, from the log by replay: features and scores, for ``score`` and ``explain``.

The features are those of ``engine.asof``: what had arrived by the moment, as a live read would have given
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.apps.cli.models import Opened
from headwater.core.batch import Batch
from headwater.core.cast import fit
from headwater.core.errors import DataError
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.engine.asof import asof_batches
from headwater.log.protocol import EventLog
from headwater.training.history import gather, streams_of

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """Entities with their scores.

    Attributes:
        frame: n rows: keys, the views' features, request columns.
        X: float64, shape (n, inputs).
        scores: float64, shape (n,).
        unknown: how many of the entities have no event by then.
    """

    frame: pl.DataFrame
    X: Float64
    scores: Float64
    unknown: int


def score_at(
    opened: Opened, log: EventLog, at: int, keys: Sequence[str] = (), request: Mapping[str, str] | None = None
) -> Scored:
    """Score entities as of a moment.

    Args:
        opened: the model.
        log: the events.
        at: the moment, microseconds: what had arrived by then is seen.
        keys: whose scores, as texts; none for all entities that have an event by then.
        request: request column to its value as text; else those of the entity's newest observed event.

    Raises:
        DataError: a key or a value is of another type, or a request column is missing.
    """
    model = opened.model
    batches = {name: _until(b, at) for name, b in gather(log, streams_of(model)).items()}
    known = _entities(model, batches)
    dtype = model.features[0].stream.schema[model.entity]
    chosen = read_values(model.entity, keys, dtype) if keys else known
    spine = _with_request(model, batches, pl.DataFrame([chosen]), request or {}, named=bool(keys))
    time = "time" if "time" not in (*model.columns, *model.keys) else "time of the question"
    moment = pl.lit(at, pl.Int64).cast(pl.Datetime("us", "UTC")).alias(time)
    asked = spine.select(model.keys).with_columns(moment)
    frame = asof_batches(model.features, batches, asked, time=time).drop(time)
    frame = frame.with_columns(spine[name] for name in model.request)
    X = opened.scoring.artifact.inputs.matrix(frame)
    scores = opened.scoring.scorer.score(X) if len(X) else np.empty(0)
    unknown = int((~frame[model.entity].is_in(known.implode())).sum())
    return Scored(frame, X, scores, unknown)


def read_values(name: str, texts: Sequence[str], dtype: pl.DataType) -> pl.Series:
    """Texts from the command line as a column.

    Raises:
        DataError: one of them is no such value.
    """
    fitted = fit(pl.Series(name, texts, pl.String), dtype, parse=True)
    if fitted is None or fitted.failures:
        raise DataError.of(
            f"a value for {name!r} is of another type",
            expected=str(dtype),
            got="a text that cannot be read as one",
            where=name,
            do="correct the value",
        )
    return fitted.values


def _until(batch: Batch, at: int) -> Batch:
    """What had arrived by a moment."""
    return batch[: int(np.searchsorted(batch.arrival, at, side="right"))]


def _entities(model: Model, batches: Mapping[str, Batch]) -> pl.Series:
    streams = dict.fromkeys(view.stream.name for view in model.features if view.key == model.entity)
    return pl.concat([batches[name].frame[model.entity] for name in streams]).unique().sort()


def _with_request(
    model: Model,
    batches: Mapping[str, Batch],
    entities: pl.DataFrame,
    request: Mapping[str, str],
    *,
    named: bool,
) -> pl.DataFrame:
    """The entities with the model's other keys and request columns."""
    given = [
        read_values(name, [text], model.columns[name])
        for name, text in request.items()
        if name in model.request
    ]
    wanted = [name for name in (*model.keys, *model.request) if name != model.entity]
    missing = [name for name in wanted if name not in [series.name for series in given]]
    if missing and isinstance(model.observe, Each):
        newest = _newest(model.observe, batches, model.entity).select(model.entity, *missing)
        entities = entities.join(newest, on=model.entity, how="inner", maintain_order="left")
        missing = [] if entities.height or not named else missing
    if missing:
        raise DataError.of(
            "the model reads columns that only a request can give",
            expected=", ".join(wanted),
            got=", ".join(request) or "none of them",
            where=model.name,
            do="give each with --request column=value",
        )
    return entities.with_columns(pl.lit(series[0], series.dtype).alias(series.name) for series in given)


def _newest(observe: Each, batches: Mapping[str, Batch], entity: str) -> pl.DataFrame:
    """The newest observed event of each entity."""
    batch = batches[observe.stream.name]
    frame = batch.frame[np.argsort(batch.time, kind="stable")]
    if observe.where is not None:
        frame = frame.filter(observe.where)
    return frame.unique(entity, keep="last", maintain_order=True)
