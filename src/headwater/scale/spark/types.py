"""Data types of streams and features as Spark's: what a column becomes where Spark holds it.

Spark has no unsigned integers, no categories, and times of microseconds only; so each type becomes the
narrowest one that holds all its values. Called by ``asof`` for what comes out, and for what keys are.
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import signature
from typing import Any

import polars as pl
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql import types as spark
from pyspark.sql.pandas.types import to_arrow_schema

from headwater.core.instant import DAY
from headwater.definitions.view import FeatureView

_PLAIN: dict[type[pl.DataType], spark.DataType] = {
    pl.Int8: spark.ByteType(),
    pl.Int16: spark.ShortType(),
    pl.Int32: spark.IntegerType(),
    pl.Int64: spark.LongType(),
    pl.UInt8: spark.ShortType(),
    pl.UInt16: spark.IntegerType(),
    pl.UInt32: spark.LongType(),
    pl.UInt64: spark.LongType(),  # a stream holds integers up to 2^63 - 1
    pl.Float32: spark.FloatType(),
    pl.Float64: spark.DoubleType(),
    pl.Boolean: spark.BooleanType(),
    pl.String: spark.StringType(),
    pl.Enum: spark.StringType(),
    pl.Categorical: spark.StringType(),
    pl.Date: spark.DateType(),
    pl.Datetime: spark.TimestampType(),
}

_WIDER: dict[type[pl.DataType], type[pl.DataType]] = {
    pl.UInt8: pl.Int16,
    pl.UInt16: pl.Int32,
    pl.UInt32: pl.Int64,
    pl.UInt64: pl.Int64,
    pl.Enum: pl.String,
    pl.Categorical: pl.String,
}


def spark_type(dtype: pl.DataType) -> spark.DataType:
    """Spark's type for a column that a stream can hold.

    Example:
        >>> spark_type(pl.UInt8()).simpleString(), spark_type(pl.Enum(["a"])).simpleString()
        ('smallint', 'string')
    """
    return _PLAIN[type(dtype)]


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame in the types that Spark has, each column in the narrowest that holds its values.

    Example:
        >>> plain(pl.DataFrame({"n": [1]}, {"n": pl.UInt8})).dtypes
        [Int16]
    """
    casts = [pl.col(name).cast(_WIDER[type(t)]) for name, t in frame.schema.items() if type(t) in _WIDER]
    return frame.with_columns(casts)


def key_type(dtype: pl.DataType) -> spark.DataType:
    """The type in which keys are told apart, however wide the table has them."""
    return spark.LongType() if dtype.is_integer() else spark_type(dtype)


def micros(frame: DataFrame, name: str) -> Column:
    """A column of times as microseconds UTC, whatever zone the session shows times in."""
    column = sf.col("`" + name.replace("`", "``") + "`")
    if isinstance(frame.schema[name].dataType, spark.DateType):
        return sf.unix_date(column).cast("long") * DAY
    return sf.unix_micros(column)


def features_of(views: Iterable[FeatureView]) -> list[spark.StructField]:
    """The views' outputs as fields of a Spark schema."""
    return [spark.StructField(one.name, spark_type(one.dtype)) for view in views for one in view.outputs]


def arrow_schema(schema: spark.StructType, *, large: bool) -> pa.Schema:
    """A Spark schema as the Arrow one that a worker answers in, times in UTC.

    PySpark 4.1 means UTC where nothing is said; newer ones mean no zone, and ask for one by another name.
    """
    zone: dict[str, Any] = {"timezone": "UTC"} if "timezone" in signature(to_arrow_schema).parameters else {}
    return to_arrow_schema(schema, prefers_large_types=large, **zone)
