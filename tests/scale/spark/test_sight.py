"""What no row of a spine can see is never moved, and leaves no trace in any bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DataError
from headwater.scale.spark.failing import letter_of
from tests.engine.cases import Ask, Case, at, log, micros, payments, view
from tests.scale.spark.host import to_polars, to_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark


def moved(frame: DataFrame) -> int:
    """The rows that Spark wrote for other tasks to read, once a result was read."""
    plan = frame._jdf.queryExecution().executedPlan()
    text, found, todo = "shuffleRecordsWritten", 0, [plan]
    while todo:
        node = todo.pop()
        todo += [node.children().apply(place) for place in range(node.children().size())]
        if node.metrics().contains(text):
            found += node.metrics().apply(text).value()
    return found


#   time          0    4    5    6    7    8    9   12
#   rows                              t       t
#   over 3 s                (---------]  ...  ]           (7 - 3, 9] holds 5, 6, 7, 8 and 9
def test_only_what_some_row_sees_is_moved(spark: SparkSession) -> None:
    events = log([at(second, 1.0) for second in (0, 4, 5, 6, 7, 8, 9, 12)])
    case = Case([view({"n": hw.count(over="3s")})], events, [Ask(micros(s), {"who": "ada"}) for s in (7, 9)])
    frame = case.frame(payments)
    found = hw.spark.asof(
        case.views,
        {"payments": spark.createDataFrame(frame.select("at", "who", "arrived_at").to_arrow())},
        spark.createDataFrame(case.spine().to_arrow()),
        time="moment",
        arrival="arrived_at",
    )
    assert sorted(row.n_3s for row in found.collect()) == [3, 3]
    assert moved(found) == 2 + 5


#   time          0    1    2    3        arrives     0    1    9    3
#   a row at 2, looked at at 3            sees what had come by 3
def test_what_came_too_late_is_not_moved(spark: SparkSession) -> None:
    events = log([at(0, 1.0), at(1, 1.0), at(2, 1.0, arrives=9), at(3, 1.0)])
    case = Case([view({"n": hw.count()})], events, [Ask(micros(2), {"who": "ada"})])
    spine = case.spine().with_columns(asked=pl.col("moment") + pl.duration(seconds=1))
    found = hw.spark.asof(
        case.views,
        {
            "payments": spark.createDataFrame(
                case.frame(payments).select("at", "who", "arrived_at").to_arrow()
            )
        },
        spark.createDataFrame(spine.to_arrow()),
        time="moment",
        known="asked",
        arrival="arrived_at",
    )
    assert [row.n for row in found.collect()] == [2]
    assert moved(found) == 1 + 2


def test_times_that_are_days(spark: SparkSession) -> None:
    days = pl.date_range(pl.date(2026, 1, 1), pl.date(2026, 1, 20), eager=True)
    schema: dict[str, pl.DataType] = {"day": pl.Datetime("us", "UTC"), "who": pl.Int64()}
    own = hw.FeatureView(
        "v",
        stream=hw.Stream("payments", schema=schema, time="day"),
        key="who",
        features={"n": hw.count(over="3d", delay="1d")},
    )
    events = pl.DataFrame({"day": days, "who": 1})
    spine = pl.DataFrame({"who": [1, 1], "time": days.gather([4, 9])})
    found = hw.spark.asof(own, {"payments": to_spark(spark, events)}, to_spark(spark, spine))
    assert to_polars(found.orderBy("time")).equals(hw.asof(own, {"payments": events}, spine))


#   time          0                                   60
#   without a key x                                    t     nobody sees it: it is refused all the same
def test_an_event_that_lacks_a_key_is_refused_wherever_it_lies(spark: SparkSession) -> None:
    own = view({"n": hw.count(over="3s")})
    case = Case([own], log([at(0, 1.0), at(60, 1.0)]), [Ask(micros(60), {"who": "ada"})])
    frame = case.frame(payments).with_columns(who=pl.when(pl.col("at") > pl.col("at").min()).then("who"))
    found = hw.spark.asof(
        own, {"payments": to_spark(spark, frame)}, to_spark(spark, case.spine()), time="moment", buckets=1
    )
    from pyspark.errors import PythonException

    with pytest.raises(PythonException) as caught:
        found.collect()
    assert str(letter_of(str(caught.value))) == (
        "who is missing in 1 of 2 rows\n"
        "  expected: the key of the entity\n"
        "  got:      null\n"
        "  where:    events.payments[0].who\n"
        "  do:       send the key of each event"
    )


def test_a_spine_that_is_another_each_time_is_refused(spark: SparkSession) -> None:
    def drawn(_batches: Iterator[Any]) -> Iterator[Any]:
        import secrets

        import pyarrow as pa

        yield pa.RecordBatch.from_pydict({"who": ["ada"], "moment": [secrets.randbits(50)]})

    own = view({"n": hw.count()})
    spine = spark.range(1, numPartitions=1).mapInArrow(drawn, "who string, moment long")
    times = spine.selectExpr("who", "timestamp_micros(moment) as moment")
    events = to_spark(spark, Case([own], log([at(0, 1.0)]), []).frame(payments))
    from pyspark.errors import PythonException

    with pytest.raises(PythonException) as caught:
        hw.spark.asof(own, {"payments": events}, times, time="moment").collect()
    letter = letter_of(str(caught.value))
    assert isinstance(letter, DataError)
    assert str(letter) == (
        "the spine has other rows when Spark computes it again\n"
        "  expected: the same rows each time\n"
        "  got:      1 rows beyond the times of those before\n"
        "  where:    spine\n"
        "  do:       write it to a table, or checkpoint() it; limit() and sampling give other rows each time"
    )
