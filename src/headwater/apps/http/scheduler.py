"""The server's side of its jobs: they run in a process of their own, and are asked for and told of here.

A model that a job promoted is served as any other that was promoted (``following``). If the process is down
the service goes on, and the metrics say so. Made by ``cli.serving``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from headwater.apps.http.metrics import Metrics
from headwater.apps.jobs.desk import Desk
from headwater.apps.jobs.process import ENDED, FAULT, LOOK, SERVE, STANDS
from headwater.apps.jobs.settings import JobSettings
from headwater.apps.jobs.telling import listed, plain
from headwater.apps.jobs.timetable import timing_of
from headwater.apps.settings import Settings
from headwater.apps.workers.message import Message
from headwater.apps.workers.worker import ALONE, FARTHEST, Worker
from headwater.apps.workers.worker import Job as Child
from headwater.core.errors import DataError
from headwater.definitions.compile import content_hash
from headwater.serving.service import Service
from headwater.store.audit import Act
from headwater.store.protocol import Jobs, Trail


def child(settings: Settings, log_level: str = "warning") -> Child:
    """How the scheduler of a project is run."""
    where = str(settings.project.absolute()), str(settings.data.absolute())
    around = {**ALONE, **settings.handed_down()}
    how = (*where, log_level)
    return Child("jobs", "headwater.apps.jobs.process", how, niceness=FARTHEST, environment=around)


class Scheduler:
    """The jobs of a service, as the service sees them.

    Args:
        service: open.
        settings: where project, data and registry are.
        how: what is set about jobs.
        jobs: their records.
        trail: where it is written down who asked for one.
        clock: microseconds UTC.
        metrics: what is counted.
    """

    def __init__(
        self,
        service: Service,
        settings: Settings,
        how: JobSettings,
        jobs: Jobs,
        trail: Trail,
        clock: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._service = service
        self._settings = settings
        self._how = how
        self._jobs = jobs
        self._trail = trail
        self._clock = clock
        self._metrics = metrics
        self._worker: Worker | None = None
        self._serving = self._hash()
        metrics.jobs_up.set_function(lambda: int(self._worker is not None and self._worker.up))

    def worker(self, how: Child) -> Worker | None:
        """The process that plans and runs, not yet started; None where it is switched off."""
        if self._how.on:
            self._worker = Worker(how, greeting=self.greeting, on_message=self.told)
        return self._worker

    def greeting(self) -> Iterable[Message]:
        """What it is told first."""
        self._serving = self._hash()
        return ({"kind": SERVE, "project": self._serving},)

    def told(self, message: Message) -> None:
        """It said something."""
        if message["kind"] == FAULT:
            self._metrics.faults.labels("jobs").inc()
        elif message["kind"] == ENDED:
            self._metrics.job(message["job"], message["state"], message["seconds"], message["at"])
        elif message["kind"] == STANDS:
            self._metrics.jobs_running.set(message["running"] is not None)
            self._metrics.jobs_waiting.set(message["waiting"])
            if self._serving != self._hash() and self._worker is not None:
                self._worker.send({"kind": SERVE, "project": self._hash()})

    # --- For the routes ------------------------------------------------------------------------------

    def desk(self) -> Desk:
        """The desk of what is served now."""
        project = self._service.serving.project
        return Desk(project, self._settings, self._how, {}, self._jobs, self._clock)

    def listed(self) -> dict[str, Any]:
        """The jobs of the project: ``Jobs`` of the API."""
        return {"on": self._how.on, "jobs": listed(self.desk(), self._clock())}

    def find(self, number: int) -> dict[str, Any] | None:
        """A run: ``JobAnswer`` of the API."""
        job = self._jobs.find(number)
        return None if job is None else plain(self.desk(), job)

    def ask(self, name: str, why: str | None, actor: str) -> dict[str, Any]:
        """Let a job run as soon as it can, and write down who asked; one that waits already is that one.

        Raises:
            DataError: there is no such job, or the server runs none.
            StoreError: it cannot be written down.
        """
        timing_of(name, self.desk().timings)
        if self._worker is None:
            raise DataError.of(
                "this server runs no jobs",
                expected="HEADWATER_JOBS on",
                got="off",
                do="run it beside the server: headwater jobs run " + name,
            )
        waiting = [one for one in self._jobs.open_ones() if one.name == name and one.state == "waiting"]
        now = self._clock()
        job = (
            waiting[0]
            if waiting
            else self._jobs.plan(name, now, why or "Asked for.", now=now, asked_by=actor)
        )
        self._trail.append(Act(now, actor, "job.run", name, {"job": job.id, "why": why}))
        self._worker.send({"kind": LOOK})
        return plain(self.desk(), job)

    # --- Inside --------------------------------------------------------------------------------------

    def _hash(self) -> str:
        return content_hash(self._service.serving.project)
