"""A small lender for the loop: payments whose risk follows the amount, until one day it follows the reverse.

day 0 ........................ TURN ........................ END
      large amounts go bad            small amounts go bad
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

import headwater as hw
from headwater.core.instant import DAY, instant
from headwater.testing import at

CLOCK = pl.Datetime("us", "UTC")
TURN = 120
PAYMENTS = hw.Stream(
    "payments",
    {
        "id": pl.Int64,
        "who": pl.Int64,
        "time": CLOCK,
        "amount": pl.Float64,
        "channel": pl.Enum(["shop", "web"]),
        "sex": pl.String,
        "bad": pl.Boolean,
    },
    id="id",
)
BEHAVIOUR = hw.FeatureView(
    "behaviour",
    PAYMENTS,
    key="who",
    features={"n": hw.count(over="30d"), "spent": hw.sum("amount", over="30d")},
)
REASONS = {"amount": "The amount is unusual", "n_30d": "Many payments", "spent_30d": "Much was spent"}


def day(number: float) -> int:
    """So many days after 2026-01-01, microseconds."""
    return instant(at()) + int(number * DAY)


def model(**changes: Any) -> hw.Model:
    """Will this payment go bad? Known after a week; trained every week on the last two months."""
    arguments: dict[str, Any] = {
        "name": "risk",
        "features": [BEHAVIOUR],
        "label": hw.outcome("bad", known_after="7d"),
        "observe": hw.each(PAYMENTS),
        "estimator": LogisticRegression(C=100.0, max_iter=1000),
        "request": ["amount", "channel"],
        "retrain": hw.rolling(every="7d", window="60d"),
    }
    return hw.Model(**(arguments | changes))


def project(**changes: Any) -> hw.Project:
    """The model with a policy of three bands."""
    risk = model(**changes)
    policy = hw.Policy("care", risk, {"pay": 0.0, "ask": 0.25, "stop": 0.5}, REASONS)
    return hw.Project("lender", [risk], [policy])


def payments(
    days: int = 200,
    *,
    a_day: int = 40,
    people: int = 80,
    turn: int = TURN,
    noise: float = 0.0,
    start: int = 0,
    seed: int = 0,
) -> pl.DataFrame:
    """Random payments, ascending by time.

    Args:
        days: how many.
        a_day: payments on each.
        people: how many pay.
        turn: from this day on small amounts go bad instead of large ones.
        noise: share of outcomes that are drawn by a coin instead.
        start: the first day.
        seed: of everything.
    """
    random = np.random.default_rng(seed)
    count = days * a_day
    who = random.integers(0, people, count)
    when = np.sort(random.random(count)) * days + start
    size = random.normal(0.0, 1.0, count)
    slope = np.where(when < turn, 2.0, -2.0)
    bad = random.random(count) < 1 / (1 + np.exp(-(slope * size - 1.0)))
    coin = random.random(count) < noise
    bad = np.where(coin, random.random(count) < 0.5, bad)
    return pl.DataFrame(
        {
            "id": np.arange(count) + start * 1_000_000,
            "who": who,
            "time": pl.Series(day(0) + (when * DAY).astype(np.int64)).cast(CLOCK),
            "amount": 100 + 30 * size,
            "channel": np.where(random.random(count) < 0.5, "shop", "web"),
            "sex": np.where(who % 2 == 0, "f", "m"),
            "bad": bad,
        },
        schema=dict(PAYMENTS.schema),
    )


PROJECT = """\
import polars as pl
from sklearn.linear_model import LogisticRegression

import headwater as hw

payments = hw.Stream(
    "payments",
    {
        "id": pl.Int64, "who": pl.Int64, "time": pl.Datetime("us", "UTC"), "amount": pl.Float64,
        "channel": pl.Enum(["shop", "web"]), "sex": pl.String, "bad": pl.Boolean,
    },
    id="id",
)
behaviour = hw.FeatureView(
    "behaviour", payments, key="who",
    features={"n": hw.count(over="30d"), "spent": hw.sum("amount", over="30d")},
)
risk = hw.Model(
    "risk", [behaviour], label=hw.outcome("bad", known_after="7d"), observe=hw.each(payments),
    estimator=LogisticRegression(C=100.0, max_iter=1000), request=["amount", "channel"],
    retrain=hw.rolling(every="7d", window="60d"),
)
care = hw.Policy("care", risk, {"pay": 0.0, "ask": 0.25, "stop": 0.5})
project = hw.Project("lender", models=[risk], policies=[care])
"""


def write_place(folder: Path, days: int = 200) -> None:
    """A project file and its payments, to be imported."""
    (folder / "project.py").write_text(PROJECT, encoding="utf-8")
    payments(days).write_csv(folder / "payments.csv", datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
