"""Backtests as jobs: started, asked how far they are, stopped. They live as long as the server.

One runs at a time, in a thread of its own, the others wait. Called by ``routes.backtests``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

from headwater.serving.backtest import Backtest
from headwater.serving.waiting import OverloadedError

KEPT = 20  # jobs that are remembered

Run = Callable[[Callable[[int, int], None], Callable[[], bool]], Backtest]


@dataclass
class Job:
    """A backtest that was asked for.

    Attributes:
        id: what it is called.
        done, total: decisions compared so far, of how many.
        stopping: whether it was asked to stop.
        future: gets what comes of it.
    """

    id: str
    done: int = 0
    total: int = 0
    stopping: bool = False
    future: Future[Backtest] = field(default_factory=Future)

    @property
    def state(self) -> str:
        """``waiting``, ``running``, ``done``, ``stopped`` or ``failed``."""
        if not self.future.done():
            return "running" if self.future.running() else "waiting"
        if self.future.exception() is not None:
            return "failed"
        return "stopped" if self.future.result().stopped else "done"


class Jobs:
    """The backtests of a server."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(1, "headwater-backtest")

    def start(self, run: Run) -> Job:
        """Start one as soon as the others are done.

        Raises:
            OverloadedError: too many wait.
        """
        job = Job(secrets.token_hex(6))

        def progress(done: int, total: int) -> None:
            job.done, job.total = done, total

        with self._lock:
            self._forget()
            self._jobs[job.id] = job
            job.future = self._pool.submit(run, progress, lambda: job.stopping)
        return job

    def find(self, id: str) -> Job | None:
        """The job of an id, or None."""
        return self._jobs.get(id)

    def close(self) -> None:
        """Stop all."""
        for job in self._jobs.values():
            job.stopping = True
        self._pool.shutdown(cancel_futures=True)

    def _forget(self) -> None:
        """Make room by forgetting what is done, the oldest first."""
        for id in [id for id, job in self._jobs.items() if job.future.done()]:
            if len(self._jobs) >= KEPT:
                del self._jobs[id]
        if len(self._jobs) >= KEPT:
            raise OverloadedError.of(
                "too many backtests are waiting", expected=f"at most {KEPT}", do="stop one, or come again"
            )
