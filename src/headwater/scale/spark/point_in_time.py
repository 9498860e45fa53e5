"""``hw.spark.asof``: the driver's side. Checks what can be seen in the schemas, and lays out the plan.

::

    spine ─► views of (payments, account) ─► views of (payments, merchant) ─► ... ─► all features
                      ▲                               ▲
             payments, by account            payments, by merchant

For each stream and key there is one pass: the events that some row may see (``sight``) and the spine are put
in buckets of keys, and each bucket is answered by a Python worker (``worker``, ``bucket``). The rows travel
through all passes with all their columns, so none is joined and none can be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import polars as pl
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.types import StructType

from headwater.core.errors import DataError, Problem
from headwater.core.instant import span
from headwater.definitions.stream import Stream
from headwater.definitions.view import FeatureView
from headwater.engine.asking import missing_from_spine, missing_streams, shared_names
from headwater.engine.reach import Reach
from headwater.scale.spark.bucket import Asked
from headwater.scale.spark.sight import Sight
from headwater.scale.spark.types import arrow_schema, features_of, key_type, micros
from headwater.scale.spark.worker import answer

_LARGE = "spark.sql.execution.arrow.useLargeVarTypes"
_PARTITIONS = "spark.sql.shuffle.partitions"
_TASKS = 8  # for each core, so that one that is slow is not waited for


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
    slices: str | None = None,
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
        slices: cut each bucket in time as well, into slices of this length, such as ``90d``, each with the
            events before it that its windows see: so a key that holds a large part of the table is shared
            out. Every window must end somewhere; take slices at least as long as the longest of them.

    Returns:
        The spine's n rows, in no order, with one more column per feature (and ``row``).

    Raises:
        DataError: a stream or column is missing, two columns would share a name, or what is to be cut in
            time looks back since forever. What is wrong with a
            row is found in a worker when the result is read, and comes as Spark's ``PythonException``
            with the letter of the error in it.

    Example:
        >>> found = hw.spark.asof(view, {"payments": payments}, spine, order="offset")  # doctest: +SKIP
    """
    asked = [views] if isinstance(views, FeatureView) else list(views)
    width = None if slices is None else span(slices)
    DataError.raise_if(_problems(asked, events, spine, time, arrival, order, known, row))
    DataError.raise_if(_endless(asked) if slices else ())
    if row is not None:
        spine = spine.withColumn(row, sf.monotonically_increasing_id())
    conf = spine.sparkSession.conf
    count = buckets if buckets is not None else int(str(conf.get(_PARTITIONS)))
    large = str(conf.get(_LARGE)).lower() == "true"
    names, sight = spine.columns, Sight.of(spine, time, known)
    for group in _passes(asked):
        pruned, schema = _pruned(group), StructType([*spine.schema.fields, *features_of(group)])
        taken = {*events[pruned.name].columns, *schema.names}
        part = Asked(
            views=tuple(group),
            stream=pruned,
            time=time,
            known=known,
            arrival=arrival,
            order=order,
            held=_free("held", taken),
            cut=tuple(_free(name, taken) for name in (("bucket", "slice") if slices else ("bucket",))),
            fields=arrow_schema(schema, large=large),
        )
        spine = _answered(spine, events[pruned.name], part, schema, sight, count, width)
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
    read = {name for view in views for name in view.reads}
    needed = {views[0].key, stream.time, *read, *([stream.id] if stream.id else [])}
    schema = {name: dtype for name, dtype in stream.schema.items() if name in needed}
    personal = [name for name in stream.personal if name in schema]
    return Stream(stream.name, schema, stream.id, stream.time, personal)


def _answered(
    spine: DataFrame,
    events: DataFrame,
    asked: Asked,
    schema: StructType,
    sight: Sight,
    buckets: int,
    width: int | None,
) -> DataFrame:
    """The spine after one pass."""
    key, dtype = asked.views[0].key, asked.stream.schema[asked.views[0].key]
    more = [name for name in (asked.arrival, asked.order) if name is not None]
    read = events.select(*(_quoted(name) for name in dict.fromkeys([*asked.stream.schema, *more])))
    spine, read = sight.held(spine, asked.held), sight.seen(read, asked)
    bucket, *slices = asked.cut
    left, right = (frame.withColumn(bucket, _bucket(key, dtype, buckets)) for frame in (spine, read))
    if slices and width is not None:
        left = left.withColumn(slices[0], _slice(micros(spine, asked.time), width))
        right = _sliced(right, asked, slices[0], width)
    else:
        tasks = _tasks(spine.sparkSession, buckets)
        left, right = (frame.repartitionById(tasks, _quoted(bucket)) for frame in (left, right))
    by = [_quoted(name) for name in asked.cut]
    return left.groupBy(*by).cogroup(right.groupBy(*by)).applyInArrow(partial(answer, asked), schema)


def _tasks(session: SparkSession, buckets: int) -> int:
    """In how many tasks the buckets are worked on, as many in each.

    Left to itself Spark sizes its tasks by bytes: it would give half of a small machine's work to one of its
    cores and a quarter to the other. A cluster's cores are not all there when it is asked for their number.
    """
    context = session.sparkContext
    local = (context.master or "").startswith("local")
    return min(buckets, _TASKS * context.defaultParallelism) if local else buckets


def _slice(time: Column, width: int) -> Column:
    """The number of the slice that a time lies in; whole numbers, since a double would round it."""
    wide = sf.lit(width)
    return sf.call_function("div", time - sf.pmod(time, wide), wide)


def _sliced(events: DataFrame, asked: Asked, name: str, width: int) -> DataFrame:
    """The events, once for each slice with readings that may see them.

    A reading at ``t`` sees ``(t - far, t - near]``: an event is seen at ``[time + near, time + far)``.
    """
    reach, time = Reach.of(asked.views), micros(events, asked.stream.time)
    far = reach.far if reach.far is not None else reach.near + 1
    first, last = _slice(time + reach.near, width), _slice(time + (far - 1), width)
    return events.withColumn(name, sf.explode(sf.sequence(first, last)))


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
    groups = _passes(views)
    found = missing_streams(dict.fromkeys(group[0].stream.name for group in groups), events, "DataFrame")
    for group in groups:
        name = group[0].stream.name
        if name in events:
            wanted = [*_pruned(group).schema, *(one for one in (arrival, order) if one is not None)]
            found += _missing(name, wanted, events[name].columns)
    keys = [*(view.key for view in views), time, *([known] if known else [])]
    found += missing_from_spine(keys, spine.columns)
    found += shared_names(views, [*spine.columns, *([row] if row is not None else [])])
    return list(dict.fromkeys(found))


def _missing(stream: str, wanted: Iterable[str], columns: Sequence[str]) -> list[Problem]:
    return [
        Problem(
            f"the events of {stream} lack a column",
            expected=f"the column {name!r}",
            got=", ".join(columns) or "no columns",
            where=f"events.{stream}.{name}",
            do="add the column, or name the one that is meant",
        )
        for name in wanted
        if name not in columns
    ]


def _endless(views: Sequence[FeatureView]) -> list[Problem]:
    return [
        Problem(
            f"the view {view.name} cannot be cut in time",
            expected="features with over= or half_life=",
            got="a feature that looks back since forever",
            where=f"views.{view.name}",
            do="leave slices= out, or ask for these features by themselves",
        )
        for view in views
        if Reach.of([view]).far is None
    ]


def _free(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name
