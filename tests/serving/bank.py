"""A small bank with a trained model, for tests of serving: two streams, one account key, one policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

import headwater as hw
from headwater.core.instant import instant
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.serving.live import Live
from headwater.serving.scoring import Scoring
from headwater.testing import at, events
from headwater.training.train import Plan, train

CLOCK = pl.Datetime("us", "UTC")
DAY = 86_400_000_000

PAYMENTS = hw.Stream(
    "payments",
    {"id": pl.Int64, "who": pl.Int64, "time": CLOCK, "amount": pl.Float64, "way": pl.Enum(["card", "cash"])},
    id="id",
)
PROFILES = hw.Stream("profiles", {"who": pl.Int64, "time": CLOCK, "income": pl.Float64, "job": pl.String})

SPENDING = hw.FeatureView(
    "spending",
    PAYMENTS,
    "who",
    {
        "n": hw.count(over=["7d", "30d"]),
        "spent": hw.sum("amount", over=["7d", "30d"]),
        "largest": hw.max("amount", over="30d"),
        "since_cash": hw.since_last(where=pl.col("way") == "cash"),
        "way": hw.last("way"),
    },
)
PERSON = hw.FeatureView("person", PROFILES, "who", {"income": hw.last("income"), "job": hw.last("job")})


def model(**changes: Any) -> hw.Model:
    """Will this account pay more than 90 at once within ten days?"""
    arguments: dict[str, Any] = {
        "name": "risk",
        "features": [SPENDING, PERSON],
        "derived": {"pace": pl.col("spent_7d") / pl.col("income")},
        "label": hw.happens(PAYMENTS, pl.col("amount") > 90, within="10d"),
        "observe": hw.each(PAYMENTS),
        "estimator": HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=7, random_state=0),
    }
    return hw.Model(**(arguments | changes))


RISK = model()
POLICY = hw.Policy(
    "lend",
    RISK,
    bands={"healthy": 0.0, "watch": 0.2, "act": 0.5},
    reasons={"spent_7d": "Much was spent", "spent_30d": "Much was spent", "pace": "Much was spent"},
)
PROJECT = hw.Project("bank", models=[RISK], policies=[POLICY])


def micros(day: float) -> int:
    """So many days after 2026-01-01, in microseconds."""
    return instant(at()) + int(day * DAY)


def payment(id: int, who: int, day: float, amount: float = 10.0, way: str | None = "card") -> pl.DataFrame:
    """One payment."""
    when = at() + timedelta(days=day)
    return events(PAYMENTS, {"id": id, "who": who, "time": when, "amount": amount, "way": way})


def profile(who: int, day: float, income: float = 50.0, job: str | None = "baker") -> pl.DataFrame:
    """One profile."""
    return events(PROFILES, {"who": who, "time": at() + timedelta(days=day), "income": income, "job": job})


@cache
def history(accounts: int = 20, days: int = 100, seed: int = 0) -> dict[str, pl.DataFrame]:
    """Random payments and profiles: those who spend more are likelier to pay 90 at once."""
    random = np.random.default_rng(seed)
    count = accounts * days // 3
    who = random.integers(0, accounts, count)
    time = np.sort(micros(0) + random.integers(0, days * DAY, count))
    payments = pl.DataFrame(
        {
            "id": np.arange(count),
            "who": who,
            "time": pl.Series(time).cast(CLOCK),
            "amount": random.gamma(3.0, 4.0 + 1.2 * who),
            "way": random.choice(["card", "cash"], count),
        },
        schema=dict(PAYMENTS.schema),
    )
    profiles = pl.concat(
        profile(w, 0.5, 20.0 + 5 * (w % 5), ["baker", "smith", None][w % 3]) for w in range(accounts)
    )
    return {"payments": payments, "profiles": profiles}


@cache
def scoring(kind: hw.Model = RISK, seed: int = 0) -> Scoring:
    """The model, trained on the history, ready to serve."""
    project = hw.Project("bank", models=[kind])
    given = {stream.name: history(seed=seed)[stream.name] for stream in project.streams}
    trained = train(project, None, given, None, now=0, plan=Plan(bootstrap=0))
    return Scoring(kind, trained.artifact, f"digest of {kind.name} {seed}", trained.scorer)


@contextmanager
def log(folder: Path, *, past: bool = True) -> Iterator[EmbeddedLog]:
    """A log with the history, all of it arrived when it happened."""
    with EmbeddedLog.open(folder / "events.log", PROJECT.streams) as made:
        if past:
            first = history()
            made.append("profiles", first["profiles"], arrival=micros(0.6))
            payments = first["payments"].filter(pl.col("time") >= at() + timedelta(days=1))
            made.append("payments", payments, arrival=payments["time"].to_physical().to_numpy())
        yield made


def live(log: EmbeddedLog, *served: Scoring) -> Live:
    """Live on a log, caught up."""
    made = Live(log, Engine(PROJECT.views), served or [scoring()])
    made.catch_up()
    return made
