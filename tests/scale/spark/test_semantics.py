"""The engine's semantic suite on Spark: every case of it, in one pass over one table.

The suite's own tests run once with a host that notes each case. The cases are then laid side by side, each
with keys of its own, so that Spark is started once and not a thousand times::

    case 7: ada, bob      ─►  7|ada, 7|bob  ─┐
    case 8: ada           ─►  8|ada         ─┼─►  one table, one spine, all views  ─►  hw.spark.asof
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import pytest
from sklearn.tree import DecisionTreeClassifier

import headwater as hw
from headwater.core.instant import iso
from headwater.definitions.expression import columns
from tests.engine.cases import WHEN, Ask, Case, Event, Row, payments, profiles, told
from tests.engine.hosts import ASOF, ORACLE, Host, bits
from tests.scale.spark.host import answers, to_polars, to_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

ENGINE = Path(__file__).resolve().parents[2] / "engine"
SUITE = ["test_semantics.py", "test_boundaries.py", "test_late.py"]
NOBODY: dict[str, Any] = {"who": "nobody", "shop": -1}  # where a case has one of the keys alone
BUCKETS = 4
LONG = 60  # events of a log whose every prefix is looked at


class Noting(Host):
    """Answers as the slow truth does, and notes what was asked."""

    label = "noting"

    def __init__(self) -> None:
        self.cases: list[Case] = []

    def answers(self, case: Case) -> list[Row]:
        self.cases.append(case)
        return ORACLE.answers(case)

    def emissions(self, case: Case) -> list[Row]:
        """After each event: a case of the events up to it, asked at the newest time of its key."""
        for place, event in enumerate(case.log[:LONG]):
            for own in (each for each in case.views if each.stream is event.stream):
                log = [replace(e, arrival=e.time) for e in case.log[: place + 1] if e.stream is own.stream]
                newest = max(e.time for e in log if e.row[own.key] == event.row[own.key])
                self.cases.append(Case([own], log, [Ask(newest, {own.key: event.row[own.key]})]))
        return ORACLE.emissions(case)


class _Plugin:
    """Puts the noting host where the suite's tests get theirs."""

    def __init__(self, host: Noting) -> None:
        self._host = host

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Each case once: of all hosts that a test is run with, one."""
        items[:] = [item for item in items if self._once(getattr(item, "callspec", None))]

    def _once(self, call: Any) -> bool:
        params = {} if call is None else call.params
        return params.get("host") is ORACLE or params.get("engine") is ASOF

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: Any) -> None:
        for name in ("host", "engine"):
            if name in item.funcargs:
                item.funcargs[name] = self._host


@pytest.fixture(scope="module")
def suite() -> list[Case]:
    """Every case of the suite that asks something."""
    host = Noting()
    names = [str(ENGINE / name) for name in SUITE]
    options = ["-q", "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:randomly"]
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    ended = pytest.main([*names, *options, *quiet], plugins=[_Plugin(host)])
    assert ended == 0
    return [case for case in host.cases if case.asks]


def test_every_case_gives_the_same_bits(spark: SparkSession, suite: list[Case]) -> None:
    merged = [case for case in suite if side_by_side(case)]
    assert len(suite) > 500
    assert len(merged) > len(suite) * 0.75
    found = all_at_once(spark, merged)
    for case, rows in zip(merged, found, strict=True):
        assert bits(rows) == bits(ASOF.answers(case)), case
    alone = [case for case in suite if not side_by_side(case)]
    for case in alone[:: max(1, len(alone) // 6)]:
        assert bits(answers(spark, case)) == bits(ASOF.answers(case)), case


def side_by_side(case: Case, keys: Sequence[str] = ("who", "shop")) -> bool:
    """Whether the keys of a case may be called otherwise: no feature looks at them."""
    return read_by(case).isdisjoint({"who", "shop"}) and all(
        own.key in keys and own.stream in (payments, profiles) for own in case.views
    )


def read_by(case: Case) -> set[str]:
    """The columns that the features of a case read."""
    return {name for own in case.views for a in own.features.values() for name in columns(a.column, a.where)}


def named(number: int, row: Mapping[str, Any]) -> Row:
    """The keys of a case's event or question under names that no other case has."""
    who, shop = f"{number}|{row.get('who')}", row.get("shop")
    apart: Row = {}
    if row.get("who") is not None:
        apart["who"] = who
    if shop is not None:
        apart["shop"] = int.from_bytes(blake2b(f"{number}|{shop}".encode(), digest_size=7).digest(), "big")
    return apart


def all_at_once(session: SparkSession, cases: Sequence[Case]) -> list[list[Row]]:
    """The answers of each case, from one pass over all of them."""
    views = together(cases)
    events = {stream.name: to_spark(session, _log(cases, stream)) for stream in (payments, profiles)}
    rows = [
        {"moment": ask.time, "number": number, **NOBODY, **named(number, ask.keys)}
        for number, case in enumerate(cases)
        for ask in case.asks
    ]
    spine = pl.DataFrame(
        rows, schema={"who": pl.String, "shop": pl.Int64, "moment": WHEN, "number": pl.Int64}
    )
    asked = to_spark(session, spine.with_row_index("row"))
    found = hw.spark.asof(
        list(views.values()), events, asked, time="moment", arrival="arrived_at", order="place", buckets=3
    )
    whole = to_polars(found).sort("row").partition_by("number", as_dict=True)
    return [_own(whole[(number,)], case, views) for number, case in enumerate(cases)]


def together(cases: Sequence[Case]) -> dict[str, hw.FeatureView]:
    """All views of some cases, each once and under a name of its own."""
    views: dict[str, hw.FeatureView] = {}
    for own in (own for case in cases for own in case.views):
        if line_of(own) not in views:
            number = len(views)
            features = {f"v{number}_{name}": one for name, one in own.features.items()}
            views[line_of(own)] = hw.FeatureView(f"v{number}", own.stream, own.key, features)
    return views


def line_of(own: hw.FeatureView) -> str:
    """What a view computes, in a line."""
    return f"{own.stream.name} by {own.key}: {told(own)}"


def _log(cases: Sequence[Case], stream: hw.Stream) -> pl.DataFrame:
    parts = []
    for number, case in enumerate(cases):
        frame = case.frame(stream)
        keys = [key for key in ("who", "shop") if key in stream.schema]
        rows = [
            {key: NOBODY[key] for key in keys} | named(number, row)
            for row in frame.select(keys).iter_rows(named=True)
        ]
        apart = pl.DataFrame(rows, schema={key: stream.schema[key] for key in keys})
        parts.append(frame.with_columns(apart) if len(frame) else frame)
    empty = pl.DataFrame(schema={**stream.schema, "arrived_at": WHEN})
    return pl.concat([empty, *parts]).with_row_index("place")


def _own(frame: pl.DataFrame, case: Case, views: dict[str, hw.FeatureView]) -> list[Row]:
    """A case's own columns, under their own names and in their own types."""
    picked = []
    for own in case.views:
        made = views[line_of(own)]
        for mine, theirs in zip(own.outputs, made.outputs, strict=True):
            picked.append(pl.col(theirs.name).cast(mine.dtype).alias(mine.name))
    return frame.select(picked).to_dicts()


# --- the same cases through a streaming query's state ----------------------------------------------


def test_every_case_gives_the_same_bits_from_the_state_of_a_stream(
    spark: SparkSession, suite: list[Case], tmp_path: Path
) -> None:
    """A key for each question, with the events that had arrived by then; the state is read at the end."""
    from tests.scale.spark.streaming import state_of

    fit = [
        case for case in suite if side_by_side(case, ["who"]) and "day" not in read_by(case)
    ]  # see records
    asked = [Question(case, ask) for case in fit for ask in case.asks]
    assert len(asked) > 800  # most of them; which are drawn is not the same each time
    views = together([question.case for question in asked])
    model = hw.Model(
        "all",
        features=list(views.values()),
        label=hw.happens(payments, pl.col("amount") > 0, within="1d"),
        observe=hw.every("1d"),
        estimator=DecisionTreeClassifier(),
    )
    project = hw.Project("suite", models=[model])
    state = state_of(spark, project, records(asked, project), tmp_path).partitions
    for number, question in enumerate(asked):
        engine, row = state[number % BUCKETS].engine, Row()
        for own in question.case.views:
            made = views[line_of(own)]
            frame = engine.read(made.name, [f"{number}|{question.ask.keys['who']}"], question.ask.time)
            for mine, series in zip(own.outputs, frame.get_columns(), strict=True):
                row[mine.name] = series[0]
        case = Case(question.case.views, question.case.log, [question.ask])
        assert bits([row]) == bits(ASOF.answers(case)), case


@dataclass(frozen=True)
class Question:
    """One question of a case, with the events that it may see, in the order in which they came."""

    case: Case
    ask: Ask

    @property
    def events(self) -> list[Event]:
        seen = [event for event in self.case.log if event.arrival <= self.ask.time]
        return sorted(seen, key=lambda event: event.arrival)


def records(asked: Sequence[Question], project: hw.Project) -> pl.DataFrame:
    """The events of all questions as records of Kafka, in the buckets of their questions.

    With the columns that are read; the door for JSON takes no dates before 1827 or after 2112, asof does.
    """
    rows: list[tuple[Any, ...]] = []
    encode = msgspec.json.Encoder().encode
    for number, question in enumerate(asked):
        for event in question.events:
            row = {name: event.row[name] for name in read_by(question.case) & event.row.keys()}
            row |= {"who": f"{number}|{event.row['who']}", event.stream.time: iso(event.time)}
            topic = f"{project.name}.{event.stream.name}"
            rows.append((number % BUCKETS, topic, len(rows), event.arrival, encode(row)))
    schema = {
        "bucket": pl.Int32,
        "topic": pl.String,
        "offset": pl.Int64,
        "arrival": pl.Int64,
        "value": pl.Binary,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
