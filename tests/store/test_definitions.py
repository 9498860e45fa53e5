"""Kept definitions: once in, never changed; what comes out has the hash that it was kept under."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Thread

import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DataError, StoreError
from headwater.definitions.compile import compiled, content_hash
from headwater.store.definitions import DefinitionStore
from tests.letters import says
from tests.serving.bank import POLICY, PROJECT, RISK, model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "definitions.db"


def test_a_project_is_kept_with_its_parts(file: Path) -> None:
    with DefinitionStore.open(file) as store:
        assert store.keep(PROJECT, now=5) == 3
        assert store.keep(PROJECT, now=6) == 0
    with DefinitionStore.open(file) as store:
        assert [(one.kind, one.name, one.since, one.polars) for one in store.all()] == [
            ("project", "bank", 5, pl.__version__),
            ("model", "risk", 5, pl.__version__),
            ("policy", "lend", 5, pl.__version__),
        ]
        found = store.find(content_hash(POLICY))
        assert found is not None
        assert found.form == compiled(POLICY)
        assert store.find(content_hash(RISK)[:8]) == store.all("model")[0]
        assert store.verify() == 3


def test_only_what_is_new_is_kept(file: Path) -> None:
    strict = hw.Policy("lend", RISK, {"yes": 0.0, "no": 0.1})
    with DefinitionStore.open(file) as store:
        store.keep(PROJECT, now=5)
        assert store.keep(hw.Project("bank", [RISK], [strict]), now=9) == 2
        assert [(one.kind, one.since) for one in store.all()][3:] == [("project", 9), ("policy", 9)]


@pytest.mark.parametrize("digest", ["", "0123456", "0" * 64, "0" * 65, "A" * 64, "%" * 8, "x' OR 1=1 --"])
def test_what_is_not_kept(file: Path, digest: str) -> None:
    with DefinitionStore.open(file) as store:
        store.keep(PROJECT, now=5)
        assert store.find(digest) is None


def test_two_that_begin_alike_are_told_apart(file: Path) -> None:
    with DefinitionStore.open(file) as store:
        store.keep(PROJECT, now=5)
        first, second = (store.all()[place] for place in (0, 1))
    start = first.digest[:10]
    change = f"UPDATE definitions SET hash = '{start}' || substr(hash, 11) WHERE number = 2"  # noqa: S608 - hex
    tampered(file, change)
    with DefinitionStore.open(file) as store, pytest.raises(DataError) as caught:
        store.find(first.digest[:9])
    (problem,) = caught.value.problems
    assert problem.what == "several kept definitions begin with these digits"
    assert second.digest[10:] in str(problem.got)


def test_nothing_is_changed_or_deleted_by_sql(file: Path) -> None:
    with DefinitionStore.open(file) as store:
        store.keep(PROJECT, now=5)
    connection = sqlite3.connect(file)
    for statement in ("UPDATE definitions SET since = 1", "DELETE FROM definitions"):
        with pytest.raises(sqlite3.IntegrityError, match="kept definitions are never"):
            connection.execute(statement)
    connection.close()


def tampered(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    connection.executescript(f"DROP TRIGGER definitions_stay; DROP TRIGGER definitions_remain; {statement};")
    connection.close()


def test_a_changed_byte_is_found(file: Path) -> None:
    with DefinitionStore.open(file) as store:
        store.keep(PROJECT, now=5)
    tampered(file, "UPDATE definitions SET text = replace(text, '0.2', '0.3') WHERE kind = 'policy'")
    digest = content_hash(POLICY)
    forged = hw.Policy("lend", RISK, {**POLICY.bands, "watch": 0.3}, POLICY.reasons)
    with DefinitionStore.open(file) as store:
        for read in (store.verify, store.all, lambda: store.find(digest)):
            with says(
                StoreError,
                f"""
                a kept definition is not the one that was written
                  expected: policy lend, hash {digest}
                  got:      hash {content_hash(forged)}
                  where:    {file}
                  do:       restore the file from a copy; nobody may change kept definitions
                """,
            ):
                read()
        with pytest.raises(StoreError, match="is not the one that was written"):
            store.keep(PROJECT, now=6)
        assert store.find(content_hash(RISK)) is not None


def test_a_changed_name_is_found(file: Path) -> None:
    with DefinitionStore.open(file) as store:
        store.keep(PROJECT, now=5)
    tampered(file, "UPDATE definitions SET kind = 'policy' WHERE kind = 'model'")
    with DefinitionStore.open(file) as store, pytest.raises(StoreError, match="another kind or name"):
        store.verify()


def test_many_at_once_keep_it_once(file: Path) -> None:
    projects = [hw.Project("bank", [model(request=["amount"] * (n % 2))]) for n in range(8)]
    with DefinitionStore.open(file) as store:
        threads = [Thread(target=store.keep, args=(one,), kwargs={"now": 5}) for one in projects]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (store.verify(), len({one.digest for one in store.all()})) == (4, 4)
