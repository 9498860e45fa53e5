"""A few hand-made window features, as a data scientist without Headwater would make them.

Only for the tests of the simulated lender: sums over ``(t - w, t]`` by cumulated sums and binary search,
the last value of a column, and the smallest balance by Polars' rolling window.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
SECOND = 1_000_000
DAY = 86_400  # seconds: everything here counts whole seconds
HEADROOM = 0  # the column of what is left before the limit, in monthly incomes
_WIDE = 2**33  # wider than any time

DEBIT = pl.col("direction") == "debit"
RISKY = pl.col("purpose").is_in(["cash", "gambling"])
MARKS = ("returned_fee", "sanction_interest", "salary", "benefit", "gambling", "transfer_in", "pay_later")


class Windows:
    """Looks back over the transactions of accounts; rows must be ascending by time."""

    def __init__(self, transactions: pl.DataFrame, profiles: pl.DataFrame) -> None:
        self.frame = transactions.sort("account_id", "booked_at")
        self.key = _key(self.frame["account_id"], self.frame["booked_at"])
        self.account = self.frame["account_id"].to_numpy()
        self.profiles = profiles.sort("account_id", "changed_at")
        self.profile_key = _key(self.profiles["account_id"], self.profiles["changed_at"])

    def features(self, account: Int, time: Int) -> Float:
        """Shape (n, features): as of each moment (microseconds), a booking at the moment included."""
        at = account * _WIDE + time // SECOND
        columns = self.money(account, at)
        for days in (3, 10, 30, 90):
            columns += [self.total(at, pl.lit(1.0), days), self.total(at, DEBIT * pl.col("amount"), days)]
        for days in (1, 3, 10, 30):
            columns += [self.total(at, RISKY, days), self.total(at, RISKY * pl.col("amount"), days)]
        columns += [
            self.total(at, pl.col("purpose") == mark, days) for mark in MARKS for days in (12, 33, 90)
        ]
        for mark in ("salary", "benefit", "loan_payment", "sanction_interest"):
            columns.append(self.since(at, pl.col("purpose") == mark))
        return np.column_stack([np.asarray(column, dtype=float) for column in columns])

    def money(self, account: Int, at: Int) -> list[Float]:
        """What is left before the limit: now, at the lowest of 7 and of 33 days; limit; said unemployed."""
        last = np.searchsorted(self.key, at, side="right") - 1
        known = (last >= 0) & (self.account[last] == account)
        row = np.searchsorted(self.profile_key, at, side="right") - 1
        limit = self.profiles["overdraft_limit"].to_numpy()[row]
        income = self.profiles["income"].to_numpy()[row]
        unemployed = (self.profiles["employment"] == "unemployed").to_numpy()[row].astype(float)
        balances = [self.frame["balance"].to_numpy(), self.low(7), self.low(33)]
        left = [np.where(known, (balance[last] + limit) / income, np.nan) for balance in balances]
        return [*left, limit / income, unemployed]

    def total(self, at: Int, column: pl.Expr, days: int) -> Float:
        """Sum of a column over the last days."""
        values = self.frame.with_columns(column.cast(float).alias("value"))["value"].to_numpy()
        running = np.concatenate([[0.0], values.cumsum()])
        upto = np.searchsorted(self.key, at, side="right")
        before = np.searchsorted(self.key, at - days * DAY, side="right")
        result: Float = running[upto] - running[before]
        return result

    def since(self, at: Int, where: pl.Expr) -> Float:
        """Days since the last booking of a kind."""
        key = self.key[self.frame.select(where).to_series().to_numpy()]
        last = np.searchsorted(key, at, side="right") - 1
        known = (last >= 0) & (key[last] // _WIDE == at // _WIDE)
        return np.where(known, (at - key[last]) / DAY, np.nan)

    def low(self, days: int) -> Float:
        """The smallest balance of the last days, at each booking."""
        smallest = pl.col("balance").rolling_min_by("booked_at", window_size=f"{days}d", closed="right")
        return self.frame.select(smallest.over("account_id")).to_series().to_numpy()


def _key(account: pl.Series, time: pl.Series) -> Int:
    key: Int = account.to_numpy() * _WIDE + time.to_physical().to_numpy() // SECOND
    return key
