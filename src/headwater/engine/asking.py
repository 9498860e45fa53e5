"""What can be wrong with a question before a row is looked at: streams, columns and names that do not fit.

Names alone, so that it holds for any kind of frame. Called by ``engine.asof`` for frames in memory and by
``scale.spark.point_in_time`` for Spark's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from headwater.core.errors import Problem
from headwater.definitions.view import FeatureView

_SHOWN = 3


def missing_streams(streams: Iterable[str], given: Iterable[str], frame: str) -> list[Problem]:
    """The streams without events; ``frame`` is what their events should be given as."""
    here = sorted(given)
    return [
        Problem(
            "the events of a stream are missing",
            expected=f"events={{{name!r}: {frame}}}",
            got=", ".join(here) or "no streams",
            where=f"events.{name}",
            do=f"give a {frame} for each stream that the views read",
        )
        for name in streams
        if name not in here
    ]


def missing_from_spine(wanted: Iterable[str], columns: Sequence[str]) -> list[Problem]:
    """The columns that a spine lacks."""
    return [
        Problem(
            "the spine lacks a column",
            expected=f"the column {name!r}",
            got=", ".join(columns) or "no columns",
            where=f"spine.{name}",
            do="add one column per key and the time; name the time with time=",
        )
        for name in dict.fromkeys(wanted)
        if name not in columns
    ]


def shared_names(views: Iterable[FeatureView], columns: Iterable[str]) -> list[Problem]:
    """Names that two features have, or a feature and a column of the answer."""
    names = Counter([*columns, *(output.name for view in views for output in view.outputs)])
    doubled = [name for name, n in names.items() if n > 1]
    if not doubled:
        return []
    return [
        Problem(
            "two columns would share a name",
            expected="different names for all features and the spine's columns",
            got=", ".join(doubled[:_SHOWN]) + (", ..." if len(doubled) > _SHOWN else ""),
            where="views",
            do="rename the features or the spine's columns",
        )
    ]
