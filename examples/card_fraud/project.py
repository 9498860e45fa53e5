"""Card fraud: is this payment fraudulent? After the Fraud Detection Handbook's simulated transactions.

Whether a payment was fraud comes to light a week later. So every feature that reads it looks through a
window that ends a week before now (``delay``), and the label is known a week after the payment.
"""

import polars as pl
from lightgbm import LGBMClassifier

import headwater as hw

transactions = hw.Stream(
    "transactions",
    schema={
        "transaction_id": pl.Int32, "event_at": pl.Datetime("us", "UTC"),
        "customer_id": pl.Int16, "terminal_id": pl.Int16, "amount": pl.Float64, "is_fraud": pl.Int8,
    },
    id="transaction_id",
    time="event_at",
)  # fmt: skip

KNOWN_AFTER = "7d"
WINDOWS = ["1d", "7d", "30d"]

amount = pl.col("amount")
fraud = pl.col("is_fraud") == 1

# The twelve features of the handbook.

customer = hw.FeatureView(
    "customer",
    stream=transactions,
    key="customer_id",
    features={
        "customer_n": hw.count(over=WINDOWS),
        "customer_mean": hw.mean("amount", over=WINDOWS),
    },
)

terminal = hw.FeatureView(
    "terminal",
    stream=transactions,
    key="terminal_id",
    features={
        "terminal_n": hw.count(over=WINDOWS, delay=KNOWN_AFTER),
        "terminal_risk": hw.mean("is_fraud", over=WINDOWS, delay=KNOWN_AFTER),
    },
)

# What a fraud analyst would ask besides: is this amount usual for the customer, were the last days, and
# how long has the terminal been in trouble, as far as is known?

habits = hw.FeatureView(
    "habits",
    stream=transactions,
    key="customer_id",
    features={
        "usual": hw.quantile("amount", q=0.5, over="90d"),
        "spread": hw.std("amount", over="90d"),
        "highest": hw.max("amount", over="7d"),
    },
)

trouble = hw.FeatureView(
    "trouble",
    stream=transactions,
    key="terminal_id",
    features={
        "frauds": hw.count(where=fraud, over=["7d", "28d"], delay=KNOWN_AFTER),
        "frauds_decayed": hw.decayed_count(where=fraud, half_life="7d", delay=KNOWN_AFTER),
        "last_was_fraud": hw.last("is_fraud", delay=KNOWN_AFTER),
        "since_fraud": hw.since_last(where=fraud, over="30d", delay=KNOWN_AFTER),
        "since_good": hw.since_last(where=~fraud, over="30d", delay=KNOWN_AFTER),
        "since_first_fraud": hw.since_first(where=fraud, over="28d", delay=KNOWN_AFTER),
    },
)

card_fraud = hw.Model(
    "card_fraud",
    features=[customer, terminal, habits, trouble],
    request=["amount", "event_at"],
    derived={
        "weekend": pl.col("event_at").dt.weekday() >= 6,
        "night": pl.col("event_at").dt.hour() <= 6,
        "over_usual": amount / pl.col("usual_90d"),
        "surprise": (amount - pl.col("usual_90d")) / pl.col("spread_90d"),
        "highest_over_usual": pl.col("highest_7d") / pl.col("usual_90d"),
        "week_over_usual": pl.col("customer_mean_7d") / pl.col("usual_90d"),
        "day_over_usual": pl.col("customer_mean_1d") / pl.col("usual_90d"),
    },
    label=hw.outcome("is_fraud", known_after=KNOWN_AFTER),
    observe=hw.each(transactions),
    estimator=LGBMClassifier(
        n_estimators=100,
        learning_rate=0.05,
        num_leaves=31,
        min_child_samples=30,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.6,
        reg_lambda=5.0,
        n_jobs=1,  # threads that wait for one another cost more than they bring
        random_state=0,
        verbose=-1,
    ),
    retrain=hw.rolling(every="7d", window="7d"),
)

project = hw.Project("card_fraud", models=[card_fraud])
