"""The other end of a worker: how a child process hears its server, and notices that it is gone.

``__main__`` calls :func:`parent` first of all. From then on what anybody prints goes to stderr, and the pipes
are the parent's alone. When the server ends, or is killed, the child's stdin ends: :meth:`Parent.next` and
:meth:`Parent.step` then raise, and a child that does not look in time is ended all the same. Handed to the
jobs that ``worker`` runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, Queue
from threading import Event, Lock, Thread
from typing import IO

from headwater.apps.workers.message import Message, line_of, message_of

PATIENCE = 3.0  # seconds from the end of stdin to the end of a child that does not look
ABANDONED = 70  # the exit code then


class GoneError(Exception):
    """The server does not need this child any more. Whoever runs the child lets it end."""


class Parent:
    """The server, as its child sees it.

    Args:
        told: what the server says, line by line.
        answers: what the server hears.
        patience: seconds from the end of ``told`` to the end of this process, if it does not end before.
    """

    def __init__(self, told: IO[bytes], answers: IO[bytes], patience: float = PATIENCE) -> None:
        self._told = told
        self._answers = answers
        self._patience = patience
        self._inbox: Queue[Message] = Queue(10_000)  # full: the server's messages wait in the pipe
        self._gone = Event()
        self._ended = Event()
        self._lock = Lock()
        Thread(target=self._listen, name="headwater-parent", daemon=True).start()

    def next(self, seconds: float) -> Message | None:
        """The next message, or None if none comes in time.

        Raises:
            GoneError: the server is gone.
        """
        self.step()
        try:
            found = self._inbox.get(timeout=seconds)
        except Empty:
            found = None
        self.step()
        return found or None

    def waiting(self) -> Iterator[Message]:
        """The messages that came already."""
        while True:
            try:
                found = self._inbox.get_nowait()
            except Empty:
                return
            if found:
                yield found

    def step(self) -> None:
        """To be called now and then in long work.

        Raises:
            GoneError: the server is gone.
        """
        if self._gone.is_set():
            raise GoneError

    def tell(self, message: Message) -> None:
        """Say something.

        Raises:
            GoneError: nobody hears it.
        """
        with self._lock:
            try:
                self._answers.write(line_of(message))
                self._answers.flush()
            except OSError:
                self._gone.set()
                raise GoneError from None

    def close(self) -> None:
        """The child is done, and ends in its own time."""
        self._ended.set()

    def _listen(self) -> None:
        for line in self._told:
            message = message_of(line)
            if message is not None:
                self._inbox.put(message)
        self._gone.set()
        if self._inbox.empty():
            self._inbox.put({})  # wakes whoever waits
        if not self._ended.wait(self._patience):
            os._exit(ABANDONED)


@contextmanager
def parent(patience: float = PATIENCE) -> Iterator[Parent]:
    """The server that started this process; ends quietly when it is gone."""
    told, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    found = Parent(told, answers, patience)
    try:
        yield found
    except GoneError:
        pass
    finally:
        found.close()
