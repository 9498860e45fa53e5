"""The lender's other streams and arrivals, and the project file that reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

import headwater.apps.demo as demo
from headwater.apps.demo.lender import Lender
from headwater.apps.demo.lender.simulation import TIMES
from headwater.definitions.loading import load_project

HOUR = 3_600_000_000
PROJECT = Path(demo.__file__).with_name("project.py")


def test_each_stream_is_in_order_with_ids_from_one(lender: Lender) -> None:
    for name, frame in lender.events.items():
        assert frame[TIMES[name]].is_sorted()
        assert frame[frame.columns[0]].to_list() == list(range(1, len(frame) + 1))
        assert frame.null_count().sum_horizontal().item() == 0


def test_the_project_declares_streams_exactly_as_the_lender_gives_them(lender: Lender) -> None:
    project = load_project(PROJECT)
    for stream in project.streams:
        assert dict(stream.schema) == dict(lender.events[stream.name].schema)
        assert stream.time == TIMES[stream.name]


def test_every_reason_of_the_policy_is_an_input_of_the_model() -> None:
    policy = load_project(PROJECT).policies[0]
    assert set(policy.reasons) <= set(policy.model.inputs)


def test_instalments_start_a_month_after_the_grant_and_are_as_agreed(lender: Lender) -> None:
    paid = lender.events["transactions"].filter(pl.col("purpose") == "loan_payment")
    rows = paid.join(lender.events["loans"].rename({"amount": "worth"}), on="account_id")
    assert len(rows) == len(paid)
    assert (rows["amount"] == rows["monthly_payment"]).all()
    assert (rows["booked_at"] - rows["granted_at"]).min() >= pl.Series([30 * 24 * HOUR]).cast(
        pl.Duration("us")
    )[0]
    times = rows.group_by("loan_id", "duration_months").len()
    assert (times["len"] <= times["duration_months"]).all()


# The instalments of one loan, o paid, x returned:     o  o  x  x  o  x  x  x  x  o
#                                                            |           |     |
#                                               in_arrears --+-----------+     +-- default
def test_a_first_missed_instalment_is_an_arrear_and_the_third_in_a_row_a_default(lender: Lender) -> None:
    tried = lender.events["transactions"].filter(
        pl.col("booked_at").dt.day() == 20,
        pl.col("booked_at").dt.hour().is_in([6, 7]),
        pl.col("purpose").is_in(["loan_payment", "returned_fee"]),
    )
    expected = []
    for (account,), own in tried.group_by("account_id"):
        missed = 0
        for at, purpose in own.select("booked_at", "purpose").iter_rows():
            missed = missed + 1 if purpose == "returned_fee" else 0
            if missed in (1, 3):
                expected.append((account, at, "in_arrears" if missed == 1 else "default"))
    status = lender.events["loan_status"].select("account_id", "changed_at", pl.col("status").cast(pl.String))
    assert sorted(status.rows()) == sorted(expected)
    assert status["status"].n_unique() == 2


def test_the_bank_hears_late_of_lost_work_and_not_of_all(lender: Lender) -> None:
    told = lender.events["profiles"].filter(pl.col("employment") == "unemployed")
    benefits = lender.events["transactions"].filter(pl.col("purpose") == "benefit")
    assert 100 < told["account_id"].n_unique() < benefits["account_id"].n_unique()


def test_most_events_arrive_within_seconds_and_one_in_two_hundred_hours_late(lender: Lender) -> None:
    time = lender.events["transactions"]["booked_at"].to_physical().to_numpy()
    delay = lender.arrival["transactions"] - time
    assert delay.min() > 0
    assert delay.max() <= 48 * HOUR
    assert 1_000_000 < np.median(delay) < 2_000_000
    assert abs((delay >= HOUR).mean() - 0.005) < 0.001
    assert not ((delay > 60_000_000) & (delay < HOUR)).any()
