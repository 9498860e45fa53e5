"""Decision records: what goes in comes out to the bit, in an order that nobody can change unseen."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from headwater.core.errors import StoreError
from headwater.store.decision import Decision
from headwater.store.decisions import GENESIS, DecisionStore, key_text, link
from tests.letters import says
from tests.store.cases import decision


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "decisions.db"


def test_a_decision_comes_back_to_the_bit(path: Path) -> None:
    given = decision(score=0.1 + 0.2, features={"a": 5e-324, "b": -0.0, "c": None, "ä": 1e308})
    with DecisionStore.open(path) as store:
        store.append([given])
    with DecisionStore.open(path) as store:
        found = store.get(1).decision
    assert found == given
    assert found.features["b"].hex() == "-0x0.0p+0"  # type: ignore[union-attr]
    assert list(found.reasons) == list(given.reasons)


def test_records_are_numbered_and_chained(path: Path) -> None:
    with DecisionStore.open(path) as store:
        first, second = store.append([decision(), decision(score=0.5)])
        (third,) = store.append([decision(score=0.6)])
        assert [record.number for record in (first, second, third)] == [1, 2, 3]
        assert first.chain == link(GENESIS, first.decision.canonical())
        assert third.chain == link(second.chain, third.decision.canonical())
        assert [record.chain for record in store] == [first.chain, second.chain, third.chain]
        assert (store.verify(), len(store)) == (3, 3)


def test_an_empty_store_is_whole(path: Path) -> None:
    with DecisionStore.open(path) as store:
        assert (store.append([]), store.verify(), list(store)) == ([], 0, [])


def test_the_newest_of_a_model_or_an_entity(path: Path) -> None:
    with DecisionStore.open(path) as store:
        store.append([decision(keys={"who": who}, score=who / 10) for who in (1, 2, 1)])
        assert [record.number for record in store.of("risk")] == [3, 2, 1]
        assert [record.number for record in store.of("risk", key_text(decision()))] == [3, 1]
        assert [record.number for record in store.of("risk", limit=1)] == [3]
        assert store.of("another") == []


def test_sql_cannot_change_or_delete(path: Path) -> None:
    with DecisionStore.open(path) as store:
        store.append([decision()])
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.DatabaseError, match="never changed"):
        connection.execute("UPDATE decisions SET band = 'healthy'")
    with pytest.raises(sqlite3.DatabaseError, match="never deleted"):
        connection.execute("DELETE FROM decisions")
    connection.close()


def tampered(path: Path, statement: str) -> None:
    """Three decisions, then a change behind the triggers' back."""
    with DecisionStore.open(path) as store:
        store.append([decision(score=0.5), decision(score=0.6), decision(score=0.7)])
    connection = sqlite3.connect(path)
    connection.executescript(f"DROP TRIGGER decisions_stay; DROP TRIGGER decisions_remain; {statement}")
    connection.close()


def test_a_changed_record_is_found(path: Path) -> None:
    tampered(path, "UPDATE decisions SET record = replace(record, '0.6', '0.1') WHERE number = 2")
    with DecisionStore.open(path) as store:
        records = list(store)
        right = link(records[0].chain, records[1].decision.canonical())
        with says(
            StoreError,
            f"""
            a decision record is not the one that was written
              expected: link {right.hex()}
              got:      link {records[1].chain.hex()}
              where:    {path}, record 2
              do:       restore the file from a copy; nobody may change decisions
            """,
        ):
            store.verify()


def test_a_missing_record_is_found(path: Path) -> None:
    tampered(path, "DELETE FROM decisions WHERE number = 2")
    with (
        DecisionStore.open(path) as store,
        says(
            StoreError,
            f"""
            a decision record is missing
              expected: record 2
              got:      record 3
              where:    {path}
              do:       restore the file from a copy; nobody may remove decisions
            """,
        ),
    ):
        store.verify()


def test_a_record_with_a_new_link_breaks_the_next_one(path: Path) -> None:
    other = decision(score=0.1)
    with DecisionStore.open(path.with_name("other.db")) as store:
        (forged,) = store.append([decision(score=0.5)])
    chain = link(forged.chain, other.canonical()).hex()
    text = other.canonical().replace("'", "''")
    change = f"UPDATE decisions SET record = '{text}', chain = x'{chain}' WHERE number = 2"  # noqa: S608
    tampered(path, change)
    with DecisionStore.open(path) as store, pytest.raises(StoreError, match="record 3"):
        store.verify()


def test_no_such_record(path: Path) -> None:
    with DecisionStore.open(path) as store:
        with says(
            StoreError,
            f"""
            there is no decision 1
              expected: a number; nothing was decided yet
              got:      1
              where:    {path}
              do:       look at the newest ones first
            """,
        ):
            store.get(1)
        store.append([decision()])
        with says(
            StoreError,
            f"""
            there is no decision 2
              expected: a number from 1 to 1
              got:      2
              where:    {path}
              do:       look at the newest ones first
            """,
        ):
            store.get(2)


def test_what_json_cannot_hold_is_refused_and_nothing_is_kept(path: Path) -> None:
    with DecisionStore.open(path) as store:
        with says(
            StoreError,
            """
            a decision cannot be written as JSON
              expected: keys, request columns and features that are numbers, texts, Booleans or null
              got:      Object of type bytes is not JSON serializable
              where:    risk
              do:       take such columns out of the model's request
            """,
        ):
            store.append([decision(), decision(request={"photo": b"..."})])
        assert len(store) == 0


def test_another_database_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE mine (x)")
    connection.close()
    with says(
        StoreError,
        f"""
        the file holds no decision records
          expected: a file that Headwater made
          got:      another SQLite database
          where:    {path}
          do:       name another file
        """,
    ):
        DecisionStore.open(path)


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_text("hello, this is a text file, and quite a long one at that" * 20)
    with says(
        StoreError,
        f"""
        the decision records cannot be used
          got:      file is not a database
          where:    {path}
          do:       look at the file, its folder and the disk, then try again
        """,
    ):
        DecisionStore.open(path)


def test_the_canonical_text_does_not_depend_on_the_order_of_names() -> None:
    one = decision(features={"a": 1.0, "b": 2.0})
    two = decision(features={"b": 2.0, "a": 1.0})
    assert one.canonical() == two.canonical()
    assert Decision.from_json(one.to_json()) == one


# Recorded once, never edited: yesterday's decisions must chain to the same links on today's code.
def test_a_recorded_decision_has_the_link_that_it_had() -> None:
    assert link(GENESIS, decision().canonical()).hex() == RECORDED


RECORDED = "1bf46fd39fe05eda11e2367e40da6470e0ab8da567dad98a24c5ceb3f5431172"
