"""The bank example: what a loan may see, held against another team's figures, and what the model reaches."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import headwater as hw
from examples.berka import run
from headwater.definitions.loading import load_project
from headwater.definitions.stream import Stream
from headwater.training.dataset import TrainingSet, build

PROJECT = load_project(Path(run.__file__).parent)
TRANSACTIONS: Stream = PROJECT.models[0].features[0].stream


@pytest.fixture(scope="module")
def streams(data_folder: Path) -> dict[str, pl.DataFrame]:
    return run.streams(data_folder)


@pytest.fixture(scope="module")
def rows(streams: dict[str, pl.DataFrame]) -> TrainingSet:
    return build(PROJECT.models[0], streams)


def test_a_loan_sees_the_whole_day_before_and_nothing_of_its_own() -> None:
    # 1 March            2 March            3 March
    # |        . a b     |        . c       |              bookings, in the last second of their day
    #                    ^ granted                         sees a and b, not c
    booked = [datetime(1994, 3, 1, 23, 59, 59, 0, UTC), datetime(1994, 3, 1, 23, 59, 59, 1, UTC)]
    events = pl.DataFrame(
        {
            "trans_id": [1, 2, 3],
            "account_id": [7, 7, 7],
            "booked_at": [*booked, datetime(1994, 3, 2, 23, 59, 59, 0, UTC)],
            "direction": ["credit", "debit", "credit"],
            "operation": [None, None, None],
            "purpose": [None, None, None],
            "amount": [500.0, 600.0, 9_000.0],
            "balance": [500.0, -100.0, 8_900.0],
        },
        schema=dict(TRANSACTIONS.schema),
    )
    spine = pl.DataFrame({"account_id": [7], "time": [datetime(1994, 3, 2, tzinfo=UTC)]})
    found = hw.asof(PROJECT.models[0].features, {"transactions": events}, spine)
    assert found["balance"].item() == -100.0
    assert found["overdrawn"].item() == 1
    assert found["received_30d"].item() == 500.0


def test_loans_with_all_their_bookings(rows: TrainingSet) -> None:
    assert (len(rows), int(rows.y.sum())) == (392, 35)


def test_nothing_of_the_day_of_the_grant_or_after_it_counts(
    rows: TrainingSet, streams: dict[str, pl.DataFrame]
) -> None:
    granted = streams["loans"].select("account_id", "granted_at")
    joined = streams["transactions"].join(granted, on="account_id", how="left", maintain_order="left")
    before = joined.filter((pl.col("booked_at") < pl.col("granted_at")).fill_null(value=True))
    assert len(before) < len(joined)
    again = build(PROJECT.models[0], streams | {"transactions": before.drop("granted_at")})
    np.testing.assert_array_equal(again.X, rows.X)


def test_features_agree_with_those_of_another_team(
    data_folder: Path, streams: dict[str, pl.DataFrame]
) -> None:
    view = hw.FeatureView(
        "account",
        TRANSACTIONS,
        key="account_id",
        features={
            "lowest": hw.min("balance"),
            "highest": hw.max("balance"),
            "middle": hw.mean("balance"),
            "swing": hw.std("balance"),
            "largest": hw.max("amount"),
        },
    )
    theirs = pl.read_parquet(data_folder / "berka" / "loan_features_pre_grant_feup.parquet")
    whole = PROJECT.models[0].observe.where  # type: ignore[union-attr]
    assert whole is not None
    loans = streams["loans"].filter(whole)
    found = hw.asof(view, {"transactions": streams["transactions"]}, loans, time="granted_at")
    pairs = found.join(theirs, on="loan_id", validate="1:1")
    assert len(pairs) == 392
    assert pairs["lowest"].equals(pairs["balance_min"])
    assert pairs["highest"].equals(pairs["balance_max"])
    np.testing.assert_allclose(pairs["middle"], pairs["balance_mean"], rtol=1e-12)
    np.testing.assert_allclose(pairs["swing"], pairs["balance_std"], rtol=1e-12)


def test_the_example_reaches_what_it_should(data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(data_folder) == 0
    assert "392 loans, 35 of them bad" in capsys.readouterr().out
