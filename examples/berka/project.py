"""Berka: will this loan go bad? Asked on the day it is granted, from the account's bookings until then.

Bookings carry a date and no time of day. A day's bookings are known at its end, one microsecond apart in
the order of the running balance; a loan is decided at the beginning of its day. So a loan sees the whole of
yesterday and nothing of its own day, on which its payout might be booked. ``run.py`` stamps them so.
"""

from datetime import UTC, datetime

import polars as pl
from lightgbm import LGBMClassifier

import headwater as hw

transactions = hw.Stream(
    "transactions",
    schema={
        "trans_id": pl.Int64, "account_id": pl.Int64, "booked_at": pl.Datetime("us", "UTC"),
        "direction": pl.Enum(["credit", "debit"]), "operation": pl.String, "purpose": pl.String,
        "amount": pl.Float64, "balance": pl.Float64,
    },
    id="trans_id",
    time="booked_at",
)  # fmt: skip

loans = hw.Stream(
    "loans",
    schema={
        "loan_id": pl.Int64, "account_id": pl.Int64, "granted_at": pl.Datetime("us", "UTC"),
        "amount": pl.Float64, "duration_months": pl.Int64, "monthly_payment": pl.Float64,
        "is_bad": pl.Boolean,
    },
    id="loan_id",
    time="granted_at",
)  # fmt: skip

debit = pl.col("direction") == "debit"
purpose = pl.col("purpose")
paid_in = ~debit & (purpose != "interest_credited").fill_null(value=True)

account = hw.FeatureView(
    "account",
    stream=transactions,
    key="account_id",
    features={
        # Has it ever been in the red, and did the bank charge for it?
        "overdrawn": hw.count(where=pl.col("balance") < 0),
        "sanctions": hw.count(where=purpose == "sanction_interest_negative_balance"),
        # How much is left, how low does it get, how much does it swing?
        "balance": hw.last("balance"),
        "balance_min": hw.min("balance", over=["30d", "90d", "180d", None]),
        "balance_low": hw.quantile("balance", q=0.1, over="180d"),
        "balance_mean": hw.mean("balance", over=["90d", "180d"]),
        "balance_std": hw.std("balance", over="180d"),
        # What comes in, how regularly, and what goes out?
        "received": hw.sum("amount", where=paid_in, over=["30d", "90d"]),
        "income_mean": hw.mean("amount", where=paid_in, over="180d"),
        "income_std": hw.std("amount", where=paid_in, over="180d"),
        "spent": hw.sum("amount", where=debit, over=["30d", "90d"]),
        "household": hw.sum("amount", where=purpose == "household_payment", over="90d"),
        # Not the account's age: accounts are oldest for the loans of 1998, which had no time to go bad.
    },
)

instalment = pl.col("monthly_payment")
income = pl.col("received_90d") / 3  # a month

# The file holds the bookings of all accounts until the end of March 1994, and those before the grant for the
# loans of 1997 and 1998. Loans in between lack bookings, so they are not observed.
whole_history = (pl.col("granted_at") <= datetime(1994, 3, 31, tzinfo=UTC)) | (
    pl.col("granted_at") >= datetime(1997, 1, 1, tzinfo=UTC)
)

loan_default = hw.Model(
    "loan_default",
    features=[account],
    request=["amount", "duration_months", "monthly_payment"],
    derived={
        "instalment_to_income": instalment / income,
        "surplus_to_instalment": (income - pl.col("spent_90d") / 3) / instalment,
        "burn_30d": pl.col("spent_30d") / pl.col("received_30d"),
        "burn_90d": pl.col("spent_90d") / pl.col("received_90d"),
        "cushion_90d": pl.col("balance_min_90d") / instalment,
        "cushion_180d": pl.col("balance_min_180d") / instalment,
        "cushion_low": pl.col("balance_low_180d") / instalment,
        "volatility": pl.col("balance_std_180d") / pl.col("balance_mean_180d"),
        "irregularity": pl.col("income_std_180d") / pl.col("income_mean_180d"),
        "loan_to_balance": pl.col("amount") / pl.col("balance_mean_180d"),
        "household_share": pl.col("household_90d") / pl.col("received_90d"),
    },
    label=hw.outcome("is_bad"),
    observe=hw.each(loans, where=whole_history),
    estimator=LGBMClassifier(  # shallow and slow: there are 35 bad loans to learn from
        n_estimators=200,
        learning_rate=0.03,
        max_depth=3,
        num_leaves=7,
        min_child_samples=10,
        subsample=0.7,
        subsample_freq=1,
        colsample_bytree=0.4,
        reg_lambda=5.0,
        n_jobs=1,
        random_state=0,
        verbose=-1,
    ),
)

project = hw.Project("berka", models=[loan_default])
