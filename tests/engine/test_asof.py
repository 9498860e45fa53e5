"""``hw.asof``: a spine in, the same rows out with a column for each feature, and nobody saw the future.

A row at ``t`` knows what had arrived by ``t``, and sees of it what its windows hold.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwater as hw
from headwater.core.errors import DataError
from tests.engine.cases import WHEN, Ask, Case, at, log, micros, payments, profile, profiles, view
from tests.engine.hosts import ASOF, EVENT_BY_EVENT, ORACLE, bits, differences
from tests.engine.strategies import ahead, asks, cases, logs, trials, views

COUNT = view({"n": hw.count(over="10s"), "s": hw.sum("amount")})


def frame(*sketches: Any, arrived: bool = False) -> pl.DataFrame:
    """Payments as a user has them."""
    found = Case([COUNT], log(sketches)).frame(payments)
    return found if arrived else found.drop("arrived_at")


def spine(*rows: tuple[float, str], **more: list[Any]) -> pl.DataFrame:
    """Questions as a user has them: at these seconds, about these."""
    times = [micros(seconds) for seconds, _ in rows]
    return pl.DataFrame(
        {"who": [who for _, who in rows], "time": times, **more}, schema_overrides={"time": WHEN}
    )


#   time        0         5         10
#   ada         x                   x
#   bob                   x
#   spine            ?ada           ?ada ?bob   one row each, in the order of the spine
def test_a_spine_row_gets_the_features_of_its_key_at_its_time() -> None:
    events = frame(at(0, 1.0), at(5, 2.0, who="bob"), at(10, 4.0))
    found = hw.asof([COUNT], events={"payments": events}, spine=spine((3, "ada"), (10, "ada"), (11, "bob")))
    assert found.select("who", "n_10s", "s").rows() == [("ada", 1, 1.0), ("ada", 1, 5.0), ("bob", 1, 2.0)]


#   spine       b@9  a@0  a@9  a@0  b@1         any order, repeated rows, other columns: all stay
def test_the_spine_comes_back_as_it_went_in() -> None:
    asked = spine(
        (9, "bob"), (0, "ada"), (9, "ada"), (0, "ada"), (1, "bob"), loan=[3, 1, 4, 1, 5], time_=list("abcde")
    )
    found = hw.asof([COUNT], events={"payments": frame(at(0), at(0, who="bob"), at(8))}, spine=asked)
    assert found.select(asked.columns).equals(asked)
    assert found.columns == [*asked.columns, "n_10s", "s"]
    assert found["n_10s"].to_list() == [1, 1, 2, 1, 1]


def test_an_empty_spine_and_empty_events() -> None:
    events = frame(at(0, 1.0))
    none = hw.asof([COUNT], events={"payments": events}, spine=spine((0, "ada")).clear())
    assert dict(none.schema) == {"who": pl.String, "time": WHEN, "n_10s": pl.Int64, "s": pl.Float64}
    assert len(none) == 0
    found = hw.asof([COUNT], events={"payments": events.clear()}, spine=spine((0, "ada")))
    assert found.select("n_10s", "s").rows() == [(0, 0.0)]


def test_an_unknown_key_has_the_features_of_the_empty_window() -> None:
    own = view({"n": hw.count(), "s": hw.sum("amount"), "kinds": hw.distinct("word"), "m": hw.mean("amount")})
    found = hw.asof([own], events={"payments": frame(at(0, 1.0))}, spine=spine((5, "nobody"), (5, "ada")))
    assert found.select("n", "s", "kinds", "m").rows() == [(0, 0.0, 0, None), (1, 1.0, 0, 1.0)]


#   happened    0    2    4    6    8
#   events      a    b                          b happened at 2 and arrived at 6
#   spine                ?4   ?6                at 4 nobody could know b
def test_nobody_knows_what_has_not_arrived() -> None:
    events = frame(at(0, 1.0), at(2, 2.0, arrives=6), arrived=True)
    asked = spine((2, "ada"), (4, "ada"), (6, "ada"), (5.999999, "ada"))
    known = hw.asof([COUNT], events={"payments": events}, spine=asked, arrival="arrived_at")
    assert known["s"].to_list() == [1.0, 1.0, 3.0, 1.0]
    truth = hw.asof([COUNT], events={"payments": events.drop("arrived_at")}, spine=asked)
    assert truth["s"].to_list() == [3.0, 3.0, 3.0, 3.0]


#   rows        c@9  a@1  b@5                   without arrival times, each event arrives when it happens
def test_rows_in_any_order_arrive_when_they_happen() -> None:
    events = frame(at(1, 1.0), at(5, 2.0), at(9, 4.0))
    mixed = events[[2, 0, 1]]
    asked = spine((0, "ada"), (1, "ada"), (5, "ada"), (9, "ada"))
    found = hw.asof([COUNT], events={"payments": mixed}, spine=asked)
    assert found["s"].to_list() == [0.0, 1.0, 3.0, 7.0]
    assert found.equals(hw.asof([COUNT], events={"payments": events}, spine=asked))


#   rows        b@5  c@5                        the offset is the row's place: ties follow it, in a
#   rows        c@5  b@5                        shuffled frame too
def test_ties_follow_the_order_of_rows() -> None:
    own = view({"first": hw.first("amount"), "last": hw.last("amount")})
    events = frame(at(5, 1.0), at(5, 2.0), at(5, 3.0))
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        found = hw.asof([own], events={"payments": events[order]}, spine=spine((5, "ada")))
        assert found.select("first", "last").rows() == [(order[0] + 1.0, order[2] + 1.0)]


#   rows        b arrives 7, a arrives 3        what arrived is a matter of arrival, not of the order of rows
def test_rows_not_in_order_of_arrival() -> None:
    events = frame(at(1, 1.0, arrives=3), at(2, 2.0, arrives=7), arrived=True)[[1, 0]]
    found = hw.asof(
        [COUNT], events={"payments": events}, spine=spine((3, "ada"), (7, "ada")), arrival="arrived_at"
    )
    assert found["s"].to_list() == [1.0, 3.0]


#   happened              20                    an event dated in the future (a clock ran ahead): known at 1,
#   arrived     1                               but it has not happened before 20
#   spine         ?2  ?19.999999  ?20
def test_an_event_from_the_future_is_not_seen_before_its_time() -> None:
    events = frame(at(0, 1.0, arrives=0), at(20, 2.0, arrives=1), at(3, 4.0, arrives=3), arrived=True)
    asked = spine((2, "ada"), (3, "ada"), (19.999999, "ada"), (20, "ada"))
    found = hw.asof([COUNT], events={"payments": events}, spine=asked, arrival="arrived_at")
    assert found.select("n_10s", "s").rows() == [(1, 1.0), (2, 5.0), (0, 5.0), (1, 7.0)]


#   arrived     1    2    3                     any mixture of clocks that run behind and ahead
#   happened    70   2   -5
@trials
@given(st.data())
def test_clocks_that_run_ahead(data: st.DataObject) -> None:
    events = data.draw(logs(early=ahead))
    case = Case([data.draw(views())], events, data.draw(asks(events)))
    assert differences(ORACLE.true_answers(case), ASOF.answers(case)) == []


#   id          7    7    8                     the same id is the same event: the first counts
def test_duplicates_are_one_event() -> None:
    taps = hw.Stream("taps", {"id": pl.Int64, "who": pl.String, "time": WHEN, "x": pl.Float64}, id="id")
    own = hw.FeatureView("v", taps, key="who", features={"n": hw.count(), "s": hw.sum("x")})
    rows = [(7, "ada", 1, 1.0), (7, "ada", 1, 1.0), (8, "ada", 2, 2.0), (7, "ada", 1, 1.0)]
    events = pl.DataFrame(rows, schema=dict(taps.schema), orient="row")
    found = hw.asof([own], events={"taps": events}, spine=spine((5, "ada")))
    assert found.select("n", "s").rows() == [(2, 3.0)]
    assert (
        hw.asof([COUNT], events={"payments": frame(at(1), at(1))}, spine=spine((5, "ada")))["n_10s"].item()
        == 2
    )


#   payments by who and by shop, profiles by who: one spine with a column for each key
def test_views_of_several_keys_and_streams() -> None:
    all_three = [
        COUNT,
        view({"visits": hw.count()}, name="shops", key="shop"),
        view({"town": hw.last("town")}, name="homes", stream=profiles),
    ]
    events = log(
        [at(0, 1.0, shop=1), profile(1, town="Ayr"), at(2, 2.0, shop=2, who="bob"), profile(3, town="Bath")]
    )
    case = Case(all_three, events)
    asked = spine((2, "ada"), (3, "bob"), (3, "ada"), shop=[2, 1, 9])
    frames = {"payments": case.frame(payments), "profiles": case.frame(profiles)}
    found = hw.asof(all_three, events=frames, spine=asked, arrival="arrived_at")
    assert found.select("s", "visits", "town").rows() == [(1.0, 1, "Ayr"), (2.0, 1, None), (1.0, 0, "Bath")]


def test_frames_of_other_libraries() -> None:
    events, asked = frame(at(0, 1.0), at(5, 2.0)), spine((0, "ada"), (7, "ada"))
    wanted = hw.asof([COUNT], events={"payments": events}, spine=asked)
    slim = events.select("who", "at", "amount")
    few = hw.Stream("payments", {"who": pl.String, "at": WHEN, "amount": pl.Float64}, time="at")
    own = hw.FeatureView("view", few, key="who", features=COUNT.features)
    assert hw.asof([own], events={"payments": slim.to_pandas()}, spine=asked.to_pandas()).equals(wanted)
    assert hw.asof([own], events={"payments": slim.to_arrow()}, spine=asked.to_arrow()).equals(wanted)
    assert hw.asof([own], events={"payments": slim.lazy()}, spine=asked.lazy()).equals(wanted)
    assert isinstance(asked.to_pandas(), pd.DataFrame)


#   pandas makes floats of whole numbers beside nulls: as long as they are whole, they are the same keys
def test_keys_of_another_type_that_lose_nothing_are_the_same_keys() -> None:
    own = view({"visits": hw.count()}, key="shop")
    events = {"payments": frame(at(0, shop=1), at(1, shop=2), at(2, shop=2))}
    for dtype in (pl.Int8, pl.UInt64, pl.Float64):
        asked = pl.DataFrame({"shop": [2, 9], "time": [micros(5)] * 2}, schema={"shop": dtype, "time": WHEN})
        found = hw.asof(own, events, asked)
        assert found["visits"].to_list() == [2, 0]
        assert found["shop"].dtype == dtype


def test_a_personal_key_is_not_told() -> None:
    taps = hw.Stream("taps", {"card": pl.Int64, "time": WHEN}, personal=["card"])
    own = hw.FeatureView("v", taps, key="card", features={"n": hw.count()})
    asked = pl.DataFrame({"card": [4111.5], "time": [NOON]}, schema_overrides={"time": WHEN})
    with pytest.raises(DataError, match=r"got: +\(personal\)"):
        hw.asof(own, {"taps": pl.DataFrame(schema=dict(taps.schema))}, asked)


def test_the_time_column_may_have_another_name_unit_and_zone() -> None:
    asked = pl.DataFrame({"who": ["ada"], "granted": [datetime(1970, 1, 1, 0, 0, 6, tzinfo=UTC)]})
    for dtype in (pl.Datetime("ms", "UTC"), pl.Datetime("ns", "UTC"), pl.Datetime("us", "Europe/Prague")):
        own = asked.with_columns(
            pl.col("granted").cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(dtype.time_zone or "UTC")
        )
        own = own.with_columns(pl.col("granted").dt.cast_time_unit(dtype.time_unit))
        found = hw.asof([COUNT], events={"payments": frame(at(0), at(5))}, spine=own, time="granted")
        assert found["n_10s"].to_list() == [2]
        assert found["granted"].dtype == dtype


#   live:  a b ?1 c ?2 d e ?3          the training set   ==   what live reads gave at those moments
@trials
@given(cases())
def test_a_training_set_is_what_live_reads_gave(case: Case) -> None:
    assert bits(ASOF.answers(case)) == bits(EVENT_BY_EVENT.answers(case))


#   the whole spine at once   ==   row by row   ==   backwards
@trials
@given(cases(), st.randoms(use_true_random=False))
def test_the_other_rows_of_the_spine_leave_no_trace(case: Case, dice: Any) -> None:
    order = list(range(len(case.asks)))
    dice.shuffle(order)
    together = bits(ASOF.answers(case))
    mixed = bits(ASOF.answers(Case(case.views, case.log, [case.asks[i] for i in order])))
    assert [together[i] for i in order] == mixed
    alone = [ASOF.answers(Case(case.views, case.log, [ask]))[0] for ask in case.asks]
    assert bits(alone) == together


#   what arrives after t, whatever it is, moves nothing at t
@trials
@given(cases())
def test_the_future_leaves_no_trace(case: Case) -> None:
    first = min(case.asks, key=lambda ask: ask.time)
    past = Case(case.views, case.log[: case.arrived(first.time)], [first])
    assert bits(ASOF.answers(past)) == bits(ASOF.answers(Case(case.views, case.log, [first])))


PRAGUE = pl.Datetime("ms", "Europe/Prague")
NOON = datetime(2026, 2, 28, 12, tzinfo=ZoneInfo("Europe/Prague"))


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (pl.Int8, [-128, 127, 0]),
        (pl.UInt8, [255, 0, 1]),
        (pl.UInt32, [2**32 - 1, 0, 1]),
        (pl.Float32, [0.5, -2.0, 0.0]),
        (pl.Categorical, ["b", "a", "c"]),
        (pl.String, ["b", "", "a"]),
        (pl.Enum(["z", "a"]), ["a", "z", "a"]),
        (pl.Boolean, [False, True, False]),
        (pl.Date, [date(1, 1, 1), date(9999, 12, 31), date(1970, 1, 1)]),
        (PRAGUE, [NOON, NOON + timedelta(days=1), NOON - timedelta(days=1)]),
        (pl.Datetime("ns", "UTC"), [NOON, NOON + timedelta(microseconds=1), NOON]),
    ],
    ids=str,
)
def test_columns_of_every_type(dtype: Any, values: list[Any]) -> None:
    stream = hw.Stream("s", {"who": pl.String, "time": WHEN, "x": dtype})
    ever = {"first": hw.first("x"), "last": hw.last("x"), "kinds": hw.distinct("x")}
    own = hw.FeatureView("v", stream, key="who", features=ever)
    rows = [("ada", i, value) for i, value in enumerate([*values, None])]
    events = pl.DataFrame(rows, schema=dict(stream.schema), orient="row")
    found = hw.asof([own], {"s": events}, spine((9, "ada"), (9, "bob")))
    assert found.schema["first"] == found.schema["last"] == stream.schema["x"]
    assert found.select("first", "last", "kinds").rows() == [
        (values[0], values[-1], len(set(values))),
        (None, None, 0),
    ]


#   whole numbers beyond those that the engine holds: exact, or refused with a letter; nothing else
@pytest.mark.parametrize(
    ("dtype", "values"), [(pl.UInt64, [2**64 - 1, 2**63, 2**63 + 1]), (pl.Int64, [-(2**63), 2**63 - 1, 0])]
)
def test_the_ends_of_the_whole_numbers(dtype: Any, values: list[int]) -> None:
    stream = hw.Stream("s", {"who": dtype, "time": WHEN, "x": dtype})
    over = {
        "n": hw.count(),
        "first": hw.first("x"),
        "last": hw.last("x"),
        "low": hw.min("x"),
        "high": hw.max("x"),
    }
    own = hw.FeatureView("v", stream, key="who", features=over)
    events = pl.DataFrame([(value, 0, value) for value in values], schema=dict(stream.schema), orient="row")
    try:
        found = hw.asof([own], {"s": events}, events.select("who", "time"))
    except DataError:
        return
    assert found.select("n", "first", "last", "low", "high").rows() == [(1, v, v, v, v) for v in values]


@pytest.mark.parametrize(
    "dtype", [pl.Date, pl.Datetime("ms", "UTC"), pl.Datetime("ns", "Europe/Prague")], ids=str
)
def test_the_time_of_a_stream_may_have_any_unit_and_zone(dtype: Any) -> None:
    stream = hw.Stream("s", {"who": pl.String, "on": dtype}, time="on")
    own = hw.FeatureView("v", stream, key="who", features={"n": hw.count(over="2d")})
    days = [datetime(2026, 3, day, tzinfo=UTC) for day in (27, 28, 29, 30)]  # summer time begins
    asked = pl.DataFrame({"who": ["ada"] * 4, "time": days}, schema_overrides={"time": WHEN})
    if dtype == pl.Date:
        moments = asked["time"].dt.date()
    else:
        moments = asked["time"].dt.convert_time_zone(dtype.time_zone).dt.cast_time_unit(dtype.time_unit)
    found = hw.asof([own], {"s": pl.DataFrame({"who": ["ada"] * 4, "on": moments})}, asked)
    assert found["n_2d"].to_list() == [1, 2, 2, 2]


SAME = view({"s": hw.count()}, name="other")
ONE = spine((0, "ada"))
LATER = ONE.with_columns(pl.lit(datetime(2200, 1, 1, tzinfo=UTC)).alias("time"))


@pytest.mark.parametrize(
    ("views", "call", "letter"),
    [
        (
            [COUNT, SAME],
            {},
            """\
two columns would share a name
  expected: different names for all features and the spine's columns
  got:      s
  where:    views
  do:       rename the features or the spine's columns""",
        ),
        (
            [COUNT],
            {"spine": ONE.with_columns(s=1)},
            """\
two columns would share a name
  expected: different names for all features and the spine's columns
  got:      s
  where:    views
  do:       rename the features or the spine's columns""",
        ),
        (
            [COUNT],
            {"events": {}},
            """\
the events of a stream are missing
  expected: events={'payments': frame}
  got:      no streams
  where:    events.payments
  do:       give a frame for each stream that the views read""",
        ),
        (
            [COUNT],
            {"spine": ONE.drop("who")},
            """\
the spine lacks a column
  expected: the column 'who'
  got:      time
  where:    spine.who
  do:       add one column per key and the time; name the time with time=""",
        ),
        (
            [COUNT],
            {"time": "granted"},
            """\
the spine lacks a column
  expected: the column 'granted'
  got:      who, time
  where:    spine.granted
  do:       add one column per key and the time; name the time with time=""",
        ),
        (
            [COUNT],
            {"spine": ONE.with_columns(pl.col("time").dt.replace_time_zone(None))},
            """\
a column does not hold times
  expected: a Datetime with a zone, or a Date, without nulls
  got:      Datetime(time_unit='us', time_zone=None)
  where:    spine.time
  do:       cast it, for example with .dt.replace_time_zone('UTC')""",
        ),
        (
            [COUNT],
            {"spine": ONE.with_columns(pl.lit(None, dtype=WHEN).alias("time"))},
            """\
a column does not hold times
  expected: a Datetime with a zone, or a Date, without nulls
  got:      Datetime(time_unit='us', time_zone='UTC') with 1 nulls
  where:    spine.time
  do:       cast it, for example with .dt.replace_time_zone('UTC')""",
        ),
        (
            [COUNT],
            {"spine": pl.concat([ONE, ONE.with_columns(pl.lit(None, dtype=pl.String).alias("who"))])},
            """\
the spine has rows without a key
  expected: a key in each row
  got:      1 nulls, the first in row 1
  where:    spine.who
  do:       drop these rows""",
        ),
        (
            [COUNT],
            {"spine": ONE.with_columns(pl.lit(3, dtype=pl.Int32).alias("who"))},
            """\
a key of the spine has another type than the stream's
  expected: String
  got:      Int32
  where:    spine.who
  do:       cast the spine's column to the stream's type""",
        ),
        (
            [COUNT],
            {"spine": pl.concat([ONE, LATER])},
            """\
time is out of range in 1 of 2 rows
  expected: a time between 1827 and 2112
  got:      2200-01-01T00:00:00Z
  where:    spine[1].time
  do:       look whether the unit is right""",
        ),
        (
            [view({"n": hw.count()}, key="shop")],
            {"events": {"payments": frame(at(0, shop=7))}, "spine": ONE.with_columns(shop=pl.lit(7.5))},
            """\
shop has another type in 1 of 1 rows
  expected: a value of the declared type
  got:      7.5
  where:    spine[0].shop
  do:       convert it before it is sent""",
        ),
        (
            [COUNT],
            {"events": {"payments": frame(at(0), at(1, who=None))}},
            """\
who is missing in 1 of 2 rows
  expected: the key of the entity
  got:      null
  where:    events.payments[1].who
  do:       send the key of each event""",
        ),
        (
            [COUNT],
            {"events": {"payments": frame(at(0, float("nan")))}},
            """\
amount is NaN or infinite in 1 of 1 rows
  expected: a finite number or null
  got:      nan
  where:    events.payments[0].amount
  do:       send null where there is no number""",
        ),
        (
            [COUNT],
            {"events": {"payments": frame(at(0)).drop("amount")}},
            """\
the column 'amount' is missing
  expected: a column 'amount'
  got:      who, shop, colour, online, at, wild, units, pieces, ratio, word, flag, day
  where:    events.payments
  do:       add the column; it may hold nulls if it is no key, id or time""",
        ),
        (
            [COUNT],
            {"arrival": "arrived_at"},
            """\
the events have no such arrival column
  expected: who, shop, colour, online, at, amount, wild, units, pieces, ratio, word, flag, day
  got:      'arrived_at'
  where:    events.payments
  do:       name the column that tells when each event arrived, or leave arrival= out""",
        ),
    ],
)
def test_what_asof_refuses(views: list[hw.FeatureView], call: dict[str, Any], letter: str) -> None:
    with pytest.raises(DataError) as caught:
        hw.asof(views, **{"events": {"payments": frame(at(0))}, "spine": ONE, **call})
    assert str(caught.value) == letter


def test_an_ask_is_a_row() -> None:
    """The host of the other tests asks as a user would."""
    case = Case([COUNT], log([at(0, 1.0)]), [Ask(micros(1), {"who": "ada"})])
    assert case.spine().rows() == [("ada", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))]
    assert ASOF.answers(case) == [{"n_10s": 1, "s": 1.0}]
