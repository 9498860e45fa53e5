"""Headwater: events in, decisions out; always fresh, always explained, replayable bit for bit.

The public names, each loaded when it is first used, so that ``import headwater`` costs next to nothing.
Read ``definitions`` for what a user writes and ``engine.asof`` for the engine as one function.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headwater.client.asynchronous import AsyncClient
    from headwater.client.sync import Client
    from headwater.definitions.aggregate import (
        Aggregate,
        count,
        decayed_count,
        decayed_sum,
        distinct,
        first,
        last,
        max,
        mean,
        min,
        quantile,
        since_first,
        since_last,
        std,
        sum,
        trend,
        var,
    )
    from headwater.definitions.label import happens, outcome
    from headwater.definitions.model import Model
    from headwater.definitions.observe import each, every, rolling
    from headwater.definitions.policy import Policy
    from headwater.definitions.project import Project
    from headwater.definitions.stream import Stream
    from headwater.definitions.view import FeatureView
    from headwater.engine.asof import asof
    from headwater.scale import spark

    __version__: str

_HOMES = {
    "headwater.client.asynchronous": "AsyncClient",
    "headwater.client.sync": "Client",
    "headwater.definitions.aggregate": (
        "Aggregate count decayed_count decayed_sum distinct first last max mean min quantile since_first"
        " since_last std sum trend var"
    ),
    "headwater.definitions.label": "happens outcome",
    "headwater.definitions.model": "Model",
    "headwater.definitions.observe": "each every rolling",
    "headwater.definitions.policy": "Policy",
    "headwater.definitions.project": "Project",
    "headwater.definitions.stream": "Stream",
    "headwater.definitions.view": "FeatureView",
    "headwater.engine.asof": "asof",
    "headwater.scale": "spark",
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Aggregate",
    "AsyncClient",
    "Client",
    "FeatureView",
    "Model",
    "Policy",
    "Project",
    "Stream",
    "__version__",
    "asof",
    "count",
    "decayed_count",
    "decayed_sum",
    "distinct",
    "each",
    "every",
    "first",
    "happens",
    "last",
    "max",
    "mean",
    "min",
    "outcome",
    "quantile",
    "rolling",
    "since_first",
    "since_last",
    "spark",
    "std",
    "sum",
    "trend",
    "var",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        value: object = import_module("importlib.metadata").version("headwater")
    elif name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module 'headwater' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
