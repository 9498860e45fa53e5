"""The past of a model on Spark: tables of events, from which a training set is made without holding them.

::

    tables ──► once each: counted, bounds, what is null ──► sources
           ──► first known of each entity, observed events ──► the spine, in this process
           ──► asof: features and labels of the spine's rows, by the kernel in Spark's workers

What comes into this process has the size of the training set, not that of the history. The answers are those
of ``training.past.Held`` to the bit, if the tables have the log's offsets and arrivals. Made by the command
``headwater train --on spark`` (``door``); read ``tables`` for where they come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.types import DateType, TimestampType

from headwater.core.batch import Batch
from headwater.core.errors import ConflictError, DataError, Problem
from headwater.core.instant import DAY
from headwater.definitions.expression import columns
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.definitions.stream import Stream
from headwater.definitions.view import FeatureView
from headwater.engine.batches import batch_of
from headwater.models.flow import Flow, flow_of, looked_at
from headwater.scale.spark.failing import told
from headwater.scale.spark.point_in_time import asof
from headwater.scale.spark.types import key_type, micros, plain
from headwater.training.history import columns_of, streams_of
from headwater.training.manifest import Source

Int64 = npt.NDArray[np.int64]

_CLOCK = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Table:
    """The events of one stream as a DataFrame.

    Attributes:
        stream: whose events.
        frame: with the stream's columns.
        arrival: the column that tells when each event arrived; None if they arrive when they happen.
        order: the column with the place in the log; None if there is none.
    """

    stream: Stream
    frame: DataFrame
    arrival: str | None
    order: str | None

    @property
    def time(self) -> Column:
        """When each event happened, microseconds."""
        return micros(self.frame, self.stream.time)

    @property
    def came(self) -> Column:
        """When each event arrived, microseconds."""
        return micros(self.frame, self.arrival or self.stream.time)


class SparkPast:
    """The events of a model's streams, on Spark.

    Args:
        model: whose.
        tables: stream name to its events.
        buckets: see ``asof``.

    Raises:
        DataError: a stream or a column is missing, or there are nulls where none may be.
        ConflictError: an id comes twice, with different content.
    """

    def __init__(self, model: Model, tables: Mapping[str, Table], buckets: int | None = None) -> None:
        self._streams = streams_of(model)
        self._read = {stream.name: columns_of(model, stream) for stream in self._streams}
        DataError.raise_if(_problems(self._streams, tables, self._read))
        self._tables = {stream.name: tables[stream.name] for stream in self._streams}
        self._buckets = buckets
        self._keys = model.keys
        with told():
            self._facts = {name: self._looked(table) for name, table in self._tables.items()}

    @property
    def _session(self) -> SparkSession:
        return next(iter(self._tables.values())).frame.sparkSession

    def sources(self) -> Mapping[str, Source]:
        """What there is of each stream."""
        return {
            name: Source(one.n, one.first, one.last, one.newest) if one.n else Source(0, None, None, None)
            for name, one in self._facts.items()
        }

    def flows(self, known: int) -> Mapping[str, Flow]:
        """How the events of each stream came that had arrived by ``known``."""
        with told():
            return {name: self._flow(table, known) for name, table in self._tables.items()}

    def first_known(self, model: Model) -> pl.DataFrame:
        """Each entity, ascending, with the first instant at which one of its events had happened and come."""
        views = {view.stream.name: view.stream.schema[model.entity] for view in model.features}
        whole = None
        for name, dtype in views.items():
            table = self._tables[name]
            known = sf.greatest(table.came, table.time).alias("known")
            part = table.frame.select(_named(model.entity).cast(key_type(dtype)).alias(model.entity), known)
            whole = part if whole is None else whole.unionByName(part)
        if whole is None:
            raise AssertionError("a model has features")
        with told():
            found = _polars(whole.groupBy(model.entity).agg(sf.min("known").alias("known")))
        return found.with_columns(pl.col(model.entity).cast(next(iter(views.values())))).sort(model.entity)

    def observed(self, observe: Each, start: int | None, end: int) -> Batch:
        """The events with ``start <= time <= end`` that are observed, in the order of the log.

        Columns that the model does not read are null: they are left on their disk, if they are there at all.
        """
        table, stream = self._tables[observe.stream.name], observe.stream
        inside = table.frame.where(table.time <= end)
        if start is not None:
            inside = inside.where(table.time >= start)
        read, more = self._read[stream.name], (one for one in (table.arrival, table.order) if one is not None)
        inside = inside.select(*map(_named, dict.fromkeys([*read, *more])))
        with told():
            if observe.where is not None:
                inside = _matching(inside, observe.where, stream)
            frame = _polars(inside)
        frame = frame.with_columns(
            pl.lit(None, dtype).alias(name)
            for name, dtype in stream.schema.items()
            if name not in frame.columns
        )
        order = [table.order] if table.order else [*([stream.id] if stream.id else []), *stream.schema]
        frame = frame.sort([table.arrival or stream.time, *order], nulls_last=True)
        if table.order is not None and table.order not in stream.schema:
            frame = frame.drop(table.order)
        keys = [key for key in self._keys if key in stream.schema]
        return batch_of(stream, frame, table.arrival, keys)

    def features(
        self, views: Sequence[FeatureView], spine: pl.DataFrame, *, time: str, known: Int64 | None = None
    ) -> pl.DataFrame:
        """The rows of a spine with the features of each at its time."""
        outputs = {one.name: one.dtype for view in views for one in view.outputs}
        asked = spine.select(list(dict.fromkeys([*(view.key for view in views), time])))
        taken = {*outputs, *asked.columns}
        row, moment = _free("row", taken), _free("known", taken)
        asked = asked.with_row_index(row)
        if known is not None:
            asked = asked.with_columns(pl.Series(moment, known).cast(_CLOCK))
        with told():
            found = asof(
                views,
                {name: table.frame for name, table in self._tables.items()},
                self._session.createDataFrame(plain(asked).to_arrow(compat_level=pl.CompatLevel.oldest())),
                time=time,
                known=None if known is None else moment,
                arrival=self._arrival,
                order=self._order,
                buckets=self._buckets,
            )
            made = _polars(found.select(row, *(_named(name) for name in outputs))).sort(row)
        return spine.hstack(made.select(pl.col(name).cast(dtype) for name, dtype in outputs.items()))

    # --- one look at each table ----------------------------------------------------------------------

    @cached_property
    def _arrival(self) -> str | None:
        return next(iter(self._tables.values())).arrival

    @cached_property
    def _order(self) -> str | None:
        return next(iter(self._tables.values())).order

    def _looked(self, table: Table) -> Row:
        """How many events there are, where they begin and end, and that none lacks what all must have."""
        stream = table.stream
        place = sf.lit(None).cast("long") if table.order is None else _named(table.order).cast("long")
        have = (stream.time, stream.id, table.arrival, table.order)
        keys = (key for key in self._keys if key in stream.schema)
        must = list(dict.fromkeys([*(one for one in have if one is not None), *keys]))
        found = table.frame.agg(
            sf.count(sf.lit(1)).alias("n"),
            sf.min(place).alias("first"),
            sf.max(place).alias("last"),
            sf.max(table.came).alias("newest"),
            *(sf.sum(_named(name).isNull().cast("long")).alias(f"null {name}") for name in must),
            *([sf.count_distinct(_named(stream.id)).alias("ids")] if stream.id else []),
        ).collect()[0]
        facts = found.asDict()
        DataError.raise_if(
            Problem(
                f"the events of {stream.name} lack a value",
                expected=f"a value of {name} in each row",
                got=f"{facts[f'null {name}']:,} nulls",
                where=f"events.{stream.name}.{name}",
                do="mend or leave out these rows",
            )
            for name in must
            if facts[f"null {name}"]
        )
        if stream.id is not None and facts["ids"] != facts["n"]:
            raise ConflictError.of(
                f"the events of {stream.name} have ids that come twice",
                expected=f"each {stream.id} once",
                got=f"{facts['n']:,} rows with {facts['ids']:,} ids",
                where=f"events.{stream.name}.{stream.id}",
                do="keep the row of each id that came first, where the table is written",
            )
        first, last = (0, facts["n"] - 1) if table.order is None else (facts["first"], facts["last"])
        return Row(n=facts["n"], first=first, last=last, newest=facts["newest"])

    def _flow(self, table: Table, known: int) -> Flow:
        frame = table.frame.select(
            table.time.alias("time"),
            table.came.alias("came"),
            (_named(table.order) if table.order else table.time).alias("place"),
        ).where(sf.col("came") <= known)
        day = sf.expr(f"(time - pmod(time, {DAY})) div {DAY}")
        counted = _polars(
            frame.groupBy(day.alias("day")).agg(
                sf.count(sf.lit(1)).alias("n"), sf.max(sf.col("came") - sf.col("time")).alias("late")
            )
        )
        days, counts = counted["day"].to_numpy(), counted["n"].to_numpy()
        none = np.empty(0, np.int64)
        if not len(counted) or int(counted["late"].to_numpy().max()) <= 0:
            return flow_of(days, counts, none, none)
        some = _every(frame, looked_at(int(counts.sum())))
        return flow_of(days, counts, some["time"].to_numpy(), some["came"].to_numpy())


def _every(frame: DataFrame, step: int) -> pl.DataFrame:
    """Every ``step``-th row by arrival and place, in that order."""
    by = ["came", "place"]
    if step == 1:
        return _polars(frame).sort(by)
    cut = frame.repartitionByRange(*by).sortWithinPartitions(*by).persist()
    try:
        part = sf.spark_partition_id().alias("part")
        sizes = {row.part: row.n for row in cut.groupBy(part).agg(sf.count(sf.lit(1)).alias("n")).collect()}
        begins, total = {}, 0
        for number in sorted(sizes):
            begins[number] = total
            total += sizes[number]
        begin = sf.create_map(*(sf.lit(each) for pair in begins.items() for each in pair))
        within = sf.monotonically_increasing_id().bitwiseAND(sf.lit((1 << 33) - 1))
        placed = cut.withColumn("at", begin[sf.spark_partition_id()] + within)
        return _polars(placed.where(sf.col("at") % step == 0)).sort("at")
    finally:
        cut.unpersist()


def _matching(frame: DataFrame, where: pl.Expr, stream: Stream) -> DataFrame:
    """The rows that an expression of Polars matches, found by the workers."""
    schema = {name: stream.schema[name] for name in columns(where)}

    def chosen(batches: Any) -> Any:
        for batch in batches:
            read = pl.DataFrame(batch).select(pl.col(n).cast(dtype) for n, dtype in schema.items())
            fits = read.select(where.fill_null(False).alias("fits"))["fits"]
            yield batch.filter(fits.to_arrow())

    return frame.mapInArrow(chosen, frame.schema)


def _problems(
    streams: Sequence[Stream], tables: Mapping[str, Table], read: Mapping[str, Sequence[str]]
) -> list[Problem]:
    found = []
    for stream in streams:
        if stream.name not in tables:
            found.append(
                Problem(
                    "streams that the model reads are missing",
                    expected=", ".join(one.name for one in streams),
                    got=", ".join(tables) or "no streams",
                    do=f"give the events of {stream.name}",
                )
            )
            continue
        table = tables[stream.name]
        more = [one for one in (table.arrival, table.order) if one is not None]
        found += [
            Problem(
                f"the events of {stream.name} lack a column",
                expected=f"the column {name!r}",
                got=", ".join(table.frame.columns),
                where=f"events.{stream.name}.{name}",
                do="add the column, or name the one that is meant",
            )
            for name in dict.fromkeys([*read[stream.name], *more])
            if name not in table.frame.columns
        ]
        found += _untimely(table)
    return found


def _untimely(table: Table) -> list[Problem]:
    times = [name for name in (table.stream.time, table.arrival) if name in table.frame.columns]
    return [
        Problem(
            "a column does not hold times",
            expected="TIMESTAMP or DATE",
            got=table.frame.schema[name].dataType.simpleString().upper(),
            where=f"events.{table.stream.name}.{name}",
            do="cast it where the table is written",
        )
        for name in times
        if not isinstance(table.frame.schema[name].dataType, TimestampType | DateType)
    ]


def _named(name: str) -> Column:
    return sf.col("`" + name.replace("`", "``") + "`")


def _polars(frame: DataFrame) -> pl.DataFrame:
    """What Spark computed, with times in UTC."""
    found = pl.DataFrame(frame.toArrow())
    zoned = [
        name for name, dtype in found.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone
    ]
    return found.with_columns(pl.col(zoned).dt.convert_time_zone("UTC"))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
