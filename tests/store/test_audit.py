"""The audit trail: what was administered stays; whatever is changed behind its back is found and located."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from headwater.core.errors import StoreError
from headwater.store.audit import Act, AuditTrail
from headwater.store.chain import GENESIS, link
from tests.letters import says

FREE = "DROP TRIGGER trail_stays; DROP TRIGGER trail_remains;"


def act(target: str = "risk", **details: object) -> Act:
    return Act(5, "cli:ada", "model.promote", target, details)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.db"


def written(path: Path, *targets: str) -> None:
    with AuditTrail.open(path) as trail:
        for target in targets:
            trail.append(act(target))


def tamper(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(FREE + statement)
    connection.close()


def test_entries_are_numbered_chained_and_come_back(path: Path) -> None:
    given = act(version=3, name="Zoë", share=0.1 + 0.2)
    with AuditTrail.open(path) as trail:
        first, second = trail.append(given), trail.append(act("other"))
        assert (first.number, first.chain) == (1, link(GENESIS, given.canonical()))
        assert second.chain == link(first.chain, second.act.canonical())
    with AuditTrail.open(path) as trail:
        assert trail.page() == [first, second]
        assert trail.page(after=1) == [second]
        assert trail.page(limit=1) == [first]
        assert trail.newest(1) == [second]
        assert (len(trail), trail.verify().count, trail.verify().head) == (2, 2, second.chain)
        assert trail.verify([first.chain, bytes(32)]).found == {first.chain}


def test_two_who_write_at_once_make_one_chain(path: Path) -> None:
    def work(name: str) -> None:
        with AuditTrail.open(path) as trail:
            for _ in range(10):
                trail.append(act(name))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with AuditTrail.open(path) as trail:
        assert trail.verify().count == 20


def test_only_its_owner_reads_the_file(path: Path) -> None:
    written(path, "a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_sql_cannot_change_or_delete(path: Path) -> None:
    written(path, "a")
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.DatabaseError, match="never changed"):
        connection.execute("UPDATE trail SET entry = ''")
    with pytest.raises(sqlite3.DatabaseError, match="never deleted"):
        connection.execute("DELETE FROM trail")
    connection.close()


def test_a_changed_entry_is_located(path: Path) -> None:
    written(path, "a", "b", "c")
    with AuditTrail.open(path) as trail:
        entries = trail.page()
    tamper(path, "UPDATE trail SET entry = replace(entry, 'cli:ada', 'cli:eve') WHERE number = 2")
    wrong = link(entries[0].chain, entries[1].act.canonical().replace("ada", "eve"))
    with (
        AuditTrail.open(path) as trail,
        says(
            StoreError,
            f"""
            an audit entry is not the one that was written
              expected: link {wrong.hex()}
              got:      link {entries[1].chain.hex()}
              where:    {path}, number 2
              do:       restore the records from a copy; nobody may change it
            """,
        ),
    ):
        trail.verify()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM trail WHERE number = 2", "missing"),
        ("DELETE FROM trail WHERE number = 1", "missing"),
        ("UPDATE trail SET number = 9 WHERE number = 3", "missing"),
        ("INSERT INTO trail SELECT 0, entry, chain FROM trail WHERE number = 1", "slipped in"),
        ("INSERT INTO trail SELECT 4, entry, chain FROM trail WHERE number = 3", "number 4"),
        ("UPDATE trail SET entry = CAST(x'ff' || CAST(entry AS BLOB) AS TEXT) WHERE number = 2", "number 2"),
        ("UPDATE trail SET chain = zeroblob(32) WHERE number = 2", "number 2"),
        ("UPDATE trail SET chain = 'text' WHERE number = 2", "number 2"),
        ("UPDATE trail SET entry = '' WHERE number = 3", "number 3"),
    ],
)
def test_other_ways_to_tamper(path: Path, statement: str, message: str) -> None:
    written(path, "a", "b", "c")
    tamper(path, statement)
    with AuditTrail.open(path) as trail, pytest.raises(StoreError, match=message):
        trail.verify()


def test_any_byte_of_the_entries_on_disk(path: Path) -> None:
    written(path, "first-target", "second-target", "third-target")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = path.read_bytes()
    with AuditTrail.open(path) as trail:
        entries = trail.page()
    for entry in entries:
        text = entry.act.canonical().encode()
        for part in (text, entry.chain):
            start = whole.index(part)
            for place in (start, start + len(part) // 2, start + len(part) - 1):
                path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
                with (
                    AuditTrail.open(path) as trail,
                    pytest.raises(StoreError, match=f"number {entry.number}\n"),
                ):
                    trail.verify()


def test_a_whole_new_trail_is_found_by_a_noted_link(path: Path) -> None:
    written(path, "a", "b")
    with AuditTrail.open(path) as trail:
        noted = trail.verify().head
    tamper(path, "DELETE FROM trail")
    written(path, "a", "other")
    with AuditTrail.open(path) as trail:
        walk = trail.verify([noted])
    assert (walk.count, walk.found) == (2, frozenset())


def test_what_json_cannot_hold(path: Path) -> None:
    with AuditTrail.open(path) as trail:
        with says(
            StoreError,
            """
            an act cannot be written to the audit trail
              expected: plain JSON values
              got:      TypeError
              where:    model.promote
              do:       give fewer and simpler details
            """,
        ):
            trail.append(act(photo=b"..."))
        with pytest.raises(StoreError, match="at most 65,536 bytes"):
            trail.append(act(text="x" * 70_000))
        with pytest.raises(StoreError, match="plain JSON values"):
            trail.append(act(number=float("nan")))
        assert len(trail) == 0


def test_line_breaks_and_quotes_do_not_leave_their_place(path: Path) -> None:
    with AuditTrail.open(path) as trail:
        entry = trail.append(act('x"},\n{"action":"key.create'))
        assert "\n" not in entry.act.canonical()
        assert trail.page() == [entry]


def test_an_entry_that_cannot_be_read(path: Path) -> None:
    written(path, "a")
    tamper(path, "UPDATE trail SET entry = 'nonsense'")
    with (
        AuditTrail.open(path) as trail,
        says(
            StoreError,
            """
            an audit entry cannot be read
              where:    number 1
              do:       run `headwater audit verify` to see what is left of the chain
            """,
        ),
    ):
        trail.page()


def test_another_database_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE mine (x)")
    connection.close()
    with says(
        StoreError,
        f"""
        the file holds no keys and no audit trail
          expected: a file that Headwater made
          got:      another SQLite database
          where:    {path}
          do:       name another file
        """,
    ):
        AuditTrail.open(path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none" / "access.db"
    with says(
        StoreError,
        f"""
        the file of keys and audit trail cannot be used
          got:      No such file or directory
          where:    {path}
          do:       look at the file, its folder and the disk, then try again
        """,
    ):
        AuditTrail.open(path)
