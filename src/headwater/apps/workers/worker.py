"""A worker: a child process that is kept alive as long as its server lives.

::

    start ──► child ──► it dies ──► rest, twice as long each time ──► child ...
                │                       (a child that lived a while: short rests again)
    stop ──► its stdin ends ──► patience ──► killed

Messages go out through a bounded queue, so that nobody ever waits for a child: what finds no room is left
out, and counted. If the server is killed, the operating system ends the child's stdin and the child ends
itself (``parent``). Two threads of the server do this; both nearly always sleep. Made by ``cli.serving``.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import IO

from headwater.apps.settings import environment
from headwater.apps.workers.message import Message, line_of, message_of

LOG = logging.getLogger("headwater.workers")
CHILD = "headwater.apps.workers"
AGAIN = (
    75  # a child that ends with this is done with a piece of work: another follows at once, without a word
)
FARTHEST = 19
THREADS = "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"
ALONE = dict.fromkeys(THREADS, "1")  # a child computes with one thread


@dataclass(frozen=True)
class Job:
    """How a child is run.

    Attributes:
        name: for logs and metrics.
        module: whose ``main(parent, arguments)`` is called in the child.
        arguments: texts for it.
        niceness: how far it stands back behind the server: see :func:`stand_back`.
        environment: on top of the server's own.
        patience: seconds that it gets to end by itself.
        rests: seconds before it is started again: the first time, and at most.
        room: messages that may wait for it.
    """

    name: str
    module: str
    arguments: Sequence[str] = ()
    niceness: int = 10
    environment: Mapping[str, str] = field(default_factory=lambda: ALONE)
    patience: float = 5.0
    rests: tuple[float, float] = (0.5, 60.0)
    room: int = 1_000


class Worker:
    """Keeps the child of a job alive from :meth:`start` to :meth:`stop`.

    Args:
        job: what to run.
        greeting: the first messages to each child that is started.
        on_message: told what a child says, in a thread of the worker's own.

    Attributes:
        starts: how often a child was started.
        dropped: messages that found no room.
    """

    def __init__(
        self,
        job: Job,
        *,
        greeting: Callable[[], Iterable[Message]] = tuple,
        on_message: Callable[[Message], None] = lambda _: None,
    ) -> None:
        self.job = job
        self.starts = self.dropped = 0
        self._greeting = greeting
        self._on_message = on_message
        self._outbox: Queue[Message | None] | None = None  # of the child that lives
        self._ending = Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._spoke = False
        self._thread = Thread(target=self._keep_alive, name=f"headwater-{job.name}", daemon=True)

    @property
    def up(self) -> bool:
        """Whether a child runs and has spoken."""
        return self._spoke

    @property
    def pid(self) -> int | None:
        """The child's process id, if one runs."""
        child = self._child
        return None if child is None else child.pid

    def start(self) -> None:
        """Start the first child; returns at once."""
        self._thread.start()

    def send(self, message: Message) -> bool:
        """Give the child a message; False if there is none, or it has too many to read. Never waits."""
        outbox = self._outbox
        try:
            if outbox is not None:
                outbox.put_nowait(message)
                return True
        except Full:
            pass
        self.dropped += 1
        return False

    def stop(self) -> None:
        """Let the child end, and end it if it will not. There is none afterwards."""
        self._ending.set()
        if self._outbox is not None:
            _say_no_more(self._outbox)
        if self._thread.is_alive():
            self._thread.join(self.job.patience)
        child = self._child
        if child is not None and self._thread.is_alive():
            LOG.warning("a worker does not end and is killed", extra={"worker": self.job.name})
            with suppress(OSError):
                child.kill()
            self._thread.join(self.job.patience)

    # --- The life of children ------------------------------------------------------------------------

    def _keep_alive(self) -> None:
        shortest, longest = self.job.rests
        rest = shortest
        while not self._ending.is_set():
            born = time.monotonic()
            how = self._live()
            if self._ending.is_set():
                return
            if how == AGAIN:
                rest = shortest
                continue
            rest = shortest if time.monotonic() - born > longest else rest
            LOG.error("a worker died", extra={"worker": self.job.name, "exit": how, "again_in": rest})
            self._ending.wait(rest)
            rest = min(2 * rest, longest)

    def _live(self) -> int | str:
        """One child from its start to its end; how it ended."""
        try:
            child = self._spawn()
        except OSError as error:
            return type(error).__name__
        self._child, outbox = child, Queue[Message | None](self.job.room)
        self._outbox = outbox
        self.starts += 1
        assert child.stdin is not None  # noqa: S101 - both are pipes
        assert child.stdout is not None  # noqa: S101
        writer = Thread(
            target=self._write, args=(child.stdin, outbox), name=f"{self._thread.name}-out", daemon=True
        )
        writer.start()
        if self._ending.is_set():
            _say_no_more(outbox)
        for line in child.stdout:
            self._hear(line)
        how = child.wait()
        self._child, self._outbox, self._spoke = None, None, False
        _say_no_more(outbox)
        writer.join()
        child.stdout.close()
        return how

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", CHILD, self.job.module, *self.job.arguments]
        child = subprocess.Popen(  # noqa: S603 - this interpreter, a module of ours
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment(), **self.job.environment},
            # Ctrl-C in a terminal is for the server, which lets its children end. Not a session of its own:
            # Linux gives each session an equal share (autogroups), however nice its processes are.
            process_group=0,
        )
        stand_back(child.pid, self.job.niceness)  # before it has made a thread: those inherit it
        return child

    def _hear(self, line: bytes) -> None:
        message = message_of(line)
        if message is None:
            LOG.warning("a worker said something that is no message", extra={"worker": self.job.name})
            return
        self._spoke = True
        try:
            self._on_message(message)
        except Exception:  # whoever hears it: a child is kept alive all the same
            LOG.exception("what a worker said could not be taken", extra={"worker": self.job.name})

    def _write(self, pipe: IO[bytes], outbox: Queue[Message | None]) -> None:
        """Everything that is to be said to one child, until it is gone or there is no more to say."""
        with suppress(OSError), pipe:
            for message in self._greeting():
                pipe.write(line_of(message))
            pipe.flush()
            while (more := outbox.get()) is not None:
                pipe.write(line_of(more))
                if outbox.empty():
                    pipe.flush()


def _say_no_more(outbox: Queue[Message | None]) -> None:
    """Let the writing thread end; what waits is left out."""
    while True:
        try:
            outbox.put_nowait(None)
        except Full:
            with suppress(Empty):
                outbox.get_nowait()
        else:
            return


def stand_back(pid: int, niceness: int = FARTHEST) -> None:
    """Let a process, and what it starts from now on, stand back behind everybody else, where the system can.

    Args:
        pid: of the process.
        niceness: as by ``nice``. At 19, on Linux, it has a processor only while nobody else wants it: one
            that is merely nice makes a request wait for the end of its slice.
    """
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
    if niceness >= FARTHEST:
        with suppress(OSError, AttributeError):
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
