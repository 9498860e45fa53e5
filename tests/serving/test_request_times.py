"""Dates and times that a request brings: decided on, recorded as text, replayed to the bit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

import headwater as hw
from headwater.core.errors import DataError
from headwater.log.embedded import EmbeddedLog
from headwater.serving.decide import Decider
from headwater.serving.recall import recalled, told
from headwater.serving.replay import replay
from headwater.serving.scoring import Scoring
from headwater.serving.service import Service
from headwater.store.decision import Decision
from headwater.store.folder import DataFolder
from headwater.testing import ManualClock, at
from headwater.training.train import Plan, train
from tests.serving.bank import CLOCK, DAY, micros

CLAIMS = hw.Stream(
    "claims",
    {
        "id": pl.Int64,
        "who": pl.Int64,
        "time": CLOCK,
        "born": pl.Date,
        "due": pl.Datetime("ms", "Europe/Berlin"),
        "amount": pl.Float64,
        "fraud": pl.Boolean,
    },
    id="id",
)
HISTORY = hw.FeatureView("history", CLAIMS, "who", {"n": hw.count(over="90d"), "born": hw.last("born")})
FRAUD = hw.Model(
    "fraud",
    features=[
        hw.FeatureView("history", CLAIMS, "who", {"n": hw.count(over="90d"), "last": hw.last("born")}),
    ],
    request=["time", "born", "due", "amount"],
    derived={
        "age": (pl.col("time").dt.date() - pl.col("born")).dt.total_days(),
        "moved": (pl.col("born") - pl.col("last")).dt.total_days(),
        "hour": pl.col("due").dt.hour(),  # by the clock of its zone
        "wait": (pl.col("due").dt.epoch("us") - pl.col("time").dt.epoch("us")) / 1e6,
    },
    label=hw.outcome("fraud", known_after="1d"),
    observe=hw.each(CLAIMS),
    estimator=HistGradientBoostingClassifier(max_iter=10, max_leaf_nodes=5, random_state=0),
)
POLICY = hw.Policy("pay", FRAUD, {"pay": 0.0, "look": 0.3})
PROJECT = hw.Project("insurer", [FRAUD], [POLICY])


@cache
def past() -> pl.DataFrame:
    random = np.random.default_rng(3)
    count = 600
    when = np.sort(micros(0) + random.integers(0, 100 * DAY, count))
    born = random.integers(0, 20_000, count)
    return pl.DataFrame(
        {
            "id": np.arange(count),
            "who": random.integers(0, 20, count),
            "time": pl.Series(when).cast(CLOCK),
            "born": pl.Series(born.astype(np.int32)).cast(pl.Date),
            "due": pl.Series((when + random.integers(0, 30 * DAY, count)) // 1_000)
            .cast(pl.Datetime("ms", "UTC"))
            .dt.convert_time_zone("Europe/Berlin"),
            "amount": random.gamma(2.0, 100.0, count),
            "fraud": born > random.integers(10_000, 20_000, count),
        },
        schema=dict(CLAIMS.schema),
    )


@cache
def scoring() -> Scoring:
    trained = train(PROJECT, None, {"claims": past()}, None, now=0, plan=Plan(bootstrap=0))
    return Scoring(FRAUD, trained.artifact, "digest of fraud", trained.scorer)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with EmbeddedLog.open(tmp_path / "events.log", PROJECT.streams) as log:
        log.append("claims", past(), arrival=past()["time"].cast(pl.Int64).to_numpy())
    with Service.open(
        PROJECT,
        DataFolder(tmp_path),
        {"fraud": scoring()},
        clock=ManualClock(micros(101)).now,
        stopwatch=time.perf_counter_ns,
    ) as made:
        yield made


REQUEST = {
    "time": "2026-04-11T10:00:00.000001Z",
    "born": "1996-02-29",
    "due": "2026-03-29T03:30:00.250+02:00",
    "amount": 50,
}
REQUESTS: list[dict[str, Any]] = [
    REQUEST,
    REQUEST | {"due": "2026-10-25T02:30:00+01:00"},  # the second of two clocks that show half past two
    REQUEST | {"due": "2026-10-25T02:30:00+02:00"},
    REQUEST | {"born": None, "due": None},
    REQUEST | {"born": "1830-01-01", "due": "2110-12-31T23:59:59.999Z", "time": "1900-01-01T00:00:00Z"},
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_recorded_as_text_and_replayed_to_the_bit(service: Service, request_: dict[str, Any]) -> None:
    made = service.decide(None, {"who": 3}, request_)
    again = service.decisions.get(made.id)
    assert again.decision == made.decision
    assert all(value is None or isinstance(value, str | float) for value in again.decision.request.values())
    assert again.decision.features["moved"] is not None or request_["born"] is None
    found = replay(again.decision, service.log, Decider(POLICY, scoring()))
    assert found.same, found.words()
    assert found.now.canonical() == made.decision.canonical()
    assert service.decisions.verify() == made.number


def test_one_text_for_one_instant(service: Service) -> None:
    """However the request wrote it: the record, its digest and the features are the same."""
    texts = ["2026-03-29T03:30:00+02:00", "2026-03-29T01:30:00Z", "2026-03-29T01:30:00.000000+00:00"]
    made = [service.decide(None, {"who": 3}, REQUEST | {"due": text}).decision for text in texts]
    assert {one.request["due"] for one in made} == {"2026-03-29T01:30:00Z"}
    assert {json.dumps(dict(one.features)) for one in made} == {json.dumps(dict(made[0].features))}
    assert made[0].features["hour"] == 3
    assert len({one.asked() for one in made}) == 1


def test_the_zone_counts(service: Service) -> None:
    first, second = (service.decide(None, {"who": 3}, one).decision for one in REQUESTS[1:3])
    assert (first.features["hour"], second.features["hour"]) == (2, 2)
    assert first.features["wait"] != second.features["wait"]


def test_a_text_comes_back_as_the_value_that_it_was() -> None:
    due = pl.Series([1_774_747_800_250])
    values = {
        "time": datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=1),
        "born": date(9999, 12, 31),
        "due": due.cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone("Europe/Berlin")[0],
        "amount": 0.1,
    }
    assert recalled(FRAUD, told(values)) == values
    assert recalled(FRAUD, values) == values
    assert str(recalled(FRAUD, told(values))["due"].tzinfo) == "Europe/Berlin"


@pytest.mark.parametrize(("name", "value"), [("born", "no date"), ("due", "2026-01-01"), ("amount", "5")])
def test_a_record_that_another_definition_cannot_read(service: Service, name: str, value: str) -> None:
    made = service.decide(None, {"who": 3}, REQUEST).decision
    form = made.to_json()
    form["request"][name] = value
    with pytest.raises(DataError, match="a decision's request column is of another type"):
        replay(Decision.from_json(form), service.log, Decider(POLICY, scoring()))


def test_what_is_no_time_is_refused(service: Service) -> None:
    for name, value in (("born", "2026-02-30"), ("due", "2026-01-01T00:00:00"), ("time", 5)):
        with pytest.raises(DataError):
            service.decide(None, {"who": 3}, REQUEST | {name: value})


def test_today_in_a_request(service: Service) -> None:
    """The bank's own clock is no part of a value."""
    one = service.decide(None, {"who": 3}, REQUEST | {"time": at().isoformat()}).decision
    assert one.request["time"] == "2026-01-01T00:00:00Z"
