"""The lender's bookings: closing to the cent, repeatable, and charged by the rule."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from headwater.apps.demo.lender import Lender, simulate
from headwater.core.errors import DataError

DAY = 86_400_000_000


def test_the_transactions_have_the_schema_of_the_design(lender: Lender) -> None:
    assert dict(lender.events["transactions"].schema) == {
        "transaction_id": pl.Int64,
        "account_id": pl.Int64,
        "booked_at": pl.Datetime("us", "UTC"),
        "direction": pl.Enum(["credit", "debit"]),
        "purpose": pl.String,
        "amount": pl.Float64,
        "balance": pl.Float64,
    }


def test_every_balance_is_the_one_before_and_the_booking_to_the_cent(lender: Lender) -> None:
    frame = lender.events["transactions"]
    signed = pl.when(pl.col("direction") == "credit").then(pl.col("amount")).otherwise(-pl.col("amount"))
    cents = frame.select(
        "account_id", after=(pl.col("balance") * 100).round(), change=(signed * 100).round()
    ).cast(pl.Int64)
    before = pl.col("after").shift(1, fill_value=0).over("account_id")
    assert cents.select((before + pl.col("change") == pl.col("after")).all()).item()
    assert frame["amount"].min() > 0  # type: ignore[operator]


def test_bookings_are_in_order_and_an_account_has_one_at_a_time(lender: Lender) -> None:
    frame = lender.events["transactions"]
    assert frame["booked_at"].is_sorted()
    assert frame["transaction_id"].to_list() == list(range(1, len(frame) + 1))
    assert not frame.select("account_id", "booked_at").is_duplicated().any()
    assert frame.group_by("account_id").first()["purpose"].unique().to_list() == ["opening"]
    assert frame["booked_at"].min() >= datetime(2023, 1, 1, tzinfo=UTC)  # type: ignore[operator]
    assert frame["booked_at"].max() < datetime(2026, 1, 1, tzinfo=UTC)  # type: ignore[operator]


def test_the_default_is_about_a_million_bookings_of_four_thousand_accounts(lender: Lender) -> None:
    assert 950_000 < len(lender.events["transactions"]) * 4_000 / 1_500 < 1_150_000


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_bank() -> None:
    one, two, other = simulate(60, years=2), simulate(60, years=2), simulate(60, years=2, seed=8)
    for name, frame in one.events.items():
        assert frame.equals(two.events[name])
        assert np.array_equal(one.arrival[name], two.arrival[name])
    assert not one.events["transactions"].equals(other.events["transactions"])


def test_these_bits_do_not_drift() -> None:
    """A change here changes every figure ever published about the demo: say so in the changelog."""
    frame = simulate(20, years=1).events["transactions"]
    cents = (pl.col("amount") * 100).round().cast(pl.Int64)
    assert frame.select(pl.len(), cents.sum()).row(0) == (1_881, 140_043_748)


# The rule, for one account; the night run comes at the account's own second of each night:
#
#   night          1      2      3      4      5      6      7      8      9
#   balance     within beyond beyond within beyond beyond beyond beyond beyond
#   counted        0      1      2      0      1      2      3      1      2
#   charged                                                 ^
def test_sanction_interest_is_charged_on_the_third_night_beyond_the_limit_and_never_else() -> None:
    bank = simulate(150, years=2, seed=3)
    frame = bank.events["transactions"]
    limits = dict(
        bank.events["profiles"].group_by("account_id").first()["account_id", "overdraft_limit"].rows()
    )
    checked = 0
    sanction = pl.col("purpose") == "sanction_interest"
    for (account,), whole in frame.group_by("account_id"):
        actual = whole.filter(sanction)["booked_at"].to_physical().to_list()
        if not actual:
            continue
        own = whole.filter(~sanction)
        times = own["booked_at"].to_physical().to_numpy()
        run = (actual[0] - bank.start) % DAY  # the account's own second
        nights, expected = 0, []
        for at in range(bank.start + run, bank.stop, DAY):
            last = int(np.searchsorted(times, at, side="left")) - 1
            beyond = last >= 0 and own["balance"][last] < -limits[account]
            nights = nights + 1 if beyond else 0
            if nights == 3:
                expected.append(at)
                nights = 0
        assert actual == expected
        checked += len(actual)
    assert checked > 100


def test_bad_arguments_are_all_named() -> None:
    with pytest.raises(DataError) as error:
        simulate(accounts=0, years=21, seed=-1, start="2024-02-29")
    assert str(error.value) == (
        "the simulated lender cannot be made with this accounts\n"
        "  expected: at least 1\n"
        "  got:      0\n"
        "  where:    accounts\n"
        "  do:       choose another accounts\n"
        "the simulated lender cannot be made with this years\n"
        "  expected: 1 to 20\n"
        "  got:      21\n"
        "  where:    years\n"
        "  do:       choose another years\n"
        "the simulated lender cannot be made with this seed\n"
        "  expected: 0 or more\n"
        "  got:      -1\n"
        "  where:    seed\n"
        "  do:       choose another seed\n"
        "the simulated lender cannot be made with this start\n"
        "  expected: an ISO date from 1900 to 2090 on day 1 to 28 of a month, such as 2023-01-01\n"
        "  got:      '2024-02-29'\n"
        "  where:    start\n"
        "  do:       choose another start"
    )
