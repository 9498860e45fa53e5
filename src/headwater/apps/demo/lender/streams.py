"""The lender's other streams: loans granted, how they fare, and what the bank knows of its customers.

Called by ``simulate`` after the walk. Nothing here moves money or changes a chance: instalments are
booked by the walk, and the bank learns of lost work weeks after it happened, if at all.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from headwater.apps.demo.lender.calendar import Calendar
from headwater.apps.demo.lender.moves import Int
from headwater.apps.demo.lender.people import People
from headwater.apps.demo.lender.terms import CODE, DAY_SECONDS, DUE, JOBLESS, LOAN_DAY, SALARY
from headwater.apps.demo.lender.walk import Path

EMPLOYMENT = pl.Enum(["employed", "unemployed"])
STATUS = pl.Enum(["in_arrears", "default"])
MISSED = 3  # instalments missed in a row: the loan is in default
_RATE = 0.079  # a year; the regime adds to it
_NOTICE = (8, 45)  # days until the bank hears of a change of work
_HEARD = 0.65  # share of such changes that it hears of


def _moment(second: Int, calendar: Calendar) -> pl.Series:
    micros = pl.Series((second + calendar.epoch_seconds) * 1_000_000, dtype=pl.Int64)
    return micros.cast(pl.Datetime("us", "UTC"))


def loans(who: People, calendar: Calendar) -> pl.DataFrame:
    """One event per grant. The money goes straight to the seller; the instalments come from the account."""
    book = who.loans.sort("granted")
    account, duration = book["account"].to_numpy(), book["duration"].to_numpy()
    granted = book["granted"].to_numpy()
    regime = np.array([calendar.weather(calendar.month(int(s) // DAY_SECONDS)).regime for s in granted])
    rate = _RATE + 0.035 * regime
    payment = book["units"].to_numpy() * who.unit[account]
    worth = payment * (1 - (1 + rate / 12) ** -duration) / (rate / 12)
    return pl.DataFrame({
        "loan_id": np.arange(1, len(book) + 1),
        "account_id": account + 1,
        "granted_at": _moment(granted, calendar),
        "amount": np.rint(worth) / 100,
        "duration_months": duration,
        "monthly_payment": payment / 100,
        "rate": rate.round(4),
    })  # fmt: skip


def loan_status(path: Path, grants: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """One event when a loan falls into arrears (a first missed instalment), one when it defaults."""
    due = (path.slot == DUE) & np.isin(path.kind, [CODE["loan_payment"], CODE["returned_fee"]])
    day = path.second // DAY_SECONDS
    on_time = np.array([calendar.day_of_month(d) == LOAN_DAY for d in range(len(path.state))], dtype=bool)
    due &= on_time[day]
    tries = pl.DataFrame({
        "account_id": path.account[due] + 1, "second": path.second[due],
        "missed": path.kind[due] == CODE["returned_fee"],
    }).sort("account_id", "second")  # fmt: skip
    tries = tries.with_columns(pl.col("missed").rle_id().over("account_id").alias("run"))
    tries = tries.with_columns(pl.int_range(1, pl.len() + 1).over("account_id", "run").alias("times"))
    news = tries.filter(pl.col("missed") & pl.col("times").is_in([1, MISSED]))
    news = news.join(grants.select("account_id", "loan_id"), on="account_id").sort("second", "account_id")
    defaulted = (news["times"] == MISSED).cast(pl.Int64)
    return pl.DataFrame({
        "status_id": np.arange(1, len(news) + 1),
        "loan_id": news["loan_id"],
        "account_id": news["account_id"],
        "changed_at": _moment(news["second"].to_numpy(), calendar),
        "status": pl.Series(["in_arrears", "default"], dtype=STATUS).gather(defaulted),
    })  # fmt: skip


def profiles(who: People, path: Path, calendar: Calendar, rng: np.random.Generator) -> pl.DataFrame:
    """What the bank has on file, as events: all at the opening, then what it hears about work."""
    everyone = np.arange(len(who))
    opened = np.flatnonzero(who.opened < len(path.state))
    second = [who.opened[opened] * DAY_SECONDS + who.opening_second[opened]]
    account, jobless = [everyone[opened]], [np.zeros(len(opened), dtype=bool)]
    out = path.state == JOBLESS
    day, whose = np.nonzero(out[1:] != out[:-1])
    heard = (rng.random(len(day)) < _HEARD) & (day + 1 > who.opened[whose])
    delay = rng.integers(_NOTICE[0] * DAY_SECONDS, _NOTICE[1] * DAY_SECONDS, size=len(day))
    told = (day + 1) * DAY_SECONDS + delay
    heard &= told < len(path.state) * DAY_SECONDS
    second.append(told[heard])
    account.append(whose[heard])
    jobless.append(out[day + 1, whose][heard])
    accounts, seconds, lost = np.concatenate(account), np.concatenate(second), np.concatenate(jobless)
    order = np.lexsort((accounts, seconds))
    accounts, seconds, lost = accounts[order], seconds[order], lost[order]
    unit = who.unit[accounts]
    return pl.DataFrame({
        "profile_id": np.arange(1, len(accounts) + 1),
        "account_id": accounts + 1,
        "changed_at": _moment(seconds, calendar),
        "income": SALARY * unit / 100,
        "employment": pl.Series(["employed", "unemployed"], dtype=EMPLOYMENT).gather(lost.astype(np.int64)),
        "overdraft_limit": (who.limit[accounts] * unit + unit // 2) / 100,
    })  # fmt: skip
