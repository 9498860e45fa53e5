"""The ledger: the walk's moves as bookings in cents, whose running balance closes exactly.

Called by ``simulate``. A level is worth ``unit`` cents; beside it each account carries some odd cents, so
that balances look like balances. The odd cents never reach half a unit, hence the balance tells the level::

    balance = (level - BEYOND - limit) * unit + odd        -0.49 unit < odd < 0.46 unit

Purchases and transfers draw new odd cents. Salary, rent and the like keep them, so their amounts are
round and always the same. Small bookings (fees, interest) take from them, and move no level.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from headwater.apps.demo.lender.calendar import Calendar
from headwater.apps.demo.lender.moves import Int
from headwater.apps.demo.lender.people import People
from headwater.apps.demo.lender.purposes import months
from headwater.apps.demo.lender.terms import BEYOND, CODE, DAY_SECONDS, PURPOSES
from headwater.apps.demo.lender.walk import Path

DIRECTION = pl.Enum(["credit", "debit"])
_FIXED = np.array([CODE[name] for name in ("salary", "benefit", "rent", "loan_payment", "savings")])
_LOWEST = 0.49  # of a unit: the odd cents stay above its negative


def transactions(who: People, path: Path, calendar: Calendar, rng: np.random.Generator) -> pl.DataFrame:
    """The stream of bookings, ascending by time, with ids from 1."""
    order = np.lexsort((path.second, path.account))
    account, second, level = path.account[order], path.second[order], path.level[order]
    first = np.concatenate([[True], account[1:] != account[:-1]])
    kind = path.kind[order]
    odd = _odd_cents(who, path, order, calendar, rng)
    cents = (level - BEYOND - who.limit[account]) * who.unit[account] + odd
    change = np.where(first, cents, np.diff(cents, prepend=0))
    second = second + calendar.epoch_seconds
    by_time = np.lexsort((account, second))
    return _frame(*(column[by_time] for column in (account, second, kind, change, cents)))


def _odd_cents(who: People, path: Path, order: Int, calendar: Calendar, rng: np.random.Generator) -> Int:
    """The odd cents after each booking, in the order of account and time."""
    account, kind, moved = path.account[order], path.kind[order], path.moved[order]
    unit = who.unit[account]
    fresh = moved & ~np.isin(kind, _FIXED)
    drawn = np.rint(rng.uniform(-0.30, 0.45, size=len(order)) * unit).astype(np.int64)
    start = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    odd = drawn[start]
    small = np.flatnonzero(~moved)
    wanted = _charges(who, path, order, calendar, small)
    lowest = -np.floor(_LOWEST * unit).astype(np.int64)
    number = _rank_in_run(start[small])
    taken = np.zeros(len(order), dtype=np.int64)  # by the small bookings since the last fresh draw
    total = np.zeros(len(order), dtype=np.int64)  # the same, at the index of that draw
    for rank in range(int(number.max(initial=-1)) + 1):
        now = small[number == rank]
        room = odd[now] - total[start[now]] - lowest[now]
        total[start[now]] += np.maximum(1, np.minimum(wanted[number == rank], room // 2))
        taken[now] = total[start[now]]
    return odd - _carried(taken, start)


def _rank_in_run(run: Int) -> Int:
    """0, 1, 2, ... within each run of equal values."""
    place = np.arange(len(run))
    starts = np.concatenate([[True], run[1:] != run[:-1]]) if len(run) else np.zeros(0, dtype=bool)
    rank: Int = place - np.maximum.accumulate(np.where(starts, place, 0)) if len(run) else place
    return rank


def _carried(taken: Int, start: Int) -> Int:
    """Each row's ``taken`` or, where it is none, that of the last small booking of the same run."""
    last = np.maximum.accumulate(np.where(taken > 0, np.arange(len(taken)), 0))
    carried: Int = np.where(last >= start, taken[last], 0)
    return carried


def _charges(who: People, path: Path, order: Int, calendar: Calendar, small: Int) -> Int:
    """What each small booking would cost, in cents, at the prices of its time."""
    account, kind = path.account[order][small], path.kind[order][small]
    headroom = path.level[order][small] - BEYOND
    day = path.second[order][small] // DAY_SECONDS
    month = months(calendar, len(path.state))
    regime = np.array([calendar.weather(m).regime for m in range(int(month[-1]) + 1)])[month[day]]
    unit = who.unit[account]
    sanction = 150 + (0.18 + 0.08 * regime) * 3 / 365 * np.maximum(-headroom, 0) * unit
    overdraft = (0.10 + 0.05 * regime) / 12 * np.maximum(who.limit[account] - headroom, 0) * unit
    fee = 450 + 150 * regime
    which = [kind == CODE["sanction_interest"], kind == CODE["overdraft_interest"]]
    price: Int = np.rint(np.select(which, [sanction, overdraft], fee)).astype(np.int64)
    return price


def _frame(account: Int, second: Int, kind: Int, change: Int, cents: Int) -> pl.DataFrame:
    return pl.DataFrame({
        "transaction_id": np.arange(1, len(account) + 1),
        "account_id": account + 1,
        "booked_at": pl.Series(second * 1_000_000).cast(pl.Datetime("us", "UTC")),
        "direction": pl.Series(["credit", "debit"], dtype=DIRECTION).gather((change < 0).astype(np.int64)),
        "purpose": pl.Series(PURPOSES).gather(kind),
        "amount": np.abs(change) / 100.0,
        "balance": cents / 100.0,
    })  # fmt: skip
