"""``hw.spark.asof``: the driver's side. Checks what can be seen in the schemas, and lays out the plan.

::

    spine ─► views of (payments, account) ─► views of (payments, merchant) ─► ... ─► all features
                      ▲                               ▲
             payments, by account            payments, by merchant

For each stream and key there is one pass: spine and events are put in buckets of keys, and each bucket is
answered by a Python worker (``worker``, ``bucket``). The rows travel through all passes with all their
columns, so none is joined and none can be lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import polars as pl
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from headwater.core.errors import DataError, Problem
from headwater.definitions.expression import columns
from headwater.definitions.stream import Stream
from headwater.definitions.view import FeatureView
from headwater.scale.spark.bucket import Asked
from headwater.scale.spark.types import features_of, key_type
from headwater.scale.spark.worker import answer

_SHOWN = 3
_LARGE = "spark.sql.execution.arrow.useLargeVarTypes"
_PARTITIONS = "spark.sql.shuffle.partitions"


def asof(
    views: FeatureView | Sequence[FeatureView],
    events: Mapping[str, DataFrame],
    spine: DataFrame,
    *,
    time: str = "time",
    arrival: str | None = None,
    order: str | None = None,
    known: str | None = None,
    row: str | None = None,
    buckets: int | None = None,
) -> DataFrame:
    """The features of each row of a spine, as they could have been known at its time, on Spark.

    What ``hw.asof`` does, by the same kernel in Spark's Python workers: the same bits for the same events.
    Nothing is computed until the result is read.

    Args:
        views: one or more feature views; their outputs must have different names.
        events: stream name to a DataFrame with at least the columns that the views read.
        spine: n rows with one column per key, and a time.
        time: the spine's column with the time, a TIMESTAMP or a DATE.
        arrival: the events' column that tells when each arrived; without it, they arrive when they happen.
        order: the events' column with the place in the log, such as an offset, different for each event of a
            key. Without it, events of a key that arrived at the same time are put in order by their id or,
            if the stream has none, by their values: always the same, but not the order of any file.
        known: the spine's column that tells when each row was asked, if that was later than its time.
        row: add a column of this name, an ascending number for each row, so that ``orderBy(row)`` gives the
            order of the spine back. Spark promises no order of rows by itself.
        buckets: how many parts to cut the keys into; each is held in a worker's memory as a whole. By
            default as many as ``spark.sql.shuffle.partitions`` says.

    Returns:
        The spine's n rows, in no order, with one more column per feature (and ``row``).

    Raises:
        DataError: a stream or column is missing, or two columns would share a name. What is wrong with a
            row is found in a worker when the result is read, and comes as Spark's ``PythonException``
            with the letter of the error in it.

    Example:
        >>> found = hw.spark.asof(view, {"payments": payments}, spine, order="offset")  # doctest: +SKIP
    """
    asked = [views] if isinstance(views, FeatureView) else list(views)
    DataError.raise_if(_problems(asked, events, spine, time, arrival, order, known, row))
    if row is not None:
        spine = spine.withColumn(row, sf.monotonically_increasing_id())
    conf = spine.sparkSession.conf
    count = buckets if buckets is not None else int(str(conf.get(_PARTITIONS)))
    large = str(conf.get(_LARGE)).lower() == "true"
    names = spine.columns
    for group in _passes(asked):
        pruned, schema = _pruned(group), StructType([*spine.schema.fields, *features_of(group)])
        part = Asked(
            views=tuple(group),
            stream=pruned,
            time=time,
            known=known,
            arrival=arrival,
            order=order,
            fields=to_arrow_schema(schema, timezone="UTC", prefers_large_types=large),
        )
        spine = _answered(spine, events[pruned.name], part, schema, count)
    return spine.select(*names, *(one.name for view in asked for one in view.outputs))


def _passes(views: Iterable[FeatureView]) -> list[list[FeatureView]]:
    """The views, those of the same stream and key together."""
    found: dict[tuple[str, str], list[FeatureView]] = {}
    for view in views:
        found.setdefault((view.stream.name, view.key), []).append(view)
    return list(found.values())


def _pruned(views: Sequence[FeatureView]) -> Stream:
    """The stream with the columns that these views need: the others are never read from disk."""
    stream = views[0].stream
    read = columns(*(expr for view in views for a in view.features.values() for expr in (a.column, a.where)))
    needed = {views[0].key, stream.time, *read, *([stream.id] if stream.id else [])}
    schema = {name: dtype for name, dtype in stream.schema.items() if name in needed}
    personal = [name for name in stream.personal if name in schema]
    return Stream(stream.name, schema, stream.id, stream.time, personal)


def _answered(
    spine: DataFrame, events: DataFrame, asked: Asked, schema: StructType, buckets: int
) -> DataFrame:
    """The spine after one pass."""
    key, dtype = asked.views[0].key, asked.stream.schema[asked.views[0].key]
    more = [name for name in (asked.arrival, asked.order) if name is not None]
    read = events.select(*(_quoted(name) for name in dict.fromkeys([*asked.stream.schema, *more])))
    left = spine.groupBy(_bucket(key, dtype, buckets))
    right = read.groupBy(_bucket(key, dtype, buckets))
    return left.cogroup(right).applyInArrow(partial(answer, asked), schema)


def _bucket(key: str, dtype: pl.DataType, buckets: int) -> Column:
    """The bucket of a key: the same in both tables, whatever type each of them has it in."""
    value = _quoted(key).try_cast(key_type(dtype))
    return sf.pmod(sf.xxhash64(value), sf.lit(buckets)).cast("int")


def _quoted(name: str) -> Column:
    return sf.col("`" + name.replace("`", "``") + "`")


# --- what the schemas tell -------------------------------------------------------------------------


def _problems(
    views: Sequence[FeatureView],
    events: Mapping[str, DataFrame],
    spine: DataFrame,
    time: str,
    arrival: str | None,
    order: str | None,
    known: str | None,
    row: str | None,
) -> list[Problem]:
    found = []
    for group in _passes(views):
        name = group[0].stream.name
        if name not in events:
            found.append(_missing_stream(name, events))
            continue
        wanted = [*_pruned(group).schema, *(one for one in (arrival, order) if one is not None)]
        found += _missing(f"the events of {name}", f"events.{name}", wanted, events[name].columns)
    keys = dict.fromkeys([*(view.key for view in views), time, *([known] if known else [])])
    found += _missing("the spine", "spine", keys, spine.columns)
    return list(dict.fromkeys([*found, *_shared(views, spine, row)]))


def _missing_stream(name: str, events: Mapping[str, DataFrame]) -> Problem:
    return Problem(
        "the events of a stream are missing",
        expected=f"events={{{name!r}: DataFrame}}",
        got=", ".join(sorted(events)) or "no streams",
        where=f"events.{name}",
        do="give a DataFrame for each stream that the views read",
    )


def _missing(what: str, where: str, wanted: Iterable[str], columns: Sequence[str]) -> list[Problem]:
    return [
        Problem(
            f"{what} lack a column" if what.startswith("the events") else f"{what} lacks a column",
            expected=f"the column {name!r}",
            got=", ".join(columns) or "no columns",
            where=f"{where}.{name}",
            do="add the column, or name the one that is meant",
        )
        for name in wanted
        if name not in columns
    ]


def _shared(views: Sequence[FeatureView], spine: DataFrame, row: str | None) -> list[Problem]:
    outputs = [output.name for view in views for output in view.outputs]
    names = Counter([*spine.columns, *outputs, *([row] if row is not None else [])])
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
