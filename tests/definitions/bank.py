"""A small bank: the definitions that the tests of this folder start from."""

from __future__ import annotations

from typing import Any

import polars as pl

import headwater as hw

UTC = pl.Datetime("us", "UTC")


class Guess:
    """The smallest estimator: it has what a model asks for, and parameters to hash."""

    def __init__(self, share: float = 0.5, seed: int | None = None) -> None:
        self.share = share
        self.seed = seed

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - scikit-learn's signature
        return {"share": self.share, "seed": self.seed}

    def fit(self, X: object, y: object) -> Guess:  # noqa: ARG002 - scikit-learn's signature
        return self

    def predict_proba(self, X: object) -> None: ...


transactions = hw.Stream(
    "transactions",
    schema={
        "transaction_id": pl.Int64,
        "account_id": pl.Int64,
        "booked_at": UTC,
        "direction": pl.Enum(["credit", "debit"]),
        "purpose": pl.String,
        "amount": pl.Float64,
        "is_fraud": pl.Boolean,
        "day": pl.Date,
    },
    id="transaction_id",
    time="booked_at",
    personal=["purpose"],
)

behaviour = hw.FeatureView(
    "behaviour",
    stream=transactions,
    key="account_id",
    features={
        "n": hw.count(over=["7d", "30d"]),
        "spent": hw.sum("amount", where=pl.col("direction") == "debit", over="30d"),
        "amount": hw.last("amount"),
    },
)


def model(**changes: Any) -> hw.Model:
    """An early warning on ``behaviour``, with the arguments that a test wants otherwise."""
    arguments: dict[str, Any] = {
        "name": "early_warning",
        "features": [behaviour],
        "label": hw.happens(transactions, where=pl.col("purpose") == "sanction_interest", within="90d"),
        "observe": hw.every("30d"),
        "estimator": Guess(),
    }
    return hw.Model(**(arguments | changes))


policy = hw.Policy("care", model=model(), bands={"healthy": 0.0, "act": 0.5})
project = hw.Project("bank", models=[model()], policies=[policy])

texts = hw.FeatureView(
    "texts",
    transactions,
    "account_id",
    {
        "n": hw.count(where=pl.col("purpose").is_in(["rent", "salary"])),
        "to": hw.last(pl.col("purpose").replace_strict({"rent": "home", "salary": "work"}, default=None)),
    },
)
