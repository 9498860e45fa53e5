"""Data types of streams and features as Spark's: what a column becomes where Spark holds it.

Spark has no unsigned integers, no categories, and times of microseconds only; so each type becomes the
narrowest one that holds all its values. Called by ``asof`` for what comes out, and for what keys are.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
from pyspark.sql import types as spark

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


def spark_type(dtype: pl.DataType) -> spark.DataType:
    """Spark's type for a column that a stream can hold.

    Example:
        >>> spark_type(pl.UInt8()).simpleString(), spark_type(pl.Enum(["a"])).simpleString()
        ('smallint', 'string')
    """
    return _PLAIN[type(dtype)]


def key_type(dtype: pl.DataType) -> spark.DataType:
    """The type in which keys are told apart, however wide the table has them."""
    return spark.LongType() if dtype.is_integer() else spark_type(dtype)


def features_of(views: Iterable[FeatureView]) -> list[spark.StructField]:
    """The views' outputs as fields of a Spark schema."""
    return [spark.StructField(one.name, spark_type(one.dtype)) for view in views for one in view.outputs]
