"""Decision records: what goes in comes out to the bit, in an order that nobody can change unseen."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.core.errors import ConflictError, StoreError
from headwater.store.database import CHECKPOINT_PAGES
from headwater.store.decision import Decision, Reason
from headwater.store.decisions import GENESIS, DecisionStore, Head, Idempotency, Record, key_text, link
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


# --- The same request again -----------------------------------------------------------------------


def test_the_same_request_again_is_answered_by_its_record(path: Path) -> None:
    with DecisionStore.open(path) as store:
        first, other = store.append([decision(), decision(keys={"who": 2})], ["a", None])
        (again,) = store.append([decision(score=0.9, decided_at=99)], ["a"])  # decided later, and otherwise
        assert (again, len(store)) == (first, 2)
        named = Idempotency("b", "digest of a request")
        assert store.earlier(named) is None
        (third,) = store.append([decision()], [named])
        assert store.earlier(named) == third
        assert [record.id for record in (first, other, third)] == ["d1", "d2", "d3"]


def test_the_same_name_within_one_append(path: Path) -> None:
    with DecisionStore.open(path) as store:
        first, again = store.append([decision(), decision()], ["a", "a"])
        assert (first, len(store)) == (again, 1)


TAKEN = """
    an idempotency key came again with another request
      expected: the same request as before, or a key of its own
      got:      another request under the same key
      where:    decision d1
      do:       give each new request a new key
    """


def test_the_same_name_for_another_request_is_a_conflict(path: Path) -> None:
    with DecisionStore.open(path) as store:
        store.append([decision()], ["a"])
        with says(ConflictError, TAKEN):
            store.append([decision(keys={"who": 5}), decision(keys={"who": 2})], [None, "a"])
        with says(ConflictError, TAKEN):
            store.earlier(Idempotency("a", "another"))
        assert len(store) == 1, "all or none"


def test_in_a_group_one_error_is_not_anothers(path: Path) -> None:
    with DecisionStore.open(path) as store:
        store.append([decision()], ["a"])
        given = [decision(keys={"who": who}) for who in (1, 2, 3)] + [decision(request={"photo": b"..."})]
        same, conflict, new, odd = store.append_each(given, ["a", "a", None, None])
        assert isinstance(same, Record)
        assert isinstance(new, Record)
        assert (same.id, new.id, len(store)) == ("d1", "d2", 2)
        assert isinstance(conflict, ConflictError)
        assert isinstance(odd, StoreError)
        assert store.verify() == 2


# --- Pages ----------------------------------------------------------------------------------------


def test_pages_neither_repeat_nor_lose(path: Path) -> None:
    with DecisionStore.open(path) as store:
        store.append([decision(score=i / 10) for i in range(7)])
        pages = [store.page(limit=3)]
        while pages[-1]:
            store.append([decision()])  # whoever reads slowly sees what came meanwhile, once
            pages.append(store.page(limit=3, after=pages[-1][-1].number))
            if len(pages) > 4:
                break
        numbers = [record.number for page in pages for record in page]
        assert numbers == list(range(1, len(numbers) + 1))
        assert [record.number for record in store.page(newest=True, after=4)] == [3, 2, 1]
        assert [record.number for record in store.scan(after=2, until_number=5)] == [3, 4, 5]


def test_pages_by_what_records_say(path: Path) -> None:
    with DecisionStore.open(path) as store:
        store.append(
            [
                decision(),
                decision(model="other", band="watch", decided_at=7),
                decision(policy="loans", keys={"who": 2, "shop": "x"}, decided_at=8),
                decision(keys={"who": "1"}, decided_at=9),
            ]
        )

        def numbers(**asked: object) -> list[int]:
            assert store.count(**asked) == len(store.page(**asked))  # type: ignore[arg-type]
            return [record.number for record in store.page(**asked)]  # type: ignore[arg-type]

        assert numbers(model="other") == [2]
        assert numbers(policy="loans") == [3]
        assert numbers(band="watch") == [2]
        assert numbers(since=7, until=9) == [2, 3]
        assert numbers(key={"who": 1}) == [1, 2]
        assert numbers(key={"who": "1"}) == [4]
        assert numbers(key="1") == [1, 2, 4]
        assert numbers(key="x") == numbers(key={"shop": "x", "who": 2}) == [3]
        assert numbers(key="x' OR 1=1 --") == []
        assert numbers(model="risk", key={"who": 1}, band="act", since=6) == [1]


def test_ids(path: Path) -> None:
    with DecisionStore.open(path) as store:
        (record,) = store.append([decision()])
        assert store.get("d1") == store.get(1) == store.get("1") == record
        assert [store.find(id) for id in ("d2", "d", "x1", "d-1", "d" + "9" * 40, "١", 0)] == [None] * 7


def test_many_threads(path: Path) -> None:
    def work(who: int) -> bool:
        for i in range(20):
            (record,) = store.append([decision(keys={"who": who}, score=i / 20)])
            assert store.get(record.number) == record
            assert len(store.page(key={"who": who})) == i + 1
        store.fold()
        return True

    with DecisionStore.open(path) as store, ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
        assert (len(store), store.verify()) == (80, 80)


# --- Tampering ------------------------------------------------------------------------------------


def test_one_changed_byte_is_found_and_located(path: Path) -> None:
    with DecisionStore.open(path) as store:
        store.append([decision(score=i / 100, request={"n": i}) for i in range(60)])
    whole = path.read_bytes()
    for number in (1, 17, 60):
        text = decision(score=(number - 1) / 100, request={"n": number - 1}).canonical().encode()
        (place,) = [place for place in range(len(whole)) if whole.startswith(text, place)]
        for at in (place, place + len(text) // 2, place + len(text) - 1, place - 5):  # -5: in the link
            damaged = bytearray(whole)
            damaged[at] ^= 1
            path.write_bytes(damaged)
            with DecisionStore.open(path) as store, pytest.raises(StoreError, match=f"record {number}\\b"):
                store.verify()


def test_a_byte_anywhere_is_found_or_changes_nothing(path: Path) -> None:
    given = [decision(score=i / 100, keys={"who": i}) for i in range(40)]
    with DecisionStore.open(path) as store:
        store.append(given)
    whole = path.read_bytes()
    for at in range(100, len(whole), 331):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        try:
            with DecisionStore.open(path) as store:
                assert store.verify() == 40
                assert [record.decision for record in store] == given
                assert [len(store.page(key=dict(one.keys))) for one in given] == [1] * 40
        except StoreError:
            continue


def test_an_end_that_was_cut_off_is_found_by_whoever_noted_the_head(path: Path) -> None:
    tampered(path, "")
    with DecisionStore.open(path) as store:
        noted = store.head()
        assert (noted.number, store.verify(noted)) == (3, 3)
        store.append([decision()])
        assert store.verify(noted) == 4
    connection = sqlite3.connect(path)
    connection.executescript("DELETE FROM decisions WHERE number > 2; DELETE FROM keys WHERE number > 2;")
    connection.close()
    with DecisionStore.open(path) as store:
        assert store.verify() == 2
        with says(
            StoreError,
            f"""
            a decision record is missing
              expected: record 3
              got:      no record after 2
              where:    {path}
              do:       restore the file from a copy; nobody may remove decisions
            """,
        ):
            store.verify(noted)
        with pytest.raises(StoreError, match="record 2"):
            store.verify(Head(2, bytes(32)))


def test_a_column_that_lies_is_found(path: Path) -> None:
    tampered(path, "UPDATE decisions SET band = 'healthy' WHERE number = 2")
    with (
        DecisionStore.open(path) as store,
        says(
            StoreError,
            f"""
            a decision record would not be found by what it says
              expected: model, policy, band, times, offset and keys as in its text
              got:      others in the table's columns
              where:    {path}, record 2
              do:       restore the file from a copy; nobody may change decisions
            """,
        ),
    ):
        store.verify()


def test_a_key_that_leads_nowhere_is_found(path: Path) -> None:
    tampered(path, "INSERT INTO keys VALUES ('7', 'who', 9)")
    with (
        DecisionStore.open(path) as store,
        says(
            StoreError,
            f"""
            the index of the decision records is damaged; the records themselves are whole
              expected: an index that leads to the records
              got:      an entry for record 9
              where:    {path}
              do:       restore the file from a copy
            """,
        ),
    ):
        store.verify()


# --- Files of other versions ----------------------------------------------------------------------

FIRST_VERSION = """
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, key TEXT NOT NULL, decided_at INTEGER NOT NULL,
    band TEXT NOT NULL, record TEXT NOT NULL, chain BLOB NOT NULL
);
CREATE INDEX decisions_of_key ON decisions (model, key, number);
CREATE TRIGGER decisions_stay BEFORE UPDATE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decision records are never changed'); END;
CREATE TRIGGER decisions_remain BEFORE DELETE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decision records are never deleted'); END;
PRAGMA application_id=1213678659;
"""


def test_records_of_the_first_version_are_brought_up_to_date(path: Path) -> None:
    given, chain = [decision(), decision(score=0.5)], GENESIS
    connection = sqlite3.connect(path)
    connection.executescript(FIRST_VERSION)
    for number, one in enumerate(given, 1):
        chain = link(chain, one.canonical())
        row = (number, one.model, key_text(one), one.decided_at, one.band, one.canonical(), chain)
        connection.execute("INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()
    for _ in range(2):
        with DecisionStore.open(path) as store:
            assert (store.verify(), store.head()) == (2, Head(2, chain))
            assert [record.decision for record in store.page(key={"who": 1})] == given
    with DecisionStore.open(path) as store:
        store.append([decision()])
        assert store.verify() == 3


def test_a_later_version_is_left_alone(path: Path) -> None:
    DecisionStore.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=9")
    connection.close()
    with says(
        StoreError,
        f"""
        the decision records have another format version
          expected: 2
          got:      9
          where:    {path}
          do:       open them with the Headwater that wrote them, or a newer one
        """,
    ):
        DecisionStore.open(path)


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


_NUMBERS = (
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1e-3, 1e-3) | st.integers()
)


@given(st.dictionaries(st.text(max_size=6), _NUMBERS), _NUMBERS, _NUMBERS | st.text(max_size=3))
@example({"a%s": 1e-5, "b": 9.999e-5, "c": 1e16, "d": -0.0, "e": None}, 1e-9, "x")
@example({"a": 5e-324, 'b"': 0.0001, "c\n": 1e15, "d": 10**30, "e": True}, None, 2.5)
def test_the_canonical_text_is_what_json_writes(
    features: dict[str, float | None], reference: float | None, value: float | str | None
) -> None:
    reasons = (Reason('Fell "low"\t', "b%é", value, reference, -1e-7), Reason("", "c", 1.0, None, 0.1))
    for one in (decision(features=features, reasons=reasons), decision(features=features, reasons=())):
        plain = json.dumps(
            one.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        assert one.canonical() == plain


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_no_number_is_no_json(odd: float) -> None:
    with pytest.raises(StoreError, match="a decision cannot be written as JSON"):
        decision(features={"a": odd, "b": None}).canonical()


# Recorded once, never edited: yesterday's decisions must chain to the same links on today's code.
def test_a_recorded_decision_has_the_link_that_it_had() -> None:
    assert link(GENESIS, decision().canonical()).hex() == RECORDED


RECORDED = "1bf46fd39fe05eda11e2367e40da6470e0ab8da567dad98a24c5ceb3f5431172"


def test_the_wal_has_its_length_from_the_start(path: Path) -> None:
    wal = path.with_name("decisions.db-wal")
    with DecisionStore.open(path) as store:
        store.append([decision()])
        store.write_ahead()
        length = wal.stat().st_size
        assert length > CHECKPOINT_PAGES * 4_096
        for number in range(50):
            store.append([decision(request={"n": number})])
            store.fold()
        assert wal.stat().st_size == length
        assert store.verify() == 51
        copy = path.with_name("copy.db")  # as a crash would leave it
        for end in ("", "-wal"):
            copy.with_name(copy.name + end).write_bytes(path.with_name(path.name + end).read_bytes())
        with DecisionStore.open(copy) as found:
            assert found.verify(store.head()) == 51
    with sqlite3.connect(path) as found_tables:
        names = {name for (name,) in found_tables.execute("SELECT name FROM sqlite_master")}
    assert "ahead" not in names
