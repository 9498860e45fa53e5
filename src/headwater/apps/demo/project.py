"""Early warning: will this account run into sanction interest within 30 days?

This file is all that a user of Headwater writes. From it Headwater keeps every feature fresh as
transactions arrive, builds training sets that cannot leak the future, trains, scores and explains.
"""

import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

import headwater as hw

# What happens: three streams of events.

transactions = hw.Stream(
    "transactions",
    schema={
        "transaction_id": pl.Int64, "account_id": pl.Int64, "booked_at": pl.Datetime("us", "UTC"),
        "direction": pl.Enum(["credit", "debit"]), "purpose": pl.String,
        "amount": pl.Float64, "balance": pl.Float64,
    },
    id="transaction_id",
    time="booked_at",
)  # fmt: skip

profiles = hw.Stream(
    "profiles",
    schema={
        "profile_id": pl.Int64, "account_id": pl.Int64, "changed_at": pl.Datetime("us", "UTC"),
        "income": pl.Float64, "employment": pl.Enum(["employed", "unemployed"]),
        "overdraft_limit": pl.Float64,
    },
    id="profile_id",
    time="changed_at",
)  # fmt: skip

loans = hw.Stream(
    "loans",
    schema={
        "loan_id": pl.Int64, "account_id": pl.Int64, "granted_at": pl.Datetime("us", "UTC"),
        "amount": pl.Float64, "duration_months": pl.Int64, "monthly_payment": pl.Float64,
        "rate": pl.Float64,
    },
    id="loan_id",
    time="granted_at",
)  # fmt: skip

# What is worth knowing of an account, at any moment.

debit = pl.col("direction") == "debit"
purpose = pl.col("purpose")
risky = purpose.is_in(["cash", "gambling"])

behaviour = hw.FeatureView(
    "behaviour",
    stream=transactions,
    key="account_id",
    features={
        "n": hw.count(over=["3d", "10d", "30d", "90d"]),
        "spent": hw.sum("amount", where=debit, over=["3d", "10d", "30d", "90d"]),
        "received": hw.sum("amount", where=~debit, over=["30d", "90d"]),
        "balance": hw.last("balance"),
        "balance_min": hw.min("balance", over=["10d", "30d"]),
        "since_salary": hw.since_last(where=purpose == "salary"),
        "since_loan_payment": hw.since_last(where=purpose == "loan_payment"),
    },
)

alarms = hw.FeatureView(
    "alarms",
    stream=transactions,
    key="account_id",
    features={
        "risky": hw.count(where=risky, over=["1d", "3d", "10d", "30d"]),
        "risky_spent": hw.sum("amount", where=risky, over=["3d", "10d"]),
        "gambling": hw.count(where=purpose == "gambling", over=["10d", "30d", "90d"]),
        "pay_later": hw.count(where=purpose == "pay_later", over=["10d", "30d", "90d"]),
        "transfers_in": hw.count(where=purpose == "transfer_in", over="30d"),
        "salaries": hw.count(where=purpose == "salary", over=["35d", "90d"]),
        "benefits": hw.count(where=purpose == "benefit", over=["35d", "90d"]),
        "returned": hw.count(where=purpose == "returned_fee", over=["30d", "90d"]),
        "sanctions": hw.count(where=purpose == "sanction_interest", over=["10d", "30d", "90d"]),
        "since_sanction": hw.since_last(where=purpose == "sanction_interest"),
    },
)

customer = hw.FeatureView(
    "customer",
    stream=profiles,
    key="account_id",
    features={
        "income": hw.last("income"),
        "overdraft_limit": hw.last("overdraft_limit"),
        "unemployed": hw.last(pl.col("employment") == "unemployed"),
    },
)

debt = hw.FeatureView(
    "debt",
    stream=loans,
    key="account_id",
    features={"instalment": hw.last("monthly_payment"), "since_loan": hw.since_last()},
)

# What is to be foreseen, when to look, and how it is learned.

early_warning = hw.Model(
    "early_warning",
    features=[behaviour, alarms, customer, debt],
    derived={
        "headroom": (pl.col("balance") + pl.col("overdraft_limit")) / pl.col("income"),
        "headroom_low": (pl.col("balance_min_30d") + pl.col("overdraft_limit")) / pl.col("income"),
        "pace": pl.col("spent_10d") / pl.col("income"),
        "burn": (pl.col("spent_30d") - pl.col("received_30d")) / pl.col("income"),
    },
    label=hw.happens(transactions, where=purpose == "sanction_interest", within="30d"),
    observe=hw.each(transactions, where=pl.col("transaction_id") % 8 == 0),  # one in eight is enough
    estimator=HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.08, max_leaf_nodes=15, min_samples_leaf=100, random_state=7
    ),
    retrain=hw.rolling(every="7d", window="730d"),
)

policy = hw.Policy(
    "early_warning_policy",
    model=early_warning,
    bands={"healthy": 0.0, "watch": 0.08, "act": 0.25},  # outcome -> lowest score that gets it
    reasons={
        "headroom": "Little is left before the overdraft limit",
        "balance": "Little is left before the overdraft limit",
        "headroom_low": "The account came close to its limit in the last 30 days",
        "balance_min_10d": "The account came close to its limit in the last 10 days",
        "balance_min_30d": "The account came close to its limit in the last 30 days",
        "pace": "Much was spent in the last 10 days",
        "spent_3d": "Much was spent in the last three days",
        "spent_10d": "Much was spent in the last 10 days",
        "burn": "More was spent than received in the last 30 days",
        "n_3d": "Many bookings in the last three days",
        "risky_1d": "Cash withdrawals or gambling today",
        "risky_3d": "Cash withdrawals or gambling in the last three days",
        "risky_10d": "Cash withdrawals or gambling in the last 10 days",
        "risky_30d": "Cash withdrawals or gambling in the last 30 days",
        "risky_spent_3d": "Cash withdrawals or gambling in the last three days",
        "risky_spent_10d": "Cash withdrawals or gambling in the last 10 days",
        "gambling_30d": "Gambling in the last 30 days",
        "gambling_90d": "Gambling in the last 90 days",
        "pay_later_10d": "Purchases on instalments in the last 10 days",
        "pay_later_30d": "Purchases on instalments in the last 30 days",
        "pay_later_90d": "Purchases on instalments in the last 90 days",
        "since_salary": "The last salary was long ago",
        "salaries_35d": "No salary in the last 35 days",
        "benefits_35d": "Benefits instead of a salary",
        "benefits_90d": "Benefits instead of a salary",
        "unemployed": "The work was lost",
        "returned_30d": "A direct debit was returned in the last 30 days",
        "returned_90d": "A direct debit was returned in the last 90 days",
        "sanctions_10d": "Sanction interest was charged in the last 10 days",
        "sanctions_30d": "Sanction interest was charged in the last 30 days",
        "sanctions_90d": "Sanction interest was charged in the last 90 days",
        "since_sanction": "Sanction interest was charged before",
        "instalment": "A loan's instalment is due every month",
        "income": "The income leaves little room",
        "overdraft_limit": "The agreed overdraft is small",
    },
)

project = hw.Project("early_warning", models=[early_warning], policies=[policy])
