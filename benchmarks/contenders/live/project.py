"""The project that is served: 40 windowed features of payments, a forest of 200 trees, four reasons."""

import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

import headwater as hw

SPANS = ["1d", "3d", "7d", "30d", "90d"]

payments = hw.Stream(
    "payments",
    {
        "id": pl.Int64,
        "who": pl.Int64,
        "time": pl.Datetime("us", "UTC"),
        "amount": pl.Float64,
        "balance": pl.Float64,
        "way": pl.Enum(["card", "cash", "transfer"]),
    },
    id="id",
)

cash = pl.col("way") == "cash"

spending = hw.FeatureView(
    "spending",
    payments,
    "who",
    {
        "n": hw.count(over=SPANS),
        "n_cash": hw.count(where=cash, over=SPANS),
        "spent": hw.sum("amount", over=SPANS),
        "spent_cash": hw.sum("amount", where=cash, over=SPANS),
        "usual": hw.mean("amount", over=SPANS),
        "largest": hw.max("amount", over=SPANS),
        "least": hw.min("balance", over=SPANS),
        "spread": hw.std("amount", over=SPANS),
    },
)

risk = hw.Model(
    "risk",
    features=[spending],
    label=hw.happens(payments, pl.col("balance") < 0, within="10d"),
    observe=hw.each(payments, where=pl.col("id") % 10 == 0),
    estimator=HistGradientBoostingClassifier(
        max_iter=200, max_leaf_nodes=31, min_samples_leaf=5, early_stopping=False, random_state=0
    ),
)

policy = hw.Policy(
    "lend",
    risk,
    bands={"healthy": 0.0, "watch": 0.2, "act": 0.5},
    reasons={output.name: f"What {output.name} says" for output in spending.outputs},
    max_reasons=4,
)

project = hw.Project("bank", models=[risk], policies=[policy])
