"""Jobs in Postgres: several servers plan and run them, and each job is run by one.

::

    server a   take j7 ──► running, leased ── beat ── beat ── end ──► done
    server b   take j7 ──► None: another has it
    a dies                 running, leased ── (no beat) ── lease over ──► b finds it abandoned: waits again

A job is taken as it was looked at: whoever comes with what it was before finds it otherwise. Leases are told
by the database's clock. A thread renews them while a job runs; a database that is away for less than a lease
changes nothing. Obeys ``store.protocol.Jobs``; called by ``apps.jobs``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection

from headwater.core.errors import Problem, StoreError, UnavailableError
from headwater.scale.postgres.borrowed import Borrowed
from headwater.scale.postgres.database import Database
from headwater.scale.postgres.tables import JOBS, KNOWN
from headwater.store.jobs import COLUMNS, Job, State, canonical, job_of, letter_text

LEASE = 120.0  # seconds that a job is somebody's without a word from it
REST = 1.0  # seconds between two tries while the database is away
_j = JOBS.c
_FACTS = [_j[name] for name in COLUMNS.split(", ")]
_READ = sa.select(*_FACTS)
_NOW = sa.func.clock_timestamp()


class PostgresJobs(Borrowed):
    """The jobs of a database. Safe to share between threads and between servers.

    Args:
        database: open, with tables of this version.
        lease: seconds that a job is somebody's without a word from it.
    """

    def __init__(self, database: Database, lease: float = LEASE) -> None:
        super().__init__(database)
        self._lease = sa.literal(f"{lease} seconds").cast(sa.Interval)
        self._seconds, self._beat = lease, lease / 4
        self._owner = uuid.uuid4().hex
        self._mine: set[int] = set()
        self._lock = Lock()
        self._closed = Event()
        self._thread: Thread | None = None

    def close(self) -> None:
        """Renew nothing any more; the database is closed by whoever opened it."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    # --- The life of a job ---------------------------------------------------------------------------

    def plan(self, name: str, due: int, why: str, *, now: int, asked_by: str | None = None) -> Job:
        """A job that waits for its turn, or the one of this name and moment that there is already."""
        same = _j.name == name, _j.due == due
        with self._database.writing() as connection:
            row = connection.execute(_READ.where(*same)).one_or_none()
            if row is None:
                facts = {"name": name, "due": due, "why": why, "asked_by": asked_by, "planned": now}
                new = {"state": "waiting", "attempt": 0, "outcome": "{}", "letter": "[]"}
                connection.execute(insert(JOBS).values(**facts, **new).on_conflict_do_nothing())
                row = connection.execute(_READ.where(*same)).one()
        return job_of(row)

    def take(self, job: Job, *, now: int) -> Job | None:
        """It is run now, by this process; None if another took it since it was looked at."""
        free = (
            sa.select(_j.number)
            .where(_j.number == job.number, _j.state == job.state, _j.attempt == job.attempt)
            .where(_j.state != "running")
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        taken = (
            sa.update(JOBS)
            .where(_j.number == free)
            .values(
                state="running",
                attempt=_j.attempt + 1,
                started=now,
                ended=None,
                again=None,
                owner=self._owner,
                leased=_NOW + self._lease,
            )
            .returning(*_FACTS)
        )
        with self._database.writing() as connection:
            row = connection.execute(taken).one_or_none()
        if row is None:
            return None
        self._keep(job.number)
        return job_of(row)

    def note(self, number: int, facts: Mapping[str, Any]) -> Job:
        """Facts that an attempt needs again if it is cut short, such as the moment that it trains as of."""
        told = json.loads(canonical(facts))

        def noted() -> Job:
            with self._database.writing() as connection:
                self._need_own(connection, number)
                return self._merge(connection, number, told)

        return self._patiently(noted)

    def put_back(self, number: int, *, counts: bool) -> Job:
        """It was cut short and waits again. An attempt that was ended on purpose does not count."""
        less = 0 if counts else 1
        ours = (_j.owner == self._owner) | (_j.leased < _NOW)
        back = (
            sa.update(JOBS)
            .where(_j.number == number, _j.state == "running", ours)
            .values(state="waiting", attempt=sa.func.greatest(0, _j.attempt - less), owner=None, leased=None)
        )
        with self._database.writing() as connection:
            connection.execute(back)
            row = connection.execute(_READ.where(_j.number == number)).one()
        self._mine.discard(number)
        return job_of(row)

    def end(
        self,
        number: int,
        state: State,
        *,
        now: int,
        outcome: Mapping[str, Any] | None = None,
        letter: Sequence[Problem] = (),
        again: int | None = None,
    ) -> Job:
        """What came of it; see ``JobStore.end``.

        Raises:
            StoreError: another process has the job by now; what came of it there counts.
        """
        told = json.loads(canonical(outcome or {}))
        ended = {"state": state, "ended": now, "letter": letter_text(letter), "again": again}
        free = {"owner": None, "leased": None}

        def done() -> Job:
            with self._database.writing() as connection:
                self._need_own(connection, number)
                connection.execute(sa.update(JOBS).where(_j.number == number).values(**ended, **free))
                return self._merge(connection, number, told)

        job = self._patiently(done)
        self._mine.discard(number)
        return job

    def known_since(self, names: Sequence[str], *, now: int) -> dict[str, int]:
        """When each job was seen for the first time: from then on its moments are counted."""
        asked = sa.select(KNOWN.c.name, KNOWN.c.since).where(KNOWN.c.name.in_(names))
        with self._database.writing() as connection:
            found = {row.name: row.since for row in connection.execute(asked)}
            if new := [{"name": name, "since": now} for name in names if name not in found]:
                connection.execute(insert(KNOWN).on_conflict_do_nothing(), new)
                found = {row.name: row.since for row in connection.execute(asked)}
        return {name: found[name] for name in names}

    # --- Looking -------------------------------------------------------------------------------------

    def find(self, number: int) -> Job | None:
        """The job of a number; None if there is none."""
        found = self._jobs(_READ.where(_j.number == number))
        return found[0] if found else None

    def running(self) -> list[Job]:
        """Those that are told to be running, on whichever server."""
        return self._jobs(_READ.where(_j.state == "running").order_by(_j.number))

    def abandoned(self) -> list[Job]:
        """Those of them that nobody renewed in time: their process died, or was away for too long."""
        return self._jobs(_READ.where(_j.state == "running", _j.leased < _NOW).order_by(_j.number))

    def open_ones(self) -> list[Job]:
        """Those that wait, run, or are to be tried again; the one that was due first comes first."""
        again = sa.and_(_j.state == "failed", _j.again.is_not(None))
        return self._jobs(
            _READ.where(_j.state.in_(("waiting", "running")) | again).order_by(_j.due, _j.number)
        )

    def newest(self, name: str) -> Job | None:
        """The job of a name that was due last."""
        found = self._jobs(_READ.where(_j.name == name).order_by(_j.due.desc()).limit(1))
        return found[0] if found else None

    def newest_done(self, name: str) -> Job | None:
        """The one of them that was due last and is done."""
        done = _READ.where(_j.name == name, _j.state == "done")
        found = self._jobs(done.order_by(_j.due.desc()).limit(1))
        return found[0] if found else None

    def page(self, *, name: str | None = None, before: int | None = None, limit: int = 100) -> list[Job]:
        """The newest jobs, those planned last first; with ``before``, those with smaller numbers."""
        asked = _READ if name is None else _READ.where(_j.name == name)
        asked = asked if before is None else asked.where(_j.number < before)
        return self._jobs(asked.order_by(_j.number.desc()).limit(limit))

    # --- Inside --------------------------------------------------------------------------------------

    def _jobs(self, asked: Any) -> list[Job]:
        with self._database.reading() as connection:
            return [job_of(row) for row in connection.execute(asked)]

    def _patiently(self, change: Callable[[], Job]) -> Job:
        """Make a change; while the database is away, again and again for as long as the lease holds.

        What is changed twice is as if it were changed once.
        """
        give_up = monotonic() + self._seconds
        while True:
            try:
                return change()
            except UnavailableError:
                if monotonic() > give_up or self._closed.wait(REST):
                    raise

    def _need_own(self, connection: Connection, number: int) -> None:
        """Hold the row; raises StoreError where another process has taken the job over meanwhile."""
        asked = sa.select(_j.owner, _j.state).where(_j.number == number).with_for_update()
        row = connection.execute(asked).one()
        if row.owner not in (None, self._owner):
            self._mine.discard(number)
            raise StoreError.of(
                "the job is not this process's any more",
                expected="a lease that was renewed in time",
                got="another process that has taken it over",
                where=f"job j{number}",
                do="nothing: what comes of it there counts; look why this one was away for so long",
            )

    def _merge(self, connection: Connection, number: int, facts: Mapping[str, Any]) -> Job:
        held = connection.execute(sa.select(_j.outcome).where(_j.number == number)).scalar_one()
        text = canonical(patched(json.loads(held), facts))
        change = sa.update(JOBS).where(_j.number == number).values(outcome=text).returning(*_FACTS)
        return job_of(connection.execute(change).one())

    def _keep(self, number: int) -> None:
        """Renew the lease of a job from now on, until it ends."""
        with self._lock:
            self._mine.add(number)
            if self._thread is None:
                self._thread = Thread(target=self._renew, name="headwater-leases", daemon=True)
                self._thread.start()

    def _renew(self) -> None:
        rest = self._beat
        while not self._closed.wait(rest):
            rest = self._beat
            if not (mine := list(self._mine)):
                continue
            own = _j.number.in_(mine), _j.owner == self._owner, _j.state == "running"
            try:
                with self._database.writing() as connection:
                    connection.execute(sa.update(JOBS).where(*own).values(leased=_NOW + self._lease))
            except StoreError:  # soon again: the lease runs
                rest = min(self._beat, REST)


def patched(held: Any, facts: Any) -> Any:
    """A merge patch (RFC 7396): null takes a member away, objects are merged, all else is exchanged.

    Example:
        >>> patched({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": 4}})
        {'b': {'c': 4, 'd': 3}}
    """
    if not isinstance(facts, Mapping):
        return facts
    merged = dict(held) if isinstance(held, Mapping) else {}
    for name, value in facts.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = patched(merged.get(name), value)
    return merged
