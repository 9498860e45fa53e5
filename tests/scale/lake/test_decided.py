"""Decisions in the lake: each record a row, with its inputs, its reasons and its link in the chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import headwater as hw
from headwater.core.secret import Secret
from headwater.scale.lake.decided import Decisions, decisions_table
from headwater.scale.lake.export import export
from headwater.scale.lake.private import Private
from headwater.store.decision import Decision
from headwater.store.decisions import DecisionStore
from tests.scale.lake.shore import DAY, START, opener
from tests.serving import bank
from tests.store.cases import decision

FEATURES = {
    "n_7d": 3.0, "n_30d": 5.0, "spent_7d": 0.1 + 0.2, "spent_30d": -0.0, "largest_30d": 5e-324,
    "since_cash": None, "way": 1.0, "income": 50.0, "job": None, "pace": 1 / 3,
}  # fmt: skip
SECRET = Secret("a key of the lake")


def made(number: int) -> Decision:
    when = START + number * DAY // 3
    return decision(
        keys={"who": number % 5},
        features=FEATURES | ({"gone": 2.5} if number == 0 else {}),
        decided_at=when,
        time=when - 1,
        offset=number,
        policy="lend" if number % 4 else "other",
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DecisionStore]:
    with DecisionStore.open(tmp_path / "decisions.db") as held:
        held.append([made(number) for number in range(1, 30)])
        yield held


def exported(store: DecisionStore, lake: Path, policy: hw.Policy, private: Private, form: str) -> int:
    source = Decisions(store, policy, private)
    (done,) = export([source], opener(form, lake), lambda _table, _place, _end: None)
    return done.rows


@pytest.mark.parametrize("form", ["parquet", "delta"])
def test_each_record_is_a_row(form: str, store: DecisionStore, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    assert exported(store, lake, bank.POLICY, Private(), form) == 22
    store.append([made(number) for number in range(30, 41)])
    assert exported(store, lake, bank.POLICY, Private(), form) == 8
    folder = lake / "decisions" / "lend"
    found = (
        pl.read_delta(str(folder))
        if form == "delta"
        else pl.read_parquet(folder / "*" / "*.parquet", hive_partitioning=True)
    ).sort("number")
    records = [one for one in store if one.decision.policy == "lend"]
    assert found["number"].to_list() == [one.number for one in records]
    for row, record in zip(found.iter_rows(named=True), records, strict=True):
        was = record.decision
        assert row["decision_id"] == record.id
        assert row["chain"] == record.chain.hex()
        assert row["key_who"] == was.keys["who"]
        inputs = {name: row[f"feature_{name}"] for name in bank.RISK.inputs}
        assert {name: _hex(value) for name, value in inputs.items()} == {
            name: _hex(value) for name, value in FEATURES.items()
        }
        assert (row["score"], row["band"], row["log_offset"]) == (was.score, was.band, was.offset)
        assert json.loads(row["reasons"]) == was.to_json()["reasons"]
        assert json.loads(row["request"]) == {"way": "card"}
        assert row["other_features"] is None
        assert int(row["decided_at"].timestamp() * 1e6) == was.decided_at
        assert str(row["decided_date"]) == row["decided_at"].date().isoformat()


def _hex(value: float | None) -> str | None:
    return None if value is None else value.hex()


def test_an_input_of_an_earlier_definition_is_not_lost(tmp_path: Path) -> None:
    with DecisionStore.open(tmp_path / "decisions.db") as store:
        store.append([decision(policy="lend", features=FEATURES | {"gone": 2.5})])
        exported(store, tmp_path, bank.POLICY, Private(), "parquet")
    found = pl.read_parquet(tmp_path / "decisions" / "lend" / "*" / "*.parquet")
    assert found["other_features"].to_list() == ['{"gone":2.5}']


def test_what_is_made_of_personal_values_is_left_out(store: DecisionStore, tmp_path: Path) -> None:
    payments = hw.Stream("payments", dict(bank.PAYMENTS.schema), id="id", personal=["who", "amount"])
    view = hw.FeatureView("spending", payments, "who", dict(bank.SPENDING.features))
    label = hw.happens(payments, pl.col("amount") > 90, within="10d")
    changes = {"features": [view], "derived": {}, "label": label, "observe": hw.each(payments)}
    policy = hw.Policy("lend", bank.model(**changes), bands={"healthy": 0.0})
    hidden = ("key_who", "feature_spent_7d", "feature_spent_30d", "feature_largest_30d")
    assert decisions_table(policy, Private(), "day").hidden == hidden
    assert decisions_table(policy, Private("hash", SECRET), "day").hidden == hidden[1:]
    assert decisions_table(policy, Private("plain"), "day").hidden == ()
    store.append([decision(policy="lend", reasons=(hw_reason("spent_7d"),), keys={"who": 987_654})])
    for private in (Private(), Private("hash", SECRET)):
        lake = tmp_path / private.mode
        exported(store, lake, policy, private, "parquet")
        found = pl.read_parquet(lake / "decisions" / "lend" / "*" / "*.parquet").sort("number")
        assert json.loads(found["reasons"][-1])[0] == {
            "text": "Much was spent",
            "feature": "spent_7d",
            "value": None,
            "reference": None,
            "contribution": 0.7,
        }
        assert found["other_features"].null_count() == len(found)
        assert ("key_who" in found.columns) == (private.mode == "hash")
    assert found["key_who"][-1] == Private("hash", SECRET).text("987654")


def hw_reason(feature: str) -> object:
    """A reason that names an input and its value."""
    return decision().reasons[0].__class__("Much was spent", feature, 12.5, 3.5, 0.7)
