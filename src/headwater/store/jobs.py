"""Jobs: what was to be done at which moment and why, how often it was tried, and what came of it.

::

    (nothing) ── plan ──► waiting ── start ──► running ── end ──► done, refused
                             ▲                   │   │               (a written refusal: the data does not
                             └──── put_back ─────┘   │                allow it; to try again changes nothing)
                                                     └──── end ──► failed ── again, while it may be tried

A job is known by its name and the moment that it was due: to plan it twice plans it once, and to run it twice
runs it once. Whoever plans or runs holds the project's lock (``store.holding``); so a job that is ``running``
when the lock is got is that of a process that died, and is started again. Written by ``apps.jobs``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from headwater.core.errors import Problem, StoreError
from headwater.store.database import Kind
from headwater.store.decision import canonical_json
from headwater.store.opened import Opened

State = Literal["waiting", "running", "done", "refused", "failed"]

_TABLES = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, due INTEGER NOT NULL, state TEXT NOT NULL,
    why TEXT NOT NULL, asked_by TEXT, planned INTEGER NOT NULL, attempt INTEGER NOT NULL,
    started INTEGER, ended INTEGER, again INTEGER, outcome TEXT NOT NULL, letter TEXT NOT NULL,
    UNIQUE (name, due)
)

CREATE INDEX jobs_by_state ON jobs (state)

CREATE TABLE known (name TEXT PRIMARY KEY, since INTEGER NOT NULL)
"""
KIND = Kind("jobs", 0x48574A42, 1, _TABLES)  # "HWJB"
COLUMNS = "number, name, due, state, why, asked_by, planned, attempt, started, ended, again, outcome, letter"
_SELECT = f"SELECT {COLUMNS} FROM jobs"  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Job:
    """A job. Times are microseconds UTC.

    Attributes:
        number: counts from 1, in the order in which jobs were planned.
        name: its kind, and of what: ``drift.risk``.
        due: the moment that it is for; together with the name it says which job it is.
        state: where it stands.
        why: the reason that it is run for, as sentences.
        asked_by: who asked for it, as the audit trail names people; None where the time or a trigger did.
        planned: when it was planned.
        attempt: how often it was started.
        started, ended: of the last attempt.
        again: when it is tried again; None if it is not.
        outcome: what came of it, and what it noted on its way, plain JSON values.
        letter: why it was refused, or what failed last.
    """

    number: int
    name: str
    due: int
    state: State
    why: str
    asked_by: str | None = None
    planned: int = 0
    attempt: int = 0
    started: int | None = None
    ended: int | None = None
    again: int | None = None
    outcome: Mapping[str, Any] = field(default_factory=dict)
    letter: tuple[Problem, ...] = ()

    @property
    def id(self) -> str:
        """As people and programs name it."""
        return f"j{self.number}"

    @property
    def kind(self) -> str:
        """What is done, without of what."""
        return self.name.partition(".")[0]


def number_of(id: str) -> int | None:
    """The number of an id such as ``j12``; None if it is none.

    Example:
        >>> number_of("j12"), number_of("12"), number_of("j-1"), number_of("a12")
        (12, 12, None, None)
    """
    digits = id.removeprefix("j")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None


class JobStore(Opened):
    """The jobs of a project. Open it with :meth:`open`; safe to share between threads.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with JobStore.open(folder.name + "/jobs.db") as jobs:
        ...     planned = jobs.plan("drift.risk", 7, "It is time.", now=8)
        ...     jobs.plan("drift.risk", 7, "It is time.", now=9) == planned
        ...     running = jobs.start(planned.number, now=9)
        ...     done = jobs.end(planned.number, "done", now=10, outcome={"level": "quiet"})
        ...     planned.state, running.state, done.state, done.attempt, done.outcome
        True
        ('waiting', 'running', 'done', 1, {'level': 'quiet'})
        >>> folder.cleanup()
    """

    KIND = KIND

    # --- The life of a job ---------------------------------------------------------------------------

    def plan(self, name: str, due: int, why: str, *, now: int, asked_by: str | None = None) -> Job:
        """A job that waits for its turn, or the one of this name and moment that there is already."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO jobs (name, due, state, why, asked_by, planned, attempt, outcome, letter)"
                " VALUES (?, ?, 'waiting', ?, ?, ?, 0, '{}', '[]') ON CONFLICT DO NOTHING",
                (name, due, why, asked_by, now),
            )
            row = connection.execute(f"{_SELECT} WHERE name = ? AND due = ?", (name, due)).fetchone()
        return job_of(row)

    def start(self, number: int, *, now: int) -> Job:
        """It is run now. Callers hold the project's lock."""
        return self._change(
            number,
            "state = 'running', attempt = attempt + 1, started = ?, ended = NULL, again = NULL",
            (now,),
        )

    def take(self, job: Job, *, now: int) -> Job | None:
        """It is run now: nobody else can have taken it, for callers hold the project's lock."""
        return self.start(job.number, now=now)

    def note(self, number: int, facts: Mapping[str, Any]) -> Job:
        """Facts that an attempt needs again if it is cut short, such as the moment that it trains as of."""
        return self._change(number, "outcome = json_patch(outcome, ?)", (canonical(facts),))

    def put_back(self, number: int, *, counts: bool) -> Job:
        """It was cut short and waits again. An attempt that was ended on purpose does not count."""
        less = 0 if counts else 1
        return self._change(number, "state = 'waiting', attempt = max(0, attempt - ?)", (less,))

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
        """What came of it.

        Args:
            number: of the job.
            state: ``done``, ``refused`` or ``failed``.
            now: microseconds UTC.
            outcome: plain JSON values, beside what was noted.
            letter: why not.
            again: when it is tried again.
        """
        return self._change(
            number,
            "state = ?, ended = ?, outcome = json_patch(outcome, ?), letter = ?, again = ?",
            (state, now, canonical(outcome or {}), letter_text(letter), again),
        )

    def known_since(self, names: Sequence[str], *, now: int) -> dict[str, int]:
        """When each job was seen for the first time: from then on its moments are counted."""
        with self._database.reading() as connection:
            found = dict(connection.execute("SELECT name, since FROM known").fetchall())
        if new := [name for name in names if name not in found]:
            with self._database.writing() as connection:
                connection.executemany(
                    "INSERT INTO known VALUES (?, ?) ON CONFLICT DO NOTHING", [(name, now) for name in new]
                )
                found = dict(connection.execute("SELECT name, since FROM known").fetchall())
        return {name: found[name] for name in names}

    # --- Looking -------------------------------------------------------------------------------------

    def find(self, number: int) -> Job | None:
        """The job of a number; None if there is none."""
        found = self._jobs("WHERE number = ?", (number,))
        return found[0] if found else None

    def running(self) -> list[Job]:
        """Those that are run; or were, by a process that died."""
        return self._jobs("WHERE state = 'running' ORDER BY number", ())

    def abandoned(self) -> list[Job]:
        """Those that were run by a process that died: all that run, for whoever holds the project's lock."""
        return self.running()

    def open_ones(self) -> list[Job]:
        """Those that wait, run, or are to be tried again; the one that was due first comes first."""
        return self._jobs(
            "WHERE state IN ('waiting', 'running') OR (state = 'failed' AND again IS NOT NULL)"
            " ORDER BY due, number",
            (),
        )

    def newest(self, name: str) -> Job | None:
        """The job of a name that was due last."""
        found = self._jobs("WHERE name = ? ORDER BY due DESC LIMIT 1", (name,))
        return found[0] if found else None

    def newest_done(self, name: str) -> Job | None:
        """The one of them that was due last and is done."""
        found = self._jobs("WHERE name = ? AND state = 'done' ORDER BY due DESC LIMIT 1", (name,))
        return found[0] if found else None

    def page(self, *, name: str | None = None, before: int | None = None, limit: int = 100) -> list[Job]:
        """The newest jobs, those planned last first; with ``before``, those with smaller numbers."""
        return self._jobs(
            "WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR number < ?2) ORDER BY number DESC LIMIT ?3",
            (name, before, limit),
        )

    def _jobs(self, which: str, values: tuple[Any, ...]) -> list[Job]:
        with self._database.reading() as connection:
            return [job_of(row) for row in connection.execute(f"{_SELECT} {which}", values)]

    def _change(self, number: int, what: str, values: tuple[Any, ...]) -> Job:
        with self._database.writing() as connection:
            connection.execute(f"UPDATE jobs SET {what} WHERE number = ?", (*values, number))  # noqa: S608
            row = connection.execute(f"{_SELECT} WHERE number = ?", (number,)).fetchone()
        return job_of(row)


def letter_text(letter: Sequence[Problem]) -> str:
    """Problems as the table holds them."""
    return json.dumps([{name: getattr(one, name) for name in Problem.__slots__} for one in letter])


def canonical(facts: Mapping[str, Any]) -> str:
    """Facts as the table holds them.

    Raises:
        StoreError: JSON cannot hold them.
    """
    try:
        return canonical_json(facts)
    except (TypeError, ValueError) as error:
        raise StoreError.of(
            "the outcome of a job cannot be written as JSON",
            expected="numbers, texts, Booleans, null, lists and objects",
            got=str(error),
            do="take such values out of it",
        ) from None


def job_of(row: Sequence[Any]) -> Job:
    """A job as a row of the table holds it."""
    facts: dict[str, Any] = dict(zip(COLUMNS.split(", "), row, strict=True))
    facts["outcome"] = json.loads(facts["outcome"])
    facts["letter"] = tuple(Problem(**one) for one in json.loads(facts["letter"]))
    return Job(**facts)
