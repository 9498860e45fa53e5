"""The true risk: equal to a slow forward computation, calibrated, and ahead of everything else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from headwater.apps.demo.lender import Lender, simulate
from headwater.apps.demo.lender.terms import BANDS, EVENING
from headwater.core.errors import DataError
from tests.apps.demo import forward
from tests.apps.demo.windows import HEADROOM, Windows

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
DAY = 86_400_000_000
SECOND = 1_000_000


def moments(account: Int, time: Int) -> pl.DataFrame:
    return pl.DataFrame({"account_id": account, "time": pl.Series(time).cast(pl.Datetime("us", "UTC"))})


def happened(lender: Lender, account: Int, time: Int, horizon: str = "30d") -> npt.NDArray[np.bool_]:
    return lender.labels(moments(account, time), horizon)["happened"].to_numpy()


def slow_risk(lender: Lender, account: int, time: int, horizon: int) -> float:
    """The latent state read by hand, then pushed forwards."""
    risk = lender.risk
    who, path, dynamics = risk._who, risk._path, risk._dynamics
    row = account - 1
    at = (time - lender.start) // SECOND
    day, second = divmod(at, 86_400)
    mine = np.flatnonzero(path.account == row)
    mine = mine[np.argsort(path.second[mine])]
    last = mine[path.second[mine] <= at][-1]
    posted, run = second >= who.post_second[row], second >= who.night_second[row]
    state = path.state[day, row] if posted else path.state[day - 1, row] if day else path.start[row]
    nights = path.nights[day, row] if run else path.nights[day - 1, row] if day else 0
    band = BANDS[int(path.slot[last])]
    busy = path.second[last] // 86_400 == day and band[0] <= second < band[1]
    fixed = forward.Account(
        int(who.group[row]),
        int(who.night_second[row]),
        int(who.post_second[row]),
        who.instalments[row].tolist(),
    )
    where = (int(state), int(path.level[last]), int(nights))
    return forward.risk(dynamics, fixed, int(at), where, bool(busy), horizon // SECOND)


def test_the_risk_equals_a_slow_forward_computation_at_any_second() -> None:
    bank = simulate(40, years=2, seed=5)
    rng = np.random.Generator(np.random.PCG64(1))
    booked = bank.events["transactions"].sample(25, seed=2)  # right after a booking
    anywhere = bank.start + rng.integers(400 * 86_400, 700 * 86_400, size=25) * SECOND
    account = np.concatenate([booked["account_id"].to_numpy(), rng.integers(1, 41, size=25)])
    time = np.concatenate([booked["booked_at"].to_physical().to_numpy(), anywhere])
    for horizon, every in ((1 * DAY, 1), (9 * DAY + 7_777 * SECOND, 1), (45 * DAY, 4)):
        fast = bank.risk(account, time, horizon)
        known = ~np.isnan(fast) & (np.arange(50) % every == 0)
        slow = [
            slow_risk(bank, int(a), int(t), horizon) for a, t in zip(account[known], time[known], strict=True)
        ]
        np.testing.assert_allclose(fast[known], slow, rtol=1e-10, atol=1e-15)
        assert np.sum(known) > 40 / every


# A running band, asked about while it is silent:
#
#   17:00           now                 23:30
#     |--- silent ---|------ to come ------|     the risk falls or stays with every second
def test_silence_moves_the_risk_evenly_to_that_after_the_band() -> None:
    bank = simulate(30, years=2, seed=9)
    start, stop = BANDS[EVENING]
    booked = bank.events["transactions"]
    day = bank.start + 500 * DAY
    tonight = booked["booked_at"].to_physical().is_between(day + start * SECOND, day + stop * SECOND)
    busy = set(booked.filter(tonight)["account_id"].to_list())
    quiet = next(a for a in range(1, 31) if a not in busy)
    seconds = np.linspace(start - 1, stop, 9).astype(np.int64)
    risk = bank.risk(np.full(9, quiet), day + seconds * SECOND, 40 * DAY)
    steps = np.diff(risk)
    assert np.all(steps <= 0)
    assert np.any(steps < 0)


def spread_out(lender: Lender, seed: int) -> tuple[Int, Int]:
    """Every account once in each of 17 stretches of 60 days, at any second: labels hardly overlap."""
    rng = np.random.Generator(np.random.PCG64(seed))
    accounts = np.arange(1, 1_501)
    days = np.arange(30, 1_050, 60)
    account, day = (part.ravel() for part in np.meshgrid(accounts, days))
    return account, lender.start + day * DAY + rng.integers(0, 86_400, size=len(account)) * SECOND


def assert_calibrated(risk: Float, came: npt.NDArray[np.bool_]) -> None:
    """In every tenth, the share that came true is within four standard errors of what was foretold."""
    tenth = np.argsort(np.argsort(risk, kind="stable"), kind="stable") * 10 // len(risk)
    for part in range(10):
        rows = tenth == part
        expected, spread = risk[rows].sum(), np.sqrt((risk[rows] * (1 - risk[rows])).sum())
        assert abs(came[rows].sum() - expected) < 4 * spread + 1, f"tenth {part}"


def test_both_risks_are_calibrated(lender: Lender) -> None:
    account, time = spread_out(lender, seed=11)
    account, time = (part[~np.isnan(lender.risk(account, time))] for part in (account, time))
    came = happened(lender, account, time)
    assert 0.02 < came.mean() < 0.10
    true, seen = lender.risk(account, time), lender.risk.from_bookings(account, time)
    assert_calibrated(true, came)
    assert_calibrated(seen, came)
    assert roc_auc_score(came, true) > roc_auc_score(came, seen)


def decisions(lender: Lender) -> tuple[Int, Int]:
    """Right after each booking of the last ninety days whose label is mature."""
    booked = lender.events["transactions"].select("account_id", time=pl.col("booked_at").to_physical())
    stop = lender.stop - 30 * DAY
    rows = booked.filter(pl.col("time").is_between(stop - 90 * DAY, stop, closed="left"))
    return rows["account_id"].to_numpy(), rows["time"].to_numpy()


@pytest.mark.slow
def test_a_plain_model_comes_near_the_best_score_and_a_stale_one_falls_behind(lender: Lender) -> None:
    account, time = decisions(lender)
    came = happened(lender, account, time)
    windows = Windows(lender.events["transactions"], lender.events["profiles"])
    past = lender.events["transactions"].select("account_id", time=pl.col("booked_at").to_physical())
    past = past.filter(
        pl.col("time").is_between(lender.start + 120 * DAY, time.min() - 30 * DAY)
    ).gather_every(4)
    rows = past["account_id"].to_numpy(), past["time"].to_numpy()
    model = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.08, max_leaf_nodes=15, min_samples_leaf=100, random_state=0
    ).fit(windows.features(*rows), happened(lender, *rows))
    fresh, nightly = windows.features(account, time), windows.features(account, time // DAY * DAY)
    midnight = np.nan_to_num(lender.risk.from_bookings(account, time // DAY * DAY))
    auc = {
        "true risk": roc_auc_score(came, lender.risk(account, time)),
        "from bookings": roc_auc_score(came, lender.risk.from_bookings(account, time)),
        "from bookings up to midnight": roc_auc_score(came, midnight),
        "model": roc_auc_score(came, model.predict_proba(fresh)[:, 1]),
        "model, nightly": roc_auc_score(came, model.predict_proba(nightly)[:, 1]),
        "headroom": roc_auc_score(came, -np.nan_to_num(fresh[:, HEADROOM])),
    }
    assert 0.03 < came.mean() < 0.12
    assert 0.88 < auc["true risk"] < 0.93
    assert auc["true risk"] > auc["from bookings"] > auc["model"] > auc["model, nightly"] > auc["headroom"]
    assert auc["true risk"] - auc["model"] < 0.06
    assert auc["from bookings"] - auc["model"] < 0.04
    assert auc["from bookings"] - auc["from bookings up to midnight"] > 0.01
    assert auc["model"] - auc["model, nightly"] > 0.01


def test_the_regime_changes_the_price_of_energy_the_risk_and_how_a_crisis_looks(lender: Lender) -> None:
    frame = lender.events["transactions"].with_columns(year=pl.col("booked_at").dt.year())
    bills = frame.filter(pl.col("purpose") == "energy").group_by("year").agg(pl.col("amount").mean())
    price = dict(bills.rows())
    assert price[2025] > 1.2 * price[2024]
    counts = frame.group_by("year", "purpose").len()
    often = {(year, purpose): n for year, purpose, n in counts.rows()}
    assert (2024, "pay_later") not in often
    assert often[2025, "pay_later"] > 3_000
    assert often[2025, "sanction_interest"] > 1.5 * often[2024, "sanction_interest"]
    assert often[2025, "gambling"] < often[2024, "gambling"]


def test_before_an_account_opens_there_is_no_risk_and_times_may_be_datetimes(lender: Lender) -> None:
    late = int(np.argmax(lender.risk._who.opened)) + 1
    frame = moments(np.array([late, late]), np.array([lender.start + DAY, lender.stop - DAY]))
    risk = lender.risk(frame["account_id"], frame["time"].dt.replace_time_zone(None))
    assert np.isnan(risk[0])
    assert 0 <= risk[1] <= 1


def test_an_unknown_account_is_an_error(lender: Lender) -> None:
    with pytest.raises(DataError) as error:
        lender.risk([1, 1_501], [lender.start, lender.start], "30d")
    assert str(error.value) == (
        "the true risk is asked for an account that the lender does not have\n"
        "  expected: an account id from 1 to 1500\n"
        "  got:      1501\n"
        "  where:    accounts[1]\n"
        "  do:       ask for accounts of this simulation"
    )


def test_a_time_outside_the_years_is_an_error(lender: Lender) -> None:
    with pytest.raises(DataError) as error:
        lender.risk([1], [lender.stop], "30d")
    assert str(error.value) == (
        "the true risk is asked for a time outside the simulation\n"
        "  expected: a time from 2023-01-01T00:00:00Z to before 2026-01-01T00:00:00Z\n"
        "  got:      2026-01-01T00:00:00.000000Z\n"
        "  where:    times[0]\n"
        "  do:       ask within the simulated years, in microseconds UTC"
    )


# Labels look forward over (t, t + horizon]: the charge at t is known, the one at t + horizon counts.
#
#            t                      t + h
#   ---------(-----------------------]-------
#            ^ not counted           ^ counted
def test_labels_are_half_open_and_say_whether_they_are_mature(lender: Lender) -> None:
    frame = lender.events["transactions"].filter(pl.col("purpose") == "sanction_interest")
    account, last = frame.select("account_id", pl.col("booked_at").to_physical()).row(-1)
    time = np.array([last - DAY, last - DAY - 1, last, last - 1, lender.stop - DAY - 1, lender.stop - DAY])
    rows = lender.labels(moments(np.full(6, account), time), "1d")
    assert rows["happened"].to_list()[:4] == [True, False, False, True]
    assert rows["mature"].to_list()[4:] == [True, False]
