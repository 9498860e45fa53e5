"""A small project for the command line: payments of some customers, and a project file over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

CLOCK = pl.Datetime("us", "UTC")

PROJECT = """\
import polars as pl
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

import headwater as hw

payments = hw.Stream(
    "payments",
    schema={{
        "id": pl.Int64, "who": pl.Int64, "time": pl.Datetime("us", "UTC"),
        "amount": pl.Float64, "kind": pl.Enum(["card", "cash"]), "name": pl.String,
    }},
    {id}
    personal=["name"],
)
behaviour = hw.FeatureView(
    "behaviour", stream=payments, key="who",
    features={{"n": hw.count(over={over}),
              "spent": hw.sum("amount", over="30d"), "amount": hw.last("amount")}},
)
risk = hw.Model(
    "risk",
    features=[behaviour],
    label=hw.happens(payments, where=pl.col("amount") > {limit}, within="10d"),
    observe=hw.every("5d"),
    estimator={estimator},
)
policy = hw.Policy(
    "risk_policy", model=risk, bands={{"calm": 0.0, "watch": 0.3}},
    reasons={{"spent_30d": "Much was spent in the last 30 days", "amount": "The last payment was large"}},
)
project = hw.Project("shop", models=[risk], policies=[policy]{lateness})
"""
ESTIMATOR = "make_pipeline(SimpleImputer(), LogisticRegression())"


def project_text(
    *,
    id: str = 'id="id",',
    over: str = '["7d", "30d"]',
    limit: str = "60",
    estimator: str = ESTIMATOR,
    lateness: str = "",
) -> str:
    """The project file, with something changed."""
    return PROJECT.format(id=id, over=over, limit=limit, estimator=estimator, lateness=lateness)


def payments(customers: int = 30, days: int = 120, seed: int = 3) -> pl.DataFrame:
    """Random payments, ascending by time; some customers pay more than others."""
    random = np.random.default_rng(seed)
    count = customers * days // 4
    who = random.integers(0, customers, count)
    start = 1_767_225_600_000_000  # 2026-01-01
    time = np.sort(start + random.integers(0, days * 86_400, count) * 1_000_000)
    return pl.DataFrame(
        {
            "id": np.arange(count),
            "who": who,
            "time": pl.Series(time).cast(CLOCK),
            "amount": random.gamma(4.0, 3.0 + 0.6 * who).round(2),
            "kind": ["card", "cash"] * (count // 2),
            "name": [f"Ada {w}" for w in who],
        }
    )


def write_csv(frame: pl.DataFrame, path: Path) -> Path:
    """The frame as CSV with times as ISO 8601."""
    frame.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    return path
