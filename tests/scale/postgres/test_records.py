"""What only a database that servers share can get wrong: versions, lost answers, leases, moved letters."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import psycopg
import pytest
from sqlalchemy.engine import make_url

from headwater.apps.database import DatabaseSettings
from headwater.apps.stores import records_of
from headwater.core.errors import DataError, StoreError, UnavailableError
from headwater.core.secret import Secret
from headwater.log.embedded import EmbeddedLog
from headwater.log.protocol import Append, DeadLetter
from headwater.scale.postgres.door import (
    Address,
    Database,
    Moved,
    PostgresDeadLetters,
    PostgresDecisions,
    PostgresJobs,
    need_current,
    standing,
    upgrade,
)
from headwater.store.audit import Act
from headwater.store.decisions import DecisionStore
from headwater.store.jobs import Job
from tests.letters import says
from tests.serving.bank import PAYMENTS
from tests.store.cases import decision
from tests.store.hosts import Postgres

pytestmark = pytest.mark.services


# --- The tables -------------------------------------------------------------------------------------


def test_tables_are_made_once_and_a_server_wants_its_own(bare: Postgres, tmp_path: Path) -> None:
    database = bare.database()
    with says(
        StoreError,
        f"""
        the tables of the database are not those of this Headwater
          expected: version 0002
          got:      no tables of Headwater
          where:    {bare.place}
          do:       run `headwater database upgrade` once, then start again
        """,
    ):
        records_of(tmp_path, DatabaseSettings(Secret(bare.url)))
    with ThreadPoolExecutor(3) as pool:
        before = list(pool.map(lambda _: upgrade(bare.database()).state, range(3)))
    assert sorted(before) == ["current", "current", "empty"]
    assert standing(database).state == "current"
    with records_of(tmp_path, DatabaseSettings(Secret(bare.url))) as records, records.decisions() as store:
        assert (records.shared, records.decided(), len(store), records.away) == (True, True, 0, None)
    bare.run("UPDATE headwater.schema_version SET version_num = '9999'")
    with says(
        StoreError,
        f"""
        the tables of the database are not those of this Headwater
          expected: version 0002
          got:      version 9999
          where:    {bare.place}
          do:       start the Headwater that made them, or a newer one
        """,
    ):
        records_of(tmp_path, DatabaseSettings(Secret(bare.url)))
    with says(
        StoreError,
        f"""
        the tables of the database are of a newer Headwater
          expected: version 0002 or older
          got:      version 9999
          where:    {bare.place}
          do:       upgrade with the Headwater that made them, or a newer one
        """,
    ):
        upgrade(database)


def test_sql_cannot_change_or_delete(shared: Postgres) -> None:
    with shared.decisions() as store:
        store.append([decision()], ["a"])
    for statement in (
        "UPDATE headwater.decisions SET band = 'healthy'",
        "DELETE FROM headwater.decisions",
        "DELETE FROM headwater.decision_keys",
        "UPDATE headwater.decision_requests SET number = 9",
        "TRUNCATE headwater.decisions",
        "TRUNCATE headwater.trail",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="never changed or deleted"):
            shared.run(statement)


def test_the_same_decisions_are_the_same_bytes_and_links(shared: Postgres, tmp_path: Path) -> None:
    given = [decision(score=i / 7, keys={"who": f"Zoë {i} \\ \" ' \x01"}) for i in range(20)]
    with shared.decisions() as there, DecisionStore.open(tmp_path / "decisions.db") as here:
        assert there.append(given) == here.append(given)
        assert there.head() == here.head()
    with psycopg.connect(shared.url) as connection:
        rows = connection.execute("SELECT record FROM headwater.decisions ORDER BY number").fetchall()
    assert [row[0] for row in rows] == [one.canonical() for one in given]


# --- Addresses and absence --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "got"),
    [
        ("hunter2", "a text that is no address"),
        ("mysql://ada:hunter2@host/name", "an address of mysql"),
        ("postgresql://ada:hunter2@host", "an address without the name of a database"),
    ],
)
def test_an_address_that_is_none_is_not_quoted(url: str, got: str) -> None:
    with says(
        DataError,
        f"""
        the address of the database cannot be read
          expected: postgresql://user:password@host:port/name
          got:      {got}
          where:    HEADWATER_DATABASE_URL
          do:       correct the setting; an @, : or / in a password is written %40, %3A or %2F
        """,
    ):
        Address.read(Secret(url))


def test_a_database_that_nobody_serves(tmp_path: Path) -> None:
    settings = DatabaseSettings(Secret("postgresql://ada:hunter2@127.0.0.1:1/none"))
    with pytest.raises(UnavailableError) as caught:
        records_of(tmp_path, settings)
    (problem,) = caught.value.problems
    assert (problem.what, problem.where) == ("the database is away", "postgresql://ada@127.0.0.1:1/none")
    assert (
        problem.do == "try again; nothing is answered that is not recorded. If it lasts, look at the database"
    )
    assert "hunter2" not in str(caught.value)


class Unlucky(Database):
    """Loses the connection once a call was answered by the server, before the answer came."""

    losses = 0

    def calling(self) -> Any:
        return self._losing(super().calling())

    def _losing(self, inner: Any) -> Any:
        outer = self

        class Losing:
            def __enter__(self) -> Any:
                return inner.__enter__()

            def __exit__(self, *error: object) -> Any:
                done = inner.__exit__(*error)
                if outer.losses and error[0] is None:
                    outer.losses -= 1
                    raise UnavailableError.of("the answer was lost")
                return done

        return Losing()


def test_a_call_whose_answer_was_lost_is_done_once(shared: Postgres) -> None:
    database = Unlucky(shared.address, patience=5.0)
    with PostgresDecisions(database) as store:
        first = store.append([decision()], ["a"])
        database.losses = 2
        second = store.append([decision(score=0.2), decision(), decision(score=0.3)], [None, "a", "b"])
        assert [one.id for one in second] == ["d2", "d1", "d3"]
        assert second[1] == first[0]
        assert (store.verify(), database.losses) == (3, 0)
    database.close()


def test_a_server_that_gave_up_does_not_write_later(shared: Postgres) -> None:
    """A call that is older than the last one that was answered is refused by the database."""
    database = shared.database()
    with PostgresDecisions(database) as store:
        store.append([decision()])
        store.append([decision()])
        store._call = 0
        with pytest.raises(StoreError, match="a later call was answered already"):
            store.append([decision()])
        assert len(store) == 2


# --- Jobs -------------------------------------------------------------------------------------------


def test_a_job_is_run_by_one_of_many(shared: Postgres) -> None:
    servers = [shared.jobs() for _ in range(4)]
    planned = [servers[0].plan("drift.risk", due, "It is time.", now=1) for due in range(20)]

    def work(jobs: PostgresJobs) -> list[int]:
        return [job.number for job in planned if jobs.take(job, now=2) is not None]

    with ThreadPoolExecutor(4) as pool:
        taken = [number for found in pool.map(work, servers) for number in found]
    assert sorted(taken) == [job.number for job in planned]
    for jobs in servers:
        jobs.close()


def test_a_job_is_taken_as_it_was_looked_at(shared: Postgres) -> None:
    with shared.jobs() as one, shared.jobs() as other:
        looked = one.plan("drift.risk", 1, "It is time.", now=1)
        assert other.take(looked, now=2) is not None
        other.end(looked.number, "failed", now=3, again=3)
        assert one.take(looked, now=4) is None, "it was run since"
        (now,) = one.open_ones()
        assert one.take(now, now=4) is not None


def test_a_lease_that_is_renewed_holds_and_one_that_is_not_runs_out(shared: Postgres) -> None:
    with shared.jobs(lease=0.6) as one, shared.jobs() as other:
        job = one.plan("drift.risk", 1, "It is time.", now=1)
        running = one.take(job, now=2)
        assert running is not None
        time.sleep(1.0)
        assert other.abandoned() == [], "it is renewed"
        assert other.put_back(job.number, counts=True).state == "running", "it is not the other's"
        one.close()  # as if it had died: no renewal any more
        assert _soon(other.abandoned) == [running]
        assert other.put_back(job.number, counts=True).state == "waiting"
        taken = other.take(other.open_ones()[0], now=5)
        assert taken is not None
        with says(
            StoreError,
            f"""
            the job is not this process's any more
              expected: a lease that was renewed in time
              got:      another process that has taken it over
              where:    job j{job.number}
              do:       nothing: what comes of it there counts; look why this one was away for so long
            """,
        ):
            one.end(job.number, "done", now=6)
        assert other.end(job.number, "done", now=7).state == "done"


def _soon(look: Any) -> list[Job]:
    stop = time.monotonic() + 5
    while not (found := look()) and time.monotonic() < stop:
        time.sleep(0.05)
    return list(found)


# --- Dead letters -----------------------------------------------------------------------------------


def letters(log: EmbeddedLog, *reasons: str) -> None:
    def written(_: Sequence[Any]) -> list[DeadLetter]:
        return [
            DeadLetter("payments", 5, reason, "It is odd.", '{"a": "\\u0000"}', "x") for reason in reasons
        ]

    log.append_many([Append("payments", pl.DataFrame(schema=dict(PAYMENTS.schema)), 5)], letters=written)


def test_letters_are_moved_once_whatever_is_cut_short(shared: Postgres, tmp_path: Path) -> None:
    box = PostgresDeadLetters(shared.database())
    with (
        EmbeddedLog.open(tmp_path / "a.log", [PAYMENTS]) as a,
        EmbeddedLog.open(tmp_path / "b.log", [PAYMENTS]) as b,
    ):
        letters(a, "late", "late", "schema")
        letters(b, "late")
        box._take(a.dead_letters(), "a")  # moved, and killed before they were removed from the log
        ours, theirs = Moved(box, lambda: a, "a"), Moved(box, lambda: b, "b")
        assert ours.dead_letter_counts() == {"late": 2, "schema": 1}
        assert theirs.dead_letter_counts("payments") == {"late": 3, "schema": 1}
        assert (a.dead_letters(), b.dead_letters()) == ([], [])
        found = ours.dead_letters(reason="late", limit=2)
        assert [(one.stream, one.reason, one.event) for one in found] == [
            ("payments", "late", '{"a": "\\u0000"}')
        ] * 2
        assert [one.id for one in ours.dead_letters(after=found[0].id)] == [2, 3, 4]
        assert ours.remove_dead_letters(ids=[1, 3]) == 2
        assert theirs.remove_dead_letters(reason="late", stream="payments") == 2
        letters(a, "late")
        assert ours.dead_letter_counts() == {"late": 1}


def test_letters_stay_in_the_log_while_the_database_is_away(tmp_path: Path) -> None:
    away = Database(Address.read(Secret("postgresql://ada:hunter2@127.0.0.1:1/none")))
    with EmbeddedLog.open(tmp_path / "a.log", [PAYMENTS]) as log:
        letters(log, "late")
        with pytest.raises(UnavailableError):
            Moved(PostgresDeadLetters(away), lambda: log, "a").dead_letter_counts()
        assert len(log.dead_letters()) == 1
    away.close()


def test_a_role_that_may_do_what_the_page_says_is_enough(shared: Postgres) -> None:
    """The grants of docs/how-to/postgres.md, word for word."""
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "postgres.md").read_text(encoding="utf-8")
    role = f"hw_{uuid4().hex[:8]}"
    grants = page.partition("```sql\n")[2].partition("```")[0].replace("headwater_server", role)
    shared.run(f"CREATE ROLE {role} LOGIN PASSWORD 'of-a-test'", *filter(str.strip, grants.split(";")))
    try:
        url = make_url(shared.url).set(username=role, password="of-a-test")  # noqa: S106
        with ExitStack() as stack:
            small = Postgres(url.render_as_string(hide_password=False), stack)
            need_current(small.database())
            with small.decisions() as store:
                assert [one.id for one in store.append([decision(), decision()], ["a", "a"])] == ["d1", "d1"]
                assert store.verify() == 1
            with small.trail() as trail:
                trail.append(Act(5, "cli:ada", "model.promote", "risk"))
                assert trail.verify().count == 1
            with small.jobs() as jobs:
                jobs.known_since(["a"], now=1)
                job = jobs.take(jobs.plan("a", 1, "w", now=1), now=2)
                assert job is not None
                assert jobs.end(job.number, "done", now=3).state == "done"
            box = PostgresDeadLetters(small.database())
            box._take([DeadLetter("payments", 5, "late", "odd", "{}", None, 1)], "a")
            assert box.remove_dead_letters() == 1
    finally:
        shared.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
