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
_WIDE = 2**33  # wider than any time


class Windows:
    """Looks back over the transactions of accounts; rows must be ascending by time."""

    def __init__(self, transactions: pl.DataFrame, profiles: pl.DataFrame) -> None:
        self.frame = transactions.with_row_index("row").sort("account_id", "booked_at")
        self.key = _key(self.frame["account_id"], self.frame["booked_at"])
        self.first = self.frame["account_id"].to_numpy()
        self.profiles = profiles.sort("account_id", "changed_at")
        self.profile_key = _key(self.profiles["account_id"], self.profiles["changed_at"])

    def features(self, account: Int, time: Int) -> Float:
        """Shape (n, features): as of each moment, the booking at the moment included."""
        time = time // SECOND
        at = account * _WIDE + time
        debit = pl.col("direction") == "debit"
        risky = pl.col("purpose").is_in(["cash", "gambling"])
        columns = []
        for days in (3, 10, 30, 90):
            columns += [self.total(at, pl.lit(1.0), days), self.total(at, debit * pl.col("amount"), days)]
        for days in (1, 3, 10, 30):
            columns += [self.total(at, risky.cast(float), days), self.total(at, risky * pl.col("amount"), days)]
        for purpose in ("returned_fee", "sanction_interest", "salary", "benefit", "gambling", "transfer_in", "pay_later"):
            for days in (12, 33, 90):
                columns.append(self.total(at, (pl.col("purpose") == purpose).cast(float), days))
        for purpose in ("salary", "benefit", "loan_payment", "sanction_interest"):
            columns.append(self.since(at, time, pl.col("purpose") == purpose))
        where = np.searchsorted(self.key, at, side="right") - 1
        mine = (where >= 0) & (self.first[where] == account)
        balance = np.where(mine, self.frame["balance"].to_numpy()[where], np.nan)
        profile = np.searchsorted(self.profile_key, at, side="right") - 1
        limit = self.profiles["overdraft_limit"].to_numpy()[profile]
        income = self.profiles["income"].to_numpy()[profile]
        unemployed = (self.profiles["employment"] == "unemployed").to_numpy()[profile]
        lows = [np.where(mine, self.low(days)[where], np.nan) for days in (7, 33)]
        headroom = [(value + limit) / income for value in (balance, *lows)]
        moment = pl.Series(time * SECOND).cast(pl.Datetime("us", "UTC")).dt
        columns += [*headroom, limit / income, unemployed, moment.day().to_numpy(), moment.month().to_numpy()]
        return np.column_stack([np.asarray(column, dtype=float) for column in columns])

    def total(self, at: Int, column: pl.Expr, days: int) -> Float:
        """Sum of a column over the last days."""
        values = self.frame.with_columns(column.cast(float).alias("value"))["value"].to_numpy()
        running = np.concatenate([[0.0], values.cumsum()])
        return running[np.searchsorted(self.key, at, side="right")] - running[np.searchsorted(self.key, at - days * DAY, side="right")]

    def since(self, at: Int, time: Int, where: pl.Expr) -> Float:
        """Days since the last booking of a kind."""
        key = self.key[self.frame.select(where).to_series().to_numpy()]
        last = np.searchsorted(key, at, side="right") - 1
        mine = (last >= 0) & (key[last] // _WIDE == at // _WIDE)
        return np.where(mine, (at - key[last]) / DAY, np.nan)

    def low(self, days: int) -> Float:
        """The smallest balance of the last days, at each booking."""
        rolling = self.frame.select(
            pl.col("balance").rolling_min_by("booked_at", window_size=f"{days}d", closed="right").over("account_id")
        )
        return rolling.to_series().to_numpy()


def _key(account: pl.Series, time: pl.Series) -> Int:
    key: Int = account.to_numpy() * _WIDE + time.to_physical().to_numpy() // SECOND
    return key
