"""Who of Spark's processes worked how long: Java's tasks, the rest of Java, Python workers, and the driver.

Read from Linux' account of each thread, because Java and the workers go on living, and so have no part in
the seconds of finished children. Elsewhere only the driver's own are known. Called by ``session``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

TASKS, JAVA, WORKERS, DRIVER = "tasks", "java", "workers", "driver"  # whose seconds
_PROC = Path("/proc")


def processor_seconds() -> float:
    """Of this process, of Java and of the Python workers."""
    return sum(seconds().values())


def seconds() -> dict[str, float]:
    """Of Java's tasks, the rest of Java (compilers, memory), Python workers, this process."""
    found = {TASKS: 0.0, JAVA: 0.0, WORKERS: 0.0, DRIVER: time.process_time()}
    for java in _children(os.getpid()):
        whole = _spent(_PROC / str(java) / "stat")
        tasks = sum(
            _spent(thread / "stat")
            for thread in (_PROC / str(java) / "task").glob("*")
            if _name(thread).startswith("Executor task")
        )
        found[TASKS] += tasks
        found[JAVA] += whole - tasks
        found[WORKERS] += sum(_spent(_PROC / str(one) / "stat", ended=True) for one in _below(java))
    return found


def _below(process: int) -> list[int]:
    found, left = [], _children(process)
    while left:
        one = left.pop()
        found.append(one)
        left += _children(one)
    return found


def _children(process: int) -> list[int]:
    places = (_PROC / str(process) / "task").glob("*/children")
    return [int(one) for place in places for one in _read(place).split()]


def _name(thread: Path) -> str:
    return _read(thread / "comm")


def _spent(stat: Path, *, ended: bool = False) -> float:
    """User and system seconds; with those of children that have ended."""
    fields = _read(stat).rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if ended else 13])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _read(path: Path) -> str:
    """What Linux says of a process; nothing if it has ended, or if this is not Linux."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
