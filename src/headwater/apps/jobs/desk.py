"""The desk: where jobs are planned, run one at a time, and written down.

::

    with desk.turn() as mine:         one process at a time; a job found running is that of one that died
        desk.plan()                   what is due, from timetable and history
        job = desk.next()             the one that was due first
        desk.run(job)                 done; refused, in writing; or failed, and tried again later

What a job raises never gets out: it stands in the job's record as a letter. Called by ``process``, by
``headwater jobs run``, and by tests.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.apps.jobs.history import history
from headwater.apps.jobs.kinds import KINDS, Task, Work, work_of
from headwater.apps.jobs.schedule import due_jobs
from headwater.apps.jobs.settings import JobSettings
from headwater.apps.jobs.timetable import Timing, timetable, timing_of
from headwater.apps.settings import Settings
from headwater.core.errors import (
    DataError,
    DefinitionError,
    HeadwaterError,
    MissingExtraError,
    Problem,
    TrainingError,
)
from headwater.core.instant import HOUR, MINUTE
from headwater.definitions.project import Project
from headwater.store.folder import DataFolder
from headwater.store.holding import holding
from headwater.store.jobs import Job
from headwater.store.protocol import Jobs

LOG = logging.getLogger("headwater.jobs")
RESTS = (
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
)  # until what failed is tried again, the first time, the second ...
REFUSALS = (TrainingError, DataError, DefinitionError, MissingExtraError)  # to try again changes nothing

_INTERRUPTED = Problem("the job was interrupted", do="run it again; it goes on from what it left")


@dataclass(frozen=True)
class Desk:
    """Where the jobs of a project are planned and run.

    Attributes:
        project: the definitions.
        settings: where project, data and registry are.
        how: what is set about jobs.
        environ: the environment, for settings that kinds read.
        jobs: their records.
        clock: microseconds UTC.
        stops: what a job raises when it is ended on purpose: it is put back, and the error goes on.
        find: the work of a kind.
    """

    project: Project
    settings: Settings
    how: JobSettings
    environ: Mapping[str, str]
    jobs: Jobs
    clock: Callable[[], int]
    stops: tuple[type[BaseException], ...] = ()
    find: Callable[[str], Work] = work_of

    @property
    def folder(self) -> DataFolder:
        """The data folder."""
        return DataFolder(self.settings.data)

    @property
    def timings(self) -> tuple[Timing, ...]:
        """The jobs of the project."""
        return timetable(self.project, self.how)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether it is this process' turn until the end of the block; what died before waits again then."""
        with holding(self.folder.make().jobs_lock) as mine:
            if mine:
                self._recover()
            yield mine

    def interrupted(self, job: Job) -> bool:
        """Whether a job that is told to be running is that of a process that died."""
        if job.state != "running":
            return False
        with holding(self.folder.jobs_lock) as free:
            return free and any(one.number == job.number for one in self.jobs.abandoned())

    def plan(self) -> list[Job]:
        """Write down what is due now. For whoever has the turn."""
        now = self.clock()
        found = due_jobs(self.timings, now, history(self.folder, self.jobs, self.timings, now))
        return [self.jobs.plan(one.name, one.moment, one.why, now=now) for one in found]

    def next(self) -> Job | None:
        """The job to run now, the one that was due first; None if none is."""
        now = self.clock()
        known = {one.name for one in self.timings}
        for job in self.jobs.open_ones():
            ripe = job.state == "waiting" or (job.again is not None and job.again <= now)
            if ripe and job.name in known:
                return job
        return None

    def run(self, job: Job, step: Callable[[], None] = lambda: None) -> Job:
        """Run a job to its end. For whoever has the turn; what is done already is not done again.

        Args:
            job: of this project's timetable.
            step: called now and then in long work; may raise one of ``stops``.
        """
        if job.state == "done":
            return job
        timing = timing_of(job.name, self.timings)
        running = self.jobs.take(job, now=self.clock())
        if running is None:  # another server was quicker
            return self.jobs.find(job.number) or job
        task = Task(
            running,
            timing.model,
            self.project,
            self.settings,
            self.how,
            self.environ,
            self.jobs,
            self.clock(),
            step,
        )
        try:
            outcome = self.find(timing.kind)(task)
        except self.stops:
            self.jobs.put_back(job.number, counts=False)
            raise
        except KeyboardInterrupt:
            self.jobs.end(job.number, "failed", now=self.clock(), letter=[_INTERRUPTED])
            raise
        except REFUSALS as error:
            return self.jobs.end(job.number, "refused", now=self.clock(), letter=error.problems)
        except HeadwaterError as error:
            return self._failed(running, error.problems)
        except Exception as error:  # whatever a library or an estimator raises: told by type and place
            LOG.exception("a job failed", extra={"job": job.name})
            return self._failed(running, (_bug(error),))
        return self._done(timing, running, outcome)

    def _done(self, timing: Timing, job: Job, outcome: Mapping[str, Any]) -> Job:
        done = self.jobs.end(job.number, "done", now=self.clock(), outcome=outcome)
        then = KINDS[timing.kind].then
        if then is not None and not any(one.name == then for one in self.jobs.open_ones()):
            now = self.clock()
            self.jobs.plan(then, now, f"{job.name} has kept a report.", now=now)
        return done

    def _failed(self, job: Job, letter: tuple[Problem, ...]) -> Job:
        now = self.clock()
        again = now + RESTS[job.attempt - 1] if job.attempt <= len(RESTS) else None
        return self.jobs.end(job.number, "failed", now=now, letter=letter, again=again)

    def _recover(self) -> None:
        """Jobs whose process died wait again; one that dies again and again does not."""
        for job in self.jobs.abandoned():
            LOG.warning("a job's process died; it goes on", extra={"job": job.name, "attempt": job.attempt})
            if job.attempt <= len(RESTS):
                self.jobs.put_back(job.number, counts=True)
                continue
            letter = Problem(
                "the process of this job died each time",
                expected=f"at most {len(RESTS)} deaths",
                got=f"{job.attempt} attempts",
                where=job.name,
                do="look whether the machine has enough memory for it, then: headwater jobs run " + job.name,
            )
            self.jobs.end(job.number, "failed", now=self.clock(), letter=[letter])


def _bug(error: Exception) -> Problem:
    """A failure that nobody foresaw, by its type and place; not its text, which may quote a value."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.name}" for frame in frames]
    seal = hashlib.sha256("\n".join([type(error).__name__, *places]).encode()).hexdigest()[:12]
    return Problem(
        "the job failed in a way that nobody foresaw",
        got=f"{type(error).__name__}, bug id {seal}",
        where=f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else None,
        do="look at the server's log, which has all places; report it with its id",
    )
