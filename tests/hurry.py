"""What stands back behind everybody, let compete like everybody, where a test waits for it.

Jobs and monitors of a server are nice, or have a processor only while nobody else wants it
(``apps.workers.worker.stand_back``). Beside tests that keep the processors busy they stand still, and whoever
waits for them waits for those. Best effort: it takes Linux, and the right to do it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

PAUSE = 0.5  # seconds between two looks for new ones


def hurry(pid: int) -> None:
    """Let all that a process has started, and what those have, be as urgent as we are."""
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    for child in _children(pid):
        with suppress(OSError):  # one that has just ended, or that we may not touch
            for thread in Path(f"/proc/{child}/task").iterdir():
                if os.sched_getscheduler(int(thread.name)) == os.SCHED_IDLE:
                    os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
                if os.getpriority(os.PRIO_PROCESS, int(thread.name)) > ours:
                    os.setpriority(os.PRIO_PROCESS, int(thread.name), ours)
        hurry(child)


@contextmanager
def hurried() -> Iterator[None]:
    """Within, whatever this process starts is hurried, again and again."""
    over = Event()

    def keep_on() -> None:
        while not over.wait(PAUSE):
            hurry(os.getpid())

    thread = Thread(target=keep_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, file.read_text(encoding="ascii").split())
    return found
