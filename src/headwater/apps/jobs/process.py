"""The scheduler: a child of ``headwater serve`` that plans jobs and runs those that are due, one at a time.

::

    look ──► nothing is due ──► rest ──► look ...
      └────► a job: run it, tell the server, end with AGAIN: the next child begins with an empty memory

It stands back behind the server (the lowest priority, one thread). If it is killed, the job that it ran is
found running by the next child, and goes on. Started by ``http.scheduler``; read ``desk`` for the work.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.apps.http import logs
from headwater.apps.jobs.desk import Desk
from headwater.apps.jobs.settings import JobSettings
from headwater.apps.masking import Mask
from headwater.apps.settings import Settings, environment
from headwater.apps.stores import records_of
from headwater.apps.workers.message import Message
from headwater.apps.workers.parent import GoneError, Parent
from headwater.apps.workers.worker import AGAIN
from headwater.core.clock import Clock, SystemClock
from headwater.core.errors import DefinitionError, HeadwaterError
from headwater.definitions.compile import content_hash
from headwater.definitions.loading import load_project
from headwater.store.jobs import Job

SERVE, LOOK, STANDS, ENDED, FAULT = "serve", "look", "stands", "ended", "fault"
EVERY = 5.0  # seconds between two looks
BEAT = 30.0  # seconds between two reports to the server, if nothing changes


@dataclass
class Scheduler:
    """The loop of the process.

    Attributes:
        server: who started it.
        desk: where jobs are planned and run.
        every: seconds between two looks.
    """

    server: Parent
    desk: Desk
    every: float = EVERY
    _told: float = float("-inf")

    def run(self) -> Job:
        """Look until there is a job; run it, and tell how it ended.

        Raises:
            GoneError: the server is gone: the way in which this ends.
            SystemExit: other definitions are served.
            HeadwaterError: jobs cannot be planned.
        """
        while True:
            with self.desk.turn() as mine:
                if mine:
                    self.desk.plan()
                    job = self.desk.next()
                    self._tell(running=job)
                    if job is not None:
                        done = self.desk.run(job, self.server.step)
                        if done.state == "running":
                            continue  # another server was quicker
                        self._tell_end(done)
                        return done
            self._tell(running=None, beat=True)
            said = self.server.next(self.every)  # whatever it says is a reason to look
            if said is not None and said["kind"] == SERVE:
                raise SystemExit(AGAIN)  # other definitions are served: the next child reads them

    def _tell(self, *, running: Job | None, beat: bool = False) -> None:
        now = time.monotonic()
        if beat and now < self._told + BEAT:
            return
        self._told = now
        open_ones = self.desk.jobs.open_ones()
        self.server.tell(
            {
                "kind": STANDS,
                "running": None if running is None else running.name,
                "waiting": sum(one.state != "running" for one in open_ones) - (running is not None),
            }
        )

    def _tell_end(self, job: Job) -> None:
        took = ((job.ended or 0) - (job.started or 0)) / 1e6
        told: Message = {"kind": ENDED, "job": job.name, "state": job.state, "seconds": took, "at": job.ended}
        self.server.tell(told)
        self._tell(running=None)


def main(server: Parent, arguments: Sequence[str], clock: Clock = SystemClock()) -> None:  # noqa: B008 - it holds nothing
    """The scheduler of a live service, until its first job is run.

    Args:
        server: who started it; it says first which definitions it serves.
        arguments: the project file, the data folder, and the least that is logged.
        clock: tells now.

    Raises:
        GoneError: the server is gone: the way in which this ends.
        HeadwaterError: the project file is not what is served, or jobs cannot be planned.
        SystemExit: a job was run; another child is to follow.
    """
    project_file, data, log_level = arguments
    logs.set_up(log_level)
    settings, environ = Settings.read(project=project_file, data=data), environment()
    while (said := server.next(60.0)) is None or said["kind"] != SERVE:
        pass
    project = load_project(settings.project)
    if content_hash(project) != said["project"]:
        server.tell({"kind": FAULT})
        raise DefinitionError.of(
            "the project file is not what the server serves",
            expected=str(said["project"]),
            got=content_hash(project),
            where=str(settings.project),
            do="let the server read it: POST /v1/reload",
        )
    logs.set_up(log_level, mask=Mask.of(project))
    with records_of(settings.data, settings.database) as records, records.jobs() as jobs:
        how = JobSettings.read(environ)
        desk = Desk(project, settings, how, environ, jobs, clock.now, stops=(GoneError,))
        try:
            Scheduler(server, desk).run()
        except HeadwaterError:
            server.tell({"kind": FAULT})
            raise
    sys.exit(AGAIN)
