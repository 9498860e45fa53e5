"""Spark as a host of the engine's cases: see ``tests.engine.hosts``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

import headwater as hw
from tests.engine.cases import Case, Row
from tests.engine.hosts import typed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

OLDEST = pl.CompatLevel.oldest()


def to_spark(session: SparkSession, frame: pl.DataFrame, *, parts: int = 3) -> DataFrame:
    """A frame as a Spark DataFrame whose rows stand in no order."""
    unsigned: dict[type[pl.DataType], type[pl.DataType]] = {
        pl.UInt8: pl.Int16,
        pl.UInt16: pl.Int32,
        pl.UInt32: pl.Int64,
        pl.UInt64: pl.Int64,
    }
    plain = frame.with_columns(
        series.cast(pl.String if isinstance(series.dtype, pl.Enum) else unsigned[type(series.dtype)])
        for series in frame.iter_columns()
        if isinstance(series.dtype, pl.Enum) or type(series.dtype) in unsigned
    )
    found: DataFrame = session.createDataFrame(plain.to_arrow(compat_level=OLDEST))
    return found.repartition(parts)


def to_polars(frame: DataFrame) -> pl.DataFrame:
    """What Spark computed, with times in UTC."""
    found = pl.DataFrame(frame.toArrow())
    zoned = [name for name, dtype in found.schema.items() if isinstance(dtype, pl.Datetime)]
    return found.with_columns(pl.col(zoned).dt.convert_time_zone("UTC"))


def answers(session: SparkSession, case: Case, **options: Any) -> list[Row]:
    """The features of a case's questions, in their order."""
    events = {
        name: to_spark(session, case.frame(stream).with_row_index("place"))
        for name, stream in case.streams.items()
    }
    spine = case.spine()
    asked = to_spark(session, spine.with_row_index("number"))
    found = hw.spark.asof(
        case.views,
        events,
        asked,
        time="moment",
        arrival="arrived_at",
        order="place",
        buckets=2,
        **options,
    )
    whole = to_polars(found).sort("number")
    assert whole["number"].to_list() == list(range(len(spine))), "each row of the spine, once"
    declared = {output.name: output.dtype for own in case.views for output in own.outputs}
    return typed(whole.with_columns(pl.col(name).cast(to) for name, to in declared.items()), case.views)
