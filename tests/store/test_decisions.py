"""Decision records: what goes in comes out to the bit, in an order that nobody can change unseen."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from threading import Timer

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headwater.core.errors import ConflictError, StoreError
from headwater.store.database import CHECKPOINT_PAGES
from headwater.store.decision import Decision, Reason, canonical_json
from headwater.store.decisions import GENESIS, DecisionStore, Head, Record, key_text, link
from tests.letters import says
from tests.store.cases import decision


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "decisions.db"


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


# --- Several writers ------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    turns=st.lists(
        st.tuples(st.integers(0, 1), st.lists(st.sampled_from([None, None, "a", "b", "c"]), max_size=4)),
        max_size=12,
    )
)
def test_two_that_append_in_turns_make_one_chain(
    turns: list[tuple[int, list[str | None]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("two") / "decisions.db"
    wanted: list[Decision] = []
    named: dict[str, Decision] = {}
    with DecisionStore.open(path) as one, DecisionStore.open(path) as two:
        for place, (who, names) in enumerate(turns):
            some = [decision(score=i / 10, keys={"who": i, "of": f"{place}"}) for i in range(len(names))]
            found = (one, two)[who].append_each(some, names)
            assert len(found) == len(some)
            for given, name, answer in zip(some, names, found, strict=True):
                if name is not None and name in named and named[name].asked() != given.asked():
                    assert isinstance(answer, ConflictError)
                    continue
                assert isinstance(answer, Record)
                before = named.setdefault(name, given) if name is not None else given
                assert answer.decision == before
                if before is given:
                    wanted.append(given)
        assert one.verify() == two.verify() == len(wanted)
        assert [record.decision for record in two] == wanted
        for given in wanted:
            assert [record.decision for record in one.page(key=dict(given.keys))].count(given) >= 1


@pytest.mark.parametrize("value", [float("nan"), "half \ud800", object()])
def test_what_json_cannot_hold_leaves_the_others_in(path: Path, value: object) -> None:
    good, bad = decision(score=0.5), decision(request={"x": value})
    with DecisionStore.open(path) as store:
        store.append_each([good])
        first, second, third = store.append_each([good, bad, good])
        assert isinstance(first, Record)
        assert isinstance(second, StoreError)
        assert isinstance(third, Record)
        assert (first.id, third.id, store.verify()) == ("d2", "d3", 3)


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


def test_places_are_written_where_there_are_some_and_nowhere_else(path: Path) -> None:
    plain, placed = decision(), decision(places={"profiles/3": 40, "payments/3": 41_199})
    assert "places" not in plain.canonical()
    for one in (placed, decision(places={"payments/3": -1}, features={"a": 1.0})):  # the quick way, the long
        assert one.canonical() == canonical_json(one.to_json())
    assert '"offset":3,"places":{"payments/3":41199,"profiles/3":40},"policy":' in placed.canonical()
    with DecisionStore.open(path) as store:
        store.append([plain, placed])
        assert [record.decision for record in store] == [plain, placed]
        assert store.verify() == 2


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


def test_who_gives_a_new_file_its_wal_waits_for_who_makes_it(tmp_path: Path) -> None:
    """SQLite itself would refuse at once, where several open a new file at the same moment."""
    path = tmp_path / "decisions.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = Timer(0.3, other.close)
    done.start()
    with DecisionStore.open(path) as store:
        assert store.append([decision()])[0].number == 1
    done.join()
