"""Features on Spark: ``hw.spark.asof``, for events and spines that are Spark DataFrames.

::

    driver      asof ──► plan: who needs which columns, in how many buckets of keys
                  │
    executors   spine ──► bucket ─┐
                                  ├─ cogroup ──► worker ──► bucket ──► engine.asof ──► the spine's rows
                events ─► bucket ─┘              (Python, over Arrow)                  with their features

Loaded when it is first used, because it needs ``headwater[spark]``. Read ``point_in_time`` for the driver's
side and ``bucket`` for the workers'.
"""

from __future__ import annotations

from importlib import import_module, util
from typing import TYPE_CHECKING

from headwater.core.errors import MissingExtraError

if TYPE_CHECKING:
    from headwater.scale.spark.point_in_time import asof

__all__ = ["asof"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'headwater.scale.spark' has no attribute {name!r}")
    if util.find_spec("pyspark") is None:
        raise MissingExtraError.of(
            "PySpark is not installed",
            expected="the package pyspark",
            do="pip install 'headwater[spark]'",
        )
    value = getattr(import_module("headwater.scale.spark.point_in_time"), name)
    globals()[name] = value
    return value
