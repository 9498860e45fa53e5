"""Whoever outgrows one machine: the same kernel on the engines that carry large data.

A folder per engine, each an extra of the package and imported only when it is first used: ``airflow``,
``kafka``, ``lake``, ``postgres``, ``redis``, ``spark``. Nothing here computes a feature; that is done by
``engine``, wherever it runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headwater.scale import airflow, kafka, lake, postgres, redis, spark

__all__ = ["airflow", "kafka", "lake", "postgres", "redis", "spark"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return import_module(f"headwater.scale.{name}")
    raise AttributeError(f"module 'headwater.scale' has no attribute {name!r}")
