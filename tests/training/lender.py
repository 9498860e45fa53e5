"""A small lender: payments of some accounts, drawn on a line or at random, and models over them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

import headwater as hw
from headwater.core.instant import instant
from headwater.testing import at, events

CLOCK = pl.Datetime("us", "UTC")
PAYMENTS = hw.Stream(
    "payments",
    {"id": pl.Int64, "who": pl.String, "time": CLOCK, "amount": pl.Float64, "bad": pl.Boolean},
    id="id",
)
BEHAVIOUR = hw.FeatureView(
    "behaviour",
    PAYMENTS,
    key="who",
    features={"n": hw.count(), "spent": hw.sum("amount", over="30d"), "last": hw.last("amount")},
)


def day(number: float) -> int:
    """So many days after 2026-01-01, which is a multiple of one day since 1970, as microseconds."""
    return instant(at()) + int(number * 86_400_000_000)


def payments(*drawn: tuple[float, str, float] | tuple[float, str, float, bool | None]) -> pl.DataFrame:
    """Payments drawn as (day, who, amount) or (day, who, amount, bad)."""
    rows = [
        {"time": at() + timedelta(days=d), "who": who, "amount": amount, "bad": bad[0] if bad else False}
        for d, who, amount, *bad in drawn
    ]
    return events(PAYMENTS, *rows)


def model(**changes: Any) -> hw.Model:
    """Will this account pay more than 100 at once within ten days? Asked daily unless changed."""
    arguments: dict[str, Any] = {
        "name": "risk",
        "features": [BEHAVIOUR],
        "label": hw.happens(PAYMENTS, pl.col("amount") > 100, within="10d"),
        "observe": hw.every("1d"),
        "estimator": LogisticRegression(),
    }
    return hw.Model(**(arguments | changes))


def many(accounts: int = 40, days: int = 200, seed: int = 0) -> pl.DataFrame:
    """Random payments: some accounts pay more than others, and so are likelier to pay 100 at once."""
    random = np.random.default_rng(seed)
    count = accounts * days // 4
    who = random.integers(0, accounts, count)
    size = random.gamma(6.0, 2.0 + 0.7 * (who % 40))
    time = np.sort(day(0) + random.integers(0, days * 86_400_000_000, count))
    return pl.DataFrame(
        {
            "id": np.arange(count),
            "who": [f"account {w}" for w in who],
            "time": pl.Series(time).cast(CLOCK),
            "amount": size,
            "bad": random.random(count) < size / 600,
        },
        schema=dict(PAYMENTS.schema),
    )


def days(times: Sequence[int] | np.ndarray) -> list[float]:
    """Instants as days after 2026-01-01."""
    return [(int(time) - day(0)) / 86_400_000_000 for time in times]
