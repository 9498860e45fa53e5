"""``hw.spark.asof`` against ``hw.asof``: the same events, the same bits, and no row of the spine lost."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings

import headwater as hw
from headwater.core.errors import DataError
from tests.engine.cases import Ask, Case, at, log, micros, payments, profile, profiles, view
from tests.engine.hosts import ASOF, ORACLE, bits, differences
from tests.engine.strategies import cases, trials
from tests.scale.spark.host import answers, to_polars, to_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def every_kind() -> dict[str, hw.Aggregate]:
    """A feature of each kind, over windows, since forever, with a condition and with a delay."""
    plain = ["sum", "mean", "min", "max", "std", "var", "first", "last", "distinct", "trend"]
    found = {op: getattr(hw, op)("amount", over=["5s", "20s"]) for op in plain}
    found |= {f"all_{op}": getattr(hw, op)("amount") for op in plain}
    found |= {f"if_{op}": getattr(hw, op)("amount", where=pl.col("flag"), over="20s") for op in plain}
    found |= {f"after_{op}": getattr(hw, op)("amount", over="5s", delay="3s") for op in plain}
    found |= {f"wild_{op}": getattr(hw, op)("wild", over="20s") for op in ("min", "max", "last")}
    found |= {
        "n": hw.count(over=["5s", "20s"]),
        "since": hw.since_last(where=pl.col("flag")),
        "begun": hw.since_first(over="20s"),
        "middle": hw.quantile("amount", q=0.5, over=["5s", "20s"]),
        "faded": hw.decayed_sum("amount", half_life="4s"),
        "weight": hw.decayed_count(half_life="4s", over="20s"),
        "day": hw.last("day"),
        "colour": hw.first("colour", over="20s"),
        "word": hw.last("word"),
        "pieces": hw.sum("pieces"),
        "ratio": hw.max("ratio"),
        "units": hw.last("units"),
        "online": hw.last("online"),
        "moment": hw.last("at"),
    }
    found["half"] = hw.sum(pl.col("amount") / 7, over="20s")
    return {f"f_{name}": feature for name, feature in found.items()}


def busy_log(dice: random.Random, events: int) -> Case:
    """Two streams, three keys, many ties, one event in four late."""
    sketches, now = [], 0.0
    for _ in range(events):
        now += dice.choice([0, 0, 1, 2, 5])
        who, late = dice.choice(["ada", "ada", "ada", "bob", "cyd"]), dice.choice([0, 0, 0, 3, 12])
        if dice.random() < 0.2:
            town = dice.choice(["Ayr", "Bath", None])
            sketches.append(profile(now - late, arrives=now, who=who, income=dice.random(), town=town))
            continue
        sketches.append(
            at(
                now - late,
                dice.choice([None, dice.uniform(-1e3, 1e3), 0.1, 2.5]),
                arrives=now,
                who=who,
                shop=dice.choice([0, -1, 7, 2**53 + 1]),
                colour=dice.choice(["red", "green", None]),
                online=dice.choice([True, False, None]),
                wild=dice.choice([1e16, -1e300, 5e-324, None]),
                units=dice.choice([2**62 + 1, -3, None]),
                pieces=dice.choice([1, -7, None]),
                ratio=dice.choice([0.5, 0.1, None]),
                word=dice.choice(["", "é", "rent"]),
                flag=dice.choice([True, False, None]),
                day=pl.Series([dice.choice(["1970-01-01", "9999-12-31"])]).str.to_date()[0],
            )
        )
    own = [
        view(every_kind(), name="by_who"),
        view({"shop_n": hw.count(over="20s"), "shop_w": hw.last("who")}, name="by_shop", key="shop"),
        view({"income": hw.last("income"), "town": hw.last("town")}, name="of_who", stream=profiles),
    ]
    made = log(sketches)
    moments = [event.time for event in made] + [event.arrival + 1 for event in made] + [-micros(99)]
    asks = [
        Ask(dice.choice(moments), {"who": dice.choice(["ada", "bob", "eve"]), "shop": dice.choice([0, 7, 8])})
        for _ in range(events)
    ]
    return Case(own, made, asks)


def test_a_busy_log_gives_the_same_bits(spark: SparkSession) -> None:
    case = busy_log(random.Random(7), 400)
    found = answers(spark, case)
    assert bits(found) == bits(ASOF.answers(case))
    assert differences(ORACLE.true_answers(case), found) == []


@settings(trials, max_examples=5)
@given(case=cases())
def test_invented_cases_give_the_same_bits(spark: SparkSession, case: Case) -> None:
    assert bits(answers(spark, case)) == bits(ASOF.answers(case))


#   time        0    0    0             three at one moment: which is the last?
#   amount      3    1    2
#   order       0    1    2             by the order column the one with 2, as in the log
#   without                             by what they hold the one with 3, however the table is cut
def test_ties_follow_the_order_column_and_else_what_events_hold(spark: SparkSession) -> None:
    own = view({"last": hw.last("amount"), "first": hw.first("amount")})
    case = Case([own], log([at(0, 3.0), at(0, 1.0), at(0, 2.0)]), [Ask(0, {"who": "ada"})])
    assert answers(spark, case) == [{"last": 2.0, "first": 3.0}] == ASOF.answers(case)
    frame = case.frame(payments).drop("arrived_at")
    spine = to_spark(spark, case.spine())
    found = [
        hw.spark.asof(own, {"payments": to_spark(spark, frame, parts=parts)}, spine, time="moment")
        for parts in (1, 2)
    ]
    assert [to_polars(one).select("last", "first").rows() for one in found] == [[(3.0, 1.0)]] * 2


#   happened    0    1                  what was asked at 1 and looked at when all had arrived, at 9
#   arrives     0              9
def test_a_row_may_be_asked_later_than_its_time(spark: SparkSession) -> None:
    events = log([at(0, 1.0), at(1, 2.0, arrives=9)])
    case = Case([view({"n": hw.count()})], events, [Ask(micros(1), {"who": "ada"})])
    spine = case.spine().with_columns(asked=pl.col("moment") + pl.duration(seconds=8))
    found = hw.spark.asof(
        case.views,
        {"payments": to_spark(spark, case.frame(payments))},
        to_spark(spark, spine),
        time="moment",
        arrival="arrived_at",
        known="asked",
    )
    assert [row["n"] for row in answers(spark, case)] == [1]
    assert [row.n for row in found.collect()] == [2]


def test_the_row_column_restores_the_order_of_the_spine(spark: SparkSession) -> None:
    case = busy_log(random.Random(3), 40)
    own = [view({"n": hw.count(over="5s")})]
    spine = to_spark(spark, case.spine().with_columns(pl.lit(1.5).alias("more")), parts=4)
    events = {"payments": to_spark(spark, case.frame(payments))}
    found = hw.spark.asof(own, events, spine, time="moment", arrival="arrived_at", row="row", buckets=5)
    assert to_polars(found.orderBy("row").drop("row", "n_5s")).equals(to_polars(spine))


def test_what_the_schemas_tell_is_refused_at_once(spark: SparkSession) -> None:
    own = view({"n": hw.sum("amount")})
    events = to_spark(spark, Case([own], log([at(0, 1.0)])).frame(payments).drop("amount"))
    spine = to_spark(spark, pl.DataFrame({"who": ["ada"], "n": [1]}))
    with pytest.raises(DataError) as caught:
        hw.spark.asof(own, {"payments": events}, spine, order="place")
    columns = ", ".join(events.columns)
    assert str(caught.value) == (
        "the events of payments lack a column\n"
        "  expected: the column 'amount'\n"
        f"  got:      {columns}\n"
        "  where:    events.payments.amount\n"
        "  do:       add the column, or name the one that is meant\n"
        "the events of payments lack a column\n"
        "  expected: the column 'place'\n"
        f"  got:      {columns}\n"
        "  where:    events.payments.place\n"
        "  do:       add the column, or name the one that is meant\n"
        "the spine lacks a column\n"
        "  expected: the column 'time'\n"
        "  got:      who, n\n"
        "  where:    spine.time\n"
        "  do:       add one column per key and the time; name the time with time=\n"
        "two columns would share a name\n"
        "  expected: different names for all features and the spine's columns\n"
        "  got:      n\n"
        "  where:    views\n"
        "  do:       rename the features or the spine's columns"
    )
    with pytest.raises(DataError) as caught:
        hw.spark.asof(own, {}, spine)
    assert str(caught.value).startswith(
        "the events of a stream are missing\n"
        "  expected: events={'payments': DataFrame}\n"
        "  got:      no streams\n"
        "  where:    events.payments\n"
        "  do:       give a DataFrame for each stream that the views read"
    )


def test_a_wrong_row_is_told_by_the_worker(spark: SparkSession) -> None:
    own = view({"n": hw.count()})
    case = Case([own], log([at(0, 1.0)]), [])
    spine = to_spark(
        spark, pl.DataFrame({"who": [None], "moment": [0]}, {"who": pl.String, "moment": pl.Int64})
    )
    times = spine.selectExpr("who", "timestamp_micros(moment) as moment")
    found = hw.spark.asof(own, {"payments": to_spark(spark, case.frame(payments))}, times, time="moment")
    from pyspark.errors import PythonException

    with pytest.raises(PythonException, match="the spine has rows without a key"):
        found.collect()


def test_workers_take_the_kernels_that_are_compiled_already(spark: SparkSession) -> None:
    def hits(_batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        from headwater.engine.kernels import process
        from headwater.scale.spark.worker import machine

        machine()
        stats = [each.stats for each in vars(process).values() if hasattr(each, "stats")]
        found = [
            sum(sum(s.cache_misses.values()) for s in stats),
            sum(sum(s.cache_hits.values()) for s in stats),
        ]
        yield pa.RecordBatch.from_pydict({"misses": [found[0]], "hits": [found[1]]})

    rows = spark.range(2, numPartitions=2).mapInArrow(hits, "misses long, hits long").collect()
    assert all(row.misses == 0 and row.hits > 0 for row in rows), rows


#   slices of 10 s     |         |         |
#   windows of 20 s  (---t                       a reading sees events of earlier slices, and each once
def test_a_key_is_cut_in_time_and_the_bits_stay(spark: SparkSession) -> None:
    case = busy_log(random.Random(11), 300)
    bounded = {
        name: feature
        for name, feature in every_kind().items()
        if feature.half_life is not None or None not in feature.over
    }
    shop = {"shop_n": hw.count(over="20s"), "shop_w": hw.last("who", over="9s")}
    own = [view(bounded, name="by_who"), view(shop, name="by_shop", key="shop")]
    cut = Case(own, case.log, case.asks)
    whole = bits(ASOF.answers(cut))
    assert bits(answers(spark, cut, slices="10s")) == whole
    assert bits(answers(spark, cut, slices="1h")) == whole


def test_what_has_no_end_is_not_cut_in_time(spark: SparkSession) -> None:
    case = busy_log(random.Random(3), 10)
    with pytest.raises(DataError) as caught:
        answers(spark, case, slices="10s")
    assert str(caught.value).split("\nthe view ")[0] == (
        "the view by_who cannot be cut in time\n"
        "  expected: features with over= or half_life=\n"
        "  got:      a feature that looks back since forever\n"
        "  where:    views.by_who\n"
        "  do:       leave slices= out, or ask for these features by themselves"
    )
